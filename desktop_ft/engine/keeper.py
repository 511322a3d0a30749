"""What is kept of a run while it goes, when, and how it is taken up again."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.engine.device import Compute
from desktop_ft.engine.optim import optimizer_tensors, restore_optimizer
from desktop_ft.engine.passes import Diverged, Passes
from desktop_ft.engine.statistics import Statistics
from desktop_ft.engine.team import ALONE, Team
from desktop_ft.models.checkpoint import Checkpoint, CheckpointStore, Progress

_BYTES_A_SECOND = 150e6
"""What a disk is taken to keep, until the first save has shown it: a slow one with a moving head."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that was written: where, how far the run was, and whether it is the best so far."""

    path: str
    progress: Progress
    best: bool


class Keeper:
    """Saves a run and restores it.

    Epochs can end faster than a checkpoint is written. Then the best one is held in memory, and written at the latest with
    the next one. What does not learn is held as it lies in the network: so it must be settled before that learns.

    Attributes:
        optimizer: whose state is kept; another one may take its place between two epochs.

    Args:
        save_every_s: how many seconds of work a crash may cost.
        saving_share: share of the time that saving at the ends of epochs may take, 0 to 1; 1: every epoch is saved.
        statistics: of the layers that learn, from the epoch's start on.
        team: its first process saves for all; the others, whose state is the same, keep nothing.
    """

    def __init__(
        self,
        store: CheckpointStore,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        passes: Passes,
        *,
        save_every_s: float,
        saving_share: float,
        statistics: Statistics,
        team: Team = ALONE,
    ) -> None:
        self._store = store
        self._saves = team.is_first
        self._network = network
        self.optimizer = optimizer
        self._passes = passes
        self._statistics = statistics
        self._team = team
        self._every = save_every_s
        self._share = saving_share
        self._saved_at = time.monotonic()
        self._took = sum(tensor.nbytes for tensor in network.state_dict().values()) / _BYTES_A_SECOND
        self._saved: Progress | None = None
        self._held: Checkpoint | None = None
        self._never_finite = frozenset(_not_finite(network.state_dict()))

    @property
    def due(self) -> bool:
        """Whether the last save is long enough ago."""
        return self._saves and time.monotonic() - self._saved_at >= self._every

    def save(self, progress: Progress, best: bool = False) -> list[Saved]:
        """Keep the run as it is, unless exactly this is kept already; what was held is written with it.

        Raises:
            Diverged: a weight is not finite; the run is not kept as it is.
            UserError: it cannot be written.
        """
        held = None if best else self._held  # a better one takes the place of what is held, once it is written
        if not self._saves or progress == (held.progress if held else self._saved):
            return self.settle()
        now = self._checkpoint(progress)
        return self._write([(held, True), (now, False)] if held else [(now, best)])

    def end_epoch(self, progress: Progress, best: bool) -> list[Saved]:
        """Keep the run at the end of an epoch, in memory alone where the last save was only just now.

        Raises:
            As `save`.
        """
        if self._share >= 1 or self._took <= self._share * (time.monotonic() - self._saved_at):
            return self.save(progress, best)
        if best and self._saves:
            self._held = self._copied(self._checkpoint(progress))
        return []

    def settle(self) -> list[Saved]:
        """Write the best one that is held in memory, if any.

        Raises:
            UserError: it cannot be written.
        """
        return self._write([(self._held, True)]) if self._held else []

    @property
    def _facts(self) -> dict[str, str]:
        return facts(self._passes.compute, self._team)

    def _checkpoint(self, progress: Progress) -> Checkpoint:
        model, state = self._network.state_dict(), optimizer_tensors(self.optimizer, self._network)
        if bad := [name for name in (*_not_finite(model), *_not_finite(state)) if name not in self._never_finite]:
            raise Diverged(tr("The weights became infinite ({name})", name=bad[0]))
        return Checkpoint(
            model=model,
            optimizer=state,
            statistics=self._statistics.kept() if progress.step else {},
            progress=progress,
            scaler=self._passes.scaler_state(),
            facts=self._facts,
        )

    def _copied(self, checkpoint: Checkpoint) -> Checkpoint:
        """The same, with copies of all that training may change."""
        resting = {name for name, held in self._network.named_parameters(remove_duplicate=False) if not held.requires_grad}
        model = {name: tensor if name in resting else tensor.clone() for name, tensor in checkpoint.model.items()}
        return replace(checkpoint, model=model, optimizer={name: held.clone() for name, held in checkpoint.optimizer.items()})

    def _write(self, kept: list[tuple[Checkpoint, bool]]) -> list[Saved]:
        """Write what was held, or all that comes first, and let go of it. Raises UserError where one cannot be written."""
        began = time.monotonic()
        paths, problem = self._store.save_in_order(kept)
        saved = [Saved(path, checkpoint.progress, best) for path, (checkpoint, best) in zip(paths, kept, strict=False)]
        if saved:
            self._saved, self._saved_at, self._held = saved[-1].progress, time.monotonic(), None
            self._took = (self._saved_at - began) / len(kept)
        if problem:
            raise problem
        return saved

    def restore(self, checkpoint: Checkpoint) -> Progress:
        """Make the network, the optimiser and the scaler what they were; returns how far the run had come.

        Raises:
            UserError: the checkpoint is of another network; nothing was changed.
        """
        _check_fits(checkpoint.model, self._network.state_dict())
        checkpoint.fill(self._network)
        restore_optimizer(self.optimizer, self._network, checkpoint.optimizer)
        self._statistics.restore(checkpoint.statistics)
        self._passes.restore_scaler(checkpoint.scaler)
        self._passes.parts = checkpoint.progress.parts
        self._saved = checkpoint.progress
        return checkpoint.progress

    def differences(self, checkpoint: Checkpoint) -> str:
        """How this machine differs from where `checkpoint` was made, such as `threads 2 → 1`; "" if not."""
        pairs = (
            (name, checkpoint.facts.get(name, value), value) for name, value in facts(self._passes.compute, self._team).items()
        )
        return ", ".join(f"{name} {before} → {now}" for name, before, now in pairs if before != now)


def facts(compute: Compute, team: Team = ALONE) -> dict[str, str]:
    """What bit-identical results depend on, besides recipe and pictures."""
    return {
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
        "device": compute.words.partition(" (")[0],
        "precision": compute.precision.value,
        "processes": str(team.size),
    }


def _not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    return [name for name, tensor in tensors.items() if tensor.is_floating_point() and not _is_finite(tensor)]


def _is_finite(tensor: Tensor) -> bool:
    # A sum takes a tenth of the time, and is finite only where all is; where it is not, it may have run over.
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def _check_fits(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    names = sorted(found.keys() ^ wanted.keys())
    names += [name for name in found.keys() & wanted.keys() if found[name].shape != wanted[name].shape]
    if names:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise UserError(
            tr("The checkpoint is of another network; these tensors differ: {names}.", names=shown),
            tr("Resume with the run's own recipe."),
        )
