"""File dialogs that start where the last one ended."""

import re
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui.settings import Settings


def choose_folder(parent: QWidget, settings: Settings, title: str, start: Path | None = None) -> Path | None:
    """A folder, or None where the person thinks better of it."""
    return _kept(QFileDialog.getExistingDirectory(parent, title, str(start or settings.last_folder)), settings)


def choose_zip(parent: QWidget, settings: Settings) -> Path | None:
    """A .zip file."""
    return choose_file(parent, settings, tr("Choose a .zip of pictures"), tr("Archives (*.zip)"))


def choose_file(parent: QWidget, settings: Settings, title: str, kinds: str) -> Path | None:
    """A file that exists."""
    return _kept(QFileDialog.getOpenFileName(parent, title, settings.last_folder, kinds)[0], settings)


def choose_new_file(parent: QWidget, settings: Settings, title: str, name: str, kinds: str) -> Path | None:
    """A file to write; the dialog asks before one that exists is replaced."""
    start = str(Path(settings.last_folder) / name)
    chosen, kind = QFileDialog.getSaveFileName(parent, title, start, kinds)
    return _kept(with_ending(chosen, kind), settings)


def with_ending(chosen: str, kind: str) -> str:
    """The file `chosen` with the ending that `kind`, such as `Tables (*.csv)`, asks for; its own where that is one of them."""
    endings = re.findall(r"\*(\.\w+(?:\.\w+)?)", kind)
    if not chosen or not endings or chosen.lower().endswith(tuple(endings)):
        return chosen
    return str(Path(chosen).with_suffix(endings[0]))


def _kept(chosen: str, settings: Settings) -> Path | None:
    if not chosen:
        return None
    settings.last_folder = str(Path(chosen).parent)
    return Path(chosen)
