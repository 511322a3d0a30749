"""Files of models that are not opened as they are, told by what is in them."""

import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import BUNDLE_FILES
from desktop_ft.core.language import tr
from desktop_ft.data import files

_EXPORTS = (
    (("/archive_format", "/archive_version"), "PyTorch"),
    ((".ncnn.param", ".ncnn.bin"), "ncnn"),
    (("model.xml", "model.bin"), "OpenVINO"),
    ((".mlmodel", ".mlpackage/Manifest.json"), "Core ML"),
)
"""How names in an archive end, one of them at least with each, and for what it was exported."""
_MOST_BYTES = 1 << 20
"""Of an archive's list of files; that of a bundle or an export is far shorter, and the window waits for it."""


class _Brief:
    """A file as an archive is opened from, but for archives whose list of files is without end: they are read in one piece."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or all there are. Raises ValueError where these are too many."""
        found = self._file.read(size if 0 <= size <= _MOST_BYTES else _MOST_BYTES + 1)
        if len(found) > _MOST_BYTES:
            raise ValueError("the list of files is too long")
        return found


def not_opened(file: Path) -> UserError | None:
    """What to say of a bundle, or of an export for something else than ONNX; None: it is neither, or cannot be read.

    Quick: an archive of more files than either holds is not looked through.
    """
    names = [entry.filename for entry in _archive(file)[0]]
    if _holds(names, BUNDLE_FILES):
        return UserError(
            tr("{name} is a bundle of Desktop FT.", name=file.name), tr("Unpack it, and open the file model.onnx in it.")
        )
    for endings, what in _EXPORTS:
        if _holds(names, endings):
            return UserError(
                tr("{name} is an export for {what}; Desktop FT opens ONNX files.", name=file.name, what=what),
                tr("Choose a .onnx file that was exported by Desktop FT."),
            )
    return None


def is_packed_bundle(file: Path) -> bool:
    """Whether `file` is a bundle just as Desktop FT wrote it: one that somebody has added to, or packed, is theirs.

    As quick as `not_opened`.
    """
    entries, mark = _archive(file)
    return bool(entries) and mark == bundle_mark(entries)


def bundle_mark(entries: Iterable[zipfile.ZipInfo]) -> bytes:
    """What a bundle of these `entries` carries as its comment: a digest of them, so that it is known as it was written."""
    told = "".join(sorted(f"{entry.filename} {entry.CRC:08x} {entry.file_size}\n" for entry in entries))
    return b"Desktop FT bundle " + hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest().encode()


def _archive(file: Path) -> tuple[list[zipfile.ZipInfo], bytes]:
    """What the archive `file` holds, and its comment; nothing where it is none, or cannot be read: whoever opens it says why."""
    try:
        with files.open_regular(file) as opened, zipfile.ZipFile(_Brief(opened)) as archive:
            return archive.infolist(), archive.comment
    except (files.NotAFile, OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile):
        return [], b""


def _holds(names: list[str], endings: Iterable[str]) -> bool:
    return all(any(name.endswith(ending) for name in names) for ending in endings)
