"""The next batch, made while a GPU computes the present one."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


class Coming:
    """Gives `batches` one by one; the next one may be made before it is taken, beside what the device is about.

    Args:
        device: what they are made for. On CUDA they are made in a stream of their own, which fills the gaps of the step's.
    """

    def __init__(self, batches: Iterator[Batch], device: torch.device) -> None:
        self._batches = batches
        self._aside: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._made: list[Batch | None] = []

    def make(self) -> None:
        """Have the next one ready, or under way."""
        with torch.cuda.stream(self._aside):  # where it is None, nothing changes
            self._made.append(next(self._batches, None))

    def take(self) -> Batch | None:
        """The next one; None after the last."""
        if not self._made:
            return next(self._batches, None)
        batch = self._made.pop()
        if batch is not None and self._aside is not None:
            present = torch.cuda.current_stream(self._aside.device)
            present.wait_stream(self._aside)
            for tensor in batch:
                if tensor.is_cuda:
                    tensor.record_stream(present)  # its memory is not free before that is done
        return batch
