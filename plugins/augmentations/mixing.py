"""MixUp and CutMix: the pictures of a batch are mixed, and their targets with them. Only factories import this module."""

import math
import random

from torch import Tensor

from .parameters import Mixing


class MixUp:
    """Each picture is blended with its neighbour in the batch (Zhang et al. 2018, section 2)."""

    def __init__(self, parameters: Mixing) -> None:
        self._parameters = parameters

    def __call__(self, pictures: Tensor, targets: Tensor, rng: random.Random) -> tuple[Tensor, Tensor]:
        """`pictures` float (N, 3, S, S), `targets` float (N, classes) with rows that sum to 1; so are the results."""
        happens, share = (
            rng.random() < self._parameters.probability,
            rng.betavariate(self._parameters.alpha, self._parameters.alpha),
        )
        if not happens:
            return pictures, targets
        return pictures.roll(1, 0).lerp(pictures, share), targets.roll(1, 0).lerp(targets, share)


class CutMix:
    """A rectangle of each picture comes from its neighbour in the batch (Yun et al. 2019, section 3.1)."""

    def __init__(self, parameters: Mixing) -> None:
        self._parameters = parameters

    def __call__(self, pictures: Tensor, targets: Tensor, rng: random.Random) -> tuple[Tensor, Tensor]:
        """`pictures` float (N, 3, S, S), `targets` float (N, classes) with rows that sum to 1; so are the results."""
        happens, share = (
            rng.random() < self._parameters.probability,
            rng.betavariate(self._parameters.alpha, self._parameters.alpha),
        )
        height, width = pictures.shape[-2:]
        y, x = rng.randrange(height), rng.randrange(width)
        if not happens:
            return pictures, targets
        half = 0.5 * math.sqrt(1 - share)
        top, bottom = max(0, int(y - half * height)), min(height, int(y + half * height))
        left, right = max(0, int(x - half * width)), min(width, int(x + half * width))
        mixed = pictures.clone()
        mixed[..., top:bottom, left:right] = pictures.roll(1, 0)[..., top:bottom, left:right]
        # The rectangle is cut off at the border: the labels are shared by what is really there.
        kept = 1 - (bottom - top) * (right - left) / (height * width)
        return mixed, targets.roll(1, 0).lerp(targets, kept)
