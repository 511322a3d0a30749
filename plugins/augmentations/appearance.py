"""Colour, grey, blur and hidden parts. Torch is imported here: only factories import this module."""

import math
import random

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from .parameters import Blur, Chance, Colour, EraseWith, Erasing

_GREY = 128
_ASPECT = 3.3


class ColourJitter:
    """Brightness, contrast, saturation and hue change a little, in random order."""

    def __init__(self, parameters: Colour) -> None:
        self._probability = parameters.probability
        self._changes = [
            (functional.adjust_brightness, 1.0, parameters.brightness),
            (functional.adjust_contrast, 1.0, parameters.contrast),
            (functional.adjust_saturation, 1.0, parameters.saturation),
            (functional.adjust_hue, 0.0, parameters.hue),
        ]

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` uint8 (3, H, W), to the same shape."""
        happens = rng.random() < self._probability
        changes = [(change, middle + reach * rng.uniform(-1, 1)) for change, middle, reach in self._changes if reach]
        rng.shuffle(changes)
        if happens:
            for change, strength in changes:
                picture = change(picture, strength)
        return picture


class Grayscale:
    """The colours go; three equal channels stay."""

    def __init__(self, parameters: Chance) -> None:
        self._probability = parameters.probability

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` uint8 (3, H, W), to the same shape."""
        if rng.random() >= self._probability:
            return picture
        grey: Tensor = functional.rgb_to_grayscale(picture, num_output_channels=3)
        return grey


class GaussianBlur:
    """Out of focus, by a random amount."""

    def __init__(self, parameters: Blur) -> None:
        self._parameters = parameters

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` uint8 (3, H, W), to the same shape."""
        happens, sigma = rng.random() < self._parameters.probability, rng.uniform(0.1, self._parameters.sigma_max)
        # The border is mirrored, so the kernel cannot reach further than the picture's own side.
        reach = min(math.ceil(3 * sigma), min(picture.shape[-2:]) - 1)
        if not happens or reach < 1:
            return picture
        # Along each side in turn: the same picture, at a tenth of the cost where the blur is strong.
        blurred: Tensor = picture.float()
        for kernel in ([2 * reach + 1, 1], [1, 2 * reach + 1]):
            blurred = functional.gaussian_blur(blurred, kernel, [sigma, sigma])
        return blurred.round().to(picture.dtype)


class RandomErasing:
    """A rectangle of what the network will see is hidden (Zhong et al. 2017, algorithm 1)."""

    def __init__(self, parameters: Erasing) -> None:
        self._parameters = parameters

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` uint8 (3, H, W), to the same shape; the middle `size` x `size` is what the network will see."""
        happens = rng.random() < self._parameters.probability
        area = size * size * rng.uniform(self._parameters.area_min, self._parameters.area_max)
        aspect = math.exp(rng.uniform(-1, 1) * math.log(_ASPECT))
        height, width = (min(size, max(1, round(side))) for side in (math.sqrt(area * aspect), math.sqrt(area / aspect)))
        top, left = (
            max(0, (whole - size) // 2) + rng.randint(0, size - part)
            for whole, part in zip(picture.shape[-2:], (height, width), strict=True)
        )
        if not happens:
            return picture
        hidden = picture.clone()
        place = hidden[:, top : top + height, left : left + width]
        place.copy_(self._content(place.shape, rng))
        return hidden

    def _content(self, shape: torch.Size, rng: random.Random) -> Tensor:
        if self._parameters.fill is EraseWith.NOISE:
            noise = torch.frombuffer(bytearray(rng.randbytes(shape.numel())), dtype=torch.uint8)
            return noise.reshape(shape)
        return torch.full(shape, _GREY if self._parameters.fill is EraseWith.GREY else 0, dtype=torch.uint8)
