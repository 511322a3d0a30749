"""The networks on this machine compared on a person's own pictures: a button, and which one suits."""

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import Progress, button, label, row


class RankingRow(QWidget):
    """Asks, shows how far it is, and says in words what came of it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session, self._advisor = session, session.ranking
        self.ask = button(
            tr("Compare on my pictures"),
            self._advisor.ask,
            tip=tr("See how well each network that is on this machine tells your classes, before anything is trained."),
        )
        self.words = label(role="muted", wrap=True)
        self.progress = Progress(tr("networks"))
        self.progress.cancelled.connect(self._advisor.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(explained(self.ask, "model.compare"), self.words))
        layout.addWidget(self.progress)
        self._advisor.changed.connect(self.refresh)
        self._advisor.progressed.connect(self._advance)
        session.training.ended.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what is known, and what can be done now."""
        told, blocker = self._advisor.told, self._session.blocker()
        self.ask.setEnabled(self._advisor.can_ask)
        if not self._advisor.running:
            self.progress.end()
        elif self.progress.isHidden():
            self.progress.begin(tr("Asking the networks"))
        if told is not None:
            left_out = [tr("Left out: {reason}", reason=reason) for reason in told.left_out]
            self.words.setText(" ".join((tr("Probe accuracy on your data: {reason}", reason=told.words), *left_out)))
        elif self._advisor.fault or blocker is None:
            self.words.setText(self._advisor.fault)
        else:
            self.words.setText(tr("Networks cannot be compared yet: {reason}", reason=blocker.reason))

    def _advance(self, what: str, done: int, total: int | None) -> None:
        self.progress.advance(done, total)
