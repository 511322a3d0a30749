"""Opens folders of pictures in the background and puts what it finds into the project."""

import threading
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from desktop_ft import jobs
from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.data.edits import prepared
from desktop_ft.data.splits import names_validation
from desktop_ft.gui.readiness import refuse_beside
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.worker import Newest, Report, Task, Work, Worker
from desktop_ft.plugin_manager import Plugins

_AT_ONCE = 5_000
"""So many pictures are edited and divided in less than a blink; more of them in the background."""
Looked = tuple[DatasetManifest, DatasetManifest]


class Opening(QObject):
    """The scan under way, if any. `moved` tells which pictures the project is about now, `given_up` what is open where a person
    has cancelled it, `left` how to come back to the folder that was open before.

    Args:
        under_way: what keeps a person from opening something else now, this or other work; "" where nothing does.
    """

    began = Signal(str)
    progressed = Signal(object, object)
    failed = Signal(object)
    given_up = Signal(str)
    moved = Signal(str)
    left = Signal(str)
    ended = Signal()

    def __init__(self, state: ProjectState, worker: Worker, plugins: Plugins, under_way: Callable[[], str]) -> None:
        super().__init__(state)
        self._state = state
        self._worker = worker
        self._plugins = plugins
        self._under_way = under_way
        self._task: Task | None = None
        self._source = Path()
        self._folder = ""
        self._left = ""
        self._then: Path | None = None
        self._scanned: DatasetManifest | None = None
        self._applied = state.recipe.dataset
        self._newest = Newest(worker, self._divided, self._not_divided, self)
        self.dividing = False
        self.what = ""
        state.recipe_changed.connect(self._follow)

    @property
    def running(self) -> bool:
        """Whether a folder is being looked at."""
        return self._task is not None

    @property
    def fixed(self) -> bool:
        """Whether the folder itself says which pictures are held out, so that the validation share decides nothing."""
        return self._scanned is not None and names_validation(self._scanned)

    @property
    def scanned(self) -> DatasetManifest | None:
        """The folder as it is: nothing renamed, left out, moved or divided."""
        return self._scanned

    def open(self, source: Path) -> None:
        """Look at `source`, a folder or .zip, and make it the project's pictures."""
        self.look(source, *_scanning(source))

    def open_sample(self, name: str, folder: Path) -> None:
        """Lay out the sample dataset in `folder`, then look at it."""
        plugins = self._plugins

        def work(report: Report, cancel: threading.Event) -> DatasetManifest:
            return _scan(jobs.scanning.write_sample(plugins, name, folder), report, cancel)

        self.look(folder, tr("Opening the sample"), work)

    def open_recipe(self, recipe: Recipe) -> None:
        """Begin with the project of `recipe`, and look at its folder; there is no way back to what was open."""
        self._folder = recipe.dataset.folder
        self._state.set_manifest(None)
        self._state.load(recipe)
        source = Path(recipe.dataset.folder)
        self._begin(source, *_scanning(source))

    def take_recipe(self, recipe: Recipe) -> None:
        """Start from `recipe`, and look at its folder where that is another; an edit that can be undone.

        Raises:
            UserError: something is under way.
        """
        refuse_beside(self._under_way())
        self._put(tr("use a recipe"), recipe)
        if self._state.manifest is None and self._task is None:
            self.open(Path(recipe.dataset.folder))  # they could not be looked at before

    def divide(self, val: float) -> None:
        """Hold out another share for validation, where the folder does not say so itself."""
        self.edit(tr("validation share"), self._state.recipe.dataset.model_copy(update={"val": val}), "val")

    def draw(self, images_per_class: int, draw: int) -> None:
        """Learn from so many training pictures of each class, 0: from all."""
        changed = {"images_per_class": images_per_class, "draw": draw}
        self.edit(tr("pictures of each class"), self._state.recipe.dataset.model_copy(update=changed), "draw")

    def edit(self, text: str, dataset: DatasetChoice, merge_key: str = "") -> None:
        """Change what the recipe says about the pictures, in a way that can be undone; the disk is not looked at again."""
        self._state.edit(text, self._state.recipe.model_copy(update={"dataset": dataset}), merge_key)

    def cancel(self) -> None:
        """Ask the scan to end."""
        if self._task is not None:
            self._task.cancel.set()

    def look(self, source: Path, what: str, work: Work) -> None:
        """Let `work` find out in the background what `source` holds (a scan's manifest), and make it the project's pictures.

        `failed` tells where it cannot begin, as something is under way.
        """
        try:
            refuse_beside(self._under_way())
        except UserError as error:
            self.failed.emit(error)
        else:
            self._begin(source, what, work)

    def _begin(self, source: Path, what: str, work: Work) -> None:
        self._source, self.what = source, what
        dataset = self._choice()

        def whole(report: Report, cancel: threading.Event) -> tuple[DatasetChoice, Looked]:
            scanned = work(report, cancel)
            return dataset, _looked(scanned, dataset)

        self._task = self._worker.run(
            whole, finished=self._found, failed=self._fail, progressed=self.progressed.emit, cancelled=self._cancelled
        )
        self.began.emit(what)

    def _put(self, text: str, recipe: Recipe) -> None:
        """Go over to `recipe` in a way that can be undone, where there is something to go back to."""
        self._left = self._state.recipe.dataset.folder
        if self._left:
            self._state.edit(text, recipe)
        else:
            self._state.load(recipe)

    def _choice(self) -> DatasetChoice:
        """What the recipe says of the folder that is opened: all of it where it is the recipe's own, else only how to divide."""
        dataset = self._state.recipe.dataset
        if dataset.folder and Path(dataset.folder) == self._source:
            return dataset
        return DatasetChoice(folder=str(self._source), val=dataset.val)

    def _found(self, found: tuple[DatasetChoice, Looked]) -> None:
        self._over()
        if self._task is not None:
            return  # an edit has led to another folder meanwhile
        self._applied, (scanned, manifest) = found
        dataset = self._choice()
        self._state.set_manifest(None)
        if dataset.folder != self._folder:
            self._folder = dataset.folder  # before the recipe tells of it: the disk is not looked at once more
            self._put(tr("open {name}", name=self._source.name), self._state.recipe.model_copy(update={"dataset": dataset}))
        self._scanned = scanned
        self._state.set_manifest(manifest)
        self._follow()  # where the recipe was edited meanwhile
        self.moved.emit(dataset.folder)
        left, self._left = self._left, ""
        if left not in ("", dataset.folder):
            self.left.emit(tr("Undo brings {name} back as you left it.", name=Path(left).name))

    def _follow(self) -> None:
        scanned, before, dataset = self._scanned, self._state.manifest, self._state.recipe.dataset
        if dataset.folder != self._folder:
            self._look_at(dataset.folder)
            return
        if scanned is None or before is None or dataset == self._applied:
            return
        self._applied = dataset
        # Always from what the folder says: what was divided before must not look like the folder's own word.
        if len(scanned.samples) <= _AT_ONCE:
            self._state.set_manifest(prepared(scanned, dataset, before))
            return
        self.dividing = True
        self._newest.ask(lambda report, cancel: _looked(scanned, dataset, before))

    def _divided(self, looked: Looked) -> None:
        self.dividing = False
        scanned, manifest = looked
        if scanned is self._scanned and self._state.manifest is not None:
            self._state.set_manifest(manifest)

    def _not_divided(self, error: BaseException) -> None:
        self.dividing = False
        self.failed.emit(error)

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
            self._begin(then, *_scanning(then))  # beside a run, too: undo and redo are no door of their own

    def _cancelled(self) -> None:
        by_a_person = self._then is None
        self._over()
        if by_a_person:
            told = tr("The look at {name} was cancelled, and nothing in it was changed.", name=self._source.name)
            before = self._state.manifest is not None
            stays = tr("The pictures from before stay open.") if before else tr("No pictures are open.")
            self.given_up.emit(f"{told} {stays}")

    def _fail(self, error: BaseException) -> None:
        self._over()
        self.failed.emit(error)

    def _over(self) -> None:
        self._task = None
        self.ended.emit()
        self._go_on()


def _scanning(source: Path) -> tuple[str, Work]:
    """How the look at `source` is called, and what it does."""
    return tr("Looking at {name}", name=source.name), lambda report, cancel: _scan(source, report, cancel)


def _scan(source: Path, report: Report, cancel: threading.Event) -> DatasetManifest:
    from desktop_ft.data.scan import scan  # archives, picture formats: not before there is something to look at

    return scan(source, progress=report, cancel=cancel)


def _looked(scanned: DatasetManifest, dataset: DatasetChoice, before: DatasetManifest | None = None) -> Looked:
    """What was scanned, and what a run sees of it, counted already."""
    manifest = prepared(scanned, dataset, before)
    manifest.counts()
    return scanned, manifest
