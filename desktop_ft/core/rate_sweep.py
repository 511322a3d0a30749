"""What a learning-rate finder saw: the loss of each step while the rate rose, and the rate that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from desktop_ft.core.language import tr

LOWEST, HIGHEST, STEPS = 1e-5, 10.0, 90
_SMOOTHING = 0.8
_FEWEST = 10
_CLEARLY = 3
"""Times the usual distance of a loss from the mean around it that the mean must fall: noise alone falls by less."""
_BELOW_THE_LOWEST_LOSS = 1 / 3
"""On real photos (hymenoptera and flowers, head and last:2, 10 epochs) a third did as well as the default rate, within two
photos of a hundred; a tenth lost up to five."""
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
        """The losses without the noise of single batches: the mean of those around each, those near weighing more."""
        forwards, backwards = _moving_means(self.losses), _moving_means(self.losses[::-1])[::-1]
        return [(before + after) / 2 for before, after in zip(forwards, backwards, strict=True)]

    @property
    def over(self) -> bool:
        """Whether the loss has risen so far that higher rates need not be tried."""
        so_far = _moving_means(self.losses)
        return bool(so_far) and so_far[-1] > _GIVEN_UP_AT * min(so_far)

    @property
    def lowest(self) -> float | None:
        """The rate at which the loss was lowest; None where it did not fall by more than it scatters."""
        if len(self.losses) < _FEWEST:
            return None
        smooth = self.smooth
        scatter = median(abs(loss - mean) for loss, mean in zip(self.losses, smooth, strict=True))
        at = min(range(len(smooth)), key=smooth.__getitem__)
        return self.rates[at] if fmean(self.losses[:_FEWEST]) - smooth[at] > _CLEARLY * scatter else None

    @property
    def suggested(self) -> float | None:
        """A third of the rate at which the loss was lowest; None where it never fell."""
        return None if self.lowest is None else float(f"{_BELOW_THE_LOWEST_LOSS * self.lowest:.1g}")

    @property
    def words(self) -> str:
        """What follows, in a sentence."""
        if self.lowest is None:
            return tr(
                "The loss never clearly fell: no rate is better than another. Let more layers learn, or look at the pictures."
            )
        if self.lowest == self.rates[-1]:
            return tr(
                "The loss still falls at {rate:.1g}, the highest rate tried; a third of that, {third:g}, is a safe rate.",
                rate=self.lowest,
                third=self.suggested,
            )
        return tr(
            "The loss is lowest at {rate:.1g}, before it grows; a third of that, {third:g}, is a safe rate.",
            rate=self.lowest,
            third=self.suggested,
        )


def _moving_means(losses: Sequence[float]) -> list[float]:
    """Of each loss and those before it."""
    mean, means = 0.0, []
    for count, loss in enumerate(losses, start=1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        means.append(mean / (1 - _SMOOTHING**count))
    return means
