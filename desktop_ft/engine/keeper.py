"""What is kept of a run while it goes, when, and how it is taken up again."""

import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from desktop_ft.core.errors import UserError
from desktop_ft.engine.device import Compute
from desktop_ft.engine.optim import optimizer_tensors, restore_optimizer
from desktop_ft.engine.passes import Diverged, Passes
from desktop_ft.models.checkpoint import Checkpoint, CheckpointStore, Progress


class Keeper:
    """Saves a run and restores it.

    Args:
        save_every_s: how many seconds of work a crash may cost.
    """

    def __init__(
        self,
        store: CheckpointStore,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        passes: Passes,
        compute: Compute,
        save_every_s: float,
    ) -> None:
        self._store = store
        self._network = network
        self._optimizer = optimizer
        self._passes = passes
        self._facts = facts(compute)
        self._every = save_every_s
        self._saved_at = time.monotonic()
        self._saved: Progress | None = None
        self._never_finite = frozenset(_not_finite(network.state_dict()))

    @property
    def due(self) -> bool:
        """Whether the last save is long enough ago."""
        return time.monotonic() - self._saved_at >= self._every

    def save(self, progress: Progress, best: bool) -> str | None:
        """Keep the run as it is; returns where, or None if exactly this is kept already.

        Raises:
            Diverged: a weight is not finite; nothing was written.
            UserError: it cannot be written.
        """
        if progress == self._saved:
            return None
        model, state = self._network.state_dict(), optimizer_tensors(self._optimizer, self._network)
        if bad := [name for name in (*_not_finite(model), *_not_finite(state)) if name not in self._never_finite]:
            raise Diverged(f"The weights became infinite ({bad[0]})")
        checkpoint = Checkpoint(
            model=model, optimizer=state, progress=progress, scaler=self._passes.scaler_state(), facts=self._facts
        )
        path = self._store.save(checkpoint, best)
        self._saved, self._saved_at = progress, time.monotonic()
        return path

    def restore(self, checkpoint: Checkpoint) -> Progress:
        """Make the network, the optimiser and the scaler what they were; returns how far the run had come.

        Raises:
            UserError: the checkpoint is of another network; nothing was changed.
        """
        _check_fits(checkpoint.model, self._network.state_dict())
        self._network.load_state_dict(checkpoint.model)
        restore_optimizer(self._optimizer, self._network, checkpoint.optimizer)
        self._passes.restore_scaler(checkpoint.scaler)
        self._passes.parts = checkpoint.progress.parts
        self._saved = checkpoint.progress
        return checkpoint.progress

    def differences(self, checkpoint: Checkpoint) -> str:
        """How this machine differs from where `checkpoint` was made, such as `threads 2 → 1`; "" if not."""
        pairs = ((name, checkpoint.facts.get(name, value), value) for name, value in self._facts.items())
        return ", ".join(f"{name} {before} → {now}" for name, before, now in pairs if before != now)


def facts(compute: Compute) -> dict[str, str]:
    """What bit-identical results depend on, besides recipe and pictures."""
    return {
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
        "device": compute.words.partition(" (")[0],
        "precision": compute.precision.value,
    }


def _not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    return [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]


def _check_fits(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    names = sorted(found.keys() ^ wanted.keys())
    names += [name for name in found.keys() & wanted.keys() if found[name].shape != wanted[name].shape]
    if names:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise UserError(
            f"The checkpoint is of another network; these tensors differ: {shown}.", "Resume with the run's own recipe."
        )
