"""Whether confidence means what it says: numpy only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desktop_ft.core.metrics import Interval
from desktop_ft.evaluation.intervals import percentiles, wilson

BINS = 15

Real = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The answers whose confidence lies between `low` (excluded) and `high`.

    Attributes:
        count: pictures.
        confidence: their mean confidence; 0 in an empty bin.
        right: the share of them that is right, with its interval; in an empty bin anything may be true.
    """

    low: float
    high: float
    count: int
    confidence: float
    right: Interval


def reliability(confidence: Real, right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """A reliability diagram (Niculescu-Mizil and Caruana 2005; Guo et al. 2017, section 2): 15 bins of equal width."""
    given, where = np.asarray(confidence, dtype=np.float64), bins_of(confidence)
    counts = np.bincount(where, minlength=BINS)
    sums = np.bincount(where, weights=given, minlength=BINS)
    hits = np.bincount(where, weights=right, minlength=BINS)
    return tuple(
        Bin(
            low=index / BINS,
            high=(index + 1) / BINS,
            count=int(counts[index]),
            confidence=float(sums[index] / max(1, counts[index])),
            right=wilson(round(hits[index]), int(counts[index])),
        )
        for index in range(BINS)
    )


def calibration_error(confidence: Real, right: NDArray[np.bool_]) -> float:
    """Expected calibration error (Naeini et al. 2015; Guo et al. 2017, equation 3): mean distance of confidence from accuracy,
    by bin.
    """
    bins = reliability(confidence, right)
    return sum(each.count * abs(each.confidence - each.right.value) for each in bins) / max(1, len(confidence))


def calibration_interval(confidence: Real, right: NDArray[np.bool_], drawn: NDArray[np.int64]) -> Interval:
    """The expected calibration error with its bootstrap interval.

    Few pictures make it look larger than it is, in the figure and in its interval: each bin's accuracy is off by chance
    (Kumar et al. 2019, section 5).

    Args:
        drawn: resampled indices (R, N) into the answers.
    """
    # By bin, the distance of confidence from accuracy times the count is the sum of the pictures' own distances.
    apart = np.asarray(confidence, dtype=np.float64) - right
    replicates = len(drawn)
    places = bins_of(confidence)[drawn] + BINS * np.arange(replicates)[:, None]
    sums = np.bincount(places.ravel(), weights=apart[drawn].ravel(), minlength=BINS * replicates)
    errors = np.abs(sums.reshape(replicates, BINS)).sum(axis=1) / drawn.shape[1]
    return percentiles(calibration_error(confidence, right), errors)


def bins_of(confidence: Real) -> NDArray[np.int64]:
    """The bin (0 to 14) of each confidence: (0, 1/15], (1/15, 2/15] … as in Guo et al. 2017; 0 itself joins the first."""
    return np.clip(np.ceil(np.asarray(confidence) * BINS).astype(np.int64) - 1, 0, BINS - 1)
