"""One batch through the network: learning from it, or only judging it; in parts where memory runs out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor, nn

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.engine.device import Compute, give_memory_back, pass_size, single_threads
from desktop_ft.engine.recording import Recorder
from desktop_ft.engine.team import ALONE, Team
from desktop_ft.models.chance import seeded

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits float32 (N, classes) and targets to the mean loss, a scalar."""

Result = TypeVar("Result")

_WORTH_A_THREAD = 4
"""Samples that a thread is given at least, when a batch is judged."""


class Diverged(Exception):
    """A number that must be finite is not; carries what, such as `Loss became NaN`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Totals over samples: of their losses, of right answers, of samples."""

    loss: float = 0.0
    correct: int = 0
    seen: int = 0

    @property
    def share(self) -> float:
        """Of right answers."""
        return self.correct / self.seen

    def __add__(self, other: Sums) -> Sums:
        return Sums(loss=self.loss + other.loss, correct=self.correct + other.correct, seen=self.seen + other.seen)


class Passes:
    """Runs batches through one network.

    Where memory runs out, a batch is computed in twice as many parts from then on; gradients add up, so each step still
    learns from the same samples (BatchNorm sees the parts one by one).

    In a team each process is given its own part of a batch. Sums are those of the whole team, and what one process finds wrong
    with its part, all find.

    Attributes:
        forward: what inputs go through, to logits; the whole network to begin with. In a team, a way that the team gave.
        compute: the arithmetic of it. A loss scaler is there if the first one needs it.

    Args:
        warn: told in a sentence when the number of parts changes.
        parts: how many parts to begin with.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        compute: Compute,
        warn: Callable[[str], None],
        parts: int = 1,
        team: Team = ALONE,
    ) -> None:
        self.forward: Callable[[Tensor], Tensor] = network
        self._loss = loss
        self.compute = compute
        self._warn = warn
        self._team = team
        self._scaler = torch.amp.GradScaler(compute.device.type, enabled=compute.scaler)
        self._recorder = Recorder(network, compute.device, wanted=team.size == 1 and not compute.scaler)
        self.parts = parts

    def learn(
        self,
        inputs: Tensor,
        targets: Tensor,
        optimizer: torch.optim.Optimizer,
        clip_norm: float,
        seed: int,
        meanwhile: Callable[[], None] | None = None,
    ) -> Sums:
        """One step of `optimizer` from a batch; the network is in the mode it is to learn in.

        Args:
            clip_norm: longest gradient allowed over all parameters together; 0: no limit.
            seed: start of the step's random choices (dropout); torch's global generator is set to it.
            meanwhile: called once, while an accelerator computes and this thread would only wait for it.

        Raises:
            Diverged: the loss or the gradient is not finite; the network did not step.
            UserError: memory runs out even with one sample at a time (in a team: at all).
        """

        def gradients(inputs: Tensor, targets: Tensor) -> Tensor:
            return self._gradients(inputs, targets, optimizer, clip_norm)

        def compute() -> Tensor:
            batch = self._placed(inputs), targets.to(self.compute.device)
            with seeded(seed, self.compute.device):
                if self.parts > 1:
                    return gradients(*batch)
                return self._recorder.run(gradients, *batch, key=(self.forward, self.compute, optimizer, clip_norm))

        told = self._within_memory(compute, len(inputs))
        if meanwhile is not None and self.compute.device.type != "cpu":
            meanwhile()
        loss, correct, norm = told.tolist()  # the one time in a step that an accelerator is waited for
        sums = self._team_sums(loss, correct, len(inputs))
        self._team.share_statistics()
        # With a scaler an overflow is part of the game: it skips that step and scales less.
        if not self.compute.scaler and not math.isfinite(norm):
            raise Diverged(tr("The gradient became infinite"))
        try:
            self._scaler.step(optimizer)
        except torch.OutOfMemoryError as error:  # half of the parameters may have been stepped: it cannot be tried again
            cure = tr("Choose a smaller picture size, let fewer layers learn, or train on the CPU.")
            raise UserError(tr("Memory ran out in the very first steps."), cure) from error
        self._scaler.update()
        return sums

    @contextmanager
    def judging(self) -> Iterator[Callable[[Tensor, Tensor], Sums]]:
        """A block in which batches are judged without learning; the network is in eval mode.

        On the CPU a batch of pictures, or of maps of them, goes through in pieces, several at once and each in one thread: as
        when frozen layers answer, see `answered`. By eights one after another EfficientNet-Lite0 took 1.4 times as long, and
        MobileNetV3-S twice (224 pixels, 2 cores of an Intel Xeon with AMX). Where memory ran out, they go one by one.

        Yields:
            A batch's inputs and targets to loss and right answers. It raises Diverged where the loss is not finite, and
            UserError where memory runs out even with one sample at a time.
        """
        threads = torch.get_num_threads() if self.compute.device.type == "cpu" and self._team.size == 1 else 1
        with ExitStack() as stack:

            @cache
            def pool() -> Executor:
                return stack.enter_context(single_threads(threads, "judging"))

            def answer(part: tuple[Tensor, Tensor]) -> Tensor:
                with torch.inference_mode():
                    return self._forward(*part)[1]

            def attempt(inputs: Tensor, targets: Tensor) -> Tensor:
                pieces = list(self._to_judge(self._placed(inputs), targets.to(self.compute.device), threads))
                together = threads > 1 and len(pieces) > 1 and self.parts == 1
                return torch.stack(list(pool().map(answer, pieces) if together else map(answer, pieces))).sum(0)

            def judge(inputs: Tensor, targets: Tensor) -> Sums:
                loss, correct = self._within_memory(lambda: attempt(inputs, targets), len(inputs)).tolist()
                return self._team_sums(loss, correct, len(inputs))

            yield judge

    def forget_recorded(self) -> None:
        """Give back what a recorded step holds of the device; to be called before tensors of the network move."""
        self._recorder.forget()

    def rehearse(self, inputs: Tensor, targets: Tensor) -> None:
        """A whole batch forwards and backwards, without a step: to be timed. It leaves gradients behind.

        Raises:
            Diverged: as `learn`.
            torch.OutOfMemoryError: it does not fit.
        """
        loss = self._forward(self._placed(inputs), targets.to(self.compute.device))[0]
        _check(loss.item())
        torch.autograd.backward(loss)

    def scaler_state(self) -> dict[str, float]:
        """The state of the loss scaler; empty where there is none."""
        return {key: float(value) for key, value in self._scaler.state_dict().items()}

    def restore_scaler(self, state: Mapping[str, float]) -> None:
        """Go on from `scaler_state()`."""
        if state:
            self._scaler.load_state_dict({key: int(value) if value.is_integer() else value for key, value in state.items()})

    def _gradients(self, inputs: Tensor, targets: Tensor, optimizer: torch.optim.Optimizer, clip_norm: float) -> Tensor:
        """Leave the gradients of a batch, no longer than allowed, and give its totals.

        Returns:
            (3,) on the device: the sum of the losses, how many answers are right, the length of the gradient.
        """
        optimizer.zero_grad()
        totals = []
        for part, wanted in self._in_parts(inputs, targets):
            loss, sums = self._forward(part, wanted)
            seen = self._team.sums(len(inputs), 0, 0)[0]
            # The team takes the mean of all gradients, whose parts may differ in size.
            self._team.backward(self._scaler.scale(loss * (len(part) * self._team.size / seen)))
            totals.append(sums)
        self._scaler.unscale_(optimizer)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        if clip_norm:
            nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)
        return torch.cat([torch.stack(totals).sum(0), norm.to(totals[0].dtype).reshape(1)])

    def _forward(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss; and (2,) without gradients: the sum of the losses, and how many answers are right."""
        compute = self.compute
        with torch.autocast(compute.device.type, compute.autocast, enabled=compute.autocast is not None):
            logits = self._answers(inputs)
        logits = logits.float()
        loss = self._loss(logits, targets)
        labels = targets.argmax(1) if targets.is_floating_point() else targets
        correct = (logits.detach().argmax(1) == labels).sum()
        exact = torch.float64 if compute.device.type in ("cpu", "cuda") else torch.float32  # others may not have it
        return loss, torch.stack([loss.detach().to(exact) * len(inputs), correct.to(exact)])

    def _placed(self, inputs: Tensor) -> Tensor:
        """`inputs` on the device, laid out as the network computes fastest."""
        inputs = inputs.to(self.compute.device)
        if self.compute.channels_last and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def _team_sums(self, loss: float, correct: float, seen: int) -> Sums:
        """The totals of all. Raises Diverged where the loss is not finite."""
        total, right, all_seen = self._team.sums(loss, correct, seen)
        _check(total)
        return Sums(loss=total, correct=int(right), seen=int(all_seen))

    def _answers(self, inputs: Tensor) -> Tensor:
        try:
            logits = self.forward(inputs)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            what = tr("Batch normalisation cannot learn from a single value: one sample at a time is too few at this input size.")
            raise UserError(
                what, tr("Take a batch size of 2 or more, a larger input, or keep batch normalisation frozen.")
            ) from error
        return logits

    def _in_parts(self, inputs: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        parts = min(self.parts, len(inputs)) if self._team.size == 1 else 1
        return zip(inputs.tensor_split(parts), targets.tensor_split(parts), strict=True)

    def _to_judge(self, inputs: Tensor, targets: Tensor, threads: int) -> Iterator[tuple[Tensor, Tensor]]:
        """A batch in pieces, as `_in_parts`; what is large by itself (pictures, maps, tokens) in those that are fastest."""
        pieces = self.parts
        if inputs.ndim > 2:
            fitting = -(-len(inputs) // pass_size(self.compute.device, inputs[0].numel()))
            pieces = max(pieces, fitting, min(threads, len(inputs) // _WORTH_A_THREAD))
        pieces = min(pieces, len(inputs)) if self._team.size == 1 else 1
        return zip(inputs.tensor_split(pieces), targets.tensor_split(pieces), strict=True)

    def _within_memory(self, attempt: Callable[[], Result], size: int) -> Result:
        while not (made := _unless_out_of_memory(attempt)):
            if self._recorder.give_up():
                give_memory_back(self.compute.device)  # a recorded step has held what one that is not could use again
            else:
                self._halve(size)
        return made[0]

    def _halve(self, size: int) -> None:
        if self._team.size > 1:
            cure = tr("Take a smaller batch or picture size, let fewer layers learn, or train on the CPU.")
            raise UserError(tr("Memory ran out: each process computes {size} samples of a batch at once.", size=size), cure)
        if self.parts >= size:
            cure = tr("Choose a smaller picture size, let fewer layers learn, or train on the CPU.")
            raise UserError(tr("Memory ran out even with one sample at a time."), cure)
        self.parts = min(2 * self.parts, size)
        give_memory_back(self.compute.device)
        what = tr(
            "Memory ran out. Each batch is now computed in {parts} parts; it goes on with the same samples.", parts=self.parts
        )
        self._warn(what)


def _check(loss: float) -> None:
    if not math.isfinite(loss):
        raise Diverged(tr("Loss became NaN") if math.isnan(loss) else tr("Loss became infinite"))


def _unless_out_of_memory(attempt: Callable[[], Result]) -> tuple[Result, ...]:
    """What `attempt` gives, or nothing. By returning, the exception and the tensors that its traceback holds are let go of."""
    try:
        return (attempt(),)
    except torch.OutOfMemoryError:
        return ()
