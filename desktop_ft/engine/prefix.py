"""The frozen part of a network at work: it answers without gradients, and its answers can be laid out as rows to keep."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import torch
from torch import Tensor, nn

from desktop_ft import __version__
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.parallel import in_order
from desktop_ft.engine.device import Compute, pass_size, single_threads
from desktop_ft.engine.feature_store import RowKind
from desktop_ft.models import tensor_file
from desktop_ft.models.cutting import Cut, Uncuttable
from desktop_ft.models.folding import folded
from desktop_ft.models.modes import eval_mode, full_precision

_VERSION = 3
_PLAIN = (bool, int, float, str, tuple, type(None))
_CLOSE, _CLOSE_IN_HALF = 1e-3, 0.15
"""How far the two ways may be apart by rounding: the largest difference of a logit in fp32, relative to the largest; and the
length of the difference of the frozen layers' answers in 16 bits, relative to theirs."""

Keys = Sequence[str]


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
    def after(self) -> str:
        """Path of the last layer in front of the cut."""
        return self._cut.after

    @property
    def namespace(self) -> str:
        """A digest of all that decides an answer besides the input: layers, weights, arithmetic, torch's version."""
        compute = self._compute
        said = (
            _VERSION,
            __version__,
            torch.__version__,
            compute.device.type,
            str(compute.frozen_autocast),
            compute.channels_last,
        )
        digest = hashlib.sha256(repr((*said, str(self._cut.prefix))).encode())
        for path, part in self._cut.prefix.named_modules():
            settings = {name: value for name, value in vars(part).items() if isinstance(value, _PLAIN) and name != "training"}
            digest.update(repr((path, type(part).__module__, type(part).__qualname__, sorted(settings.items()))).encode())
        _add(digest, dict(self._cut.prefix.named_parameters()) | dict(self._cut.prefix.named_buffers()))
        return digest.hexdigest()[:32]

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
        size = pass_size(self._compute.device)
        while True:
            try:
                return torch.cat([self._pass(part, self._compute.frozen_autocast) for part in torch.split(inputs, size)])
            except torch.OutOfMemoryError as error:
                if size == 1:
                    raise UserError(
                        tr("Memory ran out even with one sample at a time."),
                        tr("Choose a smaller picture size, or train on the CPU."),
                    ) from error
            size = (size + 1) // 2

    @contextmanager
    def answering(self, batches: Sequence[Keys], inputs: Callable[[Keys], Tensor], size: int) -> Iterator[Iterator[Tensor]]:
        """The rows that the frozen layers answer to each of `batches`, in order.

        Each batch is filled up to `size`, so that what is said of an input does not depend on which others are asked for. On
        the CPU as many batches are under way as torch has threads, each made and computed in one of them: threads that share a
        batch wait for each other at every layer, and for whoever else uses a core. Elsewhere threads make the batches ahead.

        Args:
            inputs: makes a batch; called from several threads at once.
        """
        on_cpu = self._compute.device.type == "cpu"
        threads = torch.get_num_threads()

        def made(keys: Keys) -> Tensor:
            found = inputs(keys)
            return torch.cat([found, found[-1:].expand(size - len(found), *found.shape[1:])])

        def rows(keys: Keys, filled: Tensor) -> Tensor:
            return self.rows(self.answer(filled)[: len(keys)])

        work = (lambda keys: rows(keys, made(keys))) if on_cpu else made
        with single_threads(threads, "frozen-layers") as pool, closing(in_order(pool, work, batches, ahead=2 * threads)) as done:
            yield done if on_cpu else map(rows, batches, done)

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


def _add(digest: hashlib._Hash, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor_file.memory(tensor))
