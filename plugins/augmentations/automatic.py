"""RandAugment and TrivialAugment: changes drawn from a list of fourteen. Only factories import this module.

The operations, their strengths (31 steps) and their signs are those of torchvision's `RandAugment` and
`TrivialAugmentWide`; chance comes from the given generator alone.
"""

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from . import parameters as chosen

STEPS = 31
_LAST = STEPS - 1
_MIDDLE: dict[str, Any] = {"interpolation": InterpolationMode.BILINEAR}

Kernel = Callable[[Tensor, float], Any]
Strength = Callable[[int, int, int], float]
"""From (step 0..30, height, width) to the kernel's argument."""


def _moved(picture: Tensor, x: float = 0, y: float = 0) -> Any:
    return functional.affine(picture, angle=0.0, translate=[int(x), int(y)], scale=1.0, shear=[0.0, 0.0], **_MIDDLE)


def _sheared(picture: Tensor, x: float = 0, y: float = 0) -> Any:
    shear = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    return functional.affine(picture, angle=0.0, translate=[0, 0], scale=1.0, shear=shear, center=[0, 0], **_MIDDLE)


KERNELS: Mapping[str, Kernel] = {
    "Identity": lambda picture, _: picture,
    "ShearX": lambda picture, m: _sheared(picture, x=m),
    "ShearY": lambda picture, m: _sheared(picture, y=m),
    "TranslateX": lambda picture, m: _moved(picture, x=m),
    "TranslateY": lambda picture, m: _moved(picture, y=m),
    "Rotate": lambda picture, m: functional.rotate(picture, m, **_MIDDLE),
    "Brightness": lambda picture, m: functional.adjust_brightness(picture, 1.0 + m),
    "Color": lambda picture, m: functional.adjust_saturation(picture, 1.0 + m),
    "Contrast": lambda picture, m: functional.adjust_contrast(picture, 1.0 + m),
    "Sharpness": lambda picture, m: functional.adjust_sharpness(picture, 1.0 + m),
    "Posterize": lambda picture, m: functional.posterize(picture, int(m)),
    "Solarize": lambda picture, m: functional.solarize(picture, 255.0 * m),
    "AutoContrast": lambda picture, _: functional.autocontrast(picture),
    "Equalize": lambda picture, _: functional.equalize(picture),
}
SIGNED = frozenset({"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"})


def _up_to(largest: float) -> Strength:
    return lambda step, height, width: largest * step / _LAST


def _bits(lost: int) -> Strength:
    return lambda step, height, width: float(round(8 - step / (_LAST / lost)))


def _strengths(shear: float, x: Strength, y: Strength, degrees: float, change: float, bits: int) -> Mapping[str, Strength]:
    return {
        "Identity": _up_to(0),
        "ShearX": _up_to(shear),
        "ShearY": _up_to(shear),
        "TranslateX": x,
        "TranslateY": y,
        "Rotate": _up_to(degrees),
        "Brightness": _up_to(change),
        "Color": _up_to(change),
        "Contrast": _up_to(change),
        "Sharpness": _up_to(change),
        "Posterize": _bits(bits),
        "Solarize": lambda step, height, width: 1 - step / _LAST,
        "AutoContrast": _up_to(0),
        "Equalize": _up_to(0),
    }


RAND_AUGMENT = _strengths(
    shear=0.3,
    x=lambda step, height, width: 150 / 331 * width * step / _LAST,
    y=lambda step, height, width: 150 / 331 * height * step / _LAST,
    degrees=30,
    change=0.9,
    bits=4,
)
TRIVIAL_AUGMENT = _strengths(shear=0.99, x=_up_to(32), y=_up_to(32), degrees=135, change=0.99, bits=6)


def _change(picture: Tensor, name: str, strength: float, sign: int) -> Tensor:
    changed: Tensor = KERNELS[name](picture, strength * (sign if name in SIGNED else 1))
    return changed


class RandAugment:
    """Each picture gets some operations of one strength (Cubuk et al. 2020, section 3)."""

    def __init__(self, parameters: chosen.RandAugment) -> None:
        self._parameters = parameters

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` uint8 (3, H, W), to the same shape."""
        for _ in range(self._parameters.operations):
            name, sign = rng.choice(tuple(KERNELS)), rng.choice((1, -1))
            strength = RAND_AUGMENT[name](self._parameters.magnitude, picture.shape[-2], picture.shape[-1])
            picture = _change(picture, name, strength, sign)
        return picture


class TrivialAugment:
    """Each picture gets one operation of random strength (Müller and Hutter 2021, algorithm 1; the wide space)."""

    def __init__(self, parameters: chosen.TrivialAugment) -> None:
        self._probability = parameters.probability

    def __call__(self, picture: Tensor, rng: random.Random, size: int) -> Tensor:
        """`picture` uint8 (3, H, W), to the same shape."""
        happens = rng.random() < self._probability
        name, step, sign = rng.choice(tuple(KERNELS)), rng.randrange(STEPS), rng.choice((1, -1))
        return _change(picture, name, TRIVIAL_AUGMENT[name](step, *picture.shape[-2:]), sign) if happens else picture
