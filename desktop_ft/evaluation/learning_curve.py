"""How many more pictures would help: a probe's accuracy over the pictures it learns from, followed beyond those there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from desktop_ft.core.checkup import CurvePoint, LearningCurve
from desktop_ft.core.metrics import Interval
from desktop_ft.evaluation.out_of_fold import learned
from desktop_ft.evaluation.ridge import folds_of

_SHARES = (0.1, 0.16, 0.25, 0.4, 0.63, 1.0)
_REPEATS = 10
_HELD_OUT = 5
"""One in so many pictures is held out in each repeat."""
_WIDER = (1 + _REPEATS / (_HELD_OUT - 1)) ** 0.5
_FEWEST = 20
"""Pictures to learn from below which nothing is followed anywhere."""
_FURTHER = (2, 4)
_BENDS = np.linspace(0.1, 1.5, 57)
_DRAWS = 300
_EDGES = (2.5, 97.5)


def learning_curve(
    rows: np.ndarray,
    labels: np.ndarray,
    classes: int,
    groups: Sequence[Sequence[int]],
    seed: int,
    heed: Callable[[], None],
) -> LearningCurve:
    """Measure on nested parts of the pictures, each repeat with others held out; follow a power law to more than there are.

    The errors are taken to fall as a + b n^-c (Hestness et al. 2017, "Deep learning scaling is predictable, empirically"), fitted
    by least squares with a and b at least 0. The intervals are those of repeats drawn anew (bootstrap), wider by what repeats
    that share pictures hide of their spread (Nadeau and Bengio 2003, "Inference for the generalization error").

    Args:
        rows, labels, groups: as `out_of_fold`. heed: called between probes.
    """
    chance = np.random.default_rng(seed)
    learning = len(rows) - len(rows) // _HELD_OUT
    sizes = sorted({max(classes, round(share * learning)) for share in _SHARES}) if learning >= _FEWEST else []
    if len(sizes) < 3:
        return LearningCurve(measured=(), coming=())
    errors = np.zeros((_REPEATS, len(sizes)))
    for repeat in range(_REPEATS):
        held = folds_of(labels, groups, _HELD_OUT, chance) == 0
        order = chance.permutation(np.flatnonzero(~held))
        for place, size in enumerate(sizes):
            heed()
            part = order[:size]
            errors[repeat, place] = 1 - learned(rows[part], labels[part], classes).accuracy(rows[held], labels[held])
    mean = errors.mean(axis=0)
    drawn = [mean + _WIDER * (errors[chance.integers(_REPEATS, size=_REPEATS)].mean(axis=0) - mean) for _ in range(_DRAWS)]
    drawn = [np.clip(each, 0.0, 1.0) for each in drawn]
    coming = [learning * times for times in _FURTHER]
    middle, followed = followed_to(sizes, mean, coming), [followed_to(sizes, each, coming) for each in drawn]
    return LearningCurve(
        measured=_points(sizes, mean, np.array(drawn)),
        coming=_points(coming, middle, np.array(followed)),
    )


def followed_to(sizes: Sequence[int], errors: np.ndarray, coming: Sequence[int]) -> np.ndarray:
    """The errors (K,) that a power law through `errors` (M,) at `sizes` has at the K sizes `coming`."""
    at, then = np.asarray(sizes, float) / sizes[0], np.asarray(coming, float) / sizes[0]
    fits = [_fit(at**-bend, errors) for bend in _BENDS]
    best = min(range(len(fits)), key=lambda number: fits[number][2])
    floor, height, _ = fits[best]
    followed: np.ndarray = np.clip(floor + height * then ** -_BENDS[best], 0.0, 1.0)
    return followed


def _fit(falling: np.ndarray, errors: np.ndarray) -> tuple[float, float, float]:
    """The floor and the height, both at least 0, that suit best, and what is left (the sum of squares)."""
    spread = falling - falling.mean()
    height = max(0.0, float(spread @ errors) / max(float(spread @ spread), 1e-12))
    floor = float(errors.mean() - height * falling.mean())
    if floor < 0:
        floor, height = 0.0, max(0.0, float(falling @ errors) / float(falling @ falling))
    return floor, height, float(((errors - floor - height * falling) ** 2).sum())


def _points(sizes: Sequence[int], errors: np.ndarray, drawn: np.ndarray) -> tuple[CurvePoint, ...]:
    low, high = np.percentile(1 - drawn, _EDGES, axis=0)
    return tuple(
        CurvePoint(
            pictures=size,
            accuracy=Interval(
                value=1 - float(error), low=min(float(least), 1 - float(error)), high=max(float(most), 1 - float(error))
            ),
        )
        for size, error, least, most in zip(sizes, errors, low, high, strict=True)
    )
