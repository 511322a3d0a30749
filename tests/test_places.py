"""What processes that were killed leave behind is taken away, and nothing else."""

import os
from pathlib import Path

from desktop_ft import places


def test_leftovers_go_when_nobody_has_changed_them_for_a_day(tmp_path: Path) -> None:
    for name in ("left-file", "fresh-file", "mine"):
        (tmp_path / name).write_text(name)
    (tmp_path / "left-folder").mkdir()
    (tmp_path / "left-folder" / "part").touch()
    (tmp_path / "left-link").symlink_to(tmp_path / "mine")
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0), follow_symlinks=False)
    (tmp_path / "left-of-now").touch()
    places.forget_leftovers(tmp_path, "left-")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh-file", "left-of-now", "mine"]
    places.forget_leftovers(tmp_path / "nothing", "left-")
