"""torch's own generators, which belong to the whole process, for one thread at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_alone = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let all that draws by chance in the block start from `seed`, on every device; other threads wait to draw until it is over.

    A step in one thread and a network that is built in another would draw from each other's sequence.
    """
    with _alone:
        torch.manual_seed(seed)
        yield


@contextmanager
def chance_put_back() -> Iterator[None]:
    """Leave the processor's generator as it was before the block; other threads wait to draw until it is over."""
    with _alone, torch.random.fork_rng(devices=[]):
        yield
