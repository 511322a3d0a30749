"""The project is saved by itself, a moment after each edit, and is there again at the next start."""

from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.recipe import Recipe
from desktop_ft.gui.state import ProjectState
from desktop_ft.runs import atomic

_AFTER_MS = 1000


class Autosave(QObject):
    """Keeps the recipe in the person's data folder; `failed` tells where that cannot be written."""

    failed = Signal(object)

    def __init__(self, state: ProjectState) -> None:
        super().__init__(state)
        self._state = state
        self._saved: Recipe | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_AFTER_MS)
        self._soon.timeout.connect(self.save)
        state.recipe_changed.connect(self._soon.start)

    @property
    def file(self) -> Path:
        """Where the project is kept."""
        return places.data() / "project.toml"

    def save(self) -> None:
        """Keep the project as it stands, if it has pictures."""
        self._soon.stop()
        recipe = self._state.recipe
        if not recipe.dataset.folder or recipe == self._saved:
            return
        try:
            atomic.make_folder(self.file.parent)
            atomic.write(self.file, recipe.to_toml().encode("utf-8", "surrogateescape"))  # as a path need not be UTF-8
        except UserError as error:
            self.failed.emit(error)
        else:
            self._saved = recipe

    def last(self) -> Recipe | None:
        """The project that was open when the window last closed, or ended; None if there was none.

        Raises:
            UserError: it cannot be read, or its pictures are not there any more.
        """
        if not self.file.is_file():
            return None
        recipe = Recipe.from_toml(atomic.read(self.file).decode("utf-8", "surrogateescape"), str(self.file))
        if not Path(recipe.dataset.folder).exists():
            what = f"The pictures of the last project are not there any more: {recipe.dataset.folder}."
            raise UserError(what, "Bring the folder back, or open another one.")
        return recipe
