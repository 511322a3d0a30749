"""How far a figure may be from the truth: 95 % intervals of shares, and of figures that are no shares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from desktop_ft.core.metrics import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Z_95 = 1.959963984540054
"""Quantile of the normal distribution for a two-sided 95 % interval."""

_SEED = 20220
_MOST, _FEWEST, _DRAWS = 1000, 200, 1_000_000


def wilson(hits: int, of: int) -> Interval:
    """The share `hits / of` with Wilson's score interval at 95 % (Wilson 1927); of nothing, anything may be true."""
    if not of:
        return Interval(value=0.0, low=0.0, high=1.0)
    share, z2 = hits / of, Z_95**2
    centre = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z_95 * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2)) / (1 + z2 / of)
    return Interval(value=share, low=max(0.0, min(share, centre - half)), high=min(1.0, max(share, centre + half)))


def share_of(share: float | None, of: int) -> Interval | None:
    """The `share` that was counted of `of` things, with its interval; None where it is not known, or not of how many."""
    return wilson(round(share * of), of) if share is not None and of else None


def f1_interval(hits: int, called: int, support: int) -> Interval:
    """F1 of a class with its 95 % interval.

    F1 is 2J / (1 + J), where J is the share of hits among the pictures that are of the class or were called so: Wilson's interval
    of J gives that of F1. Unlike the bootstrap's it is no point where nothing was mistaken.

    Args:
        hits: pictures of the class that were called so. called, support: all that were called so, and all that are.
    """
    jaccard = wilson(hits, called + support - hits)
    value, low, high = (2 * share / (1 + share) for share in (jaccard.value, jaccard.low, jaccard.high))
    return Interval(value=value, low=low, high=high)


def resamples(size: int) -> NDArray[np.int64]:
    """Draws with replacement from `size` things (Efron 1979): indices (R, size), the same at every call.

    R is 1000; of more than a thousand things fewer, down to 200: their intervals are narrow, and nobody is to wait.
    """
    import numpy as np  # the window starts without it

    return np.random.default_rng(_SEED).integers(0, size, (replicates(size), size))


def replicates(size: int) -> int:
    """How often so many things are drawn anew; see `resamples`."""
    return min(_MOST, max(_FEWEST, _DRAWS // max(1, size)))


def percentiles(value: float, replicates: NDArray[np.float64]) -> Interval:
    """`value` with its 95 % bootstrap percentile interval (Efron and Tibshirani 1993, chapter 13).

    What a replicate could not tell (NaN) does not count. The interval always holds `value`: that of a biased figure, such as a
    calibration error, may lie beside it.
    """
    import numpy as np

    known = replicates[np.isfinite(replicates)]
    low, high = np.percentile(known, (2.5, 97.5)) if len(known) else (value, value)
    return Interval(value=value, low=min(value, float(low)), high=max(value, float(high)))
