"""What a few pictures take, before a run starts: how long all of it will take follows from that."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from desktop_ft.core.forecast import StageCosts
from desktop_ft.core.recipe import Optimisation
from desktop_ft.engine.arithmetic import Arithmetic, Measurements
from desktop_ft.engine.batches import RecurringBatches
from desktop_ft.engine.device import Compute, reproducible
from desktop_ft.engine.learner import Learner
from desktop_ft.engine.optim import build_optimizer
from desktop_ft.engine.passes import Loss, Passes
from desktop_ft.engine.prefix import PASS_SIZE, Prefix
from desktop_ft.engine.process import memory_kept
from desktop_ft.engine.stages import Stage
from desktop_ft.models.cutting import Uncuttable, cut

_MOST_ROWS = 32
_STEPS = 2


class Rehearsal:
    """Takes the first steps of a run with a network that is thrown away afterwards.

    Args:
        batches: with training keys: views that come again, or no change at all.
        heed: called between steps; what it raises ends the rehearsal.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        learner: Learner,
        batches: RecurringBatches,
        optimisation: Optimisation,
        compute: Compute,
        loss: Loss,
        measurements: Measurements | None,
        heed: Callable[[], None],
    ) -> None:
        self._network = network.to(compute.device)
        if compute.channels_last:
            network.to(memory_format=torch.channels_last)
        self._learner = learner
        self._batches = batches
        self._plan = optimisation
        self._compute = compute
        self._passes = Passes(network, loss, compute, warn=lambda sentence: None)
        self._arithmetic = Arithmetic(network, self._passes, compute, measurements, lambda event: None, heed)
        self._heed = heed

    def costs(self) -> tuple[tuple[StageCosts, ...], str]:
        """What a picture costs in each stage of the run, and the precision of the last stage's steps.

        Raises:
            UserError: as a run would.
        """
        epochs, found = range(self._plan.epochs), []
        with memory_kept(), reproducible(self._compute):
            for _, alike in groupby(epochs, key=self._learning_in):
                within = list(alike)
                found.append(self._stage(range(within[0], within[-1] + 1)))
        return tuple(found), self._passes.compute.precision.value

    def _learning_in(self, epoch: int) -> frozenset[str]:
        return frozenset(path for path, rate in self._learner.rates(epoch).items() if rate)

    def _stage(self, epochs: range) -> StageCosts:
        network = self._network
        self._learner.apply(epochs.start)
        network.train()
        self._learner.train_mode(epochs.start)
        whole, labels = next(self._batches.keyed_train(0))
        keys, targets = whole[:_MOST_ROWS], labels[:_MOST_ROWS]
        prefix = self._prefix(keys)
        began = time.perf_counter()
        features = self._in_front(prefix, keys)
        front = time.perf_counter() - began

        def given(epoch: int, step: int) -> Iterator[tuple[Tensor, Tensor]]:
            yield features, targets

        forward = prefix.onward if prefix else network
        stage = Stage(forward, given, lambda: given(0, 0), epochs, prefix.after if prefix else "")
        self._passes.forward = forward
        self._passes.compute = self._arithmetic.of(stage, self._batches.steps)
        learning, judging = self._behind(features, targets)
        return StageCosts(
            epochs=len(epochs),
            front=1e3 * front / len(keys),
            learning=1e3 * learning / len(keys),
            judging=1e3 * judging / len(keys),
            after=stage.after,
        )

    def _prefix(self, keys: Sequence[str]) -> Prefix | None:
        few = self._batches.inputs(keys[:2] if len(keys) > 1 else [*keys, *keys])
        try:
            made = cut(self._network, few.to(self._compute.device))
        except Uncuttable:
            return None
        prefix = Prefix(self._network, made, self._compute) if made is not None else None
        if prefix is not None:
            prefix.answer(few)  # the first pass pays for what later ones have
        return prefix

    def _in_front(self, prefix: Prefix | None, keys: Sequence[str]) -> Tensor:
        if prefix is None:
            return self._batches.inputs(keys)
        parts = [keys[start : start + PASS_SIZE] for start in range(0, len(keys), PASS_SIZE)]
        with prefix.answering(parts, self._batches.inputs, PASS_SIZE) as answered:
            return prefix.features(torch.cat(list(answered)))

    def _behind(self, features: Tensor, targets: Tensor) -> tuple[float, float]:
        """Seconds of a step, and of judging the same rows; the shortest of several."""
        optimizer = build_optimizer(self._plan, self._learner.groups(self._plan.epochs, self._plan.weight_decay))
        for group in optimizer.param_groups:
            group["lr"] = 0.0  # a step takes as long, and leads nowhere: later stages start from the same weights

        def learn() -> None:
            self._passes.learn(features, targets, optimizer, self._plan.clip_norm, seed=0)

        def judge() -> None:
            self._passes.judge(features, targets)

        learning = self._shortest(learn)
        self._network.eval()
        return learning, self._shortest(judge)

    def _shortest(self, work: Callable[[], None]) -> float:
        took = []
        for _ in range(1 + _STEPS):
            self._heed()
            began = time.perf_counter()
            work()
            took.append(time.perf_counter() - began)
        return min(took[1:])
