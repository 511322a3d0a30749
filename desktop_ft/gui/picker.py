"""File dialogs that start where the last one ended."""

import re
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui import words
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
    """A file to write, with an ending of its kind; nothing that exists is replaced before the person was asked about it."""
    start = str(Path(settings.last_folder) / name)
    while True:
        chosen, kind = QFileDialog.getSaveFileName(parent, title, start, kinds)
        start = with_ending(chosen, kind or kinds)
        # The dialog has asked about the name as it was typed.
        if start == chosen or not Path(start).exists() or _replaces(parent, title, Path(start)):
            return _kept(start, settings)


def with_ending(chosen: str, kind: str) -> str:
    """The file `chosen` with the ending that `kind`, such as `Tables (*.csv)`, asks for behind it; as it is where it has one.

    Of an ending in two parts, such as `.openvino.zip`, the last is not said twice.
    """
    endings: list[str] = re.findall(r"\*(\.\w+(?:\.\w+)?)", kind)
    if not chosen or not endings or chosen.lower().endswith(tuple(endings)):
        return chosen
    return chosen.removesuffix(Path(endings[0]).suffix) + endings[0]


def _replaces(parent: QWidget, title: str, file: Path) -> bool:
    """Whether the person wants `file`, which exists, to be replaced."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(title)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(tr("{name} exists already. Replace it?", name=words.printable(file.name)))
    box.setInformativeText(tr("What it holds now would be lost."))
    replace = box.addButton(tr("Replace"), QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton(tr("Choose another name"), QMessageBox.ButtonRole.RejectRole))
    box.exec()
    return box.clickedButton() is replace


def _kept(chosen: str, settings: Settings) -> Path | None:
    if not chosen:
        return None
    settings.last_folder = str(Path(chosen).parent)
    return Path(chosen)
