"""Whether a file of weights of the person's own is there: found out in the background, as its drive may hang."""

import math
import threading
import time
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from desktop_ft.gui.worker import Report, Worker

_FRESH_S = 2.0


class OwnWeights(QObject):
    """What is known of such files. `changed` is sent when an answer is another one than before."""

    changed = Signal()

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._worker = worker
        self._known: dict[str, bool] = {}
        self._known_at: dict[str, float] = {}
        self._asked: set[str] = set()

    def is_there(self, file: str) -> bool | None:
        """What its drive said last; that is asked again where it is a while ago. None before it has answered."""
        if file not in self._asked and time.monotonic() - self._known_at.get(file, -math.inf) >= _FRESH_S:
            self._asked.add(file)
            self._worker.run(partial(_is_file, file), finished=partial(self._know, file), failed=partial(self._lacks, file))
        return self._known.get(file)

    def _know(self, file: str, there: bool) -> None:
        self._asked.discard(file)
        self._known_at[file] = time.monotonic()
        before, self._known[file] = self._known.get(file), there
        if there is not before:
            self.changed.emit()

    def _lacks(self, file: str, error: BaseException) -> None:
        self._know(file, False)


def _is_file(file: str, report: Report, cancel: threading.Event) -> bool:
    try:
        return Path(file).is_file()
    except OSError:  # nobody may look there
        return False
