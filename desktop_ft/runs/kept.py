"""What is kept on this machine for the next run, and can be made again: answers of frozen layers, measurements. No torch."""

import json
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.core.values import from_json
from desktop_ft.runs import atomic

_ABANDONED_S = 3600.0
_SPARE_BYTES = 1 << 30
"""What is left free on the disk for everybody else."""


def size(path: Path) -> int:
    """Bytes of the file `path`, or of all files below the folder `path`; 0 where nothing is there."""
    found = 0
    for each in (path, *path.rglob("*")):
        with suppress(OSError):  # it may go while it is looked at
            status = each.lstat()
            found += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return found


def drop(path: Path) -> int:
    """Delete the file or folder `path`; returns how many bytes are free again. What is in use may stay."""
    before = size(path)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
    return before - size(path)


@dataclass(frozen=True, slots=True)
class KeptFolder:
    """All that frozen layers have answered. A folder inside stands for one part of one network; see `engine/feature_store.py`.

    Attributes:
        most: bytes that may be kept; what was used longest ago goes first.
    """

    path: Path
    most: int

    def size(self) -> int:
        """Bytes kept now."""
        return sum(size for _, size, _ in self._inside())

    def make_room(self, wanted: int, spare: Path) -> str:
        """Drop what was used longest ago, but not `spare`, until `wanted` more bytes may be kept; "" or why they may not."""
        if wanted > self.most:
            return f"{wanted / 1e9:.1f} GB are more than the {self.most / 1e9:.0f} GB that may be kept"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.sweep()
            used = self.size()
            for _, size, path in sorted(self._inside()):
                if used + wanted <= self.most:
                    break
                if path != spare:
                    shutil.rmtree(path, ignore_errors=True)
                    used -= size
            if self.size() + wanted > self.most:
                return f"with {wanted / 1e9:.1f} GB more it would be over the {self.most / 1e9:.0f} GB that may be kept"
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            return f"{self.path} cannot be used: {error.strerror}"
        return "" if free >= wanted + _SPARE_BYTES else f"only {free / 1e9:.1f} GB are free at {self.path}"

    def sweep(self) -> None:
        """Drop what writers that were killed have left."""
        for path in self.path.glob("*/*.tmp"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()

    def _inside(self) -> Iterator[tuple[float, int, Path]]:
        """When each folder inside was used last, its bytes, its path."""
        for path in self.path.iterdir() if self.path.is_dir() else ():
            with suppress(OSError):  # another process may be clearing it
                yield path.stat().st_mtime, sum(file.stat().st_size for file in path.iterdir()), path


@dataclass(frozen=True, slots=True)
class KeptMeasurements:
    """What was measured on this machine, a small file a key; what cannot be read or written is measured again."""

    path: Path

    def get(self, key: str) -> dict[str, float] | None:
        """What is kept under `key`; None if nothing is, or it is damaged."""
        try:
            text = self._file(key).read_bytes()
            found: dict[str, float] = from_json(dict[str, float], text, "")
        except (OSError, UserError):
            return None
        return found

    def put(self, key: str, measured: dict[str, float]) -> None:
        """Keep it, if the disk takes it."""
        with suppress(OSError, UserError):
            self.path.mkdir(parents=True, exist_ok=True)
            atomic.write(self._file(key), json.dumps(measured).encode())

    def _file(self, key: str) -> Path:
        return self.path / f"{key}.json"
