"""What the trainer asks of the freeze plan: which parameters learn in which epoch, and how fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from desktop_ft.models.freezing import ParameterGroup


class Learner(Protocol):
    """A freeze plan applied to one network. Epochs are 0-based; each answer depends on its arguments alone."""

    def apply(self, epoch: int) -> None:
        """Let exactly the parameters that learn in `epoch` ask for gradients."""

    def train_mode(self, epoch: int) -> None:
        """Put what learns in training mode, and frozen normalisation in eval mode."""

    def groups(self, epochs: int, weight_decay: float) -> list[ParameterGroup]:
        """Every parameter that learns in some of `epochs`, once, grouped by layer and by whether it decays."""

    def rates(self, epoch: int) -> dict[str, float]:
        """Layer path to its multiplier of the learning rate; 0 where it is frozen."""


@dataclass(frozen=True, slots=True)
class Change:
    """Another learner of the same network, with the plans before and after in a few words."""

    learner: Learner
    before: str
    plan: str


class Relearn(Protocol):
    """Says at the start of an epoch whether other layers are to learn from then on."""

    def __call__(self, save: Callable[[], None]) -> Change | None:
        """The change, or None.

        Args:
            save: keeps the run as it is on the disk; called before the change is made to last, so that a run that breaks
                off there is resumed under one plan or the other.
        """


def learning_in(learner: Learner, epoch: int) -> frozenset[str]:
    """Paths of the layers that learn in `epoch`."""
    return frozenset(path for path, rate in learner.rates(epoch).items() if rate)
