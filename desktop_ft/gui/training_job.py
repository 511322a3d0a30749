"""A run in a thread of its own, and the window's view of it."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QThread, QTimer, Signal

from desktop_ft.api import TrainEvent
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import RunEnded, RunStatus, Warned
from desktop_ft.core.language import marked, tr
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.engine import process
from desktop_ft.engine.control import RunControl
from desktop_ft.gui.faults import describe

Emit = Callable[[TrainEvent], None]
Phase = tuple[str, int, int | None]
PhaseProgress = Callable[[str, int, int | None], None]
Fit = Callable[[Emit, RunControl, PhaseProgress], RunEnded]
SoFar = Callable[[], MetricHistory]

DRAW_EVERY_MS, DRAW_AT_LEAST_MS = 50, 1000
DRAW_SHARE = 40
"""The window spends one part in so many on drawing a run, as long as that leaves a picture a second."""
_AT_ONCE, _TAKES_S = 200, 0.02
"""Events are taken up so many at a time, and so long in a turn; of a flood of them the rest waits for the next ones."""
_GIVES_WAY_S = 0.1
"""How long a run waits at most while the window draws it."""
GETTING_READY: Phase = (marked("Getting ready"), 0, None)
READING: Phase = (marked("Reading the run"), 0, None)


class TrainingJob(QObject):
    """Runs `fit` in the thread it was moved to. Whatever happens in there, exactly one RunEnded is the last event.

    Args:
        so_far: reads the curves that `fit` goes on with, which takes a while where the run took days; None: it begins anew.
    """

    ended = Signal()

    def __init__(self, fit: Fit, control: RunControl, so_far: SoFar | None = None) -> None:
        super().__init__()
        self._fit = fit
        self._so_far = so_far
        self._control = control
        self._lock = threading.Lock()
        self._events: deque[TrainEvent | MetricHistory] = deque()
        self._phase: Phase | None = GETTING_READY if so_far is None else READING
        self._told_end: RunEnded | None = None
        self._undisturbed = threading.Event()
        self._undisturbed.set()
        self.fault: BaseException | None = None
        self.judged = False

    def run(self) -> None:
        """Do the run, here and now; called in the job's thread."""
        process.stand_back()
        self._wait_for_the_window()
        end = RunEnded(status=RunStatus.FAILED, error=tr("The run ended without saying how."))
        try:
            self._read_so_far()
            end = self._fit(self._emit, self._control, self._progress)
            self.judged = True  # a run that is complete is evaluated, or it raises
        except Cancelled:
            end = self._told_end or RunEnded(status=RunStatus.CANCELLED)
        except BaseException as error:  # CUDA's out-of-memory is a RuntimeError: nothing may vanish in a thread
            end = self._failed(error)
        finally:
            self._append(end)
            self.ended.emit()

    def drain(self, most: int = sys.maxsize) -> list[TrainEvent | MetricHistory]:
        """The oldest `most` events that nobody has asked for yet, in their order; before all others the curves so far."""
        with self._lock:
            return [self._events.popleft() for _ in range(min(most, len(self._events)))]

    @property
    def is_drained(self) -> bool:
        """Whether all events were asked for."""
        with self._lock:
            return not self._events

    def give_way(self, wanted: bool) -> None:
        """Let the run wait, before its start and between two steps, or go on; it does not wait for long.

        Where it builds a network, or takes a head's short steps, it has Python's lock as often as the window, which then paints
        for several times as long.
        """
        (self._undisturbed.clear if wanted else self._undisturbed.set)()

    @property
    def phase(self) -> Phase | None:
        """What is done around the training itself: name, how much, of how much; None while it trains."""
        with self._lock:
            return self._phase

    def _read_so_far(self) -> None:
        if self._so_far is not None:
            read = self._so_far()
            with self._lock:
                self._phase = GETTING_READY
                self._events.append(read)

    def _failed(self, error: BaseException) -> RunEnded:
        if not isinstance(error, UserError):
            self.fault = error
        if self._told_end is None or self._told_end.status is RunStatus.FAILED:
            return RunEnded(status=RunStatus.FAILED, error=str(error) if isinstance(error, UserError) else describe(error))
        # The training itself had ended: what failed is the evaluation that follows, and the model is there.
        self._append(Warned(message=tr("The evaluation after training failed: {error}", error=error)))
        return self._told_end

    def _emit(self, event: TrainEvent) -> None:
        if isinstance(event, RunEnded):
            self._told_end = event  # told when all is over: the evaluation still comes
            return
        with self._lock:
            self._phase = GETTING_READY if isinstance(event, Warned) and self._phase is not None else None
            self._events.append(event)
        self._wait_for_the_window()

    def _wait_for_the_window(self) -> None:
        if not self._undisturbed.wait(_GIVES_WAY_S):
            self._undisturbed.set()  # it is held up by something else: the run does not wait for that at every step

    def _append(self, event: TrainEvent) -> None:
        with self._lock:
            self._phase = None
            self._events.append(event)

    def _progress(self, what: str, done: int, total: int | None) -> None:
        with self._lock:
            self._phase = (what, done, total)


