"""A short look at each picture: small and grey, to be compared with others; and whether it shows much by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from desktop_ft.core.checkup import Fault
from desktop_ft.core.dataset import Sample
from desktop_ft.data import decode
from desktop_ft.data.near_doubles import SIDE
from desktop_ft.data.source import read_picture

T = TypeVar("T")
_SEEN_AT = 224
"""The shorter side at which sharpness is judged: what networks see. A photo that is soft at full size only is none the worse."""
_GREY_SEEN_AT = 2 * SIDE
_QUARTER = 64
_LIGHTEST = 95
"""Percentile of the grey levels: single bright points are no light."""
_SOFT = 0.006
"""Share of the contrast that lies between neighbours. Of 108 sharp photos none had less than 0.014; blurred over 2 pixels,
three in four have less than 0.006, over 3 pixels nineteen in twenty."""
_FLAT = 4.0
"""Contrast, in grey levels, below which there is nothing to be sharp."""
_WAVE = 64
_TINY_SHARE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What was seen of N pictures: `greys` uint8 (N, SIDE, SIDE), and the faults of each."""

    greys: np.ndarray
    faults: tuple[frozenset[Fault], ...]


def look_at(
    root: Path, samples: Sequence[Sample], shown: int, progress: Callable[[int, int], None], heed: Callable[[], None]
) -> Looks:
    """Decode the `samples` below `root`, several at once.

    Args:
        shown: side of what a network is shown, in pixels.
        progress: told how many are done, of how many. heed: called between them; what it raises ends the look.

    Raises:
        UserError: one of them cannot be read any more.
    """
    greys, faults = np.zeros((len(samples), SIDE, SIDE), np.uint8), list[frozenset[Fault]]()
    for grey, found in _in_waves(samples, lambda sample: _look(root / sample.path, sample, shown), progress, heed):
        greys[len(faults)] = grey
        faults.append(found)
    return Looks(greys, tuple(faults))


def greys_of(root: Path, samples: Sequence[Sample], progress: Callable[[int, int], None], heed: Callable[[], None]) -> np.ndarray:
    """The `samples` below `root` small and grey: uint8 (N, SIDE, SIDE). A fraction of the work of `look_at`.

    Args:
        progress, heed: as of `look_at`.

    Raises:
        UserError: one of them cannot be read any more.
    """
    greys = np.zeros((len(samples), SIDE, SIDE), np.uint8)
    small = _in_waves(samples, lambda sample: _small(_grey(root / sample.path, _GREY_SEEN_AT, sample)), progress, heed)
    for number, grey in enumerate(small):
        greys[number] = grey
    return greys


def _in_waves(
    samples: Sequence[Sample], seen: Callable[[Sample], T], progress: Callable[[int, int], None], heed: Callable[[], None]
) -> Iterator[T]:
    """What is `seen` of each. No more is begun than what ends soon: a pool that is left finishes what it was given."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(samples), _WAVE):
            heed()
            part = samples[start : start + _WAVE]
            yield from pool.map(seen, part)
            progress(start + len(part), len(samples))


def _look(path: Path, sample: Sample, shown: int) -> tuple[np.ndarray, frozenset[Fault]]:
    grey = _grey(path, _SEEN_AT, sample)
    levels = np.asarray(grey, np.float32)
    found = {
        Fault.TINY: min(sample.width, sample.height) * _TINY_SHARE < shown,
        Fault.DARK: float(np.percentile(levels, _LIGHTEST)) < _QUARTER,
        Fault.BLURRED: min(grey.size) == _SEEN_AT and sharpness(levels) < _SOFT,
    }
    return _small(grey), frozenset(fault for fault, there in found.items() if there)


def _grey(path: Path, most: int, sample: Sample) -> Image.Image:
    side = min(most, sample.width, sample.height)
    return Image.fromarray(read_picture(path, lambda path: decode.load(path, side))).convert("L")


def _small(grey: Image.Image) -> np.ndarray:
    how = Image.Resampling.BOX if min(grey.size) >= SIDE else Image.Resampling.BILINEAR
    return np.asarray(grey.resize((SIDE, SIDE), how))


def sharpness(levels: np.ndarray) -> float:
    """How much of the contrast of `levels` (H, W) lies between neighbouring places: the variance of the Laplacian (Pech-Pacheco
    et al. 2000) over that of the picture; 1 where there is no contrast at all."""
    variance = float(levels.var())
    if variance < _FLAT**2:
        return 1.0
    middle = levels[1:-1, 1:-1]
    laplacian = levels[:-2, 1:-1] + levels[2:, 1:-1] + levels[1:-1, :-2] + levels[1:-1, 2:] - 4 * middle
    return float(laplacian.var()) / variance
