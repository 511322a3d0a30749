"""The steps of docs/plugin_hooks.md lead where the page says, word for word."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from desktop_ft.data.scan import scan
from desktop_ft.jobs.scanning import write_sample
from desktop_ft.plugin_manager import load_plugins, set_enabled
from desktop_ft.plugin_manager.installing import install
from tests.pictures import class_folders

ROOT = Path(__file__).parents[1]
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(sh|sh fails|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page() -> str:
    return (ROOT / "docs" / "plugin_hooks.md").read_text(encoding="utf-8")


def test_the_first_plugin_on_the_page_works_as_it_stands(tmp_path: Path) -> None:
    snippet = SNIPPET.search(page())
    assert snippet is not None
    (tmp_path / "first.py").write_text(snippet[1])
    set_enabled(install(tmp_path / "first.py"), on=True)
    found = scan(write_sample(load_plugins(), "mine", tmp_path / "pictures"))
    assert (found.classes, found.problems) == (("dark", "light"), ()) and len(found.samples) > 10


def test_the_steps_show_every_command_for_plugins() -> None:
    steps = page().partition("## Step by step")[2]
    commands = {verb for kind, text in BLOCK.findall(steps) for verb in re.findall(r"desktop-ft plugins (\w+)", text)}
    assert {"new", "install", "enable", "disable", "remove"} <= commands
    assert "pip install build" in steps


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_steps_to_a_plugin_of_ones_own(tmp_path: Path) -> None:
    blocks = BLOCK.findall(page().partition("## Step by step")[2])
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
