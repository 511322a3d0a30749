"""What can be told from features without training a network: a linear probe, cross-validated, and LogME.

For all strengths and all folds a probe needs one decomposition of the features, so that every depth of a network is probed within
seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desktop_ft.core.advice import Against
from desktop_ft.core.metrics import Interval
from desktop_ft.evaluation.intervals import wilson
from desktop_ft.evaluation.ridge import FOLDS, Ridge, decomposed, folds_of, one_of_each

_NOTHING = 1e-10
"""Nothing is divided by less."""
_LOGME_ROUNDS, _LOGME_SETTLED = 100, 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """How well classes are told from features that the probe did not learn from.

    Attributes:
        right: for each row that counts, whether its class was told: bool (N,).
        strength: the one of `ridge.STRENGTHS` that was taken.
    """

    right: NDArray[np.bool_]
    strength: float

    @property
    def accuracy(self) -> Interval:
        """The share of rows whose class was told, with Wilson's interval."""
        return wilson(int(self.right.sum()), len(self.right))

    def against(self, best: Probe) -> Against:
        """How its answers differ from those of `best`, on the same rows."""
        return Against.of(self.right.tolist(), best.right.tolist())


def probe(
    features: NDArray[np.floating],
    labels: Sequence[int],
    groups: Sequence[Sequence[int]] = (),
    *,
    folds: int = FOLDS,
    seed: int = 0,
) -> Probe:
    """Tell each row's class from the others' folds, by ridge regression onto the classes.

    The strength is chosen once, of few, and not by accuracy itself, so that the accuracy gains next to nothing by it.

    Args:
        features: (N, C). labels: N classes, counted from 0.
        groups: rows that are one, of which none is learned from where another is asked about, and only the first counts.
    """
    ridge = Ridge(_standardised(features), one_hot(labels))
    told = ridge.held_out(folds_of(labels, groups, folds, np.random.default_rng(seed)))
    right = told.argmax(axis=1) == one_hot(labels).argmax(axis=1)
    return Probe(right[one_of_each(len(labels), groups)], ridge.strength)


def logme(features: NDArray[np.floating], labels: Sequence[int]) -> float:
    """How well the classes are explained by features, over all linear ways to do so: the larger the better.

    The logarithm of the evidence of a Bayesian linear model, a row, averaged over the classes, each against all others (You, Liu,
    Wang and Long: LogME: Practical Assessment of Pre-trained Models for Transfer Learning, ICML 2021, algorithm 1); both
    precisions are found by fixed-point iteration (You et al., Ranking and Tuning Pre-trained Models, JMLR 2022, algorithm 3).

    Args:
        features: (N, C), as they are. labels: N classes, counted from 0.
    """
    rows, columns = features.shape
    basis, spread = decomposed(features.astype(np.float64))
    found = []
    for target in one_hot(labels).T:
        along = (basis.T @ target) ** 2
        beside = max(0.0, float(target @ target) - float(along.sum()))
        found.append(_evidence(spread, along, beside, rows, columns) / rows)
    return float(np.mean(found))


def _evidence(spread: NDArray[np.float64], along: NDArray[np.float64], beside: float, rows: int, columns: int) -> float:
    """The most of the log evidence over the precisions of the weights (alpha) and of the noise (beta).

    Args:
        spread: eigenvalues of the features' Gram matrix. along: squares of the target along its eigenvectors.
        beside: square of what of the target lies along none of them.
    """
    alpha = beta = 1.0
    for _ in range(_LOGME_ROUNDS):
        ratio = alpha / beta
        known = float((spread / (spread + ratio)).sum())
        weights = float((spread * along / (spread + ratio) ** 2).sum())
        errors = float((along / (1 + spread / ratio) ** 2).sum()) + beside
        alpha, beta = max(known, _NOTHING) / max(weights, _NOTHING), (rows - known) / max(errors, _NOTHING)
        if abs(alpha / beta - ratio) <= _LOGME_SETTLED * ratio:
            break
    ratio = alpha / beta
    weights = float((spread * along / (spread + ratio) ** 2).sum())
    errors = float((along / (1 + spread / ratio) ** 2).sum()) + beside
    determinant = float(np.log(alpha + beta * spread).sum()) + (columns - len(spread)) * np.log(alpha)
    likely = columns * np.log(alpha) + rows * np.log(beta / (2 * np.pi)) - determinant - beta * errors - alpha * weights
    return float(likely) / 2


def one_hot(labels: Sequence[int]) -> NDArray[np.float64]:
    """(N, K): 1 at each row's class, else 0; of the K classes that there are."""
    _, places = np.unique(labels, return_inverse=True)
    return np.eye(places.max() + 1)[places]


def _standardised(features: NDArray[np.floating]) -> NDArray[np.float64]:
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    deviation = centred.std(axis=0)
    scaled: NDArray[np.float64] = centred[:, deviation > 0] / deviation[deviation > 0]
    return scaled
