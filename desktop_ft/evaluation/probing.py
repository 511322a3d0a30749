"""What can be told from features without training a network: a linear probe, cross-validated, and LogME.

A probe is ridge regression onto the classes: for all penalties and all folds it needs one decomposition of the features, so that
every depth of a network is probed within seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desktop_ft.core.advice import Against
from desktop_ft.core.metrics import Interval
from desktop_ft.evaluation.intervals import wilson

FOLDS = 5
PENALTIES = tuple(10.0 ** (half / 2) for half in range(-6, 7))
"""Of the squared weights, times the number of rows: of features that all have the variance 1."""
_NOTHING = 1e-10
"""Below it, as a share of the largest, an eigenvalue counts as zero; and nothing is divided by less."""
_LOGME_ROUNDS, _LOGME_SETTLED = 100, 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """How well classes are told from features that the probe did not learn from.

    Attributes:
        right: for each row, whether its class was told: bool (N,).
        penalty: the one of `PENALTIES` that was taken.
    """

    right: NDArray[np.bool_]
    penalty: float

    @property
    def accuracy(self) -> Interval:
        """The share of rows whose class was told, with Wilson's interval."""
        return wilson(int(self.right.sum()), len(self.right))

    def against(self, best: Probe) -> Against:
        """How its answers differ from those of `best`, on the same rows."""
        return Against(won=int((self.right & ~best.right).sum()), lost=int((best.right & ~self.right).sum()))


def probe(features: NDArray[np.floating], labels: Sequence[int], *, folds: int = FOLDS, seed: int = 0) -> Probe:
    """Tell each row's class from the others' folds, by ridge regression (Hoerl and Kennard 1970) onto the classes.

    The penalty is the one with the least squared error where each row is left out alone: chosen once, of few, and not by accuracy
    itself, so that the accuracy gains next to nothing by it.

    Args:
        features: (N, C). labels: N classes, counted from 0.
    """
    ridge = Ridge(features, one_hot(labels))
    penalty = min(PENALTIES, key=ridge.error)
    told = ridge.held_out(stratified(labels, folds, seed), penalty)
    return Probe(told.argmax(axis=1) == ridge.targets.argmax(axis=1), penalty)


class Ridge:
    """Ridge regression with an intercept, of which rows are left out without fitting it again.

    With the hat matrix H of all rows, the residuals of rows that are left out together are (I - H_ff)^-1 times theirs (Hastie,
    Tibshirani and Friedman 2009, section 7.10, for one row). Each feature is brought to the variance 1 over all rows.

    Args:
        features: (N, C). targets: (N, K).
    """

    def __init__(self, features: NDArray[np.floating], targets: NDArray[np.float64]) -> None:
        self.targets = targets
        self._basis, self._spread = _decomposed(_standardised(features))
        self._centre = targets.mean(axis=0)
        self._along = self._basis.T @ targets

    def error(self, penalty: float) -> float:
        """The squared error where each row is left out alone; `penalty` as in `PENALTIES`."""
        kept = self._kept(penalty)
        hat = self._basis**2 @ kept + 1 / len(self.targets)
        return float(((self._residuals(kept) / (1 - hat)[:, None]) ** 2).sum())

    def held_out(self, fold: NDArray[np.int64], penalty: float) -> NDArray[np.float64]:
        """What it answers for each row when it has not seen that row's fold: (N, K)."""
        kept, answers = self._kept(penalty), np.empty_like(self.targets)
        residuals = self._residuals(kept)
        for each in np.unique(fold):
            held = fold == each
            hat = (self._basis[held] * kept) @ self._basis[held].T + 1 / len(fold)
            answers[held] = self.targets[held] - np.linalg.solve(np.eye(len(hat)) - hat, residuals[held])
        return answers

    def _kept(self, penalty: float) -> NDArray[np.float64]:
        return self._spread / (self._spread + penalty * len(self.targets))

    def _residuals(self, kept: NDArray[np.float64]) -> NDArray[np.float64]:
        residuals: NDArray[np.float64] = self.targets - self._centre - (self._basis * kept) @ self._along
        return residuals


def logme(features: NDArray[np.floating], labels: Sequence[int]) -> float:
    """How well the classes are explained by features, over all linear ways to do so: the larger the better.

    The logarithm of the evidence of a Bayesian linear model, a row, averaged over the classes, each against all others (You, Liu,
    Wang and Long: LogME: Practical Assessment of Pre-trained Models for Transfer Learning, ICML 2021, algorithm 1); both
    precisions are found by fixed-point iteration (You et al., Ranking and Tuning Pre-trained Models, JMLR 2022, algorithm 3).

    Args:
        features: (N, C), as they are. labels: N classes, counted from 0.
    """
    rows, columns = features.shape
    basis, spread = _decomposed(features.astype(np.float64))
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


def stratified(labels: Sequence[int], folds: int, seed: int) -> NDArray[np.int64]:
    """A fold for each row: every class is dealt out evenly, in an order that `seed` decides."""
    fold = np.empty(len(labels), dtype=np.int64)
    mixed = np.random.default_rng(seed).permutation(len(labels))
    by_class = mixed[np.argsort(np.asarray(labels)[mixed], kind="stable")]
    fold[by_class] = np.arange(len(labels)) % folds  # one class begins where the one before ended: no fold gets all remainders
    return fold


def one_hot(labels: Sequence[int]) -> NDArray[np.float64]:
    """(N, K): 1 at each row's class, else 0; of the K classes that there are."""
    _, places = np.unique(labels, return_inverse=True)
    return np.eye(places.max() + 1)[places]


def _standardised(features: NDArray[np.floating]) -> NDArray[np.float64]:
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    deviation = centred.std(axis=0)
    scaled: NDArray[np.float64] = centred[:, deviation > 0] / deviation[deviation > 0]
    return scaled


def _decomposed(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left singular vectors (N, R) and squared singular values (R,), those that are not zero, by the smaller Gram matrix."""
    rows, columns = features.shape
    wide = columns > rows
    spread, vectors = np.linalg.eigh(features @ features.T if wide else features.T @ features)
    kept = spread > _NOTHING * max(float(spread.max(initial=0.0)), np.finfo(np.float64).tiny)
    spread, vectors = spread[kept], vectors[:, kept]
    return (vectors if wide else features @ vectors / np.sqrt(spread)), spread
