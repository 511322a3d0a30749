"""How long a run has worked, pauses left out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class WorkClock:
    """Counts from its making, by the monotonic clock: setting the wall clock does not move it."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """Working time so far."""
        return time.monotonic() - self._begun

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Do not count the time that the block takes."""
        before = time.monotonic()
        try:
            yield
        finally:
            self._begun += time.monotonic() - before
