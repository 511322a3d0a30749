"""Folders, shown by the program that the system has for it."""

from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.widgets import Notice


def show_folder(folder: Path, notice: Notice) -> None:
    """Show `folder`; `notice` says where it is, where no program here does."""
    if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
        notice.say(tr("No program here shows folders. This one is {folder}.", folder=words.printable(str(folder))), "warn")
