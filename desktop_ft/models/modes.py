"""Training and eval mode of networks."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Eval mode, with every part's own mode restored after."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


class _Exact:
    """How many blocks of this process want full precision now, and how to put back what it was before them."""

    lock = threading.Lock()
    blocks = 0
    before = ExitStack()


@contextmanager
def full_precision() -> Iterator[None]:
    """Let fp32 be fp32 in the block: convolutions use TF32 on CUDA by default, which keeps 10 bits of 23.

    That is a setting of the whole process: it lasts from the first of several such blocks in any threads to the end of the last.
    """
    with _Exact.lock:
        if not _Exact.blocks:
            _Exact.before.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        _Exact.blocks += 1
    try:
        yield
    finally:
        with _Exact.lock:
            _Exact.blocks -= 1
            if not _Exact.blocks:
                _Exact.before.close()
