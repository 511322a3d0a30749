"""Training and eval mode of networks."""

from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def full_precision() -> Iterator[None]:
    """Let fp32 be fp32 in the block: convolutions use TF32 on CUDA by default, which keeps 10 bits of 23."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
