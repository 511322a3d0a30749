"""What the window offers where a run has broken off: go on, keep the best, or throw it away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from desktop_ft import jobs
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunStatus
from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import GAP, Notice, button
from desktop_ft.gui.worker import Report

if TYPE_CHECKING:
    from desktop_ft.jobs.run_list import BrokenOff


class InterruptedRun(QWidget):
    """A line with the ways on; hidden until a run fails or `look` finds one, and gone once a way is taken, a run begins, or the
    run's folder is gone; `gone` tells that where it did not go from here, `discarded` what went to the trash from here.
    """

    gone = Signal(object)
    discarded = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._found: BrokenOff | None = None
        self.notice = Notice()
        self.go_on = button(
            tr("Go on training"),
            self._go_on,
            primary=True,
            tip=tr("From the last checkpoint, as if it had never stopped."),
        )
        self.keep = button(
            tr("Keep the best"), self._keep, tip=tr("Let it end here: keep the best model it has, and evaluate that.")
        )
        self.discard = button(
            tr("Move to trash"), self._discard, tip=tr("Where the system keeps what was deleted, until it is emptied.")
        )
        self.later = button(tr("Not now"), self._later, tip=tr("The page Runs lists it, and can go on with it at any time."))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, GAP, 0, 0)
        layout.addWidget(self.notice, 1)
        for way in (self.go_on, self.keep, self.discard, self.later):
            layout.addWidget(way)
        self.hide()
        session.training.started.connect(self._began)
        session.training.ended.connect(self._ended)
        session.runs.trashed.connect(self._trashed)
        for signal in session.can_open_changed:
            signal.connect(self._enable)

    def look(self) -> None:
        """Find out in the background whether the last run was interrupted, and offer what can be done."""

        def last() -> BrokenOff | None:
            return jobs.run_list.interrupted()

        self._find(last)

    def _began(self) -> None:
        self.hide()
        if self._session.settings.left_interrupted == str(self._session.training.run):
            self._session.settings.left_interrupted = ""  # it was taken up after all

    def _ended(self, fault: BaseException | None) -> None:
        run, end = self._session.training.run, self._session.training.end
        if run is not None and end is not None and end.status is RunStatus.FAILED:
            self._find(lambda: jobs.run_list.broken_off(run))

    def _find(self, find: Callable[[], BrokenOff | None]) -> None:
        def work(report: Report, cancel: threading.Event) -> BrokenOff | None:
            return find()

        self._session.worker.run(work, finished=self._offer, failed=lambda error: None)  # the page Runs tells of it

    def _offer(self, found: BrokenOff | None) -> None:
        if found is None or self._session.training.running or self._session.settings.left_interrupted == str(found.run):
            return
        self._found = found
        name = words.printable(found.run.name)
        said = tr("The run {name} failed at {place}.", name=name, place=found.place)
        if not found.failed:
            said = tr("The run {name} was interrupted at {place}.", name=name, place=found.place)
        if not found.saved:
            said += " " + tr("Nothing of it is saved: it starts again.")
        elif found.saved != found.place:
            said += " " + tr("It is saved up to {place}; what came after that is done again.", place=found.saved)
        self.notice.say(said, "warn")
        self._enable()
        self.show()

    def _enable(self) -> None:
        """As on the page Runs: nothing of it while something else is under way, such as a look at the project's pictures."""
        free = self._session.can_open
        for way in (self.go_on, self.discard):
            way.setEnabled(free)
        self.keep.setEnabled(free and self._found is not None and self._found.has_best)

    def _go_on(self) -> None:
        self._do(self._session.runs.resume)

    def _keep(self) -> None:
        self._do(self._session.runs.keep_best)

    def _do(self, verb: Callable[[Path], object]) -> None:
        if self._found is None or self._has_gone(self._found.run):
            return
        self._session.state.go("train")
        try:
            verb(self._found.run)
        except UserError as error:
            self.notice.fail(error)

    def _trashed(self, run: Path) -> None:
        if self._found is not None and self._found.run == run:
            self.hide()

    def _has_gone(self, run: Path) -> bool:
        """Whether somebody took the folder away meanwhile: there is nothing to choose any more."""
        if run.is_dir():
            return False
        self.hide()
        what = tr("The run {name} is not there any more.", name=words.printable(run.name))
        self.gone.emit(UserError(what, tr("Look for its folder where it was moved to, and add it on the page Runs.")))
        return True

    def _discard(self) -> None:
        if self._found is None or self._has_gone(self._found.run):
            return
        trashed = self._session.runs.trash(self._found.run)
        if trashed is not None:
            self.discarded.emit(trashed)
        else:
            what = tr("{folder} cannot be moved to the trash.", folder=words.printable(str(self._found.run)))
            self.notice.fail(UserError(what, tr("Wait for the run to end, or delete the folder by hand.")))

    def _later(self) -> None:
        if self._found is not None:
            self._session.settings.left_interrupted = str(self._found.run)
        self.hide()
