"""Files of models that are not opened as they are, told by what is in them."""

import zipfile
from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.data import files

_BUNDLE = ("MODEL_CARD.md", "model.onnx")
_EXPORTS = (
    (("/archive_format", "/archive_version"), "PyTorch"),
    ((".ncnn.param", ".ncnn.bin"), "ncnn"),
    (("model.xml", "model.bin"), "OpenVINO"),
    ((".mlmodel", ".mlpackage/Manifest.json"), "Core ML"),
)
"""How names in an archive end, one of them at least with each, and for what it was exported."""


def not_opened(file: Path) -> UserError | None:
    """What to say of a bundle, or of an export for something else than ONNX; None: it is neither, or cannot be read."""
    try:
        with files.open_regular(file) as opened, zipfile.ZipFile(opened) as archive:
            names = archive.namelist()
    except (files.NotAFile, OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile):
        return None  # whoever opens it says what is wrong with it
    if _holds(names, _BUNDLE):
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


def _holds(names: list[str], endings: tuple[str, ...]) -> bool:
    return all(any(name.endswith(ending) for name in names) for ending in endings)
