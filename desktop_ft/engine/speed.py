"""How fast a network answers here: measured with made-up pictures, in the arithmetic of evaluation and prediction."""

import threading
import time

import torch

from desktop_ft.engine.device import Compute, pass_size
from desktop_ft.engine.inference import logits
from desktop_ft.models.network import Network

_ROUNDS = 5
_ENOUGH_S = 1.5
_LONGEST_BATCH_S = 3.0


def pictures_per_second(network: Network, side: int, compute: Compute, *, cancel: threading.Event | None = None) -> float:
    """How many pictures of `side` x `side` the network answers in a second on the device of `compute`.

    The batches are those of `pass_size`, one for each thread at a time on the CPU; single pictures where a batch would take
    seconds. The fastest of several rounds counts: others were disturbed.

    Raises:
        Cancelled: `cancel` was set.
    """
    at_once = torch.get_num_threads() if compute.device.type == "cpu" else 2

    def seconds(size: int) -> float:
        batch = torch.randint(0, 256, (size, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        began = time.perf_counter()
        logits(network, [batch] * at_once, device=compute.device, cancel=cancel)
        return time.perf_counter() - began

    seconds(1)  # warms up
    size = pass_size(compute.device, 3 * side * side)
    if seconds(1) * size > _LONGEST_BATCH_S:
        size = 1
    took: list[float] = []
    while len(took) < _ROUNDS and sum(took) < _ENOUGH_S:
        took.append(seconds(size))
    return at_once * size / min(took)
