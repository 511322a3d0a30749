"""A run that waits holds no more of the device than it must."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.engine.device import give_memory_back
from desktop_ft.engine.process import trim


@contextmanager
def resting(network: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device, *, moves: bool) -> Iterator[None]:
    """Give memory back while the block runs.

    On a GPU: weights, statistics and the optimiser's state wait in the processor's memory, gradients go, and what torch held for
    the next batches is given back. What stays there is the driver's own share, and frozen layers that answer in front of the cut.
    On the CPU: what the C library kept for the next step.

    Args:
        moves: whether tensors may be moved; not where the processes of a team hold them together.

    Raises:
        UserError: on the way back the device has no room for them any more.
    """
    for parameter in network.parameters():
        parameter.grad = None
    state = (held for each in optimizer.state.values() for held in each.values() if isinstance(held, Tensor))
    away = _put_by((*network.parameters(), *network.buffers(), *state), device) if moves and device.type != "cpu" else []
    give_memory_back(device)
    trim()
    yield
    try:
        with torch.inference_mode(False):
            for tensor in away:
                tensor.data = tensor.data.to(device)
    except torch.OutOfMemoryError as error:
        what = tr("While the run waited, another program took the device's memory: it cannot go on there.")
        raise UserError(what, tr("It is saved. End that program, and resume the run.")) from error


def _put_by(tensors: Iterable[Tensor], device: torch.device) -> list[Tensor]:
    """Move `tensors` off `device`; each stays the same object, so that all who hold it find it again."""
    moved = [tensor for tensor in tensors if tensor.device.type == device.type]
    with torch.inference_mode(False):
        for tensor in moved:
            tensor.data = tensor.data.cpu()
    return moved
