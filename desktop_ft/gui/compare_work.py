"""A comparison in the window: its runs are begun one after another, each as any other run is."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from desktop_ft import jobs
from desktop_ft.core.comparing import Compared, Comparison, PlannedRun
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunStatus
from desktop_ft.engine.control import RunControl
from desktop_ft.gui.starting import Starting
from desktop_ft.gui.training_job import Training
from desktop_ft.gui.worker import Report, Task, Worker
from desktop_ft.plugin_manager import Plugins

if TYPE_CHECKING:
    from desktop_ft.jobs.comparing import ComparisonFolder, Plan, Shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnderWay:
    """The comparison that is open.

    Attributes:
        warned: what was told while it was planned, in sentences.
    """

    folder: ComparisonFolder
    plan: Plan
    shelf: Shelf
    warned: tuple[str, ...]


class CompareWork(QObject):
    """Works at a comparison until it is complete or asked to stop; `progressed` tells how far its budget is measured, and
    `warned`, before its runs begin, what they cannot show.

    After each run, what is complete is summed up before the next begins, which is timed. That is never broken off: a window that
    closes waits for it.

    Attributes:
        working: whether it goes on by itself. planning: whether its pictures and its budget are being looked at.
        summing: whether what its complete runs tell is being found out.
        now: what of it is trained. found: what its complete runs tell.
        chosen: what a person looks at to compare it next; None: nothing that can be. `chose` comes where it is another.
    """

    changed = Signal()
    progressed = Signal(str, int, object)
    warned = Signal(str)
    failed = Signal(object)
    chose = Signal()

    def __init__(self, starting: Starting, training: Training, worker: Worker, plugins: Plugins) -> None:
        super().__init__(training)
        self._starting, self._training, self._worker, self._plugins = starting, training, worker, plugins
        self._holding = contextlib.ExitStack()
        self._open: _UnderWay | None = None
        self._task: Task | None = None
        self._took: dict[tuple[str, int], float] = {}
        self._began = 0.0
        self._news: tuple[str, int, int | None] = ("", 0, None)
        self.working = self.planning = self.summing = False
        self.now: PlannedRun | None = None
        self.found: Compared | None = None
        self.chosen: Comparison | None = None
        training.ended.connect(self._ended)

    @property
    def busy(self) -> bool:
        """Whether it goes on by itself, or something of it is looked at in the background."""
        return self.working or self.planning or self.summing

    @property
    def done(self) -> tuple[int, int]:
        """How many of its runs are over, of how many."""
        return (self._open.shelf.done, len(self._open.shelf.runs)) if self._open is not None else (0, 0)

    @property
    def left(self) -> float | None:
        """Seconds that the rest takes; None before that can be told."""
        if self._open is None or not self.working:
            return None
        left = jobs.comparing.left_of(self._open.plan, self._open.shelf.lacking, self._took)
        return None if left is None else max(0.0, left - (time.monotonic() - self._began if self.now is not None else 0.0))

    @property
    def plan(self) -> Plan | None:
        """What is compared; None before that was looked at."""
        return self._open.plan if self._open is not None and not self.planning else None

    @property
    def report(self) -> Path | None:
        """The page, where there is one."""
        path = self._open.folder.report if self._open is not None else None
        return path if path is not None and path.is_file() else None

    def choose(self, comparison: Comparison | None) -> None:
        """Be asked about `comparison` before it begins, such as how long it takes."""
        if comparison != self.chosen:
            self.chosen = comparison
            self.chose.emit()

    def start(self, asked: Comparison | None, path: Path) -> None:
        """Compare what is `asked` in the folder `path`; None: go on with what is there.

        Raises:
            UserError: another process works there.
        """
        if self.busy:
            return
        folder, plugins = jobs.comparing.ComparisonFolder(path), self._plugins
        self._holding.enter_context(folder.worked())

        def work(report: Report, cancel: threading.Event) -> _UnderWay:
            heard, warned = RunControl(cancel=cancel, stop=cancel), list[str]()

            def tell(what: str, done: int, total: int | None) -> None:
                self._news = (what, done, total)
                report(done, total)

            plan = jobs.comparing.planned(asked, folder, plugins, warn=warned.append, progress=tell, control=heard)
            return _UnderWay(folder=folder, plan=plan, shelf=jobs.comparing.Shelf(folder, plan), warned=tuple(warned))

        self.found, self._took, self.planning = None, {}, True
        self._task = self._worker.run(
            work, finished=self._planned, failed=self._fail, progressed=self._tell, cancelled=self._let_go
        )
        self.changed.emit()

    def pause(self) -> None:
        """Begin no other run; the one under way goes on."""
        self.working = False
        if self.planning and self._task is not None:
            self._task.cancel.set()
        elif self.now is None and not self.summing:  # between two runs: nothing will end that lets go of the folder
            self._let_go()
        self.changed.emit()

    def go_on(self) -> None:
        """Work at what was paused.

        Raises:
            UserError: another process works at it meanwhile.
        """
        if self._open is not None and not self.working and not self.planning:
            if self.now is None and not self.summing:  # else it is held still
                self._holding.enter_context(self._open.folder.worked())
            self.working = True
            self._go_on()

    def stop(self) -> None:
        """Begin no other run, and let the one under way end; all of it goes on when it is started again."""
        self.pause()
        if self.now is not None:
            self._training.stop()

    def _tell(self, done: int, total: int | None) -> None:
        self.progressed.emit(*self._news)

    def _planned(self, open_: _UnderWay) -> None:
        self.working = self._task is not None and not self._task.cancel.is_set()  # it may have ended just before it was stopped
        self._open, self.planning = open_, False
        if open_.warned:
            self.warned.emit(" ".join(open_.warned))
        self._sum_up()

    def _go_on(self) -> None:
        if not self.working or self.summing or self._open is None or self._training.running:
            return
        lacking = self._open.shelf.lacking
        if not lacking:
            self._let_go()
            return
        self.now, self._began = lacking[0], time.monotonic()
        folder, plan = self._open.folder, self._open.plan
        try:
            fit = jobs.comparing.fit_of(folder, plan, self.now, self._plugins)
            self._starting.begin(self.now.recipe, folder.run(self.now), fit)
        except UserError as error:
            self._fail(error)
        self.changed.emit()

    def _ended(self, fault: BaseException | None) -> None:
        run, self.now = self.now, None
        if run is not None and self._open is not None:
            end = self._training.end
            if fault is not None or end is None or end.status in (RunStatus.STOPPED, RunStatus.CANCELLED):
                self.working = False  # by a person, or it could not begin, which is told where the run is
            else:
                self._took[run.strategy, run.images] = time.monotonic() - self._began
            self._sum_up(run)
        else:
            QTimer.singleShot(0, self._go_on)  # not from within this signal: pages still have to hear it

    def _sum_up(self, ended: PlannedRun | None = None) -> None:
        """See how `ended` stands, and what all that are complete tell; then go on. Both read whole runs."""
        if self._open is None:
            return
        shelf = self._open.shelf

        def work(report: Report, cancel: threading.Event) -> Compared | None:
            if ended is not None:
                shelf.look(ended)
            return shelf.sum_up() if shelf.ran else None

        self.summing = True
        self._task = self._worker.run(work, finished=self._summed, failed=self._fail)
        self.changed.emit()

    def _summed(self, found: Compared | None) -> None:
        self.found, self._task, self.summing = found, None, False
        if self.working:
            self._go_on()
        else:
            self._let_go()

    def _fail(self, error: BaseException) -> None:
        self.now = None
        self._let_go()
        self.failed.emit(error)

    def _let_go(self) -> None:
        self._task = None
        self.working = self.planning = self.summing = False
        self._holding.close()
        self.changed.emit()
