"""Python's search for garbage, in the window's thread alone."""

import gc
import time

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QTimer

_EVERY_MS = 50
_YOUNG, _SEARCHES = 2000, 10
_FULL_EVERY_S, _QUIET_S = 300, 3
"""A full search walks through all of torch, too: a third of a second in which the window stands still. It waits until nobody has
touched anything for a while."""
_HANDS = {
    QEvent.Type.KeyPress,
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseMove,
    QEvent.Type.Wheel,
    QEvent.Type.DragMove,
}


class Garbage(QObject):
    """Searches instead of Python, until it is shut down.

    Python searches in whichever thread has just made enough. A widget in a cycle that another thread finds is taken apart in that
    thread, holding Qt's lock on its signals while it waits for Python's; if the window's thread holds Python's and waits for
    Qt's at that moment, the window stands still for good. (Seen in `tests/e2e/test_sequences.py`.)
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        self._full_at = self._touched_at = time.monotonic()
        self._watching = False
        self.destroyed.connect(_enable)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._search)
        self._timer.start(_EVERY_MS)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Note that a person does something."""
        if event.type() in _HANDS:
            self._touched_at = time.monotonic()
        return False

    def shut_down(self) -> None:
        """Let Python search again: no other thread works any more."""
        self._timer.stop()
        self._watch(False)
        if gc.get_count()[2] >= _SEARCHES:
            gc.collect()
        _enable()

    def _search(self) -> None:
        gc.disable()  # another window that closed may have enabled it
        young, middle, _ = gc.get_count()
        if self._is_quiet():
            self._watch(False)
            gc.collect()
            self._full_at = time.monotonic()
        elif middle >= _SEARCHES:
            gc.collect(1)
        elif young >= _YOUNG:
            gc.collect(0)

    def _is_quiet(self) -> bool:
        """Whether a full search is due, and nobody has touched anything for a while. Watched only then: each event takes time."""
        now = time.monotonic()
        if not self._watching and now - self._full_at >= _FULL_EVERY_S:
            self._touched_at = now
            self._watch(True)
        return self._watching and now - self._touched_at >= _QUIET_S

    def _watch(self, on: bool) -> None:
        application = QCoreApplication.instance()
        if application is not None and on != self._watching:
            (application.installEventFilter if on else application.removeEventFilter)(self)
            self._watching = on


def _enable() -> None:
    gc.enable()
