"""What advice says of the layers: a sentence, and the plan to take."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_ft.core.advice import Advice
from desktop_ft.core.language import tr
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import Progress, button, label, row


class AdvicePanel(QWidget):
    """A button, and what came of it. `taken` tells the depth that a person wants to freeze up to."""

    taken = Signal(int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session, self._inquiry = session, session.advice
        self._shut = False
        self.ask = button(
            tr("Advise"), self._inquiry.ask, tip=tr("See how well your classes can be told after each block, and where to cut.")
        )
        self.take = button(tr("Take this plan"), self._take)
        self.words = label(role="muted", wrap=True)
        self.why = button(tr("Why?"), self.refresh, tip=tr("Say how that was found, too."))
        self.why.setCheckable(True)
        self.progress = Progress(tr("steps"))
        self.progress.cancelled.connect(self._inquiry.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(explained(self.ask, "layers.advice"), self.words, self.why, self.take))
        layout.addWidget(self.progress)
        self._inquiry.changed.connect(self.refresh)
        self._inquiry.progressed.connect(self._advance)
        session.training.ended.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what is known, and what can be done now."""
        if self._shut:  # the window is closed, and what was asked ends behind it
            return
        told = self._inquiry.told
        self.ask.setEnabled(self._inquiry.can_ask)
        for shown in (self.why, self.take):
            shown.setVisible(told is not None)
        self.progress.follow(tr("Looking at the pictures") if self._inquiry.running else "")
        self._show_words(told)
        self._show_take()

    def shut_down(self) -> None:
        """Show nothing more."""
        self._shut = True

    def _show_words(self, told: Advice | None) -> None:
        blocker = self._session.blocker()
        if told is not None:
            said = told.words if self.why.isChecked() else told.short
        elif self._inquiry.fault:
            said = self._inquiry.fault
        elif blocker is not None:
            said = tr("Advice cannot be had yet: {reason}", reason=blocker.reason)
        elif self._session.computing.firmly and not self._inquiry.computing:
            said = tr("Other work is under way, beside which nothing can be measured.")
        elif self._inquiry.was_told:
            said = tr("What was advised is about other settings: advise again, or go back to them.")
        else:
            said = tr("Advice looks at your training pictures once, and says which blocks should learn.")
        self.words.setText(said)

    def _show_take(self) -> None:
        told = self._inquiry.told
        taken = told is not None and told.recommended == self._session.state.recipe.freeze.words
        self.take.setEnabled(told is not None and not taken)
        self.take.setToolTip(tr("You have this plan already.") if taken else "")

    def _take(self) -> None:
        if (told := self._inquiry.told) is not None:
            self.taken.emit(told.option.depth)

    def _advance(self, what: str, done: int, total: int | None) -> None:
        self.progress.part(what)
        self.progress.advance(done, total)
