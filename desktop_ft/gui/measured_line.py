"""What the layers that are ticked cost: time and memory, measured by itself as soon as nothing changes any more."""

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import label

_QUIET_MS = 700


class MeasuredLine(QWidget):
    """A line that asks for a forecast whenever it is seen, a run could start and the recipe has been left alone for a moment."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._forecast = session.forecast
        self.text = label(role="muted", wrap=True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_QUIET_MS)
        self._soon.timeout.connect(self._measure)
        self._forecast.changed.connect(self._show)
        self._show()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Measure what is not known yet."""
        super().showEvent(event)
        self._show()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """What nobody sees is not begun."""
        super().hideEvent(event)
        self._soon.stop()

    def _show(self) -> None:
        forecast = self._forecast
        if forecast.told is not None:
            views = self._session.state.recipe.optimisation.views
            told = forecast.told
            said = " ".join(filter(None, (told.words(views), told.epoch_words(views), told.batch_advice)))
            self._say(said, warn=bool(told.batch_advice) and not told.fits)
        elif forecast.fault:
            self._say(forecast.fault, warn=True)
        elif self._session.training.running or (self._session.computing.now and not forecast.computing):
            self._say(tr("Time and memory are measured when nothing else is under way."))
        elif (blocker := self._session.blocker()) is not None:
            self._say(tr("Time and memory cannot be measured yet: {reason}", reason=blocker.reason))
        else:
            self._say(tr("Measuring time and memory…"))
            if self.isVisible():
                self._soon.start()

    def _measure(self) -> None:
        if self.isVisible():
            self._forecast.ask(by_itself=True)

    def _say(self, text: str, *, warn: bool = False) -> None:
        self.text.setProperty("level", "warn" if warn else "")
        self.text.style().polish(self.text)
        self.text.setText(text)
