"""The running statistics that BatchNorm layers are judged with while they learn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeGuard

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """Mean and variance as a layer has them, and how many batches it had seen by then."""

    mean: Tensor
    variance: Tensor
    batches: int


class Statistics:
    """What BatchNorm layers follow while they learn, and what the pictures seen alone say.

    With each batch a layer's statistics move by its momentum, often a hundredth: after some steps most of them is still what they
    began with. Where the pictures are like those of the pre-training, that is as good as any; where they are not, and from
    scratch, a network is judged as what it is not. Without their beginning they are a mean of the batches seen:
    (s - (1 - m)^n s_0) / (1 - (1 - m)^n) after n batches with momentum m, as Adam corrects its moments (Kingma and Ba 2015,
    section 3). Followed afresh, they begin each epoch at zero, so that it is a mean of the epoch's batches.

    Args:
        network: on its device, as the run begins with it; what a checkpoint holds is filled in later.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._begun = {path: _kept(part, clone=True) for path, part in network.named_modules() if _follows(part)}
        self._learning: dict[str, _BatchNorm] = {}
        self._afresh = False

    @property
    def learn(self) -> bool:
        """Whether any layer learns statistics in this epoch."""
        return bool(self._learning)

    def follow(self, *, afresh: bool, begins: bool) -> None:
        """What is in training mode learns in this epoch.

        Args:
            afresh: from zero in each epoch. begins: the epoch has its first batch before it.
        """
        self._learning = {
            path: part for path, part in self._network.named_modules() if _follows(part) and part.training and path in self._begun
        }
        self._afresh = afresh
        if afresh and begins:
            for part in self._learning.values():
                for held in (part.running_mean, part.running_var, part.num_batches_tracked):
                    if held is not None:
                        held.zero_()

    @contextmanager
    def seen(self) -> Iterator[None]:
        """In the block the layers that learn have the statistics of what they have seen, afterwards those they follow."""
        before = {path: _kept(part, clone=True) for path, part in self._learning.items()}
        self.settle()
        try:
            yield
        finally:
            for path, part in self._learning.items():
                _put(part, before[path].mean, before[path].variance)

    def settle(self) -> None:
        """From now on the layers that learn have the statistics of what they have seen."""
        for path, part in self._learning.items():
            now, begun = _kept(part), self._begun[path]
            assert part.momentum is not None
            left = (1 - part.momentum) ** (now.batches if self._afresh else now.batches - begun.batches)
            if left == 1:
                continue  # it has seen nothing
            if not self._afresh:
                now = _Kept(now.mean - left * begun.mean, now.variance - left * begun.variance, now.batches)
            _put(part, now.mean / (1 - left), (now.variance / (1 - left)).clamp(min=0))


def _follows(part: nn.Module) -> TypeGuard[_BatchNorm]:
    return isinstance(part, _BatchNorm) and part.running_mean is not None and part.momentum is not None


def _kept(part: nn.Module, *, clone: bool = False) -> _Kept:
    assert isinstance(part, _BatchNorm) and part.running_mean is not None and part.running_var is not None
    held = (part.running_mean, part.running_var)
    mean, variance = (each.clone() for each in held) if clone else held
    return _Kept(mean, variance, 0 if part.num_batches_tracked is None else int(part.num_batches_tracked))


def _put(part: nn.Module, mean: Tensor, variance: Tensor) -> None:
    assert isinstance(part, _BatchNorm) and part.running_mean is not None and part.running_var is not None
    part.running_mean.copy_(mean)
    part.running_var.copy_(variance)
