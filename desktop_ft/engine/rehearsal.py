"""What a few pictures take, before a run starts: how long all of it will take follows from that."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, groupby, islice

import torch
from torch import Tensor, nn

from desktop_ft.core.errors import UserError
from desktop_ft.core.forecast import FASTER, USUAL_BATCH_SIZE, StageCosts, StepMemory
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import Optimisation, Optimizer
from desktop_ft.engine.arithmetic import Arithmetic, Measurements
from desktop_ft.engine.batches import RecurringBatches, closed_after
from desktop_ft.engine.device import Compute, free_memory, pass_size, reproducible, single_threads
from desktop_ft.engine.learner import Learner, learning_in
from desktop_ft.engine.optim import build_optimizer, group_by_rate, set_rate
from desktop_ft.engine.passes import Diverged, Loss, Passes
from desktop_ft.engine.prefix import Prefix
from desktop_ft.engine.process import memory_kept
from desktop_ft.engine.stages import Stage
from desktop_ft.models.cutting import Uncuttable, cut
from desktop_ft.models.modes import eval_mode

_STEPS = 2
_LEAST_STEPS_AN_EPOCH = 10
"""Larger batches are not tried: fewer steps learn less."""
_STATE_OF = {Optimizer.ADAMW: 2, Optimizer.SGD: 1}
"""What each optimiser keeps of a parameter, as a multiple of its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a rehearsal found; see `Forecast`."""

    stages: tuple[StageCosts, ...]
    precision: str
    memory: StepMemory
    by_batch_size: tuple[tuple[int, float], ...]
    on_cpu: bool


class Rehearsal:
    """Takes the first steps of a run with a network that is thrown away afterwards.

    Args:
        batches: with training keys, one a picture: a single view, or no change at all. Their size may be another than the run's.
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
        self._rates: dict[str, float] = {}

    def costs(self) -> Costs:
        """What a picture costs in each stage of the run, and what its steps take.

        Raises:
            UserError: as a run would.
        """
        stages, memory = [], StepMemory(fixed=0, picture=0, free=free_memory(self._compute.device))
        try:
            with memory_kept(), reproducible(self._compute):
                for _, alike in groupby(range(self._plan.epochs), key=partial(learning_in, self._learner)):
                    within = list(alike)
                    costs, inputs, targets = self._stage(range(within[0], within[-1] + 1))
                    stages.append(costs)
                    memory = max(memory, self._memory(inputs, targets, memory.free), key=self._of_a_step)
                by_batch_size = tuple(self._by_batch_size(stages[-1], inputs, targets, memory))
        except Diverged as error:
            raise UserError(
                tr("{problem} in the very first steps.", problem=error), tr("Take other weights, or another precision.")
            ) from error
        except torch.OutOfMemoryError as error:
            cure = tr("Choose a smaller picture size, let fewer layers learn, or train on the CPU.")
            raise UserError(tr("Memory ran out in the very first steps."), cure) from error
        return Costs(
            stages=tuple(stages),
            precision=self._passes.compute.precision.value,
            memory=memory,
            by_batch_size=by_batch_size,
            on_cpu=self._compute.device.type == "cpu",
        )

    @property
    def _pictures(self) -> int:
        return len(self._batches.training_keys or ())

    def _of_a_step(self, memory: StepMemory) -> int:
        return memory.of(self._plan.batch_size)

    def _stage(self, epochs: range) -> tuple[StageCosts, Tensor, Tensor]:
        """What a picture costs in `epochs`, and a batch as it reaches what learns, with its targets."""
        network, plan = self._network, self._plan
        self._learner.apply(epochs.start)
        self._rates = self._learner.rates(epochs.start)
        network.train()
        self._learner.train_mode(epochs.start)
        prefix = self._prefix()
        anew, inputs, targets = self._batch(prefix)

        def given(epoch: int, step: int) -> Iterator[tuple[Tensor, Tensor]]:
            yield inputs, targets

        forward = prefix.onward if prefix else network
        stage = Stage(forward, given, lambda: given(0, 0), epochs, prefix.after if prefix else "")
        self._passes.forward = forward
        steps = -(-self._pictures // plan.batch_size)
        self._passes.compute = self._arithmetic.of(stage, len(epochs) * steps * plan.batch_size)
        front = self._once(prefix)
        judging = self._judging(inputs, targets)
        learning = self._learning(inputs, targets)
        costs = StageCosts(epochs=len(epochs), front=front, anew=anew, learning=learning, judging=judging, after=stage.after)
        return costs, inputs, targets

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
            ends, made = [time.perf_counter()], []
            with closed_after(self._batches.train(0)) as batches:
                for batch in islice(batches, 2):  # while the first one is answered, those that follow are made
                    self._heed()
                    made.append((prefix.answer(batch[0]) if prefix else batch[0], batch[1]))
                    ends.append(time.perf_counter())
        inputs, targets = max(made, key=lambda batch: len(batch[1]))
        return 1e3 * (ends[-1] - ends[-2]) / len(made[-1][1]), inputs, targets

    def _once(self, prefix: Prefix | None) -> float:
        """Milliseconds a picture of the pass that is made once, with as much under way as then; its decoding alone, if uncut."""
        threads = torch.get_num_threads()
        known = self._batches.training_keys or ()
        size = pass_size(self._compute.device, self._batches.inputs(known[:1]).numel())
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

    def _judging(self, inputs: Tensor, targets: Tensor) -> float:
        """Milliseconds a row of judging a batch; the shortest of several. The network is in training mode again afterwards."""
        with eval_mode(self._network), self._passes.judging() as judge:
            return 1e3 * self._shortest(lambda: judge(inputs, targets)) / len(inputs)

    def _learning(self, inputs: Tensor, targets: Tensor) -> float:
        """Milliseconds a row of a step; the shortest of several."""
        groups = self._learner.groups(self._plan.epochs, self._plan.weight_decay)
        optimizer = build_optimizer(self._plan, groups)
        group_by_rate(optimizer, groups, self._rates)
        set_rate(optimizer, 0.0)  # a step takes as long, and leads nowhere: later stages start from the same weights

        def learn() -> None:
            self._passes.learn(inputs, targets, optimizer, self._plan.clip_norm, seed=0)

        return 1e3 * self._shortest(learn) / len(inputs)

    def _memory(self, inputs: Tensor, targets: Tensor, free: int) -> StepMemory:
        """What steps of this stage take: twice measured, as copies of the weights in 16 bits do not grow with the batch."""
        rows = len(inputs) // self._passes.parts
        many, learning = self._kept(inputs[:rows], targets[:rows])
        half = rows // 2
        few = self._kept(inputs[:half], targets[:half])[0] if half > 1 else 0
        picture = (many - few) // (rows - half) if half > 1 else many // rows
        fixed = (1 + _STATE_OF[self._plan.optimizer]) * learning + max(0, many - rows * picture)
        memory = StepMemory(fixed=fixed, picture=picture, free=free)
        # Where memory ran out already there is less of it than it seems.
        return replace(memory, free=memory.of(rows)) if self._passes.parts > 1 else memory

    def _kept(self, inputs: Tensor, targets: Tensor) -> tuple[int, int]:
        """Bytes that autograd keeps of a batch between its way forwards and its way back, and bytes of the gradients."""
        network = self._network
        own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self._passes.rehearse(inputs, targets)
        learning = sum(parameter.grad.nbytes for parameter in network.parameters() if parameter.grad is not None)
        network.zero_grad()
        return sum(kept.values()), learning

    def _by_batch_size(
        self, costs: StageCosts, inputs: Tensor, targets: Tensor, memory: StepMemory
    ) -> Iterator[tuple[int, float]]:
        """Batch sizes from the usual one on, as long as doubling them fits and makes a picture faster; with its milliseconds."""
        most = min(memory.most, max(USUAL_BATCH_SIZE, self._pictures // _LEAST_STEPS_AN_EPOCH))
        size, fastest = USUAL_BATCH_SIZE, None
        while size <= most:
            if size == len(inputs):
                took = costs.learning
            else:
                times = -(-size // len(inputs))
                took = self._learning(inputs.repeat(times, *[1] * (inputs.ndim - 1))[:size], targets.repeat(times)[:size])
            if self._passes.parts > 1 or (fastest is not None and took > FASTER * fastest):
                return
            yield size, took
            size, fastest = 2 * size, took

    def _shortest(self, work: Callable[[], object]) -> float:
        took = []
        for _ in range(1 + _STEPS):
            self._heed()
            began = time.perf_counter()
            work()
            took.append(time.perf_counter() - began)
        return min(took[1:])
