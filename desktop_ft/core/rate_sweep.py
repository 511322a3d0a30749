"""What a learning-rate finder saw: the loss of each step while the rate rose, and the rate that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass

LOWEST, HIGHEST, STEPS = 1e-5, 10.0, 90
_SMOOTHING = 0.9
_BELOW_THE_LOWEST_LOSS = 0.1
_GIVEN_UP_AT = 4.0
"""Times the lowest loss: from there on it only grows."""


def rate_at(step: int) -> float:
    """The rate of `step`, 0-based of STEPS: each is the same factor above the one before."""
    return float(LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1)))


@dataclass(frozen=True, slots=True)
class RateSweep:
    """Steps whose learning rate rose from one to the next (the range test of Smith 2017).

    Attributes:
        rates: the head's learning rate in each step.
        losses: of that step's batch, before the step; as many as rates.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def smooth(self) -> Sequence[float]:
        """The losses without the noise of single batches: their moving mean, those near weighing more."""
        mean, smoothed = 0.0, []
        for count, loss in enumerate(self.losses, start=1):
            mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
            smoothed.append(mean / (1 - _SMOOTHING**count))
        return smoothed

    @property
    def over(self) -> bool:
        """Whether the loss has risen so far that higher rates need not be tried."""
        smoothed = self.smooth
        return bool(smoothed) and smoothed[-1] > _GIVEN_UP_AT * min(smoothed)

    @property
    def suggested(self) -> float | None:
        """A tenth of the rate at which the loss was lowest; None where it never fell."""
        smoothed = self.smooth
        lowest = min(range(len(smoothed)), key=smoothed.__getitem__, default=0)
        return float(f"{_BELOW_THE_LOWEST_LOSS * self.rates[lowest]:.1g}") if lowest else None

    @property
    def words(self) -> str:
        """What follows, in a sentence."""
        rate = self.suggested
        if rate is None:
            return "The loss never fell: the pictures or the layers that learn do not fit. No rate is better than another."
        return f"The loss is lowest at {rate / _BELOW_THE_LOWEST_LOSS:.1g}, where it is about to grow: a tenth, {rate:g}, is safe."
