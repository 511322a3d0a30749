"""Finds a learning rate: a few steps with a network that is thrown away, each at a higher rate than the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice

import torch
from torch import Tensor, nn

from desktop_ft.core.events import TrainEvent
from desktop_ft.core.rate_sweep import STEPS, RateSweep, rate_at
from desktop_ft.core.recipe import Optimisation
from desktop_ft.engine.batches import Batches, closed_after
from desktop_ft.engine.clock import WorkClock
from desktop_ft.engine.device import Compute, reproducible
from desktop_ft.engine.feature_store import FeatureStore
from desktop_ft.engine.learner import Learner
from desktop_ft.engine.optim import build_optimizer, group_by_rate, set_rate
from desktop_ft.engine.passes import Diverged, Loss, Passes
from desktop_ft.engine.process import memory_kept
from desktop_ft.engine.stages import Stages


def sweep_rates(
    *,
    network: nn.Module,
    learner: Learner,
    batches: Batches,
    optimisation: Optimisation,
    compute: Compute,
    loss: Loss,
    features: FeatureStore,
    told: Callable[[RateSweep], None],
    heed: Callable[[], None],
) -> RateSweep:
    """Train `network`, in place, with the layers that learn in the first epoch, at rates that rise until the loss does.

    Args:
        features: where answers of frozen layers are kept, for the run that follows.
        told: given what was tried so far, after every step.
        heed: called between the steps; what it raises ends them.

    Raises:
        UserError: as a run would, save for a loss that grows without bounds: that is what is looked for.
    """
    network.to(compute.device)
    if compute.channels_last:
        network.to(memory_format=torch.channels_last)
    groups = learner.groups(1, optimisation.weight_decay)
    optimizer = build_optimizer(optimisation, groups)
    group_by_rate(optimizer, groups, learner.rates(0))
    passes = Passes(network, loss, compute, warn=_ignore)
    stages = Stages(
        network,
        learner,
        batches,
        compute,
        epochs=-(-STEPS // batches.steps),
        store=features,
        emit=_ignore,
        heed=heed,
        clock=WorkClock(),
    )
    tried = RateSweep((), ())
    with memory_kept(), reproducible(compute):
        learner.apply(0)
        network.train()
        learner.train_mode(0)
        stage = stages.of(0)
        passes.forward = stage.forward
        with closed_after(_endless(stage.train)) as coming:
            for step, (inputs, targets) in enumerate(islice(coming, STEPS)):
                heed()
                set_rate(optimizer, rate_at(step))
                try:
                    sums = passes.learn(inputs, targets, optimizer, optimisation.clip_norm, seed=step)
                except Diverged:
                    break
                tried = RateSweep((*tried.rates, rate_at(step)), (*tried.losses, sums.loss / sums.seen))
                told(tried)
                if tried.over:
                    break
    return tried


def _endless(train: Callable[[int, int], Iterator[tuple[Tensor, Tensor]]]) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of one epoch after the other."""
    for epoch in count():
        with closed_after(train(epoch, 0)) as coming:
            yield from coming


def _ignore(told: TrainEvent | str) -> None:
    return
