"""Opens folders of pictures in the background and puts what it finds into the project."""

import threading
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from desktop_ft.core.dataset import DatasetManifest, Layout
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.data.splits import split
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.worker import Report, Task, Work, Worker
from desktop_ft.jobs.scanning import scan_dataset, write_sample
from desktop_ft.plugin_manager import Plugins


class Opening(QObject):
    """The scan under way, if any."""

    began = Signal(str)
    progressed = Signal(object, object)
    failed = Signal(object)
    ended = Signal()

    def __init__(self, state: ProjectState, worker: Worker, plugins: Plugins) -> None:
        super().__init__(state)
        self._state = state
        self._worker = worker
        self._plugins = plugins
        self._task: Task | None = None
        self._source = Path()
        self._val = 0.0
        self.what = ""
        state.recipe_changed.connect(self._follow)

    @property
    def running(self) -> bool:
        """Whether a folder is being looked at."""
        return self._task is not None

    def open(self, source: Path) -> None:
        """Look at `source`, a folder or .zip, and make it the project's pictures."""
        val = self._state.recipe.dataset.val

        def work(report: Report, cancel: threading.Event) -> DatasetManifest:
            return scan_dataset(source, val, progress=report, cancel=cancel)

        self._begin(source, f"Looking at {source.name}", work)

    def open_sample(self, name: str, folder: Path) -> None:
        """Lay out the sample dataset in `folder`, then look at it."""
        val, plugins = self._state.recipe.dataset.val, self._plugins

        def work(report: Report, cancel: threading.Event) -> DatasetManifest:
            return scan_dataset(write_sample(plugins, name, folder), val, progress=report, cancel=cancel)

        self._begin(folder, "Opening the sample", work)

    def open_recipe(self, recipe: Recipe) -> None:
        """Start from `recipe`, and look at its folder."""
        self._state.load(recipe)
        self._state.set_manifest(None)
        self.open(Path(recipe.dataset.folder))

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

    def _found(self, manifest: DatasetManifest) -> None:
        self._over()
        recipe = self._state.recipe
        dataset = DatasetChoice(folder=str(self._source), val=recipe.dataset.val)
        # Not an edit that can be undone: the recipe and the pictures must always speak of one folder.
        self._state.set_manifest(None)
        self._state.load(recipe.model_copy(update={"dataset": dataset}))
        self._val = dataset.val
        self._state.set_manifest(manifest)

    def _follow(self) -> None:
        manifest, val = self._state.manifest, self._state.recipe.dataset.val
        if manifest is not None and val != self._val:
            self._val = val
            self._state.set_manifest(divided(manifest, val))

    def _fail(self, error: BaseException) -> None:
        self._over()
        self.failed.emit(error)

    def _over(self) -> None:
        self._task = None
        self.ended.emit()


def fixed_split(manifest: DatasetManifest) -> bool:
    """Whether the folder itself says which pictures are held out."""
    return manifest.layout is Layout.SPLIT_FOLDERS


def divided(manifest: DatasetManifest, val: float) -> DatasetManifest:
    """The same pictures with another share of each class held out."""
    if fixed_split(manifest):
        return manifest
    return split(manifest.with_samples(replace(sample, subset=None) for sample in manifest.samples), val)
