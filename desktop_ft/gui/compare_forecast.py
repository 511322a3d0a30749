"""How long the comparison that is chosen would take: measured when a person asks, and told for as long as that is chosen."""

import threading

from PySide6.QtCore import QObject, Signal

from desktop_ft.core.comparing import Comparison
from desktop_ft.core.language import tr
from desktop_ft.core.words import duration
from desktop_ft.engine.control import RunControl
from desktop_ft.gui.faults import words_of
from desktop_ft.gui.session import Session
from desktop_ft.gui.worker import Report, Task
from desktop_ft.jobs.comparing import expected_seconds


class CompareForecast(QObject):
    """Told of `about`; `changed` comes whenever `words` are others.

    Attributes:
        words: what is known, or under way, in a sentence; "" where nobody has asked.
    """

    changed = Signal()

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._about: Comparison | None = None
        self._task: Task | None = None
        self.words = ""

    @property
    def running(self) -> bool:
        """Whether it is being measured."""
        return self._task is not None

    def choose(self, about: Comparison | None) -> None:
        """Something else may be chosen: what was told is of the other choice."""
        if about != self._about:
            self._about, self.words = about, ""
            self.stop()

    def ask(self) -> None:
        """Measure it, unless that is under way."""
        about, plugins, state = self._about, self._session.plugins, self._session.state
        if about is None or self._task is not None:
            return
        # Of a recipe that draws pictures the comparison has all of them: they are looked at first.
        manifest = state.manifest if not state.recipe.dataset.images_per_class else None

        def work(report: Report, cancel: threading.Event) -> float:
            def told(what: str, done: int, total: int | None) -> None:
                report(done, total)

            return expected_seconds(about, plugins, manifest, progress=told, control=RunControl(stop=cancel))

        self.words = tr("Taking a few steps of each way…")
        self._task = self._session.worker.run(work, finished=self._know, failed=self._fail, cancelled=self._over)
        self._session.computing.follow(self._task)
        self.changed.emit()

    def stop(self) -> None:
        """Give it up."""
        if self._task is not None:
            self._task.cancel.set()

    def _know(self, seconds: float) -> None:
        self._tell(tr("That is about {time} of training on this machine.", time=duration(seconds)))

    def _fail(self, error: BaseException) -> None:
        self._tell(" ".join(words_of(error)))

    def _tell(self, words: str) -> None:
        if self._task is not None and not self._task.cancel.is_set():  # else it is about what is chosen no more
            self.words = words
        self._over()

    def _over(self) -> None:
        self._task = None
        self.changed.emit()
