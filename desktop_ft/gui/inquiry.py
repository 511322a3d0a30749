"""What is found out before anything is trained: asked for in the background, and told for as long as that stands."""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from pydantic import BaseModel
from PySide6.QtCore import QObject, Signal, SignalInstance

from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.gui.faults import words_of
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.training_job import Training
from desktop_ft.gui.worker import Report, Task, Worker

A = TypeVar("A", bound=BaseModel)
T = TypeVar("T")
Told = Callable[[str, int, int | None], None]
Verb = Callable[[A, DatasetManifest | None, Told, threading.Event], T]


class Inquiry(QObject, Generic[A, T]):
    """One kind of answer about the recipe, or a comparison that starts from it, such as a forecast, for all that show it.

    Attributes:
        told: about that as it stands; None while unknown.
        fault: why it could not be had, in a sentence; "" if it could.
        by_itself: whether what is being found out was asked for by nobody.

    Args:
        about: what is asked about, as it stands; None: nothing can be asked.
        verb: gives the answer.
        matters: what is asked about without what makes no difference to the answer.
        startable: whether a run could start now, with nothing else under way.
        lasting: whether what is told still stands while it is asked for anew, and once a run has begun.
        when_free: calls what it is given when nothing else computes.
        edited: comes where `about` may be another, beside what tells that of the recipe.
    """

    changed = Signal()
    progressed = Signal(str, int, object)

    def __init__(
        self,
        state: ProjectState,
        worker: Worker,
        training: Training,
        about: Callable[[], A | None],
        verb: Verb[A, T],
        matters: Callable[[A], A],
        startable: Callable[[], bool],
        *,
        lasting: bool = True,
        edited: Iterable[SignalInstance] = (),
        when_free: Callable[[Callable[[], None]], None] = lambda begin: begin(),
    ) -> None:
        super().__init__(state)
        self._state, self._worker, self._verb, self._matters, self._startable = state, worker, verb, matters, startable
        self._asked, self._lasting, self._when_free = about, lasting, when_free
        self._waits = False
        self._task: Task | None = None
        self._doing = [""]
        self._known: dict[str, T] = {}
        self._known_of: DatasetManifest | None = None
        self._about = ""
        self.told: T | None = None
        self.fault = ""
        self.by_itself = False
        for signal in (state.recipe_changed, state.manifest_changed, *edited):
            signal.connect(self._edited)
        training.started.connect(self._give_way)
        self._edited()

    @property
    def running(self) -> bool:
        """Whether it is being found out, or about to be, about what stands there now."""
        return self._waits or (self._task is not None and not self._task.cancel.is_set())

    @property
    def computing(self) -> bool:
        """Whether something is being found out at all: what was given up takes a moment to end."""
        return self._task is not None

    @property
    def was_told(self) -> bool:
        """Whether something is known that is not about what stands there now."""
        return self.told is None and bool(self._known)

    @property
    def can_ask(self) -> bool:
        """Whether it can be asked for now."""
        return self._task is None and not self._waits and self._asked() is not None and self._startable()

    def ask(self, *, by_itself: bool = False) -> None:
        """Find it out, if that can be done now.

        Args:
            by_itself: nobody has asked for it, and it is asked for again where it comes to nothing.
        """
        if self.can_ask:
            self.by_itself, self._waits = by_itself, True
            self._when_free(self._begin)
            self.changed.emit()

    def _begin(self) -> None:
        waited, self._waits, about = self._waits, False, self._asked()
        if not waited or about is None or not self._startable():
            self.changed.emit()  # it was given up meanwhile, or something else has begun
            return
        manifest, verb, doing = self._state.manifest, self._verb, self._doing

        def work(report: Report, cancel: threading.Event) -> T:
            def told(what: str, done: int, total: int | None) -> None:
                doing[0] = what
                report(done, total)

            return verb(about, manifest, told, cancel)

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
        """What is known was of other pictures or of something else, unless what is different does not matter."""
        if self._known_of is not self._state.manifest:
            self._known, self._known_of, self._about = {}, self._state.manifest, ""
        asked = self._asked()
        about = self._matters(asked).model_dump_json() if asked is not None else ""
        if about == self._about:
            self.changed.emit()  # what stands in its way may be another
            return
        self._about, self.told, self.fault = about, self._known.get(about), ""
        self.cancel()
