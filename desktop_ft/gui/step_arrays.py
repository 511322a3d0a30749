"""The steps of a run as arrays, as plots want them."""

import numpy as np

from desktop_ft.core.events import StepDone
from desktop_ft.core.metrics import MetricHistory

_FIELDS = 5


class StepArrays:
    """Follows a history. Only what came since the last look is taken in: a million steps are not gone through for a new one."""

    def __init__(self) -> None:
        self._of: list[StepDone] | None = None
        self._per = 0
        self._count = 0
        self._rows = np.empty((_FIELDS, 1024))

    def follow(self, history: MetricHistory) -> None:
        """Take in the steps of `history` as it stands."""
        per = max(1, history.started.steps_per_epoch) if history.started else 1
        # A run that is resumed goes on with another list.
        if history.steps is not self._of or per != self._per or len(history.steps) < self._count:
            self._of, self._per, self._count = history.steps, per, 0
            self._rows = np.empty_like(self._rows)  # a curve may still be drawn from the other's
        new = len(history.steps) - self._count
        if not new:
            return
        while self._count + new > self._rows.shape[1]:
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)], axis=1)
        told = zip(history.steps[self._count :], history.took[self._count :], strict=True)
        rows = [(step.epoch, step.step, step.loss, step.lr, took) for step, took in told]
        self._rows[:, self._count : self._count + new] = np.array(rows).T
        self._count += new

    @property
    def epochs(self) -> np.ndarray:
        """The epoch of each step, 0-based."""
        return self._rows[0, : self._count].astype(int)

    @property
    def at(self) -> np.ndarray:
        """Where each step lies over the epochs: its end."""
        epochs, steps = self._rows[:2, : self._count]
        places: np.ndarray = epochs + (steps + 1) / self._per
        return places

    @property
    def losses(self) -> np.ndarray:
        """The loss of each step."""
        return self._rows[2, : self._count]

    @property
    def rates(self) -> np.ndarray:
        """The head's learning rate in each step."""
        return self._rows[3, : self._count]

    def speeds(self, batch_size: int) -> np.ndarray:
        """Samples a second of each step, as `MetricHistory.speeds`: NaN where that is not known."""
        steps, took = self._rows[1, : self._count], self._rows[4, : self._count]
        known = (took > 0) & ((steps + 1 < self._per) | (self._per == 1)) & (batch_size > 0)
        return np.where(known, batch_size / np.where(known, took, 1.0), np.nan)

    def nearest(self, at: float) -> int | None:
        """The number of the step that lies nearest to `at`; None where there is none."""
        return nearest(self.at, at)


def nearest(places: np.ndarray, at: float) -> int | None:
    """Which of `places`, in order, is nearest to `at`; None where there are none."""
    if not len(places):
        return None
    behind = int(np.searchsorted(places, at))
    around = [place for place in (behind - 1, behind) if 0 <= place < len(places)]
    return min(around, key=lambda place: abs(places[place] - at))
