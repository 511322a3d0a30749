"""Opens folders of pictures in the background and puts what it finds into the project."""

import threading
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.data.scan import scan
from desktop_ft.data.splits import split
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.worker import Report, Task, Work, Worker
from desktop_ft.jobs.scanning import write_sample
from desktop_ft.plugin_manager import Plugins


class Opening(QObject):
    """The scan under way, if any. `moved` tells which pictures the project is about now."""

    began = Signal(str)
    progressed = Signal(object, object)
    failed = Signal(object)
    moved = Signal(str)
    ended = Signal()

    def __init__(self, state: ProjectState, worker: Worker, plugins: Plugins) -> None:
        super().__init__(state)
        self._state = state
        self._worker = worker
        self._plugins = plugins
        self._task: Task | None = None
        self._source = Path()
        self._folder = ""
        self._then: Path | None = None
        self._scanned: DatasetManifest | None = None
        self._val = 0.0
        self.what = ""
        state.recipe_changed.connect(self._follow)

    @property
    def running(self) -> bool:
        """Whether a folder is being looked at."""
        return self._task is not None

    @property
    def fixed(self) -> bool:
        """Whether the folder itself says which pictures are held out, so that the validation share decides nothing."""
        return self._scanned is not None and any(sample.subset is Subset.VAL for sample in self._scanned.samples)

    def open(self, source: Path) -> None:
        """Look at `source`, a folder or .zip, and make it the project's pictures."""

        def work(report: Report, cancel: threading.Event) -> DatasetManifest:
            return scan(source, progress=report, cancel=cancel)

        self._begin(source, f"Looking at {source.name}", work)

    def open_sample(self, name: str, folder: Path) -> None:
        """Lay out the sample dataset in `folder`, then look at it."""
        plugins = self._plugins

        def work(report: Report, cancel: threading.Event) -> DatasetManifest:
            return scan(write_sample(plugins, name, folder), progress=report, cancel=cancel)

        self._begin(folder, "Opening the sample", work)

    def open_recipe(self, recipe: Recipe) -> None:
        """Start from `recipe`, and look at its folder."""
        self._folder = recipe.dataset.folder
        self._state.load(recipe)
        self._state.set_manifest(None)
        self.open(Path(recipe.dataset.folder))

    def take_recipe(self, recipe: Recipe) -> None:
        """Start from `recipe`, and look at its folder where that is another; an edit that can be undone."""
        if self._state.recipe.dataset.folder:
            self._state.edit("use a recipe", recipe)
            if self._state.manifest is None and self._task is None:
                self.open(Path(recipe.dataset.folder))  # they could not be looked at before
        else:
            self.open_recipe(recipe)  # there is nothing to go back to

    def divide(self, val: float) -> None:
        """Hold out another share for validation, where the folder does not say so itself."""
        recipe = self._state.recipe
        dataset = recipe.dataset.model_copy(update={"val": val})
        self._state.edit("validation share", recipe.model_copy(update={"dataset": dataset}), "val")

    def cancel(self) -> None:
        """Ask the scan to end."""
        if self._task is not None:
            self._task.cancel.set()

    def _begin(self, source: Path, what: str, work: Work) -> None:
        if self._task is not None:
            return
        self._source, self.what = source, what
        self._task = self._worker.run(
            work, finished=self._found, failed=self._fail, progressed=self.progressed.emit, cancelled=self._over
        )
        self.began.emit(what)

    def _found(self, scanned: DatasetManifest) -> None:
        self._over()
        if self._task is not None:
            return  # an edit has led to another folder meanwhile
        recipe = self._state.recipe
        dataset = DatasetChoice(folder=str(self._source), val=recipe.dataset.val)
        self._state.set_manifest(None)
        if dataset.folder != self._folder:
            # Not an edit that can be undone: the recipe and the pictures must always speak of one folder.
            self._folder = dataset.folder
            self._state.load(recipe.model_copy(update={"dataset": dataset}))
        self._scanned, self._val = scanned, dataset.val
        self._state.set_manifest(split(scanned, dataset.val))
        self.moved.emit(dataset.folder)

    def _follow(self) -> None:
        folder, val = self._state.recipe.dataset.folder, self._state.recipe.dataset.val
        if folder != self._folder:
            self._look_at(folder)
            return
        if self._state.manifest is not None and self._scanned is not None and val != self._val:
            self._val = val
            # Always from what the folder says: what was divided before must not look like the folder's own word.
            self._state.set_manifest(split(self._scanned, val))

    def _look_at(self, folder: str) -> None:
        """An edit, or its undoing, has led to another folder: look at that one, as soon as what is under way has ended."""
        self._folder, self._scanned = folder, None
        self._state.set_manifest(None)
        self._then = Path(folder) if folder else None
        self.cancel()
        if self._task is None:
            self._go_on()

    def _go_on(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            self.open(then)

    def _fail(self, error: BaseException) -> None:
        self._over()
        self.failed.emit(error)

    def _over(self) -> None:
        self._task = None
        self.ended.emit()
        self._go_on()
