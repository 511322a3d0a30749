"""Whether one model is better than another that answered the same pictures: numpy only.

Answers are (S, N): whether the model of each of S seeds was right on each of N pictures.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from desktop_ft.core.metrics import Interval
from desktop_ft.evaluation.intervals import percentiles, replicates, wilson

Right = NDArray[np.bool_]

_SEED = 20221


def sign_flip(first: Right, second: Right) -> float:
    """p of the two-sided exact test that two ways to train are equally often right, on the same pictures from the same seeds.

    For each picture the difference of the right answers of all seeds is taken; were the two equally good, its sign would be a
    coin's throw (Fisher 1935, section 21). With one seed that is McNemar's exact test (McNemar 1947). Seeds of one picture are
    not taken for independent: more seeds make the test no surer than the pictures allow. The distribution is the exact one.

    Raises:
        ValueError: the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"answers {first.shape} cannot be paired with {second.shape}")
    differences = first.sum(axis=0, dtype=np.int64) - second.sum(axis=0, dtype=np.int64)
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    total = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        total = np.convolve(total, _thrown(size, count))
    sums = np.arange(len(total)) - len(total) // 2
    return min(1.0, float(total[np.abs(sums) >= abs(int(differences.sum()))].sum()))


def _thrown(size: int, count: int) -> NDArray[np.float64]:
    """The distribution of the sum of `count` throws of plus or minus `size`, from the least to the most."""
    ways = [math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1) for k in range(count + 1)]
    spread = np.zeros(2 * size * count + 1)
    spread[:: 2 * size] = np.exp(np.array(ways) - count * math.log(2))
    return spread


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """The p of several tests, each corrected so that one in twenty holds for all together (Holm 1979)."""
    order = sorted(range(len(ps)), key=lambda index: ps[index])
    corrected, highest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        corrected[index] = highest
    return tuple(corrected)


def mean_interval(right: Right) -> Interval:
    """The mean accuracy with its 95 % interval, for other pictures and other seeds alike.

    Pictures and seeds are both drawn with replacement (the pigeonhole bootstrap of Owen 2007). Where the answers hardly vary, it
    is at least as wide as Wilson's interval of a single seed.
    """
    value = float(right.mean())
    drawn = percentiles(value, _replicates(right.astype(np.float64)))
    alone = wilson(round(value * right.shape[1]), right.shape[1])
    return Interval(value=value, low=min(drawn.low, alone.low), high=max(drawn.high, alone.high))


def difference_interval(first: Right, second: Right) -> Interval:
    """How much more accurate `first` is, with its 95 % interval; as `mean_interval`, on the same pictures and seeds."""
    differences = first.astype(np.float64) - second.astype(np.float64)
    return percentiles(float(differences.mean()), _replicates(differences))


def _replicates(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means (R,) of `values` (S, N) with seeds and pictures drawn anew, the same at every call."""
    seeds, pictures = (_drawn(size, replicates(values.shape[1])) for size in values.shape)
    # Whole numbers until the end, so that what is always right is right in every replicate, to the last digit.
    means: NDArray[np.float64] = np.einsum("rs,sr->r", seeds, values @ pictures.T) / values.size
    return means


@lru_cache(maxsize=4)
def _drawn(size: int, times: int) -> NDArray[np.int64]:
    """How often each of `size` things is drawn, with replacement and as many in all: (times, size)."""
    return np.random.default_rng([_SEED, size]).multinomial(size, np.full(size, 1 / size), times)
