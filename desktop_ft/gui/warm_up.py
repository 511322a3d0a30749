"""Imports torch in the background once the window is painted, so that the first use of it need not wait."""

import importlib
import threading

from PySide6.QtCore import QObject

from desktop_ft.gui.worker import Report, Worker


class WarmUp(QObject):
    """One import, told to nobody; a failure goes the way of all unforeseen ones."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._worker = worker

    def start(self) -> None:
        """Import torch in a thread."""
        self._worker.run(_import, finished=self._over, failed=self._over)

    def _over(self, outcome: object) -> None:
        self.deleteLater()


def _import(report: Report, cancel: threading.Event) -> None:
    if not cancel.is_set():
        importlib.import_module("torchvision")
