"""The next batch, made while a GPU computes the present one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


class Coming:
    """Gives `batches` one by one; the next one may be made before it is taken, beside what the device is about.

    Args:
        aside: a stream of a CUDA device to make them in, which fills the gaps of the step's; None elsewhere.
    """

    def __init__(self, batches: Iterator[Batch], aside: torch.cuda.Stream | None) -> None:
        self._batches = batches
        self._aside = aside
        self._made: list[Batch | Exception | None] = []

    def make(self) -> None:
        """Have the next one ready, or under way. What goes wrong is told to who takes it."""
        try:
            with torch.cuda.stream(self._aside) if self._aside is not None else nullcontext():
                self._made.append(next(self._batches, None))
        except Exception as error:  # whatever a picture or a plugin comes up with; the present step is still to be made
            self._made.append(error)

    def take(self) -> Batch | None:
        """The next one; None after the last. Raises what went wrong with it."""
        if not self._made:
            self.make()
        batch = self._made.pop()
        if isinstance(batch, Exception):
            raise batch
        if batch is not None and self._aside is not None:
            present = torch.cuda.current_stream(self._aside.device)
            present.wait_stream(self._aside)
            for tensor in batch:
                if tensor.is_cuda:
                    tensor.record_stream(present)  # its memory is not free before that is done
        return batch


def stream_aside(device: torch.device) -> torch.cuda.Stream | None:
    """A stream to make batches in, one for a whole run: torch has few, and each keeps memory of its own. None but on CUDA."""
    return torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
