"""Unpacks a .zip of pictures by our own hand: contained, bounded, no links, nothing half done left behind."""

import hashlib
import lzma
import os
import re
import shutil
import stat
import tempfile
import threading
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from desktop_ft import places
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.data import files

ENTRY_LIMIT = 1_000_000
BYTE_LIMIT = 64 << 30
RATIO_LIMIT = 100
RATIO_FLOOR = 16 << 20
"""What any archive may unpack to, however well it is packed."""

_PARTIAL = re.compile(r"partial-\w{8}")
_CHUNK = 1 << 20
_SPARE = 256 << 20
_BY_HAND = marked("Unpack it yourself and choose the folder.")


def unpack(archive: Path, into: Path, cancel: threading.Event | None = None) -> Path:
    """The folder in `into` that holds what `archive` holds; one that was unpacked before from the same bytes is used again.

    Raises:
        UserError: not a .zip, damaged, encrypted, or one that would write outside its folder, unpack to more than
            `RATIO_LIMIT` times its size, hold links or too many files, or not fit on the disk. Cancelled: as asked.
    """
    try:
        with files.open_regular(archive) as file:
            target = into / _digest(file, cancel)
            if not target.is_dir():
                _unpack_to(target, file, archive, cancel)
            return target
    except files.NotAFile as error:
        raise UserError(tr("{file} is not a file.", file=archive), tr("Choose a folder or a .zip.")) from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, UnicodeError) as error:
        raise UserError(
            tr("The archive {archive} is damaged or not a .zip ({error}).", archive=archive, error=error),
            tr("Copy or download it again."),
        ) from error
    except OSError as error:
        raise UserError(
            tr("The archive {archive} cannot be unpacked: {error}.", archive=archive, error=error.strerror or error), tr(_BY_HAND)
        ) from error


def _digest(file: BinaryIO, cancel: threading.Event | None) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        _check(cancel)
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def _unpack_to(target: Path, file: BinaryIO, archive: Path, cancel: threading.Event | None) -> None:
    with zipfile.ZipFile(file) as packed:
        entries = packed.infolist()
        paths = _contained(entries, archive)
        _check_size(entries, archive, target.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        places.forget_leftovers(target.parent, _PARTIAL)
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=target.parent))
        try:
            for entry, path in zip(entries, paths, strict=True):
                _write(packed, entry, partial / path, cancel)
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            if not target.is_dir():  # else another process has just unpacked the same archive
                raise


def _contained(entries: list[zipfile.ZipInfo], archive: Path) -> list[PurePosixPath]:
    """Where each entry goes below the folder; all are judged before anything is written."""
    if len(entries) > ENTRY_LIMIT:
        raise UserError(
            tr(
                "The archive {archive} holds {count} files, more than {limit}.",
                archive=archive,
                count=len(entries),
                limit=ENTRY_LIMIT,
            ),
            tr("Unpack it yourself."),
        )
    paths: list[PurePosixPath] = []
    known: dict[str, str] = {}
    for entry in entries:
        path = _path(entry.filename)
        if path is not None and any(":" in part for part in path.parts):
            raise UserError(
                tr("The archive {archive} holds a name with a colon ({name!r}).", archive=archive, name=entry.filename),
                tr(_BY_HAND),
            )
        if path is None:
            raise UserError(
                tr(
                    "The archive {archive} holds a file that would land outside its folder ({name!r}).",
                    archive=archive,
                    name=entry.filename,
                ),
                tr("Do not use it."),
            )
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UserError(
                tr("The archive {archive} holds a link or device ({name!r}).", archive=archive, name=entry.filename),
                tr("Pack it again without links."),
            )
        if entry.flag_bits & 0x1:
            raise UserError(
                tr("The archive {archive} is encrypted.", archive=archive),
                tr("Unpack it yourself with its password, and choose the folder."),
            )
        folded = str(path).casefold()
        if folded in known and not entry.is_dir():
            raise UserError(_twice(archive, entry.filename, known[folded]), tr(_BY_HAND))
        known[folded] = entry.filename
        paths.append(path)
    return paths


def _twice(archive: Path, name: str, other: str) -> str:
    if other == name:
        return tr("The archive {archive} holds {name!r} twice.", archive=archive, name=name)
    return tr(
        "The archive {archive} holds {name!r} and {other!r}, which differ in letter case alone.",
        archive=archive,
        name=name,
        other=other,
    )


def _path(name: str) -> PurePosixPath | None:
    plain = name.replace("\\", "/")
    path = PurePosixPath(plain)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        return None
    return None if PureWindowsPath(plain).drive else path


def _check_size(entries: list[zipfile.ZipInfo], archive: Path, into: Path) -> None:
    whole = sum(entry.file_size for entry in entries)
    packed = archive.stat().st_size
    if sum(entry.compress_size for entry in entries) > packed:
        raise zipfile.BadZipFile("its files overlap")  # so a small archive can hold much, however little each file grows
    if whole > max(RATIO_FLOOR, RATIO_LIMIT * packed):
        raise UserError(
            tr("The archive {archive} would unpack to {times} times its size.", archive=archive, times=whole // max(1, packed)),
            tr("Do not use it."),
        )
    home = next(folder for folder in (into, *into.parents) if folder.exists())
    room = min(BYTE_LIMIT, shutil.disk_usage(home).free - _SPARE)
    if whole > room:
        raise UserError(
            tr(
                "The archive {archive} needs {needed:.1f} GB and there is room for {room:.1f}.",
                archive=archive,
                needed=whole / 1e9,
                room=max(0, room) / 1e9,
            ),
            tr("Make room first."),
        )


def _write(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, cancel: threading.Event | None) -> None:
    """Write one entry, and not a byte more than it said it would be."""
    _check(cancel)
    if entry.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with packed.open(entry) as source, os.fdopen(os.open(path, flags, 0o644), "wb") as sink:
        while chunk := source.read(_CHUNK):
            _check(cancel)
            left -= len(chunk)
            if left < 0:
                raise zipfile.BadZipFile(f"{entry.filename} is larger than it says")
            sink.write(chunk)


def _check(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled
