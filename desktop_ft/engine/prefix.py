"""The frozen part of a network at work: it answers without gradients, and its answers can be laid out as rows to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from desktop_ft.core.language import tr
from desktop_ft.engine.answering import Keys, answered, in_parts, name_of
from desktop_ft.engine.device import Compute
from desktop_ft.engine.feature_store import RowKind
from desktop_ft.models.cutting import Cut, Uncuttable
from desktop_ft.models.folding import folded
from desktop_ft.models.modes import eval_mode, full_precision

_CLOSE, _CLOSE_IN_HALF = 1e-3, 0.15
"""How far the two ways may be apart by rounding: the largest difference of a logit in fp32, relative to the largest; and the
length of the difference of the frozen layers' answers in 16 bits, relative to theirs."""


class Prefix:
    """What lies in front of the cut, and the way on from its answers.

    Args:
        network: the whole network, whose mode says which way leads on.
    """

    def __init__(self, network: nn.Module, made: Cut, compute: Compute) -> None:
        self._network = network
        self._cut = made
        self._frozen = folded(made.prefix)
        self._compute = compute

    @property
    def namespace(self) -> str:
        """A digest of all that decides an answer besides the input: layers, weights, arithmetic, torch's version."""
        return name_of(self._cut.prefix, self._compute, str(self._cut.prefix))

    @property
    def after(self) -> str:
        """Path of the last layer in front of the cut."""
        return self._cut.after

    def prove(self, inputs: Tensor) -> RowKind:
        """Let the inputs that the network was cut by go the whole way, folded, laid out, kept and taken up again.

        Returns:
            What the rows on that way are.

        Raises:
            Uncuttable: the way cannot be gone, or does not end where the whole network does.
        """
        compute, whole = self._compute, self._cut.answers
        try:
            with eval_mode(self._network), torch.no_grad(), full_precision():
                exact, rows = self._pass(inputs, None), self.rows(self.answer(inputs))
                kept = self.features(rows).to(compute.device)
                # Of the answers, not of the logits: those of a new head are near zero, where rounding is as large as they are.
                apart = (kept - exact).norm() / exact.norm().clamp_min(1e-12)
                got = self.onward(self.features(self.rows(exact)).to(compute.device))
                with torch.autocast(compute.device.type, compute.autocast, enabled=compute.autocast is not None):
                    self.onward(kept)  # may not fail
        except Exception as error:  # a network's own code runs here on tensors that lie otherwise in memory
            what = f"{type(error).__name__}: {error}"
            raise Uncuttable(tr("The way around its frozen layers fails ({what}).", what=what)) from error
        if apart > _CLOSE_IN_HALF or (got - whole).abs().max() > _CLOSE * whole.abs().max().clamp_min(1e-12):
            raise Uncuttable(tr("The way around its frozen layers does not end where the whole network does."))
        return RowKind(shape=tuple(rows.shape[1:]), dtype=rows.dtype)

    @property
    def precision(self) -> str:
        """What the frozen layers compute in."""
        return {None: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[self._compute.frozen_autocast]

    def answer(self, inputs: Tensor) -> Tensor:
        """What the frozen layers say of `inputs` (N, …): (N, …) on the device, without gradients.

        They go through in parts of `pass_size`; where memory runs out in smaller ones, and so do all that follow in this call.

        Raises:
            UserError: not even one input fits.
        """
        return in_parts(lambda part: self._pass(part, self._compute.frozen_autocast), inputs, self._compute.device)

    def answering(
        self, batches: Sequence[Keys], inputs: Callable[[Keys], Tensor], size: int
    ) -> AbstractContextManager[Iterator[Tensor]]:
        """The rows that the frozen layers answer to each of `batches`, in order; see `answered`."""
        return answered(lambda made: self.rows(self.answer(made)), self._compute.device, batches, inputs, size)

    def onward(self, features: Tensor) -> Tensor:
        """What the rest of the network makes of the frozen layers' answers, in its present mode."""
        logits: Tensor = self._cut.suffix(self._network.training)(self._as_asked(features))
        return logits

    def rows(self, features: Tensor) -> Tensor:
        """Answers as they are kept: on the CPU, with channels last where they are computed so."""
        rows = features.to("cpu")
        return (rows.permute(0, 2, 3, 1) if self._turned(rows) else rows).contiguous()

    def features(self, rows: Tensor) -> Tensor:
        """Kept rows as the rest of the network takes them."""
        return rows.permute(0, 3, 1, 2) if self._turned(rows) else rows

    def _as_asked(self, features: Tensor) -> Tensor:
        """In fp32, where the rest of the network computes in that alone now."""
        autocast = torch.is_autocast_enabled(self._compute.device.type)
        return features if autocast or not features.is_floating_point() else features.float()

    def _turned(self, tensor: Tensor) -> bool:
        return self._compute.channels_last and tensor.ndim == 4

    @torch.no_grad()
    def _pass(self, inputs: Tensor, autocast: torch.dtype | None) -> Tensor:
        compute = self._compute
        inputs = inputs.to(compute.device)
        if self._turned(inputs):
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(compute.device.type, autocast, enabled=autocast is not None):
            features: Tensor = self._frozen(inputs)
        return features
