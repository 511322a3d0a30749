"""What processes that were killed leave behind is taken away, and nothing else."""

import os
import re
from pathlib import Path

from desktop_ft import places
from desktop_ft.export.verify import check_writable


def aged(folder: Path) -> None:
    for path in folder.iterdir():
        os.utime(path, (0, 0), follow_symlinks=False)


def test_leftovers_go_when_nobody_has_changed_them_for_a_day(tmp_path: Path) -> None:
    for name in ("left-1", "left-over", "mine"):
        (tmp_path / name).write_text(name)
    (tmp_path / "left-2").mkdir()
    (tmp_path / "left-2" / "part").touch()
    (tmp_path / "left-3").symlink_to(tmp_path / "mine")
    aged(tmp_path)
    (tmp_path / "left-4").touch()
    places.forget_leftovers(tmp_path, re.compile(r"left-\d"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["left-4", "left-over", "mine"]
    places.forget_leftovers(tmp_path / "nothing", re.compile("left"))


def test_beside_an_export_nothing_of_a_persons_goes(tmp_path: Path) -> None:
    ours = ".desktop-ft-0123456789ab-a1b2c3_d"
    for name in (".desktop-ft-backup", ".desktop-ft-home", ".desktop-ft-0123456789ab", ".desktop-ft-notes.txt", ours):
        (tmp_path / name / "deep").mkdir(parents=True)
    older = ".desktop-ft-0123456789ab.onnx"  # as versions before this one left it
    (tmp_path / older).touch()
    before = {path.name for path in tmp_path.iterdir()}
    aged(tmp_path)
    check_writable(tmp_path / "model.onnx")
    assert {path.name for path in tmp_path.iterdir()} == before - {ours, older}
