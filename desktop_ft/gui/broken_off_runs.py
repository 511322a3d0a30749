"""The runs that were broken off and are to be offered again, found out in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_ft import jobs
from desktop_ft.core.events import RunStatus
from desktop_ft.gui.compare_work import CompareWork
from desktop_ft.gui.settings import Settings
from desktop_ft.gui.training_job import Training
from desktop_ft.gui.worker import Newest, Report, Work, Worker

if TYPE_CHECKING:
    from desktop_ft.jobs.run_list import BrokenOff


class BrokenOffRuns(QObject):
    """Those of the person's runs that nobody has decided about: what failed in this window, and what `look` found.

    One is `offered` at a time, and none while a run or a comparison is under way; `changed` follows where it may be another.
    """

    changed = Signal()

    def __init__(self, worker: Worker, training: Training, comparing: CompareWork, settings: Settings) -> None:
        super().__init__(training)
        self._worker = worker
        self._training = training
        self._comparing = comparing
        self._settings = settings
        self._undecided: list[Path] = []
        self._aside: set[Path] = set()
        self._first: BrokenOff | None = None
        self._looking = Newest(worker, self._found, _unsaid, self)
        training.started.connect(self._began)
        training.ended.connect(self._ended)
        comparing.changed.connect(self.changed)

    @property
    def offered(self) -> BrokenOff | None:
        """The run to offer now, the one that broke off last."""
        return None if self._training.running or self._comparing.busy else self._first

    def look(self) -> None:
        """Find out whether the run that was begun last was interrupted."""

        def last() -> BrokenOff | None:
            return jobs.run_list.interrupted()

        self._worker.run(_finding(last), finished=self._found_last, failed=_unsaid)

    def leave(self, run: Path) -> None:
        """Offer `run` no more, at the next start neither: the page Runs has it."""
        self._settings.left_interrupted = str(run)
        self.drop(run)

    def drop(self, run: Path) -> None:
        """Offer `run` no more: it is gone, or goes on."""
        if run in self._undecided:
            self._undecided.remove(run)
            self._look_again()

    def set_aside(self, run: Path) -> None:
        """`run` went to the trash: it is offered no more, until `take_back`."""
        if run in self._undecided:
            self._aside.add(run)
            self.drop(run)

    def take_back(self, run: Path) -> None:
        """`run` has come back: offer it as before."""
        if run in self._aside:
            self._aside.remove(run)
            self._undecided.append(run)
            self._look_again()

    def _began(self) -> None:
        run = self._training.run
        if run is not None and self._settings.left_interrupted == str(run):
            self._settings.left_interrupted = ""  # it was taken up after all
        if run in self._undecided:
            self._undecided.remove(run)
        self.changed.emit()

    def _ended(self, fault: BaseException | None) -> None:
        run, end = self._training.run, self._training.end
        if run is not None and end is not None and end.status is RunStatus.FAILED:
            self._undecided.append(run)
        self._look_again()

    def _look_again(self) -> None:
        """See how those stand by now; they may be complete, or gone."""
        runs, self._first = tuple(reversed(self._undecided)), None
        self.changed.emit()

        def first() -> BrokenOff | None:
            return next(filter(None, map(jobs.run_list.broken_off, filter(jobs.run_list.is_listed, runs))), None)

        if runs:
            self._looking.ask(_finding(first))

    def _found_last(self, found: BrokenOff | None) -> None:
        if found is None or found.run in self._undecided or self._settings.left_interrupted == str(found.run):
            return
        if not (self._training.running and self._training.run == found.run):
            self._undecided.insert(0, found.run)  # before what has failed here meanwhile
            self._found(self._first or found)

    def _found(self, found: BrokenOff | None) -> None:
        if found is not None and found.run in self._undecided:  # else somebody has decided meanwhile
            self._first = found
            self.changed.emit()


def _finding(find: Callable[[], BrokenOff | None]) -> Work:
    def work(report: Report, cancel: threading.Event) -> BrokenOff | None:
        return find()

    return work


def _unsaid(error: BaseException) -> None:
    """The page Runs tells of what cannot be read."""
