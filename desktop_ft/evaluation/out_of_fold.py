"""What a probe says of each picture that it has not learned from: a ridge regression on what a network makes of the pictures.

Ridge regression answers in closed form, strength included, and does not learn wrong labels by heart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from desktop_ft.evaluation.ridge import FOLDS, Ridge, folds_of

DIMENSIONS = 256
"""Principal components that a probe learns from: more cost time, and find no more."""
_SHARPNESS = np.geomspace(1, 60, 30)
_SPARE, _SHARPENED = 16, 3


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """What was learned: scores of a row are `(row - middle) @ weights + prior`."""

    middle: np.ndarray
    weights: np.ndarray
    prior: np.ndarray

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """How much each row (N, D) speaks for each class: (N, classes), near 1 for the right one."""
        scores: np.ndarray = (rows - self.middle) @ self.weights + self.prior
        return scores

    def accuracy(self, rows: np.ndarray, labels: np.ndarray) -> float:
        """Share of the rows whose class is found."""
        return float((self.scores(rows).argmax(axis=1) == labels).mean())


def reduced(features: np.ndarray, dimensions: int = DIMENSIONS) -> np.ndarray:
    """The principal components of `features` (N, C): float64 (N, at most `dimensions`), the widest first.

    By a random projection that is sharpened (Halko, Martinsson and Tropp 2011): the rest is never computed.
    """
    centred = features - features.mean(axis=0)
    dimensions = min(dimensions, *features.shape)
    sketch = centred @ np.random.default_rng(0).standard_normal((features.shape[1], dimensions + _SPARE), dtype=np.float32)
    for _ in range(_SHARPENED):
        basis, _triangle = np.linalg.qr(sketch)
        sketch = centred @ (centred.T @ basis)
    basis, _triangle = np.linalg.qr(sketch)
    left, lengths, _right = np.linalg.svd((basis.T @ centred).astype(np.float64), full_matrices=False)
    components: np.ndarray = (basis @ left * lengths)[:, :dimensions]
    return components


def learned(rows: np.ndarray, labels: np.ndarray, classes: int) -> Probe:
    """The probe whose strength leaves the least error where each row is left out in turn.

    Args:
        rows: (N, D). labels: (N,), below `classes`.
    """
    return Probe(*Ridge(rows, np.eye(classes)[labels]).fitted())


def out_of_fold(
    rows: np.ndarray,
    labels: np.ndarray,
    classes: int,
    groups: Sequence[Sequence[int]],
    seed: int,
    heed: Callable[[], None],
) -> np.ndarray:
    """How probable each class of each picture is to probes that learned from others: float64 (N, classes), rows sum to 1.

    Args:
        groups: pictures that are one, which no probe may learn from and be asked about.
        heed: called between folds.
    """
    wanted, fold = np.eye(classes)[labels], folds_of(labels, groups, FOLDS, np.random.default_rng(seed))
    alone = len(np.unique(fold)) == 1  # with nobody else to ask, the label is believed
    scores = wanted if alone else Ridge(rows, wanted).held_out(fold, heed)
    return min((_softmax(scores * sharp) for sharp in _SHARPNESS), key=lambda found: _surprise(found, labels))


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _surprise(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean())
