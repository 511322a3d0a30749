"""What may be dropped on the window: local files and folders, named in text/uri-list. Everything else is ignored."""

from pathlib import Path

from PySide6.QtCore import QMimeData, QUrl

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.data.model_files import not_opened
from desktop_ft.runs.run_folder import is_unpacked_bundle

_MOST_BYTES = 1 << 20
_MOST_PATHS = 10_000


def local_paths(mime: QMimeData) -> tuple[Path, ...]:
    """The local paths that exist among the addresses in `mime`; empty where there is none.

    The bytes of text/uri-list are read here, so that no other format, and no serialised object, is ever looked at.
    """
    if not mime.hasFormat("text/uri-list"):
        return ()
    text = bytes(mime.data("text/uri-list").data())
    if len(text) > _MOST_BYTES:
        return ()
    lines = [line.strip() for line in text.split(b"\n")]
    urls = [QUrl.fromEncoded(line) for line in lines[:_MOST_PATHS] if line and not line.startswith(b"#")]
    paths = (Path(url.toLocalFile()) for url in urls if url.isValid() and url.isLocalFile() and url.host() in ("", "localhost"))
    return tuple(path for path in paths if path.is_absolute() and _exists(path))


def exported_at(path: Path) -> Path | None:
    """The file that an exporter wrote, at `path` or in the unpacked bundle there: it is shown as what it is."""
    if is_unpacked_bundle(path):
        return path / "model.onnx"
    return path if path.suffix.lower() == ".onnx" and path.is_file() else None


def no_photo(path: Path) -> UserError | None:
    """What to say of a table or a model, which nobody asks a model about; None: it may hold a photo."""
    if path.suffix.lower() == ".csv" and path.is_file():
        return UserError(tr("{name} is a table, not a photo.", name=path.name), tr("Drop photos, or a folder of them."))
    return not_opened(path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
