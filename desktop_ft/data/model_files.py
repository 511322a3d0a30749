"""Files of models that are not opened as they are, told by what is in them."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import BUNDLE_FILES, BUNDLE_OWN
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

BUNDLE_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a .zip can hold: when it was packed is nobody's business, and equal content is packed alike."""


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
    names = [entry.filename for entry in _entries(file)]
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
    """Whether `file` is a bundle just as Desktop FT writes them: one that somebody has added to, or packed, is theirs.

    As quick as `not_opened`.
    """
    entries = _entries(file)
    names = sorted(entry.filename for entry in entries)
    return names == sorted([*BUNDLE_OWN, *bundle_programs()]) and all(entry.date_time == BUNDLE_DATE for entry in entries)


def bundle_programs() -> dict[str, Path]:
    """What a bundle holds besides `BUNDLE_OWN`, by its name in there, and where that ships."""
    programs = places.shipped("resources") / "bundle"
    return {path.relative_to(programs).as_posix(): path for path in sorted(programs.rglob("*")) if path.is_file()}


def is_unpacked_bundle(folder: Path) -> bool:
    """Whether `folder` holds what such a bundle holds."""
    return all((folder / name).is_file() for name in BUNDLE_FILES)


def _entries(file: Path) -> list[zipfile.ZipInfo]:
    """What the archive `file` holds; nothing where it is none, or cannot be read: whoever opens it says what is wrong with it."""
    try:
        with files.open_regular(file) as opened, zipfile.ZipFile(_Brief(opened)) as archive:
            return archive.infolist()
    except (files.NotAFile, OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile):
        return []


def _holds(names: list[str], endings: Iterable[str]) -> bool:
    return all(any(name.endswith(ending) for name in names) for ending in endings)
