"""What the trainer asks of its data: batches, nothing about pictures."""

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor


class Batches(Protocol):
    """Training and validation batches on the CPU.

    What `train(epoch, first_step)` gives must depend on (seed, epoch, step) alone, never on what was asked before: that is
    what makes a resumed run equal to one that never stopped.
    """

    @property
    def steps(self) -> int:
        """Training batches an epoch."""

    def train(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of each training batch from `first_step` on.

        Targets are int64 (N,), or float32 (N, classes) where labels were mixed.
        """

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and int64 targets of all validation samples, in manifest order."""