class Training(QObject):
    """The run under way, as pages see it: its curves and state, drawn up to 20 times a second.

    `updated` follows every batch of events; `read` comes when the curves are there of a run that goes on, before any event of it;
    `ended` comes once, when the thread is gone; `asked_to_end`, when a person wants it to end before.

    Attributes:
        news: whether the end of the run shown is worth telling: it began in this window, no other was shown since, and nobody has
            dismissed it.
        judged: whether the run that ended last was evaluated, if it is complete.
    """

    started = Signal()
    read = Signal()
    updated = Signal()
    asked_to_end = Signal()
    ended = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.history = MetricHistory()
        self.run: Path | None = None
        self.phase: Phase | None = None
        self.end: RunEnded | None = None
        self.news = self.judged = False
        self.control = RunControl()
        self._job: TrainingJob | None = None
        self._thread: QThread | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._turn)

    @property
    def running(self) -> bool:
        """Whether a run is under way, its preparation and evaluation included."""
        return self._job is not None

    def start(self, run: Path, fit: Fit, so_far: SoFar | None = None) -> None:
        """Start `fit` in a thread. One at a time. `so_far`: reads there the curves so far, where it goes on with a run."""
        if self._job is not None:
            raise UserError(tr("A run is under way already."), tr("Wait for it, or stop it first."))
        self.news = True
        self.control = RunControl()
        self._job = TrainingJob(fit, self.control, so_far)
        self.history, self.run, self.phase, self.end = MetricHistory(), run, self._job.phase, None
        self._thread = QThread()
        self._job.moveToThread(self._thread)
        self._thread.started.connect(self._job.run)
        # Queued on purpose: the job's signal is sent in its thread, and what follows belongs to the window's.
        self._job.ended.connect(self._over, Qt.ConnectionType.QueuedConnection)
        self._job.give_way(True)
        self._when_painted(partial(self._job.give_way, False))
        self._thread.start()
        self._timer.start(DRAW_EVERY_MS)
        self.started.emit()

    def show(self, run: Path, history: MetricHistory) -> None:
        """Show the curves of a run that is over, while none is under way."""
        if self._job is None:
            self.news = self.news and run == self.run
            self.run, self.history, self.phase, self.end = run, history, None, history.ended
            self.updated.emit()

    def forget(self) -> None:
        """Show no run, while none is under way."""
        if self._job is None:
            self.run, self.history, self.phase, self.end, self.news = None, MetricHistory(), None, None, False
            self.updated.emit()

    def dismiss(self) -> None:
        """Its end is no news any more."""
        self.news = False
        self.updated.emit()

    def pause(self, paused: bool) -> None:
        """Ask the run to wait, or to go on."""
        (self.control.pause.set if paused else self.control.pause.clear)()
        self.updated.emit()

    def stop(self) -> None:
        """Ask the run to end and keep the best it has."""
        self.control.stop.set()
        self.updated.emit()
        self.asked_to_end.emit()

    def cancel(self) -> None:
        """Ask the run to end now."""
        self.control.cancel.set()
        self.updated.emit()
        self.asked_to_end.emit()

    def _turn(self) -> None:
        began = time.monotonic()
        if self._job is not None:
            self._job.give_way(True)
        try:
            self._draw()
        finally:
            self._when_painted(partial(self._turn_over, began))

    def _when_painted(self, then: Callable[[], None]) -> None:
        """Do `then` when the plots are painted: the first in this turn of the event loop, the others in the next."""
        QTimer.singleShot(0, self, partial(QTimer.singleShot, 0, self, then))

    def _turn_over(self, began: float) -> None:
        if self._job is not None:
            self._job.give_way(False)
            took_ms = 1000 * (time.monotonic() - began)
            self._timer.start(round(min(max(DRAW_EVERY_MS, DRAW_SHARE * took_ms), DRAW_AT_LEAST_MS)))

    def _draw(self) -> None:
        if self._job is None:
            return
        told, phase, until = False, self._job.phase, time.monotonic() + _TAKES_S
        while time.monotonic() < until and (events := self._job.drain(_AT_ONCE)):
            told = True
            for event in events:
                self._take(event)
        if told or phase != self.phase:
            self.phase = phase
            self.updated.emit()

    def _take(self, event: TrainEvent | MetricHistory) -> None:
        if isinstance(event, MetricHistory):
            self.history = event
            self.read.emit()
        else:
            self.history.add(event)

    def _over(self) -> None:
        if self._job is None or self._thread is None:
            return
        self._timer.stop()
        self._draw()
        if not self._job.is_drained:
            QTimer.singleShot(0, self, self._over)
            return
        self._when_painted(self._finish)  # what ends with it is as much again

    def _finish(self) -> None:
        if self._job is None or self._thread is None:
            return
        self._thread.quit()
        self._thread.wait()
        job, self._job, self._thread = self._job, None, None
        self.phase = None
        self.end, self.judged = self.history.ended, job.judged
        self.updated.emit()
        self.ended.emit(job.fault)
