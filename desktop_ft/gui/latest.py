"""What is written again and again, and only as it is by now: a disk that takes its time holds nobody up."""

import threading
from collections.abc import Callable
from functools import partial


class Latest:
    """Of the writes that were asked for, only the last one is made, one at a time, in whatever threads they are done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0

    def asked(self, write: Callable[[], None]) -> Callable[[], None]:
        """Does `write` when it is called, after what is under way, unless another was asked for since."""
        self._asked += 1
        return partial(self._do, write, self._asked)

    def _do(self, write: Callable[[], None], number: int) -> None:
        with self._lock:
            if number == self._asked:
                write()
