"""The arithmetic of the training steps: what is fastest for this network on this machine, measured and remembered.

Which it is cannot be known without trying: on one processor EfficientNet-Lite0 trains 1.4 times faster in fp32 than in bf16, and
ViT-B/16 2.4 times faster in bf16.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from desktop_ft import __version__
from desktop_ft.core.events import PrecisionChosen, TrainEvent
from desktop_ft.core.recipe import Precision
from desktop_ft.engine.batches import closed_after
from desktop_ft.engine.device import Compute
from desktop_ft.engine.operations import Operations
from desktop_ft.engine.passes import Passes
from desktop_ft.engine.stages import Stage

_SAMPLES = 8
_TIMED = 2
_MOST_OF_THE_RUN = 1 / 20
"""What measuring may cost, as a share of the samples that the stage will learn from."""
_WORTH_FLOPS = 1e7
"""A sample that costs less, forwards, learns fast in any arithmetic: a new head alone does."""
_FASTER = 0.9
"""Share of the usual arithmetic's time that another one must stay under: less is noise."""


class _NotMeasurable(Exception):
    """A network's own code fails in some precision."""


class Measurements(Protocol):
    """What was measured on this machine, by key: milliseconds a sample, by precision."""

    def get(self, key: str) -> dict[str, float] | None:
        """What is remembered under `key`; None if nothing."""

    def put(self, key: str, measured: dict[str, float]) -> None:
        """Remember it. Where that fails, it is measured again the next time."""


class Arithmetic:
    """Chooses what a stage's steps compute in.

    Whether it is worth measuring is counted, not timed, so that two runs of one recipe go the same way.

    Args:
        passes: does the steps.
        usual: what they compute in, where nothing is measured or nothing else is clearly faster.
        remembered: None: nothing is measured.
        heed: called between the steps that are timed; what it raises ends them.
    """

    def __init__(
        self,
        network: nn.Module,
        passes: Passes,
        usual: Compute,
        remembered: Measurements | None,
        emit: Callable[[TrainEvent], None],
        heed: Callable[[], None],
    ) -> None:
        self._network = network
        self._passes = passes
        self._usual = usual
        self._remembered = remembered
        self._emit = emit
        self._heed = heed

    def of(self, stage: Stage, samples: int) -> Compute:
        """What the steps of `stage` compute in; it learns from so many `samples` in all its epochs together."""
        usual, notes, began = self._usual, self._remembered, time.perf_counter()
        candidates = {compute.precision.value: compute for compute in (usual, *map(usual.computing_in, usual.alternatives))}
        cost = _SAMPLES * (1 + _TIMED) * len(candidates)
        if notes is None or len(candidates) == 1 or cost > _MOST_OF_THE_RUN * samples:
            return self._unmeasured()
        with closed_after(stage.train(stage.epochs.start, 0)) as batches:
            inputs, targets = (part[:_SAMPLES] for part in next(batches))
        try:
            if self._flops(stage, inputs) < _WORTH_FLOPS:
                return self._unmeasured()
            key = self._key(stage, inputs)
            known = notes.get(key)
            measured = (
                known if known is not None and known.keys() == candidates.keys() else self._measured(candidates, inputs, targets)
            )
        except _NotMeasurable:  # an operation that is not there in 16 bits, too little memory: the run itself will tell
            return self._unmeasured()
        if known is not measured:
            notes.put(key, measured)
        others = [name for name in candidates if measured[name] < _FASTER * measured[usual.precision.value]]
        chosen = min(others, key=measured.__getitem__, default=usual.precision.value)
        self._tell(chosen, measured, remembered=known is measured, seconds=time.perf_counter() - began)
        return candidates[chosen]

    def _unmeasured(self) -> Compute:
        """The usual one; told where the stage before had another."""
        if self._passes.compute.precision is not self._usual.precision:
            self._tell(self._usual.precision.value, {}, remembered=False, seconds=0.0)
        return self._usual

    def _tell(self, precision: str, measured: dict[str, float], *, remembered: bool, seconds: float) -> None:
        told = PrecisionChosen(precision=precision, milliseconds=tuple(measured.items()), remembered=remembered, seconds=seconds)
        self._emit(told)

    def _measured(self, candidates: dict[str, Compute], inputs: Tensor, targets: Tensor) -> dict[str, float]:
        """Milliseconds that a sample takes, forwards and backwards, in each of `candidates`; the shortest of several times."""
        took: dict[str, list[float]] = {name: [] for name in candidates}
        with self._as_it_was():
            for _ in range(1 + _TIMED):  # in turns, so that a busy moment slows all of them; the first only warms up
                for name, compute in candidates.items():
                    self._heed()
                    self._passes.compute = compute
                    began = time.perf_counter()
                    with _told_as_not_measurable():
                        self._passes.rehearse(inputs, targets)
                    took[name].append(1e3 * (time.perf_counter() - began) / len(inputs))
        return {name: round(min(times[1:]), 4) for name, times in took.items()}

    @contextmanager
    def _as_it_was(self) -> Iterator[None]:
        """What the network keeps of the inputs it sees, and what computes it, are put back after the block."""
        compute = self._passes.compute
        kept = [(buffer, buffer.detach().clone()) for buffer in self._network.buffers()]
        try:
            yield
        finally:
            self._passes.compute = compute
            self._network.zero_grad()
            with torch.no_grad():
                for buffer, before in kept:
                    buffer.copy_(before)

    def _flops(self, stage: Stage, inputs: Tensor) -> float:
        """Floating-point operations of one sample, forwards."""
        operations = Operations()
        with self._as_it_was(), torch.no_grad(), _told_as_not_measurable(), operations:
            stage.forward(inputs.to(self._usual.device))
        return operations.total / len(inputs)

    def _key(self, stage: Stage, inputs: Tensor) -> str:
        """A digest of all that decides how long a step takes."""
        learning = [name for name, parameter in self._network.named_parameters() if parameter.requires_grad]
        resting = [path for path, part in self._network.named_modules() if not part.training]
        cpu = torch.backends.cpu.get_cpu_capability()
        machine = (platform.node(), cpu, self._usual.words, torch.get_num_threads(), torch.__version__, __version__)
        work = (str(self._network), stage.after, learning, resting, tuple(inputs.shape), str(inputs.dtype))
        return hashlib.sha256(repr((machine, work)).encode()).hexdigest()[:32]


@contextmanager
def _told_as_not_measurable() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a network's own code may fail in any way on types that its makers did not think of
        raise _NotMeasurable from error


def taken_up(compute: Compute, precision: str) -> Compute:
    """`compute` in the precision of a run that is resumed, where it may be that."""
    names = [alternative.value for alternative in compute.alternatives]
    return compute.computing_in(Precision(precision)) if precision in names else compute
