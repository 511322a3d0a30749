"""Every write of a run goes through here: it is on the disk whole, or not at all, and a failure is told with its cure."""

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from desktop_ft.core import words
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr

_REPLACE_RETRIES = 25
_REPLACE_WAIT_S = 0.1
_HOLE = re.compile(rb"\0\0|\}\0")
"""What was lost from somewhere in a line of JSON to its end, and reads as zeros. A lone zero within one is damage, to be told."""
_LONG = 200
_HELD_BY_ANOTHER = (5, 32)
"""Windows' access denied and sharing violation: a virus scanner holds the file for a moment."""


def write(path: Path, *parts: bytes | memoryview) -> None:
    """Make `path` hold `parts`, one behind the other: the old content stays until the new one is on the disk for good.

    Raises:
        UserError: the disk is full, read-only, gone, or not ours to write; the old content is untouched.
    """
    # Where the disk takes the name it must take the other one, too.
    name = path.name if len(os.fsencode(path.name)) < _LONG else hashlib.sha256(os.fsencode(path.name)).hexdigest()
    temporary = path.with_name(f"{name}.{os.getpid()}.tmp")
    try:
        try:
            _write_through(temporary, parts)
            _replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, sum(len(part) for part in parts), error) from error


def make_folder(path: Path) -> None:
    """Make the folder `path`, and those above it, where they are not there yet.

    Raises:
        UserError: it cannot be made, or something else has that name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, 0, error) from error


class LineFile:
    """A file that only grows, line by line. Every line is with the system when `append` returns, so a crash keeps it.

    A last line without its end (the writer was killed, or the disk was full) never counted: opening cuts it off. So it does with
    what follows a place that the disk did not have yet when the power failed, which reads as zeros.

    Args:
        lasting: what lines have in them that were appended durably: what lies before one of them was on the disk, too, and is
            damaged if it is not there.
    """

    def __init__(self, path: Path, lasting: tuple[bytes, ...] = ()) -> None:
        self._path = path
        self._dirty = False
        try:
            is_new = not path.exists()
            self._file = path.open("ab+", buffering=0)
            if is_new:
                _sync_folder(path.parent)
            self._file.seek(0)
            self._file.truncate(len(_whole(self._file.read(), lasting)))
        except OSError as error:
            raise cannot_write(path, 0, error) from error

    def append(self, line: bytes, *, durable: bool = False) -> None:
        """Add `line` (without its end); `durable` waits until the disk has it, so that power loss keeps it too.

        Raises:
            UserError: it cannot be written; the file is as it was before.
        """
        before = os.fstat(self._file.fileno()).st_size
        data = line + b"\n"
        self._dirty = True
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                self._sync()
        except OSError as error:
            with suppress(OSError):  # opening cuts off what remains of it
                self._file.truncate(before)
            raise cannot_write(self._path, len(data), error) from error

    def flush(self) -> None:
        """Wait until the disk has every line.

        Raises:
            UserError: it cannot be known that it has.
        """
        try:
            if self._dirty:
                self._sync()
        except OSError as error:
            raise cannot_write(self._path, 0, error) from error

    def close(self) -> None:
        """Wait until the disk has every line, and let go of the file.

        Raises:
            UserError: it cannot be known that the disk has them.
        """
        try:
            with self._file:
                self._sync()
        except OSError as error:
            raise cannot_write(self._path, 0, error) from error

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._dirty = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        except UserError:
            if error is None:  # else that one says more
                raise


def whole_lines(path: Path, start: int = 0, lasting: tuple[bytes, ...] = ()) -> list[bytes]:
    """The lines of `path` from the byte `start` on, without a torn last one; none where there is no such file.

    Args:
        lasting: as of `LineFile`.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            return _whole(file.read(), lasting).split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot_read(path, error) from error


def _whole(data: bytes, lasting: tuple[bytes, ...]) -> bytes:
    """The lines at the beginning of `data` that were written to their end."""
    hole = _HOLE.search(data) if b"\0" in data else None
    if hole and any(data.find(mark, hole.end()) >= 0 for mark in lasting):
        hole = None  # the disk had it once: whoever reads the line tells
    written = data[: hole.start()] if hole else data
    return written[: written.rfind(b"\n") + 1]


def read(path: Path) -> bytes:
    """What `path` holds.

    Raises:
        UserError: it is not there, or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from error


def cannot_read(path: Path, error: OSError) -> UserError:
    """Why `path` cannot be read, in words."""
    return UserError(
        tr("{file} cannot be read: {error}.", file=path, error=error.strerror or error),
        tr("Restore it from a copy, or check its permissions."),
    )


def cannot_write(path: Path, size: int, error: OSError) -> UserError:
    """Why `size` bytes cannot be written to `path`, in words."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            what = tr(
                "The disk is full: {file} needs {needed}, and {free} are free.",
                file=path,
                needed=words.size(size),
                free=words.size(_free(path)),
            )
            cure = tr("Free some space there, or choose another folder; what was saved before is safe.")
        case errno.EROFS:
            what = tr("{file} cannot be written: the disk is read-only.", file=path)
            cure = tr("Choose another folder, or make the disk writable.")
        case errno.EACCES | errno.EPERM:
            what = tr("{file} cannot be written: permission denied.", file=path)
            cure = tr("Choose a folder of your own, or change its permissions.")
        case errno.EEXIST | errno.ENOTDIR:
            what = tr("{file} cannot be made: a file of that name is in the way.", file=path)
            cure = tr("Choose another folder.")
        case _:
            what = tr("{file} cannot be written: {error}.", file=path, error=error.strerror or error)
            cure = tr("Check the disk, or choose another folder; what was saved before is safe.")
    return UserError(what, cure)


def _free(path: Path) -> int:
    there = next((folder for folder in path.parents if folder.is_dir()), Path.cwd())
    return shutil.disk_usage(there).free


def _write_through(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def _replace(source: Path, target: Path) -> None:
    for tries_left in reversed(range(_REPLACE_RETRIES)):
        try:
            source.replace(target)
        except OSError as error:
            if getattr(error, "winerror", None) not in _HELD_BY_ANOTHER or not tries_left:
                raise
            time.sleep(_REPLACE_WAIT_S)
        else:
            return


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and its rename is durable with the file system's journal
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
