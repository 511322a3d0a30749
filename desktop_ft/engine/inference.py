"""A trained network's answers, exactly: float32, in eval mode, without gradients."""

import threading
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from desktop_ft.core.errors import Cancelled
from desktop_ft.engine.process import memory_kept
from desktop_ft.models.modes import eval_mode


def logits(
    network: nn.Module,
    batches: Iterable[Tensor],
    *,
    device: torch.device | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    total: int | None = None,
    cancel: threading.Event | None = None,
) -> np.ndarray:
    """The network's logits, float32 (N, classes), of all `batches` in order.

    Args:
        device: where to compute; None: where the network is. The network stays there.
        progress: told after each batch how many samples are done, of `total`.
        cancel: looked at before each batch.

    Raises:
        Cancelled: `cancel` was set.
    """
    if device is not None:
        network.to(device)
    place = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    found: list[np.ndarray] = []
    done = 0
    # TF32, which convolutions use on CUDA by default, keeps 10 bits of 23.
    with (
        memory_kept(),
        eval_mode(network),
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
    ):
        for batch in batches:
            if cancel is not None and cancel.is_set():
                raise Cancelled
            found.append(network(_laid_out(batch.to(place))).float().cpu().numpy())
            done += len(batch)
            if progress is not None:
                progress(done, total)
    return np.concatenate(found) if found else np.zeros((0, 0), np.float32)


def _laid_out(batch: Tensor) -> Tensor:
    """Pictures with their channels last in memory, which convolutions compute faster."""
    return batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch
