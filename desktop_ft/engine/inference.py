"""A trained network's answers, exactly: float32, in eval mode, without gradients."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from desktop_ft.core.errors import Cancelled
from desktop_ft.core.parallel import in_order
from desktop_ft.engine.device import single_threads
from desktop_ft.engine.process import memory_kept
from desktop_ft.models.modes import eval_mode, full_precision


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

    On the CPU as many batches are computed at once as torch has threads, each by one of them: smaller batches take less memory,
    and nobody waits for another at every layer.

    Args:
        device: where to compute; None: where the network is. The network stays there, with its channels last in memory.
        progress: told after each batch how many samples are done, of `total`.
        cancel: looked at before each batch.

    Raises:
        Cancelled: `cancel` was set.
    """
    if device is not None:
        network.to(device)
    network.to(memory_format=torch.channels_last)  # which convolutions compute faster
    place = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))

    def answer(batch: Tensor) -> np.ndarray:
        _heed(cancel)
        laid_out = batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch
        with torch.inference_mode():  # is a thread's own
            logits: np.ndarray = network(laid_out.to(place)).float().cpu().numpy()
        return logits

    found: list[np.ndarray] = []
    done = 0
    with (
        memory_kept(),
        eval_mode(network),
        full_precision(),
        _each(answer, batches, place) as answers,
    ):
        for each in answers:
            _heed(cancel)
            found.append(each)
            done += len(each)
            if progress is not None:
                progress(done, total)
    return np.concatenate(found) if found else np.zeros((0, 0), np.float32)


@contextmanager
def _each(
    answer: Callable[[Tensor], np.ndarray], batches: Iterable[Tensor], place: torch.device
) -> Iterator[Iterator[np.ndarray]]:
    """The answer to each batch, in order."""
    if place.type != "cpu":
        yield map(answer, batches)
        return
    threads = torch.get_num_threads()
    with single_threads(threads, "answers") as pool, closing(in_order(pool, answer, batches, ahead=threads + 1)) as answers:
        yield answers


def _heed(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled
