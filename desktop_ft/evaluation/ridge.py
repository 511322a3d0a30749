"""Ridge regression, of which rows are left out without fitting it again, and the folds that are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
STRENGTHS = tuple(10.0 ** (half / 2) for half in range(-8, 7))
"""Of the penalty on the squared weights, as a share of what the usual direction of the rows weighs."""
_NOTHING = 1e-10
"""Below it, as a share of the largest, an eigenvalue counts as zero."""
_LEAST = 1e-6
"""Nothing is divided by less: a row that nobody else speaks for."""


class Ridge:
    """Ridge regression (Hoerl and Kennard 1970) with an intercept.

    One decomposition serves every strength and every fold: with the hat matrix H, the residuals of rows that are left out
    together are (I - H_ff)^-1 times theirs (Hastie, Tibshirani and Friedman 2009, section 7.10, for one row).

    Args:
        rows: (N, D). targets: (N, K).
        strength: one of `STRENGTHS`; None: the one with the least squared error where each row is left out alone.
    """

    def __init__(self, rows: NDArray[np.floating], targets: NDArray[np.float64], strength: float | None = None) -> None:
        self._targets = targets
        self._middle = rows.mean(axis=0, dtype=np.float64)
        self._centred = rows - self._middle
        basis, self._spread = decomposed(self._centred)
        self._basis = np.column_stack([np.full(len(rows), len(rows) ** -0.5), basis])  # the intercept, which is not held small
        self._squares, self._along = self._basis**2, self._basis.T @ targets
        self._usual = float(self._spread.mean()) if len(self._spread) else 1.0
        self.strength = min(STRENGTHS, key=self._error) if strength is None else strength

    def fitted(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Middle (D,), weights (D, K) and prior (K,): the answers to new rows are `(rows - middle) @ weights + prior`."""
        dual = self._basis[:, 1:] @ (self._along[1:] / (self._spread + self.strength * self._usual)[:, None])
        return self._middle, self._centred.T @ dual, self._targets.mean(axis=0)

    def held_out(self, fold: NDArray[np.int64], heed: Callable[[], None] = lambda: None) -> NDArray[np.float64]:
        """What it answers for each row when it has not seen that row's fold: (N, K), zeros where there is no other fold.

        Args:
            heed: called between folds.
        """
        kept, answers = self._kept(self.strength), np.zeros_like(self._targets)
        residuals = self._residuals(kept)
        for each in np.unique(fold):
            heed()
            held = fold == each
            if not held.all():
                answers[held] = self._targets[held] - _left_out(self._basis[held], kept, residuals[held])
        return answers

    def _error(self, strength: float) -> float:
        kept = self._kept(strength)
        rest = np.maximum(1 - self._squares @ kept, _LEAST)
        return float(((self._residuals(kept) / rest[:, None]) ** 2).sum())

    def _kept(self, strength: float) -> NDArray[np.float64]:
        kept: NDArray[np.float64] = np.append(1.0, self._spread / (self._spread + strength * self._usual))
        return kept

    def _residuals(self, kept: NDArray[np.float64]) -> NDArray[np.float64]:
        residuals: NDArray[np.float64] = self._targets - self._basis @ (self._along * kept[:, None])
        return residuals


def _left_out(basis: NDArray[np.float64], kept: NDArray[np.float64], residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(I - basis kept basis')^-1 residuals, by the smaller of two matrices (Woodbury)."""
    rows, columns = basis.shape
    if rows <= columns:
        return _solved(np.eye(rows) - (basis * kept) @ basis.T, residuals)
    return residuals + basis @ _solved(np.diag(1 / kept) - basis.T @ basis, basis.T @ residuals)


def _solved(matrix: NDArray[np.float64], aims: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.solve(matrix, aims), np.float64)


def folds_of(
    labels: Sequence[int] | NDArray[np.int64], groups: Sequence[Sequence[int]], folds: int, chance: np.random.Generator
) -> NDArray[np.int64]:
    """A fold for each row (N,): every class is dealt out evenly by `chance`, and the rows of a group, which are one, together."""
    fold = np.empty(len(labels), dtype=np.int64)
    mixed = chance.permutation(len(labels))
    by_class = mixed[np.argsort(np.asarray(labels)[mixed], kind="stable")]
    dealt = np.arange(len(labels)) + chance.integers(folds)
    fold[by_class] = dealt % folds  # one class begins where the one before ended: no fold gets all remainders
    for group in groups:
        fold[list(group)] = fold[group[0]]
    return fold


def one_of_each(rows: int, groups: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    """Whether each of so many rows counts (N,): the first of each group, whose rows are one, and those that are in none."""
    counts = np.ones(rows, dtype=np.bool_)
    for group in groups:
        counts[list(group[1:])] = False
    return counts


def decomposed(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left singular vectors (N, R) and squared singular values (R,), those that are not zero, by the smaller Gram matrix."""
    count, columns = rows.shape
    wide = columns > count
    spread, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    kept = spread > _NOTHING * max(float(spread.max(initial=0.0)), np.finfo(np.float64).tiny)
    spread, vectors = spread[kept], vectors[:, kept]
    return (vectors if wide else rows @ vectors / np.sqrt(spread)), spread
