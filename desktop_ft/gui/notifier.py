"""Tells that a run is done or has failed, where the window is not in front."""

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.settings import Settings
from desktop_ft.gui.strip import ENDINGS, best_words
from desktop_ft.gui.training_job import Training


class Notifier(QObject):
    """A message in the system's tray, where there is one; else the window asks for attention, as the system lets it."""

    def __init__(self, training: Training, settings: Settings, window: QWidget) -> None:
        super().__init__(window)
        self._training = training
        self._settings = settings
        self._window = window
        self._tray: QSystemTrayIcon | None = None
        training.ended.connect(self._ended)

    def clear(self) -> None:
        """The window is in front: nothing is to be told any more."""
        if self._tray is not None:
            self._tray.hide()

    def _ended(self, fault: BaseException | None) -> None:
        end = self._training.end
        # Who stops or cancels a run knows that it has ended.
        told = end is not None and end.status in (RunStatus.COMPLETED, RunStatus.FAILED)
        if end is not None and told and self._settings.notify and QApplication.activeWindow() is None:
            self._tell(tr(ENDINGS[end.status]), self._details(end))

    def _details(self, end: RunEnded) -> str:
        run, best = self._training.run, self._training.history.best
        name = words.printable(run.name) if run is not None else ""
        if end.status is RunStatus.FAILED:
            return f"{name}\n{(end.error.strip().splitlines() or [''])[-1]}"
        return f"{name}\n{best_words(best)}" if best is not None else name

    def _tell(self, title: str, text: str) -> None:
        if QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages():
            if self._tray is None:
                self._tray = QSystemTrayIcon(self._window.windowIcon(), self)
                self._tray.messageClicked.connect(self._show_window)
                self._tray.activated.connect(self._show_window)
            self._tray.setToolTip(f"{title}\n{text}")
            self._tray.show()
            self._tray.showMessage(title, text, self._window.windowIcon())
        else:
            QApplication.alert(self._window)

    def _show_window(self) -> None:
        self._window.show()
        self._window.raise_()
        self._window.activateWindow()
