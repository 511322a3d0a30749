"""What the window offers where a run has broken off: go on, keep the best, or throw it away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.gui import trash, words
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import GAP, Notice, button, enable_or_say

if TYPE_CHECKING:
    from desktop_ft.jobs.run_list import BrokenOff


class InterruptedRun(QWidget):
    """A line with the ways on, hidden while none is offered; `gone` tells that the run's folder is not there any more,
    `discarded` what went to the trash from here.
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
        session.broken_off.changed.connect(self._show)
        for signal in session.can_open_changed:
            signal.connect(self._enable)

    def _show(self) -> None:
        self._found = found = self._session.broken_off.offered
        self.setVisible(found is not None)
        if found is None:
            return
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

    def _enable(self) -> None:
        """As on the page Runs: nothing of it while something else is under way, such as a look at the project's pictures."""
        obstacle, has_best = self._session.obstacle, self._found is not None and self._found.has_best
        for way in (self.go_on, self.discard):
            enable_or_say(way, obstacle)
        enable_or_say(self.keep, obstacle or ("" if has_best else tr("No epoch of it was judged and saved.")))

    def _go_on(self) -> None:
        self._do(self._session.starting.resume)

    def _keep(self) -> None:
        self._do(self._session.starting.keep_best)

    def _do(self, verb: Callable[[Path], object]) -> None:
        if self._found is None or self._has_gone(self._found.run):
            return
        self._session.state.go("train")
        try:
            verb(self._found.run)
        except UserError as error:
            self.notice.fail(error)

    def _has_gone(self, run: Path) -> bool:
        """Whether somebody took the folder away meanwhile: there is nothing to choose any more."""
        if run.is_dir():
            return False
        self._session.broken_off.drop(run)
        what = tr("The run {name} is not there any more.", name=words.printable(run.name))
        self.gone.emit(UserError(what, tr("Look for its folder where it was moved to, and add it on the page Runs.")))
        return True

    def _discard(self) -> None:
        if self._found is None or self._has_gone(self._found.run):
            return
        run, runs = self._found.run, self._session.runs
        trashed = runs.trash(run)
        if trashed is not None:
            self.discarded.emit(trashed)
        else:
            trash.tell(self.notice, [], [run], runs.put_back)

    def _later(self) -> None:
        if self._found is not None:
            self._session.broken_off.leave(self._found.run)
