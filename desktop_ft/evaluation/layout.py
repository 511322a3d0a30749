"""A map of pictures: those that a network sees alike lie near each other."""

from __future__ import annotations

import numpy as np

_MOST = 2000
"""Landmarks that are laid out; what is beyond them is put among its nearest ones, so that 20,000 take no hour."""
_DIMENSIONS = 50
_WIDEST, _NARROWEST = 30.0, 3
_NEAREST = 3
_BLOCK = 1024


def laid_out(rows: np.ndarray, seed: int) -> np.ndarray:
    """Where each row (N, D) lies on the map: float64 (N, 2), by t-SNE (van der Maaten and Hinton 2008). Imports scikit-learn.

    Args:
        rows: principal components, the widest first.
    """
    rows = rows[:, :_DIMENSIONS].astype(np.float64)
    if len(rows) <= _NARROWEST + 1:
        return np.pad(rows[:, :2], ((0, 0), (0, 2 - min(2, rows.shape[1]))))
    from sklearn.manifold import TSNE

    chance = np.random.default_rng(seed)
    landmarks = np.sort(chance.choice(len(rows), _MOST, replace=False)) if len(rows) > _MOST else np.arange(len(rows))
    perplexity = min(_WIDEST, (len(landmarks) - 1) / _NARROWEST)
    placed = TSNE(init="pca" if rows.shape[1] > 1 else "random", perplexity=perplexity, max_iter=500, random_state=seed)
    places = placed.fit_transform(rows[landmarks]).astype(np.float64)
    found = np.zeros((len(rows), 2))
    for start in range(0, len(rows), _BLOCK):
        found[start : start + _BLOCK] = _among(rows[start : start + _BLOCK], rows[landmarks], places)
    found[landmarks] = places
    return found


def _among(rows: np.ndarray, landmarks: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The middle of each row's nearest landmarks."""
    far = (landmarks**2).sum(axis=1) - 2 * rows @ landmarks.T
    nearest = np.argpartition(far, _NEAREST - 1, axis=1)[:, :_NEAREST]
    middle: np.ndarray = places[nearest].mean(axis=1)
    return middle
