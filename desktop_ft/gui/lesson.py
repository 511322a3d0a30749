"""The lesson: which step it is at, and whether that was done, seen from what happens in the session."""

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from desktop_ft.core.events import RunStatus
from desktop_ft.core.help import LessonStep
from desktop_ft.core.recipe import Recipe
from desktop_ft.gui.settings import Settings
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.training_job import Training
from desktop_ft.jobs import help_texts

_KEPT = (RunStatus.COMPLETED, RunStatus.STOPPED)


class Lesson(QObject):
    """Watches what the person does. `changed` tells of another step, of one that was done, and of beginning and leaving."""

    changed = Signal()

    def __init__(self, state: ProjectState, training: Training, settings: Settings) -> None:
        super().__init__(state)
        self._state, self._training, self._settings = state, training, settings
        self.steps: tuple[LessonStep, ...] = help_texts.lesson()
        self.open, kept = settings.lesson
        self.number = kept if 0 <= kept < len(self.steps) else 0
        self.done = False
        self._before: Recipe = state.recipe
        self._trained = self._augmented = False
        for signal in (state.recipe_changed, state.manifest_changed, state.tree_changed, state.evaluation_changed):
            signal.connect(self._look)
        state.page_changed.connect(self._look)
        training.ended.connect(self._ended)

    @property
    def step(self) -> LessonStep:
        """The step it is at."""
        return self.steps[self.number]

    def start(self) -> None:
        """Begin, or go on where it was left."""
        self._enter(self.number)

    def leave(self) -> None:
        """Put it away; it goes on from this step another time."""
        self.open = False
        self._tell()

    def back(self) -> None:
        """The step before."""
        self._enter(max(0, self.number - 1))

    def on(self) -> None:
        """The next step; behind the last the lesson is over, and starts anew another time."""
        if self.number + 1 < len(self.steps):
            self._enter(self.number + 1)
        else:
            self.number, self.open = 0, False
            self._tell()

    def _enter(self, number: int) -> None:
        self.open, self.number = True, number
        self.done = self._trained = self._augmented = False
        self._before = self._state.recipe
        self._state.go(self.step.page)
        self.done = self._is_done()
        self._tell()

    def _look(self) -> None:
        if self.open and not self.done and self._is_done():
            self.done = True
            self._tell()

    def _ended(self) -> None:
        end = self._training.end
        if end is not None and end.status in _KEPT:
            self._trained = True
            self._augmented = bool(self._state.recipe.augmentation)
        self._look()

    def _tell(self) -> None:
        self._settings.lesson = (self.open, self.number)
        self.changed.emit()

    def _is_done(self) -> bool:
        return CONDITIONS[self.step.done](self)

    # The conditions: whether a step was done since it was begun.

    def _pictures(self) -> bool:
        return self._state.manifest is not None

    def _layers(self) -> bool:
        return self._state.page == "layers" and self._state.tree is not None

    def _run(self) -> bool:
        return self._trained

    def _mistakes(self) -> bool:
        return self._state.page == "results" and self._state.evaluation is not None

    def _more(self) -> bool:
        return self._state.recipe.freeze != self._before.freeze

    def _rate(self) -> bool:
        return self._state.recipe.optimisation.lr != self._before.optimisation.lr

    def _second(self) -> bool:
        return self._augmented


CONDITIONS: dict[str, Callable[[Lesson], bool]] = {
    "pictures": Lesson._pictures,
    "layers": Lesson._layers,
    "run": Lesson._run,
    "mistakes": Lesson._mistakes,
    "more": Lesson._more,
    "rate": Lesson._rate,
    "second": Lesson._second,
}
