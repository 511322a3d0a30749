"""What is found out before anything is trained: asked for in the background, and told for as long as it is about this recipe."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from PySide6.QtCore import QObject, Signal

from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.recipe import Recipe
from desktop_ft.gui.faults import words_of
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.training_job import Training
from desktop_ft.gui.worker import Report, Task, Worker

T = TypeVar("T")
Told = Callable[[str, int, int | None], None]
Verb = Callable[[Recipe, DatasetManifest | None, Told, threading.Event], T]


class Inquiry(QObject, Generic[T]):
    """One kind of answer about the recipe, such as a forecast, for all that show it.

    Attributes:
        told: about the recipe as it stands; None while unknown.
        fault: why it could not be had, in a sentence; "" if it could.

    Args:
        verb: gives the answer.
        matters: the recipe without what makes no difference to it.
        startable: whether a run could start now, with nothing else under way.
        lasting: whether what is told still stands while it is asked for anew, and once a run has begun.
        when_free: calls what it is given when nothing else computes.
    """

    changed = Signal()
    progressed = Signal(str, int, object)

    def __init__(
        self,
        state: ProjectState,
        worker: Worker,
        training: Training,
        verb: Verb[T],
        matters: Callable[[Recipe], Recipe],
        startable: Callable[[], bool],
        *,
        lasting: bool = True,
        when_free: Callable[[Callable[[], None]], None] = lambda begin: begin(),
    ) -> None:
        super().__init__(state)
        self._state, self._worker, self._verb, self._matters, self._startable = state, worker, verb, matters, startable
        self._lasting, self._when_free = lasting, when_free
        self._waits = False
        self._task: Task | None = None
        self._doing = [""]
        self._known: dict[str, T] = {}
        self._known_of: DatasetManifest | None = None
        self._about = ""
        self.told: T | None = None
        self.fault = ""
        for signal in (state.recipe_changed, state.manifest_changed):
            signal.connect(self._edited)
        training.started.connect(self._give_way)
        self._edited()

    @property
    def running(self) -> bool:
        """Whether it is being found out, or about to be, for the recipe as it stands."""
        return self._waits or (self._task is not None and not self._task.cancel.is_set())

    @property
    def computing(self) -> bool:
        """Whether something is being found out at all: what was given up takes a moment to end."""
        return self._task is not None

    @property
    def can_ask(self) -> bool:
        """Whether it can be asked for now."""
        return self._task is None and not self._waits and self._startable()

    def ask(self) -> None:
        """Find it out, if that can be done now."""
        if self.can_ask:
            self._waits = True
            self._when_free(self._begin)
            self.changed.emit()

    def _begin(self) -> None:
        if not self._waits:
            return  # it was given up meanwhile
        self._waits = False
        recipe, manifest, verb, doing = self._state.recipe, self._state.manifest, self._verb, self._doing

        def work(report: Report, cancel: threading.Event) -> T:
            def told(what: str, done: int, total: int | None) -> None:
                doing[0] = what
                report(done, total)

            return verb(recipe, manifest, told, cancel)

        self.fault = ""
        self._withdraw()
        self._task = self._worker.run(
            work, finished=self._know, failed=self._fail, progressed=self._advance, cancelled=self._over
        )
        self.changed.emit()

    def cancel(self) -> None:
        """Give it up."""
        self._waits = False
        if self._task is not None:
            self._task.cancel.set()
        self.changed.emit()

    def _advance(self, done: int, total: int | None) -> None:
        if self.running:
            self.progressed.emit(self._doing[0], done, total)

    def _know(self, told: T) -> None:
        if self.running:
            self._known[self._about] = self.told = told
        self._over()

    def _fail(self, error: BaseException) -> None:
        if self.running:
            self.fault = " ".join(words_of(error))
        self._over()

    def _over(self) -> None:
        self._task = None
        self.changed.emit()

    def _withdraw(self) -> None:
        if not self._lasting:
            self.told, self.fault = None, ""

    def _give_way(self) -> None:
        """A run has begun: measured beside it, time would be none."""
        self._withdraw()
        self.cancel()

    def _edited(self) -> None:
        """What is known was of other pictures or of another recipe, unless what is different does not matter."""
        if self._known_of is not self._state.manifest:
            self._known, self._known_of, self._about = {}, self._state.manifest, ""
        about = self._matters(self._state.recipe).model_dump_json()
        if about == self._about:
            self.changed.emit()  # what stands in its way may be another
            return
        self._about, self.told, self.fault = about, self._known.get(about), ""
        self.cancel()
