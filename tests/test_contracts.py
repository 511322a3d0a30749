"""The import contracts hold, and are seen to break where a violation is planted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLANTED = {
    "desktop_ft/engine/control.py": ("import PySide6", "Qt lives in the window only"),
    "desktop_ft/core/layers.py": ("import torch", "The vocabulary knows no torch"),
    "desktop_ft/runs/atomic.py": ("import desktop_ft.jobs.scanning", "An upper layer may import a lower one"),
    "desktop_ft/evaluation/score.py": ("import desktop_ft.export.verify", "An upper layer may import a lower one"),
    "desktop_ft/api/hookspecs.py": ("import desktop_ft.conformance", "An upper layer may import a lower one"),
    "desktop_ft/jobs/scanning.py": ("import desktop_ft.serving.limits", "An upper layer may import a lower one"),
    "desktop_ft/serving/desk.py": ("import torch", "A server needs no torch"),
    "plugins/onnx_export/writer.py": ("import desktop_ft.core.recipe", "A plugin knows the plugins' door only"),
}


def lint(root: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_planted_violation_breaks_its_contract(tmp_path: Path) -> None:
    for name in ("desktop_ft", "plugins"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert lint(tmp_path).returncode == 0
    for path, (violation, contract) in PLANTED.items():
        clean = (tmp_path / path).read_text(encoding="utf-8")
        (tmp_path / path).write_text(f"{clean}\n{violation}\n", encoding="utf-8")
        outcome = lint(tmp_path)
        assert outcome.returncode == 1, path
        assert any(contract in line and "BROKEN" in line for line in outcome.stdout.splitlines()), path
        (tmp_path / path).write_text(clean, encoding="utf-8")
