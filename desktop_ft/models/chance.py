"""torch's own generators, which belong to the whole process, for one thread at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_alone = threading.RLock()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Let all that draws by chance in the block start from `seed`; other threads wait to draw until it is over.

    A step in one thread and a network that is built in another would draw from each other's sequence.

    Args:
        device: where the block computes. What it draws on the CPU starts from `seed`, too.
    """
    with _alone:
        if device.type == "cpu":  # `torch.manual_seed` notes the caller's stack for each kind of accelerator that nobody uses yet
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        yield


@contextmanager
def chance_put_back() -> Iterator[None]:
    """Leave the processor's generator as it was before the block; other threads wait to draw until it is over."""
    with _alone, torch.random.fork_rng(devices=[]):
        yield
