"""What the trainer asks of the plan of a run: which parameters learn in which epoch, how fast, and what changes meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from desktop_ft.core.changes import Change
    from desktop_ft.models.freezing import ParameterGroup


class Learner(Protocol):
    """A freeze plan applied to one network. Epochs are 0-based; each answer depends on its arguments alone.

    Attributes:
        since: the first epoch that it is for.
        pretrained: whether the network had learned before: else what its normalisation remembers says nothing.
    """

    @property
    def since(self) -> int:
        """As above."""

    @property
    def pretrained(self) -> bool:
        """As above."""

    def apply(self, epoch: int) -> None:
        """Let exactly the parameters that learn in `epoch` ask for gradients."""

    def train_mode(self, epoch: int) -> None:
        """Put what learns in training mode, and frozen normalisation in eval mode."""

    def groups(self, epochs: int, weight_decay: float) -> list[ParameterGroup]:
        """Every parameter that learns in some of `epochs`, once, grouped by layer and by whether it decays."""

    def rates(self, epoch: int) -> dict[str, float]:
        """Layer path to its multiplier of the learning rate; 0 where it is frozen."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a run does otherwise from the start of an epoch on.

    Attributes:
        change: what is to be told of it; its learning rate is taken from here.
        learner: another learner of the same network, for that epoch and those to come; None: as before.
    """

    change: Change
    learner: Learner | None = None


class Relearn(Protocol):
    """Says at the start of an epoch whether the run is to do otherwise from then on."""

    def asked(self, epoch: int) -> Turn | None:
        """What is otherwise from `epoch` on, or None."""

    def ahead(self, epoch: int) -> Learner:
        """One that is as this run's from `epoch` on will be, by all that is planned now; only to look at."""

    def settled(self, turn: Turn, epoch: int) -> None:
        """`turn` is taken in `epoch`, now: whatever happens, a run that is resumed takes it there again."""


def learning_in(learner: Learner, epoch: int) -> frozenset[str]:
    """Paths of the layers that learn in `epoch`."""
    return frozenset(path for path, rate in learner.rates(epoch).items() if rate)
