"""The augmentation: an upright band of the picture is made darker."""

import random

import torch
from torch import Tensor


class Shadow:
    """Draws all its chance from the generator that it is given: the same seed gives the same picture, in any thread."""

    def __init__(self, probability: float, width: float, darkness: float) -> None:
        self._probability = probability
        self._width = width
        self._darkness = darkness

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` uint8 (3, H, W), to the same shape; `picture` itself is left as it is."""
        happens, place = rng.random() < self._probability, rng.random()
        if not happens:
            return picture
        band = max(1, round(self._width * picture.shape[-1]))
        left = round(place * (picture.shape[-1] - band))
        shaded = picture.clone()
        shaded[..., left : left + band] = (shaded[..., left : left + band] * (1 - self._darkness)).to(torch.uint8)
        return shaded
