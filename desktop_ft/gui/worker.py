"""The one door for background work: a function runs in a thread, and its news arrive in the window's thread."""

import itertools
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Qt, QThreadPool, QTimer, Signal

from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.language import tr
from desktop_ft.engine import process
from desktop_ft.runs.logbook import tell

Report = Callable[[int, int | None], None]
Work = Callable[[Report, threading.Event], Any]
_PACE_MS = 50


class _Job:
    """What the thread knows: plain Python, so that no Qt object is ever touched, or freed, in the wrong thread."""

    def __init__(self, work: Work, number: int, news: Callable[[int], None]) -> None:
        self.cancel = threading.Event()
        self._work = work
        self._number = number
        self._news = news
        self._lock = threading.Lock()
        self._progress: tuple[int, int | None] | None = None
        self._outcome: tuple[str, Any] | None = None

    def run(self) -> None:
        """Do the work, here and now; called in a thread of the pool."""
        process.stand_back()
        outcome: tuple[str, Any]
        try:
            outcome = ("finished", self._work(self._report, self.cancel))
        except Cancelled:
            outcome = ("cancelled", None)
        except BaseException as error:  # whatever it is, it is told to the person, never lost in a thread
            outcome = ("failed", error)
        with self._lock:
            self._outcome = outcome
        self._news(self._number)

    @property
    def over(self) -> bool:
        """Whether there is an outcome to take."""
        with self._lock:
            return self._outcome is not None

    def take(self) -> tuple[tuple[int, int | None] | None, tuple[str, Any] | None]:
        """The latest progress and the outcome, each once."""
        with self._lock:
            progress, self._progress = self._progress, None
            outcome, self._outcome = self._outcome, None
        return progress, outcome

    def _report(self, done: int, total: int | None) -> None:
        with self._lock:
            told = self._progress is None
            self._progress = (done, total)
        if told:
            self._news(self._number)


class Task(QObject):
    """One piece of background work. Every signal is sent in the window's thread; `ended` comes last, in every ending.

    Progress is told at the pace at which the window takes it, 20 times a second at most: what it missed in between is dropped.
    """

    progressed = Signal(object, object)
    finished = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    ended = Signal()

    def __init__(self, job: _Job, parent: QObject) -> None:
        super().__init__(parent)
        self.cancel = job.cancel
        self._job = job
        self._told_at = 0.0

    @property
    def waits(self) -> bool:
        """Whether the next news can wait: they are no end, and the last ones have just been told."""
        return time.monotonic() - self._told_at < _PACE_MS / 1000 and not self._job.over

    def tell(self) -> bool:
        """Send what there is to tell; returns whether that was the end."""
        self._told_at = time.monotonic()
        progress, outcome = self._job.take()
        if progress is not None:
            self.progressed.emit(*progress)
        if outcome is None:
            return False
        kind, value = outcome
        if kind == "finished":
            self.finished.emit(value)
        elif kind == "failed":
            self.failed.emit(value)
        else:
            self.cancelled.emit()
        self.ended.emit()
        return True


class Worker(QObject):
    """Runs tasks, and knows which are under way. It outlives them all: `shut_down` waits for the last.

    A failure that is no UserError goes to `unforeseen` as well, so that its details can be had.
    """

    unforeseen = Signal(object)
    _news = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(4)
        self._tasks: dict[int, Task] = {}
        self._numbers = itertools.count()
        # Queued: the news is sent from a thread and must be told in the window's.
        self._news.connect(self._tell, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        """Whether any work is under way."""
        return bool(self._tasks)

    def run(
        self,
        work: Work,
        *,
        finished: Callable[[Any], None],
        failed: Callable[[BaseException], None],
        progressed: Callable[[int, int | None], None] | None = None,
        cancelled: Callable[[], None] | None = None,
    ) -> Task:
        """Start `work(report, cancel)` in a thread; set the returned task's `cancel` to ask for its end."""
        number = next(self._numbers)
        job = _Job(work, number, self._news.emit)
        task = Task(job, self)
        task.finished.connect(finished)
        task.failed.connect(failed)
        task.failed.connect(self._look)
        if progressed is not None:
            task.progressed.connect(progressed)
        if cancelled is not None:
            task.cancelled.connect(cancelled)
        self._tasks[number] = task
        self._pool.start(job.run)
        return task

    def shut_down(self, within_ms: int = -1) -> bool:
        """Ask every task to end, and wait until all have; -1: as long as it takes. Returns whether they have."""
        for task in self._tasks.values():
            task.cancel.set()
        return self._pool.waitForDone(within_ms)

    def _look(self, error: BaseException) -> None:
        if isinstance(error, UserError):
            tell(logging.WARNING, str(error), tr("Background"))
        else:
            self.unforeseen.emit(error)

    def _tell(self, number: int) -> None:
        task = self._tasks.get(number)
        if task is not None and task.waits:
            QTimer.singleShot(_PACE_MS, self, partial(self._tell, number))
        elif task is not None and task.tell():
            del self._tasks[number]
            task.deleteLater()


class Newest(QObject):
    """Work whose last request alone counts, such as a preview: one runs at a time, and what is stale is not shown."""

    def __init__(
        self, worker: Worker, finished: Callable[[Any], None], failed: Callable[[BaseException], None], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._worker = worker
        self._finished = finished
        self._failed = failed
        self._running: Task | None = None
        self._next: Work | None = None

    def ask(self, work: Work) -> None:
        """Do `work` as soon as what runs has ended; an earlier request that has not started is dropped."""
        self._next = work
        if self._running is None:
            self._start()
        else:
            self._running.cancel.set()

    def stop(self) -> None:
        """Ask what runs to end, and start nothing more."""
        self._next = None
        if self._running is not None:
            self._running.cancel.set()

    def _start(self) -> None:
        work, self._next = self._next, None
        if work is not None:
            self._running = self._worker.run(work, finished=self._done, failed=self._fail, cancelled=self._over)

    def _done(self, value: object) -> None:
        current = self._next is None
        self._over()
        if current:
            self._finished(value)

    def _fail(self, error: BaseException) -> None:
        current = self._next is None
        self._over()
        if current:
            self._failed(error)

    def _over(self) -> None:
        self._running = None
        self._start()
