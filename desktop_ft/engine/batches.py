"""What the trainer asks of its data: batches, nothing about pictures."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Protocol, TypeVar, runtime_checkable

from torch import Tensor


class Batches(Protocol):
    """Training and validation batches, on the processor or on the device that computes.

    What `train(epoch, first_step)` gives must depend on (seed, epoch, step) alone, never on what was asked before: that is
    what makes a resumed run equal to one that never stopped.

    In a team each process's batches give its own part of every batch, never an empty one: as many batches in every process.
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


@runtime_checkable
class ReleasingBatches(Batches, Protocol):
    """Batches that hold something of the device that computes."""

    def release(self) -> None:
        """Give it back, to be had again when it is needed; batches that are under way go on."""


Item = TypeVar("Item")

KeyedBatch = tuple[tuple[str, ...], Tensor]
"""The keys of a batch's inputs, and their targets, int64 (N,). Equal keys mean equal inputs, in every epoch and every run."""


@runtime_checkable
class RecurringBatches(Batches, Protocol):
    """Batches whose inputs can come again, and can be asked for by key: what is computed from them can be kept."""

    @property
    def training_keys(self) -> Sequence[str] | None:
        """Every training input that any epoch will ask for, each once; None where every epoch brings new ones."""

    @property
    def validation_keys(self) -> Sequence[str]:
        """Every validation input, in order; in a team, those of the other processes too, as in `training_keys`."""

    def keyed_train(self, epoch: int, first_step: int = 0) -> Iterator[KeyedBatch]:
        """What `train` gives, by key. Asked only where `training_keys` is not None."""

    def keyed_validation(self) -> Iterator[KeyedBatch]:
        """What `validation` gives, by key."""

    def inputs(self, keys: Sequence[str]) -> Tensor:
        """The inputs of `keys`, in order. Made in the calling thread; may be called from several at once."""


@contextmanager
def closed_after(batches: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """Let a generator end its threads and files when the block is left early."""
    source: Any = batches
    if not hasattr(source, "close"):
        yield batches
        return
    with closing(source):
        yield batches
