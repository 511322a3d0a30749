"""What is dropped on the page Results may say by its folders what the photos are: then the model can be judged on it."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.drops import no_photo
from desktop_ft.gui.widgets import Notice, button

_ENTRIES = 2000
_SPLITS = 20


class Offer(QWidget):
    """A line with a button; `taken` tells the folder or .zip to evaluate on."""

    taken = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._folder: Path | None = None
        self.notice = Notice()
        self.button = button(tr("Evaluate on it"), self._take, tip=tr("Judge the model by what the folders say the photos are."))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.notice, 1)
        layout.addWidget(self.button)
        self.hide()

    def consider(self, paths: Sequence[Path], classes: Sequence[str]) -> bool:
        """Offer to evaluate on what was dropped, where it is one folder or .zip that fits; whether it does."""
        fits = len(paths) == 1 and no_photo(paths[0]) is None and _has_class_folders(paths[0], classes)
        self._folder = paths[0] if fits else None
        self.setVisible(fits)
        name = words.printable(paths[0].name)
        self.notice.say(
            tr("The folders in {name} say what its photos are, so the model can be judged on it.", name=name)
            if fits and not _is_zip(paths[0])
            else tr("{name}: if its folders say what the photos are, the model can be judged on it.", name=name)
        )
        return fits

    def _take(self) -> None:
        folder, self._folder = self._folder, None
        self.hide()
        if folder is not None:
            self.taken.emit(folder)


def is_to_open(path: Path) -> bool:
    """Whether it is a run or a recipe, which nobody asks a model about."""
    return path.suffix.lower() == ".toml" or (path / "recipe.toml").is_file()


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _has_class_folders(folder: Path, classes: Sequence[str]) -> bool:
    """Whether `folder`, or a folder of a split in it, has a folder called like a class. Those in a .zip are not looked for.

    The window waits for the answer, so that only the first entries are looked at.
    """
    if _is_zip(folder):
        return True
    wanted = set(classes)
    try:
        inside = _folders(folder) if folder.is_dir() else []
        deeper = itertools.chain.from_iterable(map(_folders, inside[:_SPLITS]))
        return any(entry.name in wanted for entry in itertools.chain(inside, deeper))
    except OSError:
        return False


def _folders(folder: os.PathLike[str]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in itertools.islice(entries, _ENTRIES) if entry.is_dir()]
