"""How long the run will take, asked for before it starts, and the views and batches that would make it shorter, or fit."""

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_ft.core.language import tr, tr_n
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import button, label, row


class ForecastRow(QWidget):
    """A button, and above it, as it stays where it is, what came of it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._forecast = session.forecast
        self.ask = button(
            tr("How long?"), self._forecast.ask, tip=tr("Take a few steps, and say how long the whole run will take here.")
        )
        self.answer = label(role="muted", wrap=True)
        self.take_views = button("", self._take_views)
        self.take_batches = button("", self._take_batches)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addStretch(1)
        column.addWidget(self.answer)
        for way in (self.take_views, self.take_batches, explained(self.ask, "train.forecast")):
            column.addLayout(row(way, None))  # each in a line of its own: in no language they are cut
        self._forecast.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what is known, and what can be done now."""
        told, views = self._forecast.told, self._session.state.recipe.optimisation.views
        self.ask.setEnabled(self._forecast.can_ask)
        better = told.recommended_views if told is not None and told.advice(views) else views
        self.take_views.setVisible(better != views)
        self.take_views.setText(tr_n("Use {n:,} view", "Use {n:,} views", n=better))
        self.take_batches.setVisible(told is not None and told.recommended_batch_size != told.batch_size)
        self.take_batches.setText(tr("Use batches of {n}", n=told.recommended_batch_size) if told is not None else "")
        text = tr("Taking a few steps…") if self._forecast.running else self._forecast.fault
        if told is not None:
            text = " ".join(filter(None, (told.words(views), told.advice(views), told.batch_advice)))
        self.answer.setText(text)
        self.answer.setVisible(bool(text))

    def _take_views(self) -> None:
        if (told := self._forecast.told) is not None:
            self._session.state.edit_optimisation("views", told.recommended_views)

    def _take_batches(self) -> None:
        if (told := self._forecast.told) is not None:
            self._session.state.edit_optimisation("batch_size", told.recommended_batch_size)
