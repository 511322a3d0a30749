"""The running statistics that BatchNorm layers are judged with while they learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """Mean and variance of a layer, and how many batches it had seen by then."""

    mean: Tensor
    variance: Tensor
    batches: Tensor


class Statistics:
    """What BatchNorm layers follow while they learn, and what an epoch's pictures alone say.

    With each batch a layer's statistics move by its momentum, often a hundredth: after some steps most of them is still what they
    began with. Where the pictures are like those of the pre-training, that is as good as any; where they are not, and from
    scratch, a network is judged as what it is not. Without what they had when the epoch began they are a mean of its batches:
    (s - (1 - m)^n s_0) / (1 - (1 - m)^n) after n batches with momentum m, as Adam corrects its moments (Kingma and Ba 2015,
    section 3).
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._learning: dict[str, _BatchNorm] = {}
        self._begun: dict[str, _Kept] = {}
        self._followed: dict[str, _Kept] = {}

    @property
    def learn(self) -> bool:
        """Whether any layer learns statistics in this epoch."""
        return bool(self._learning)

    def follow(self, *, begins: bool) -> None:
        """What is in training mode learns in this epoch, which has its first batch before it if it `begins`."""
        self._learning = {path: part for path, part in self._network.named_modules() if _follows(part) and part.training}
        if begins:
            self._begun = {path: _copied(part) for path, part in self._learning.items()}
        self._learning = {path: part for path, part in self._learning.items() if path in self._begun}

    def kept(self) -> dict[str, Tensor]:
        """What the layers had when the epoch began, by name: a run that is resumed within it needs that."""
        return {f"{path}/{name}": getattr(had, name) for path, had in self._begun.items() for name in _Kept.__slots__}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Take over what `kept` told; of layers it does not name nothing is known in this epoch."""
        paths = {name.rpartition("/")[0] for name in kept}
        self._begun = {path: _Kept(*(kept[f"{path}/{name}"] for name in _Kept.__slots__)) for path in paths}

    @contextmanager
    def seen(self) -> Iterator[None]:
        """In the block the layers that learn have the statistics of this epoch's pictures, afterwards those they follow."""
        self._followed = {path: _copied(part) for path, part in self._learning.items()}
        self.settle()
        try:
            yield
        finally:
            self._put(self._followed)
            self._followed = {}

    @contextmanager
    def followed(self) -> Iterator[None]:
        """In the block the layers have what they follow, whatever they are judged with: a run that is resumed goes on from it."""
        now = {path: _copied(self._learning[path]) for path in self._followed}
        self._put(self._followed)
        try:
            yield
        finally:
            self._put(now)

    def settle(self) -> None:
        """From now on the layers that learn have the statistics of this epoch's pictures."""
        for path, part in self._learning.items():
            now, had = _copied(part), self._begun[path]
            if batches := int(now.batches) - int(had.batches):
                assert part.momentum is not None
                left = (1 - part.momentum) ** batches
                mean, variance = (
                    (new - left * old.to(new.device)) / (1 - left)
                    for new, old in ((now.mean, had.mean), (now.variance, had.variance))
                )
                self._put({path: _Kept(mean, variance.clamp(min=0), now.batches)})

    def _put(self, statistics: Mapping[str, _Kept]) -> None:
        for path, wanted in statistics.items():
            for held, value in zip(_held(self._learning[path]), (wanted.mean, wanted.variance), strict=False):
                held.copy_(value)


def _follows(part: nn.Module) -> TypeGuard[_BatchNorm]:
    return isinstance(part, _BatchNorm) and bool(part.momentum) and not any(held is None for held in _held(part))


def _held(part: _BatchNorm) -> tuple[Tensor, Tensor, Tensor]:
    return part.running_mean, part.running_var, part.num_batches_tracked  # type: ignore[return-value] # all there, see _follows


def _copied(part: _BatchNorm) -> _Kept:
    return _Kept(*(torch.clone(held) for held in _held(part)))
