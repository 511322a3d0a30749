"""Crops, flips, turns and views from the side. Torch is imported here: only factories import this module.

The kernels are torchvision's (transforms.v2.functional); chance comes from the given generator alone, so that a picture
depends on its seed and on nothing else, in any thread.
"""

import math
import random

from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from .parameters import Chance, Crop, Fill, Perspective, Rotation

GREY = 128.0
_FILL = {Fill.BLACK: 0.0, Fill.GREY: GREY}
_ATTEMPTS = 10


class RandomResizedCrop:
    """A random part of the picture, resized to the network's input (Szegedy et al. 2015, section 6)."""

    def __init__(self, parameters: Crop) -> None:
        self._parameters = parameters

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` uint8 (3, H, W) to uint8 (3, size, size)."""
        top, left, height, width = self._box(picture.shape[-2], picture.shape[-1], rng)
        cropped: Tensor = functional.resized_crop(
            picture, top, left, height, width, [size, size], interpolation=InterpolationMode.BILINEAR, antialias=True
        )
        return cropped

    def _box(self, height: int, width: int, rng: random.Random) -> tuple[int, int, int, int]:
        chosen = self._parameters
        for _ in range(_ATTEMPTS):
            area = height * width * rng.uniform(chosen.scale_min, chosen.scale_max)
            aspect = math.exp(rng.uniform(-1, 1) * math.log(chosen.stretch))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                return rng.randint(0, height - h), rng.randint(0, width - w), h, w
        # A picture far from square holds no such part: the largest one that is not stretched too much, from anywhere.
        w, h = min(width, round(height * chosen.stretch)), min(height, round(width * chosen.stretch))
        return rng.randint(0, height - h), rng.randint(0, width - w), h, w


class HorizontalFlip:
    """Left and right change places."""

    def __init__(self, parameters: Chance) -> None:
        self._probability = parameters.probability

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` uint8 (3, H, W), to the same shape."""
        return picture.flip(-1) if rng.random() < self._probability else picture


class VerticalFlip:
    """Top and bottom change places."""

    def __init__(self, parameters: Chance) -> None:
        self._probability = parameters.probability

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` uint8 (3, H, W), to the same shape."""
        return picture.flip(-2) if rng.random() < self._probability else picture


class RandomRotation:
    """A turn about the middle; the picture keeps its size."""

    def __init__(self, parameters: Rotation) -> None:
        self._parameters = parameters

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` uint8 (3, H, W), to the same shape."""
        happens, share = rng.random() < self._parameters.probability, rng.uniform(-1, 1)
        if not happens:
            return picture
        angle = share * self._parameters.degrees
        turned: Tensor = functional.rotate(picture, angle, InterpolationMode.BILINEAR, fill=_FILL[self._parameters.fill])
        return turned


class RandomPerspective:
    """The corners move inwards, as when a flat thing is seen from the side."""

    def __init__(self, parameters: Perspective) -> None:
        self._parameters = parameters

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` uint8 (3, H, W), to the same shape."""
        happens, shares = rng.random() < self._parameters.probability, [rng.random() for _ in range(8)]
        height, width = picture.shape[-2:]
        if not happens or min(height, width) < 2:
            return picture
        reach_x, reach_y = (self._parameters.distortion * (side - 1) / 2 for side in (width, height))
        right, bottom = width - 1, height - 1
        corners = [(0, 0), (right, 0), (right, bottom), (0, bottom)]
        moved = [
            [abs(x - reach_x * dx), abs(y - reach_y * dy)] for (x, y), dx, dy in zip(corners, shares[:4], shares[4:], strict=True)
        ]
        seen: Tensor = functional.perspective(
            picture, [list(corner) for corner in corners], moved, InterpolationMode.BILINEAR, fill=_FILL[self._parameters.fill]
        )
        return seen
