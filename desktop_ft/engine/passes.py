"""One batch through the network: learning from it, or only judging it; in parts where memory runs out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from desktop_ft.core.errors import UserError
from desktop_ft.engine.device import Compute, give_memory_back, pass_size
from desktop_ft.engine.team import ALONE, Team
from desktop_ft.models.chance import seeded

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits float32 (N, classes) and targets to the mean loss, a scalar."""


class Diverged(Exception):
    """A number that must be finite is not; carries what, such as `Loss became NaN`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Totals over samples: of their losses, of right answers, of samples."""

    loss: float = 0.0
    correct: int = 0
    seen: int = 0

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
        self.parts = parts

    def learn(self, inputs: Tensor, targets: Tensor, optimizer: torch.optim.Optimizer, clip_norm: float, seed: int) -> Sums:
        """One step of `optimizer` from a batch; the network is in the mode it is to learn in.

        Args:
            clip_norm: longest gradient allowed over all parameters together; 0: no limit.
            seed: start of the step's random choices (dropout); torch's global generator is set to it.

        Raises:
            Diverged: the loss or the gradient is not finite; the network did not step.
            UserError: memory runs out even with one sample at a time (in a team: at all).
        """

        def attempt() -> Sums:
            optimizer.zero_grad()
            sums = Sums()
            with seeded(seed):
                for part, wanted in self._in_parts(inputs, targets):
                    sums += self._backward(part, wanted, len(part) / len(inputs))
            self._team.share_statistics()
            self._step(optimizer, clip_norm)
            return sums

        return self._within_memory(attempt, len(inputs))

    def judge(self, inputs: Tensor, targets: Tensor) -> Sums:
        """Loss and right answers on a batch, without learning; the network is in eval mode.

        Raises:
            Diverged: the loss is not finite.
            UserError: memory runs out even with one sample at a time.
        """

        def attempt() -> Sums:
            sums = Sums()
            with torch.inference_mode():
                for part, wanted in self._in_parts(inputs, targets, answering=True):
                    sums += self._forward(part, wanted)[1]
            return sums

        return self._within_memory(attempt, len(inputs))

    def rehearse(self, inputs: Tensor, targets: Tensor) -> None:
        """A whole batch forwards and backwards, without a step: to be timed. It leaves gradients behind.

        Raises:
            Diverged: as `learn`.
            torch.OutOfMemoryError: it does not fit.
        """
        torch.autograd.backward(self._forward(inputs, targets)[0])

    def scaler_state(self) -> dict[str, float]:
        """The state of the loss scaler; empty where there is none."""
        return {key: float(value) for key, value in self._scaler.state_dict().items()}

    def restore_scaler(self, state: Mapping[str, float]) -> None:
        """Go on from `scaler_state()`."""
        if state:
            self._scaler.load_state_dict({key: int(value) if value.is_integer() else value for key, value in state.items()})

    def _backward(self, inputs: Tensor, targets: Tensor, share: float) -> Sums:
        loss, sums = self._forward(inputs, targets)
        # The team takes the mean of all gradients, whose parts may differ in size.
        share *= len(inputs) * self._team.size / sums.seen
        self._team.backward(self._scaler.scale(loss * share))
        return sums

    def _forward(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Sums]:
        compute = self.compute
        inputs, targets = inputs.to(compute.device), targets.to(compute.device)
        if compute.channels_last and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(compute.device.type, compute.autocast, enabled=compute.autocast is not None):
            logits = self._answers(inputs)
        logits = logits.float()
        loss = self._loss(logits, targets)
        labels = targets.argmax(1) if targets.is_floating_point() else targets
        correct = int((logits.detach().argmax(1) == labels).sum().item())
        total, right, seen = self._team.sums(loss.item() * len(inputs), correct, len(inputs))
        if not math.isfinite(total):
            raise Diverged(f"Loss became {'NaN' if math.isnan(total) else 'infinite'}")
        return loss, Sums(loss=total, correct=int(right), seen=int(seen))

    def _answers(self, inputs: Tensor) -> Tensor:
        try:
            logits = self.forward(inputs)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            what = "Batch normalisation cannot learn from a single value: one sample at a time is too few at this input size."
            raise UserError(
                what, "Take a batch size of 2 or more, a larger input, or keep batch normalisation frozen."
            ) from error
        return logits

    def _step(self, optimizer: torch.optim.Optimizer, clip_norm: float) -> None:
        self._scaler.unscale_(optimizer)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        # With a scaler an overflow is part of the game: it skips that step and scales less.
        if not self.compute.scaler and not math.isfinite(norm.item()):
            raise Diverged("The gradient became infinite")
        if clip_norm:
            nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)
        self._scaler.step(optimizer)
        self._scaler.update()

    def _in_parts(self, inputs: Tensor, targets: Tensor, *, answering: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
        parts = min(self.parts, len(inputs)) if self._team.size == 1 else 1
        if answering and self._team.size == 1 and inputs.ndim == 4:  # pictures, or maps of them: by themselves large
            parts = max(parts, -(-len(inputs) // pass_size(self.compute.device)))
        return zip(inputs.tensor_split(parts), targets.tensor_split(parts), strict=True)

    def _within_memory(self, attempt: Callable[[], Sums], size: int) -> Sums:
        while (sums := _unless_out_of_memory(attempt)) is None:
            self._halve(size)
        return sums

    def _halve(self, size: int) -> None:
        if self._team.size > 1:
            cure = "Take a smaller batch or picture size, let fewer layers learn, or train on the CPU."
            raise UserError(f"Memory ran out: each process computes {size} samples of a batch at once.", cure)
        if self.parts >= size:
            cure = "Choose a smaller picture size, let fewer layers learn, or train on the CPU."
            raise UserError("Memory ran out even with one sample at a time.", cure)
        self.parts = min(2 * self.parts, size)
        give_memory_back(self.compute.device)
        self._warn(f"Memory ran out. Each batch is now computed in {self.parts} parts; it goes on with the same samples.")


def _unless_out_of_memory(attempt: Callable[[], Sums]) -> Sums | None:
    """What `attempt` gives, or None. By returning, the exception and the tensors that its traceback holds are let go of."""
    try:
        return attempt()
    except torch.OutOfMemoryError:
        return None
