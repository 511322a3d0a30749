"""The steps of docs/plugin_hooks.md lead where the page says, word for word."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pictures import class_folders

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(sh|sh fails|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_steps_to_a_plugin_of_ones_own(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "plugin_hooks.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(page[page.index("## Step by step") :])
    assert len(blocks) > 10
    class_folders(tmp_path / "photos", {"ants": 12, "bees": 12})
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    exports, said = "", ""
    for kind, text in blocks:
        if kind == "text":
            assert all(line in said for line in text.splitlines()), (text, said)
            continue
        command = ["sh", "-e", "-c", exports + text]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        said = done.stdout
        assert (done.returncode != 0) is (kind == "sh fails"), (text, said)
        exports += "".join(f"{line}\n" for line in text.splitlines() if line.startswith("export "))
    assert (tmp_path / "model.onnx").is_file()
