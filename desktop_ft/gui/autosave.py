"""The project is saved by itself, a moment after each edit, and is there again at the next start, its open run too."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.values import plain_json
from desktop_ft.gui.latest import Latest
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.worker import Worker
from desktop_ft.runs import atomic, lock

_AFTER_MS = 1000
_NAMES = ("project", *(f"project-{number}" for number in range(2, 10)))
_HELD_BY = marked("Process {pid} on {host} has had this project open since {since}.")


@dataclass(frozen=True, slots=True)
class KeptProject:
    """A project that is kept and open in no window. `name`: of its place; `used`: when it was used last, to be compared only."""

    name: str
    recipe: Recipe
    used: str


class Autosave(QObject):
    """Keeps the recipe, and which run is open, in the person's data folder; `failed` tells where that cannot be written.

    Each of several windows has a place of its own there, held until `release`: none writes over what another was told.

    Attributes:
        refused: why the place used last could not be had; None: it could.
    """

    failed = Signal(object)

    def __init__(self, state: ProjectState, worker: Worker) -> None:
        super().__init__(state)
        self._state = state
        self._worker = worker
        self._latest = Latest()
        self._saved: Recipe | None = None
        self._seen = state.recipe
        self._left: Recipe | None = None
        self._saved_left: Recipe | None = None
        self._saved_run: tuple[Path | None, str] = (None, "")
        self._name = ""
        self._held = ExitStack()
        self.refused: UserError | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_AFTER_MS)
        self._soon.timeout.connect(self._save_aside)
        state.recipe_changed.connect(self._changed)
        state.run_changed.connect(self._soon.start)

    @property
    def file(self) -> Path:
        """Where the project is kept."""
        return places.data() / f"{self._name or _NAMES[0]}.toml"

    @property
    def previous(self) -> Path:
        """Where the project before it is kept, if it was never opened again."""
        return self.file.with_name(f"{self.file.stem}.previous.toml")

    @property
    def left(self) -> Path:
        """Where the project of the folder that was open before is kept, as it was left, also once Undo has gone."""
        return self.file.with_name(f"{self.file.stem}.left.toml")

    def left_project(self) -> Recipe | None:
        """The project of the folder that was open before, as it was left; None where there is none, or that folder is open."""
        try:
            left = self._left or _read(self.left)
        except UserError:  # there is none, or it is damaged
            return None
        return None if left.dataset.folder == self._state.recipe.dataset.folder else left

    def save(self) -> bool:
        """Keep the project as it stands, if it has pictures; returns whether it is kept now.

        What lies there and was neither read nor written by this window is put aside, not lost.
        """
        self._soon.stop()
        self.hold()
        try:
            self._saving()()
        except UserError as error:
            self.failed.emit(error)
            return False
        return True

    def _save_aside(self) -> None:
        """As `save`, without the window waiting for the disk."""
        self.hold()
        save = self._saving()
        self._worker.run(lambda report, cancel: save(), finished=lambda _: None, failed=self.failed.emit)

    def _saving(self) -> Callable[[], None]:
        """Keeps the project as it stands now, if it has pictures, when it is called."""
        return self._latest.asked(partial(self._write, self._state.recipe, self._state.run, self._left))

    def _changed(self) -> None:
        before, self._seen = self._seen, self._state.recipe
        if before.dataset.folder not in ("", self._seen.dataset.folder):
            self._left = before
        self._soon.start()

    def _write(self, recipe: Recipe, run: Path | None, left: Recipe | None) -> None:
        if recipe.dataset.folder:
            atomic.make_folder(self.file.parent)
            if left is not None and left != self._saved_left:
                atomic.write(self.left, left.to_toml().encode())
                self._saved_left = left
            self._save_recipe(recipe)
            self._save_run(run, recipe.dataset.folder)

    def last(self) -> Recipe | None:
        """The project that was used last, and is not open in another window; None if there is none.

        Raises:
            UserError: it cannot be read.
        """
        self.hold()
        if not self.file.is_file():
            return None
        return _read(self.file)

    def go_on_with(self, recipe: Recipe) -> None:
        """`recipe` is what `last` gave, and is the window's now: nothing would be lost where it is written over."""
        self._saved = recipe

    def others(self) -> list[KeptProject]:
        """The other projects that are kept, can be read and are open in no window, the one used last first."""
        found = []
        for name in sorted(_NAMES, key=_last_used):
            file = places.data() / f"{name}.toml"
            try:
                if name == self._name or not file.is_file() or lock.is_held(places.data() / f"{name}.lock"):
                    continue
                found.append(KeptProject(name, _read(file), str(file.stat().st_mtime_ns)))
            except (UserError, OSError):  # told where it is opened
                continue
        return [other for other in found if other.recipe != self._state.recipe]

    def go_over_to(self, other: KeptProject) -> Recipe:
        """Leave the project that is open, as it stands, to another start, and take over the place of `other`.

        Raises:
            UserError: another window has that by now, or something cannot be written.
        """
        if not self.save():
            raise UserError(tr("The last changes of the project could not be saved."), tr("Make room, then try again."))
        with ExitStack() as taken:
            taken.enter_context(lock.held(places.data() / f"{other.name}.lock", _HELD_BY))
            file = places.data() / f"{other.name}.toml"
            recipe = _read(file)
            atomic.write(file, recipe.to_toml().encode())  # it is the one used last from now on
            self._held.close()
            self._held = taken.pop_all()
        self._name, self._saved, self._saved_run = other.name, recipe, (None, "")
        self._seen, self._left = recipe, None  # the other is kept at its own place
        return recipe

    def last_run(self) -> Path | None:
        """The run that was open with the last project; None if there was none, or that cannot be read."""
        try:
            found = plain_json(atomic.read(self._run_file))
        except (UserError, ValueError):
            return None
        return Path(found) if isinstance(found, str) and found else None

    def hold(self) -> None:
        """Find a place that no other window has, the one used last first, and keep others out until `release`.

        Where no lock can be had, as on some disks of a network, it goes on without.
        """
        if self._name:
            return
        for name in sorted(_NAMES, key=_last_used):
            try:
                atomic.make_folder(places.data())
                self._held.enter_context(lock.held(places.data() / f"{name}.lock", _HELD_BY))
            except UserError as error:
                self.refused = self.refused or error
                continue
            self._name = name
            return
        self._name, self.refused = _NAMES[0], None  # no lock is to be had: that says nothing of other windows

    def release(self) -> None:
        """Leave the project to the next window that opens, once `save` has kept it: nothing is written there any more."""
        self._soon.stop()
        self._held.close()

    @property
    def _run_file(self) -> Path:
        return self.file.with_name(f"{self.file.stem}.run.json")

    def _save_recipe(self, recipe: Recipe) -> None:
        if recipe != self._saved:
            if self._saved is None and self.file.exists():
                atomic.write(self.previous, atomic.read(self.file))
            atomic.write(self.file, recipe.to_toml().encode())
            self._saved = recipe

    def _save_run(self, run: Path | None, folder: str) -> None:
        """Another project's run is not this one's, even where none was opened for it."""
        if self._saved_run != (run, folder):
            atomic.write(self._run_file, json.dumps(str(run or "")).encode())
            self._saved_run = (run, folder)


def _read(file: Path) -> Recipe:
    return Recipe.from_toml(atomic.read(file).decode("utf-8", "replace"), str(file))


def _last_used(name: str) -> float:
    """Sorts what was used last first, and what never was to the end."""
    try:
        return -(places.data() / f"{name}.toml").stat().st_mtime
    except OSError:
        return 0.0
