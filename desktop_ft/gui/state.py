"""The project as the window knows it: one place, plain values, a signal for each change."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.layers import LayerNode
from desktop_ft.core.metrics import Evaluation, ExportReport
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.gui import words

PAGES = ("data", "model", "layers", "augment", "train", "results", "export", "runs", "plugins")
_SECTIONS = {"dataset": "data", "backbone": "model", "freeze": "layers", "augmentation": "augment"}
"""Sections of the recipe and the pages where they are set; what is in none of them is set on the page Train."""


def page_of(section: str) -> str:
    """The page where this section of the recipe, or a field that is in none, is set."""
    return _SECTIONS.get(section, "train")


def pages_between(before: Recipe, after: Recipe) -> tuple[str, ...]:
    """The pages that show in what two recipes differ, in order."""
    differ = {page_of(name) for name in Recipe.model_fields if getattr(before, name) != getattr(after, name)}
    return tuple(page for page in PAGES if page in differ)


def empty_recipe() -> Recipe:
    """The recipe of a project that has no pictures yet; it cannot be saved or run before a folder is chosen."""
    return Recipe(dataset=DatasetChoice.model_construct(folder="", val=0.2))


class RecipeEdit(QUndoCommand):
    """One change of the recipe. Changes of one field in a row (`merge_key`) are undone together, as long as nothing came between.

    Args:
        since: how often the recipe had been used, or looked away from, before: what a run began with, say, can be gone back to.
    """

    def __init__(
        self, text: str, before: Recipe, after: Recipe, put: Callable[[Recipe], None], merge_key: str, since: int
    ) -> None:
        super().__init__(text)
        self._before = before
        self._after = after
        self._put = put
        self._key = (merge_key, since)

    def id(self) -> int:
        """What Qt asks to see which edits may merge; -1 never merges."""
        return abs(hash(self._key)) % 0x7FFFFFFF if self._key[0] else -1

    def mergeWith(self, other: QUndoCommand) -> bool:  # noqa: N802 - Qt's name
        """Take in `other`, which followed on the same field; where that leads back, there is nothing left to undo."""
        if not isinstance(other, RecipeEdit) or other._key != self._key:
            return False
        self._after = other._after
        self.setObsolete(self._after == self._before)
        return True

    def undo(self) -> None:
        """Put the recipe back."""
        self._put(self._before)

    def redo(self) -> None:
        """Make the change."""
        self._put(self._after)


class Deed(QUndoCommand):
    """What a person did that changes no recipe, with what takes it back."""

    def __init__(self, text: str, do: Callable[[], None], take_back: Callable[[], None]) -> None:
        super().__init__(text)
        self._do, self._take_back = do, take_back

    def undo(self) -> None:
        """Take it back."""
        self._take_back()

    def redo(self) -> None:
        """Do it."""
        self._do()


class ProjectState(QObject):
    """What is open: recipe, pictures, layers, run. Pages read it, and redraw when it tells of a change.

    Every edit of the recipe goes through `edit`, and what is done beside it through `act`, so that all of it can be undone.
    """

    recipe_changed = Signal()
    manifest_changed = Signal()
    tree_changed = Signal()
    run_changed = Signal()
    evaluation_changed = Signal()
    export_changed = Signal()
    page_changed = Signal(str)
    plan_told = Signal(str)
    """What was done with the whole freeze plan, in words."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(200)
        self._recipe = empty_recipe()
        self._manifest: DatasetManifest | None = None
        self._tree: LayerNode | None = None
        self._run: Path | None = None
        self._evaluation: Evaluation | None = None
        self._judged: Path | None = None
        self._root: Path | None = None
        self._export: ExportReport | None = None
        self._page = PAGES[0]
        self._uses = 0

    @property
    def recipe(self) -> Recipe:
        """All that decides the next run."""
        return self._recipe

    @property
    def manifest(self) -> DatasetManifest | None:
        """The pictures of the recipe's folder, once they were looked at."""
        return self._manifest

    @property
    def tree(self) -> LayerNode | None:
        """The layers of the recipe's backbone, once they are known."""
        return self._tree

    @property
    def run(self) -> Path | None:
        """The run whose results are shown."""
        return self._run

    @property
    def evaluation(self) -> Evaluation | None:
        """What the run's model gets right and wrong."""
        return self._evaluation

    @property
    def judged(self) -> Path | None:
        """The folder whose pictures the evaluation is about; None: the run's own, held out."""
        return self._judged

    @property
    def root(self) -> Path | None:
        """Where the paths of the evaluation's answers lie."""
        return self._root

    @property
    def export(self) -> ExportReport | None:
        """The proof of the file exported last, of the open run."""
        return self._export

    @property
    def page(self) -> str:
        """The page that is shown."""
        return self._page

    def edit(self, text: str, after: Recipe, merge_key: str = "") -> None:
        """Change the recipe in a way that can be undone; `text` names the change in the menu."""
        if after != self._recipe:
            self.undo_stack.push(RecipeEdit(text, self._recipe, after, self._put, merge_key, self._uses))

    def act(self, text: str, do: Callable[[], None], take_back: Callable[[], None]) -> None:
        """Do what changes no recipe in a way that can be undone; `text` names it in the menu. Neither of the two may raise."""
        self.undo_stack.push(Deed(text, do, take_back))

    def used(self) -> None:
        """A run was begun with the recipe as it stands, it was put away for one, or saved: the edits from now on are others."""
        self._uses += 1

    def edit_optimisation(self, field: str, value: object) -> None:
        """Change one field of how the network learns."""
        self.edit(words.title_within(field), self._recipe.with_optimisation(**{field: value}), field)

    def load(self, recipe: Recipe) -> None:
        """Start from another recipe; what was done before cannot be undone any more."""
        self._put(recipe)
        self.undo_stack.clear()

    def set_manifest(self, manifest: DatasetManifest | None) -> None:
        """Other pictures, or none."""
        if manifest is None and self._manifest is None:
            return
        self._manifest = manifest
        self.manifest_changed.emit()

    def set_tree(self, tree: LayerNode | None) -> None:
        """Other layers."""
        self._tree = tree
        self.tree_changed.emit()

    def set_run(
        self, run: Path | None, evaluation: Evaluation | None, export: ExportReport | None = None, root: Path | None = None
    ) -> None:
        """Another run's results."""
        self._run, self._evaluation, self._judged, self._root, self._export = run, evaluation, None, root, export
        self.run_changed.emit()
        self.evaluation_changed.emit()
        self.export_changed.emit()

    def set_evaluation(self, evaluation: Evaluation | None, judged: Path | None = None, root: Path | None = None) -> None:
        """The open run was evaluated (anew), on its own held-out pictures or on those of `judged`, a folder or .zip."""
        self._evaluation, self._judged, self._root = evaluation, judged, root
        self.evaluation_changed.emit()

    def set_export(self, report: ExportReport | None) -> None:
        """The open run was exported."""
        self._export = report
        self.export_changed.emit()

    def go(self, page: str) -> None:
        """Show another page."""
        if page in PAGES and page != self._page:
            self._page = page
            self.used()  # who comes back to a field later does not go on with the same edit
            self.page_changed.emit(page)

    def _put(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self.recipe_changed.emit()
