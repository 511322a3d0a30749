"""What probes and distances say against pictures and classes: labels that are probably wrong, outliers, classes that are one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from desktop_ft.core.checkup import ConfusedClasses, Outlier, SuspectLabel
from desktop_ft.core.dataset import Sample
from desktop_ft.evaluation.intervals import wilson

_NEAREST = 5
_FAR = 4.0
"""Robust standard deviations beyond the middle: in a normal spread one picture in 30,000 lies so far out."""
_TO_SIGMA = 1.4826
_HARDLY_APART = 0.8
_FEWEST = 8
"""Pictures of both classes together below which nothing is said of them."""


def suspect_labels(samples: Sequence[Sample], probabilities: np.ndarray) -> tuple[SuspectLabel, ...]:
    """The pictures that out-of-fold probes take for another class: first those that are clearly of it, the most suspicious first.

    They are ranked by the margin between the class that is given and the best other one. Clearly of it are those that are at
    least as probable in it as the pictures that have it are on average: of 30 planted wrong labels 70 to 75 % are clear, and 70
    to 98 % of what is clear was planted (`benchmarks/bench_checkup.py`), while one threshold for all finds few or too many where
    probes are less sure. Both from Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset
    labels".

    Args:
        probabilities: out of fold, (N, classes).
    """
    every, labels = np.arange(len(samples)), _labels(samples)
    given = probabilities[every, labels]
    others = probabilities.copy()
    others[every, labels] = -1.0
    likely = others.argmax(axis=1)
    found = others[every, likely]
    margins, clear = given - found, found >= _usual(given, labels, probabilities.shape[1])[likely]
    return tuple(
        SuspectLabel(
            sample=samples[number],
            likely=int(likely[number]),
            given=float(given[number]),
            found=float(found[number]),
            clear=bool(clear[number]),
        )
        for number in np.lexsort((margins, ~clear))
        if margins[number] < 0
    )


def _usual(given: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """How probable its own class is to a picture of each class, on average; 1 where there is none."""
    counts = np.bincount(labels, minlength=classes)
    shares: np.ndarray = np.where(counts, np.bincount(labels, given, classes) / np.maximum(counts, 1), 1.0)
    return shares


def outliers(samples: Sequence[Sample], cosines: np.ndarray) -> tuple[Outlier, ...]:
    """The pictures that are much farther from their nearest ones than is usual, the farthest first.

    Args:
        cosines: of each picture and its nearest others (N, K), the nearest first.
    """
    distances = 1 - cosines[:, :_NEAREST].mean(axis=1) if cosines.size else np.zeros(len(samples))
    middle = float(np.median(distances)) if len(distances) else 0.0
    spread = _TO_SIGMA * float(np.median(np.abs(distances - middle))) if len(distances) else 0.0
    if not spread or not middle:
        return ()
    return tuple(
        Outlier(sample=samples[number], distance=float(distances[number]) / middle)
        for number in np.argsort(-distances, kind="stable")
        if distances[number] > middle + _FAR * spread
    )


def confused_classes(samples: Sequence[Sample], probabilities: np.ndarray) -> tuple[ConfusedClasses, ...]:
    """The pairs of classes that even at the upper end of the interval are hardly told apart, the worst first.

    Of each pair, only the two are asked about: which of them is more probable for a picture of either.
    """
    labels = _labels(samples)
    own = [np.flatnonzero(labels == label) for label in range(probabilities.shape[1])]
    mistaken = np.zeros((len(own), len(own)), bool)
    mistaken[labels, probabilities.argmax(axis=1)] = True
    found = []
    for one, other in combinations(range(len(own)), 2):
        of_both = len(own[one]) + len(own[other])
        if of_both < _FEWEST or not (mistaken[one, other] or mistaken[other, one]):
            continue
        right = [
            float((probabilities[rows, label] > probabilities[rows, wrong]).mean())
            for rows, label, wrong in ((own[one], one, other), (own[other], other, one))
            if len(rows)
        ]
        apart = wilson(round(of_both * float(np.mean(right))), of_both)
        if apart.high < _HARDLY_APART:
            found.append(ConfusedClasses(one=one, other=other, apart=apart))
    return tuple(sorted(found, key=lambda pair: pair.apart.value))


def _labels(samples: Sequence[Sample]) -> np.ndarray:
    return np.array([sample.label for sample in samples], dtype=np.int64)
