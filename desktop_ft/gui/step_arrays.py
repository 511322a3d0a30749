"""The steps of a run as arrays, as plots want them."""

import numpy as np

from desktop_ft.core.events import StepDone
from desktop_ft.core.metrics import MetricHistory

MOST = 1 << 17
"""So many points are held at most: many times what a screen is wide, and drawn in some milliseconds."""
_FIELDS = _EPOCH, _STEP, _COUNT, _AT, _LOSS, _RATE, _KNOWN, _TOOK = range(8)
_SUMMED = (_COUNT, _AT, _LOSS, _RATE, _KNOWN, _TOOK)


class StepArrays:
    """Follows a history. Only what came since the last look is taken in: a million steps are not gone through for a new one.

    A point is one step, and of a run with more steps than `most` the mean over `every` steps that follow each other in one epoch.
    """

    def __init__(self, most: int = MOST) -> None:
        self.every = 1
        self._most = most
        self._of: list[StepDone] | None = None
        self._per = 0
        self._taken = self._count = 0
        self._rows = np.empty((len(_FIELDS), 1024))

    def follow(self, history: MetricHistory) -> None:
        """Take in the steps of `history` as it stands."""
        per = max(1, history.started.steps_per_epoch) if history.started else 1
        # A run that is resumed goes on with another list.
        if history.steps is not self._of or per != self._per or len(history.steps) < self._taken:
            self._of, self._per, self._taken, self._count, self.every = history.steps, per, 0, 0, 1
        while self._taken < len(history.steps):
            self._take(history, min(len(history.steps), self._taken + self._most))

    @property
    def epochs(self) -> np.ndarray:
        """The epoch of each point, 0-based."""
        return self._rows[_EPOCH, : self._count].astype(int)

    @property
    def at(self) -> np.ndarray:
        """Where each point lies over the epochs: a step at its end."""
        return self._mean(_AT)

    @property
    def losses(self) -> np.ndarray:
        """The loss of each point."""
        return self._mean(_LOSS)

    @property
    def rates(self) -> np.ndarray:
        """The head's learning rate in each point."""
        return self._mean(_RATE)

    def speeds(self, batch_size: int) -> np.ndarray:
        """Samples a second of each point; NaN where that is not known, as of an epoch's last step, which may have fewer."""
        steps, took = self.timed
        known = (took > 0) & (batch_size > 0)
        return np.where(known, batch_size * steps / np.where(known, took, 1.0), np.nan)

    @property
    def timed(self) -> tuple[np.ndarray, np.ndarray]:
        """Of how many steps of each point it is known how long they took, and their seconds."""
        return self._rows[_KNOWN, : self._count], self._rows[_TOOK, : self._count]

    def nearest(self, history: MetricHistory, at: float) -> StepDone | None:
        """The step of `history` that lies nearest to `at`; None where there is none."""
        point = nearest(self.at, at)
        if point is None:
            return None
        first = int(self._rows[_COUNT, :point].sum())
        of_it = history.steps[first : first + int(self._rows[_COUNT, point])]
        return of_it[nearest(np.array([step.epoch + (step.step + 1) / self._per for step in of_it]), at) or 0]

    def _mean(self, field: int) -> np.ndarray:
        means: np.ndarray = self._rows[field, : self._count] / self._rows[_COUNT, : self._count]
        return means

    def _take(self, history: MetricHistory, end: int) -> None:
        """Take in the next steps, up to the number `end`."""
        told = zip(history.steps[self._taken : end], history.took[self._taken : end], strict=True)
        epoch, step, loss, rate, took = np.array([(step.epoch, step.step, step.loss, step.lr, took) for step, took in told]).T
        known = (took > 0) & ((step + 1 < self._per) | (self._per == 1))
        single = (epoch, step, np.ones_like(step), epoch + (step + 1) / self._per, loss, rate, known, np.where(known, took, 0.0))
        # The last point may not have all of its steps yet.
        last = max(0, self._count - 1) if self.every > 1 else self._count
        new = self._merged(np.concatenate([self._rows[:, last : self._count], single], axis=1))
        self._taken = end
        if last + new.shape[1] > self._most:
            new, last = np.concatenate([self._rows[:, :last], new], axis=1), 0
            while new.shape[1] > self._most and self.every < self._per:  # never more epochs than that
                self.every *= 2
                new = self._merged(new)
        self._count = last + new.shape[1]
        if self._count > self._rows.shape[1]:
            room = np.empty((len(_FIELDS), 2 * self._count))
            room[:, :last] = self._rows[:, :last]
            self._rows = room
        self._rows[:, last : self._count] = new

    def _merged(self, rows: np.ndarray) -> np.ndarray:
        """The same as points of `every` steps."""
        if self.every == 1:
            return rows
        parts = np.stack([rows[_EPOCH], rows[_STEP] // self.every])
        first = np.flatnonzero(np.concatenate([[True], (parts[:, 1:] != parts[:, :-1]).any(axis=0)]))
        merged: np.ndarray = rows[:, first]
        merged[_SUMMED, :] = np.add.reduceat(rows[_SUMMED, :], first, axis=1)
        return merged


def nearest(places: np.ndarray, at: float) -> int | None:
    """Which of `places`, in order, is nearest to `at`; None where there are none."""
    if not len(places):
        return None
    behind = int(np.searchsorted(places, at))
    around = [place for place in (behind - 1, behind) if 0 <= place < len(places)]
    return min(around, key=lambda place: abs(places[place] - at))
