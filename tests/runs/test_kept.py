"""What is kept for the next run."""

import os
import time
from pathlib import Path

from desktop_ft.runs.kept import KeptFolder


def test_what_killed_writers_have_left_is_swept_when_room_is_made(tmp_path: Path) -> None:
    kept = KeptFolder(tmp_path / "features", 1 << 30)
    folder = kept.path / "namespace"
    folder.mkdir(parents=True)
    abandoned, being_written, whole = (folder / name for name in ("a.safetensors.1.tmp", "b.safetensors.2.tmp", "c.safetensors"))
    for path in (abandoned, being_written, whole):
        path.write_bytes(b"rows")
    long_ago = time.time() - 86_400
    for path in (abandoned, whole):
        os.utime(path, (long_ago, long_ago))
    assert kept.make_room(10, folder) == ""
    assert sorted(folder.iterdir()) == [being_written, whole]
