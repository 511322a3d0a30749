"""The networks on this machine compared on a person's own pictures: a button, and which one suits."""

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_ft.core.language import marked, tr
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import Progress, button, label

_TIP = marked("See how well each network that is on this machine tells your classes, before anything is trained.")


class RankingRow(QWidget):
    """Shows how far it is, and says in words what came of it; not seen before there is anything to say.

    Attributes:
        ask: the button that asks, for the page to place.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session, self._inquiry = session, session.ranking
        self.ask = explained(button(tr("Compare on my pictures"), self._inquiry.ask), "model.compare")
        self.words = label(role="muted", wrap=True)
        self.progress = Progress(tr("steps"))
        self.progress.cancelled.connect(self._inquiry.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addWidget(self.progress)
        self._inquiry.changed.connect(self.refresh)
        self._inquiry.progressed.connect(self._advance)
        session.training.ended.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what is known, and what can be done now."""
        told, blocker = self._inquiry.told, self._session.blocker()
        self.ask.setEnabled(self._inquiry.can_ask)
        self.progress.follow(tr("Asking the networks") if self._inquiry.running else "")
        self.ask.setToolTip(tr("Networks cannot be compared yet: {reason}", reason=blocker.reason) if blocker else tr(_TIP))
        said = self._inquiry.fault
        if told is not None:
            left_out = [tr("Left out: {reason}", reason=reason) for reason in told.left_out]
            said = " ".join((tr("Probe accuracy on your data, with nothing trained yet: {reason}", reason=told.words), *left_out))
        self.words.setText(said)
        self.words.setVisible(bool(said))
        self.setVisible(bool(said) or self._inquiry.running)

    def _advance(self, what: str, done: int, total: int | None) -> None:
        self.progress.part(what)
        self.progress.advance(done, total)
