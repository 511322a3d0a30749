"""What a few pictures take, before a run starts: how long all of it will take follows from that."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle, groupby, islice

import torch
from torch import Tensor, nn

from desktop_ft.core.errors import UserError
from desktop_ft.core.forecast import StageCosts
from desktop_ft.core.recipe import Optimisation
from desktop_ft.engine.arithmetic import Arithmetic, Measurements
from desktop_ft.engine.batches import RecurringBatches, closed_after
from desktop_ft.engine.device import Compute, reproducible, single_threads
from desktop_ft.engine.learner import Learner, learning_in
from desktop_ft.engine.optim import build_optimizer
from desktop_ft.engine.passes import Diverged, Loss, Passes
from desktop_ft.engine.prefix import Prefix, pass_size
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
        found = []
        try:
            with memory_kept(), reproducible(self._compute):
                for _, alike in groupby(range(self._plan.epochs), key=partial(learning_in, self._learner)):
                    within = list(alike)
                    found.append(self._stage(range(within[0], within[-1] + 1)))
        except Diverged as error:
            raise UserError(f"{error} in the very first steps.", "Take other weights, or another precision.") from error
        return tuple(found), self._passes.compute.precision.value

    def _stage(self, epochs: range) -> StageCosts:
        network, plan = self._network, self._plan
        self._learner.apply(epochs.start)
        network.train()
        self._learner.train_mode(epochs.start)
        prefix = self._prefix()
        anew, inputs, targets = self._batch(prefix)

        def given(epoch: int, step: int) -> Iterator[tuple[Tensor, Tensor]]:
            yield inputs, targets

        forward = prefix.onward if prefix else network
        stage = Stage(forward, given, lambda: given(0, 0), epochs, prefix.after if prefix else "")
        self._passes.forward = forward
        self._passes.compute = self._arithmetic.of(stage, len(epochs) * self._batches.steps * plan.batch_size)
        front = self._once(prefix)
        learning, judging = self._behind(inputs, targets)
        return StageCosts(epochs=len(epochs), front=front, anew=anew, learning=learning, judging=judging, after=stage.after)

    def _prefix(self) -> Prefix | None:
        """The frozen layers, if the run would be cut behind them."""
        keys = self._batches.validation_keys[:2]
        few = self._batches.inputs([*keys, *keys][:2])
        try:
            made = cut(self._network, few.to(self._compute.device))
            if made is None:
                return None
            prefix = Prefix(self._network, made, self._compute)
            prefix.prove(few)
        except Uncuttable:
            return None
        return prefix

    def _batch(self, prefix: Prefix | None) -> tuple[float, Tensor, Tensor]:
        """Milliseconds of a picture that comes for the second time, and a batch with its targets, as they reach what learns."""
        for _ in range(2):  # the first time they are decoded
            ends = [time.perf_counter()]
            with closed_after(self._batches.train(0)) as batches:
                for batch in islice(batches, 2):  # while the first one is answered, those that follow are made
                    self._heed()
                    inputs = prefix.answer(batch[0]) if prefix else batch[0]
                    ends.append(time.perf_counter())
        return 1e3 * (ends[-1] - ends[-2]) / len(inputs), inputs[:_MOST_ROWS], batch[1][:_MOST_ROWS]

    def _once(self, prefix: Prefix | None) -> float:
        """Milliseconds a picture of the pass that is made once, with as much under way as then; its decoding alone, if uncut."""
        threads = torch.get_num_threads()
        known = self._batches.training_keys or ()
        size = pass_size(self._compute.device)
        keys = list(islice(cycle(known), 2 * threads * size))
        parts = [keys[start : start + size] for start in range(0, len(keys), size)]
        began = time.perf_counter()
        if prefix is not None:
            with prefix.answering(parts, self._batches.inputs, size) as answered:
                for _ in answered:
                    self._heed()
        else:
            with single_threads(threads, "decoding") as pool:
                list(pool.map(self._batches.inputs, parts))
        return 1e3 * (time.perf_counter() - began) / len(keys)

    def _behind(self, features: Tensor, targets: Tensor) -> tuple[float, float]:
        """Milliseconds a row of a step, and of judging the same rows; the shortest of several."""
        optimizer = build_optimizer(self._plan, self._learner.groups(self._plan.epochs, self._plan.weight_decay))
        for group in optimizer.param_groups:
            group["lr"] = 0.0  # a step takes as long, and leads nowhere: later stages start from the same weights

        def learn() -> None:
            self._passes.learn(features, targets, optimizer, self._plan.clip_norm, seed=0)

        def judge() -> None:
            self._passes.judge(features, targets)

        learning = self._shortest(learn)
        self._network.eval()
        return 1e3 * learning / len(features), 1e3 * self._shortest(judge) / len(features)

    def _shortest(self, work: Callable[[], None]) -> float:
        took = []
        for _ in range(1 + _STEPS):
            self._heed()
            began = time.perf_counter()
            work()
            took.append(time.perf_counter() - began)
        return min(took[1:])
