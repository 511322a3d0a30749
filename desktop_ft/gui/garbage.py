"""Python's search for garbage, in the window's thread alone."""

import gc
import time

from PySide6.QtCore import QObject, QTimer

_EVERY_MS = 200
_YOUNG, _SEARCHES = 2000, 10
_FULL_EVERY_S = 300
"""A full search walks through all of torch, too: a third of a second in which the window stands still."""


class Garbage(QObject):
    """Searches instead of Python, until it is shut down.

    Python searches in whichever thread has just made enough. A widget in a cycle that another thread finds is taken apart in that
    thread, holding Qt's lock on its signals while it waits for Python's; if the window's thread holds Python's and waits for
    Qt's at that moment, the window stands still for good. (Seen in `tests/e2e/test_sequences.py`.)
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        self._full_at = time.monotonic()
        self.destroyed.connect(_enable)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._search)
        self._timer.start(_EVERY_MS)

    def shut_down(self) -> None:
        """Let Python search again: no other thread works any more."""
        self._timer.stop()
        if gc.get_count()[2] >= _SEARCHES:
            gc.collect()
        _enable()

    def _search(self) -> None:
        gc.disable()  # another window that closed may have enabled it
        young, middle, _ = gc.get_count()
        if time.monotonic() - self._full_at >= _FULL_EVERY_S:
            gc.collect()
            self._full_at = time.monotonic()
        elif middle >= _SEARCHES:
            gc.collect(1)
        elif young >= _YOUNG:
            gc.collect(0)


def _enable() -> None:
    gc.enable()
