"""From probabilities to figures: numpy only."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from desktop_ft.core.dataset import Sample
from desktop_ft.core.errors import UserError
from desktop_ft.core.metrics import Answer, ClassScore, Evaluation, Interval

Z_95 = 1.959963984540054
"""Quantile of the normal distribution for a two-sided 95 % interval."""

CALIBRATION_BINS = 15
_TOP = 5

Real = NDArray[np.floating]
Whole = NDArray[np.int64]


def softmax(logits: Real) -> NDArray[np.float64]:
    """Probabilities (N, C) of logits (N, C), in double precision."""
    exact = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(exact - exact.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
    return result


def wilson(hits: int, of: int) -> Interval:
    """The share `hits / of` with Wilson's score interval at 95 % (Wilson 1927); of nothing, anything may be true."""
    if not of:
        return Interval(value=0.0, low=0.0, high=1.0)
    share, z2 = hits / of, Z_95**2
    centre = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z_95 * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2)) / (1 + z2 / of)
    return Interval(value=share, low=max(0.0, min(share, centre - half)), high=min(1.0, max(share, centre + half)))


def evaluate(
    probabilities: Real, samples: Sequence[Sample], classes: tuple[str, ...], *, dataset: str, subset: str
) -> Evaluation:
    """What the model gets right and wrong.

    Args:
        probabilities: (N, C); row i belongs to `samples[i]`, columns to `classes`.
        dataset, subset: what the pictures are called in reports.

    Raises:
        UserError: there is no picture, or a probability is not a finite number.
        ValueError: the shapes do not fit each other.
    """
    given = np.asarray(probabilities, dtype=np.float64)
    if not samples:
        raise UserError("There are no pictures to evaluate on.", "Choose a folder with pictures, or hold out a larger share.")
    if given.shape != (len(samples), len(classes)):
        raise ValueError(f"probabilities {given.shape} do not fit {len(samples)} samples of {len(classes)} classes")
    if not np.isfinite(given).all():
        worst = samples[int(np.argmin(np.isfinite(given).all(axis=1)))]
        raise UserError(f"The model gives no usable answer for {worst.path}.", "Train again with a lower learning rate.")
    labels = np.array([sample.label for sample in samples], dtype=np.int64)
    predicted = given.argmax(axis=1)
    confidence = given.max(axis=1)
    right = predicted == labels
    confusion = _confusion(labels, predicted, len(classes))
    return Evaluation(
        dataset=dataset,
        subset=subset,
        classes=classes,
        accuracy=wilson(int(right.sum()), len(samples)),
        top5=_top(given, labels) if len(classes) > _TOP else None,
        per_class=_per_class(confusion, classes),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        calibration_error=calibration_error(confidence, right),
        answers=tuple(
            Answer(path=sample.path, label=sample.label, predicted=int(p), confidence=float(c), probabilities=tuple(row.tolist()))
            for sample, p, c, row in zip(samples, predicted, confidence, given, strict=True)
        ),
    )


def reliability(confidence: Real, right: NDArray[np.bool_]) -> tuple[tuple[int, float, float], ...]:
    """For each of 15 equal bins of confidence: pictures, mean confidence, share that is right (both 0 in an empty bin)."""
    # Bins are (0, 1/15], (1/15, 2/15] … as in Guo et al. 2017, section 2; 0 itself joins the first.
    bins = np.clip(np.ceil(np.asarray(confidence) * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    rows = []
    for index in range(CALIBRATION_BINS):
        inside = bins == index
        count = int(inside.sum())
        rows.append((count, float(confidence[inside].mean()), float(right[inside].mean())) if count else (0, 0.0, 0.0))
    return tuple(rows)


def calibration_error(confidence: Real, right: NDArray[np.bool_]) -> float:
    """Expected calibration error (Guo et al. 2017, equation 3): mean distance of confidence from accuracy, by bin."""
    return sum(count * abs(mean - share) for count, mean, share in reliability(confidence, right)) / max(1, len(confidence))


def _confusion(labels: Whole, predicted: Whole, classes: int) -> Whole:
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (labels, predicted), 1)
    return table


def _top(probabilities: NDArray[np.float64], labels: Whole) -> float:
    # A stable order: of equal probabilities the first class comes first, as in `predicted`.
    first = np.argsort(-probabilities, axis=1, kind="stable")[:, :_TOP]
    return float((first == labels[:, None]).any(axis=1).mean())


def _per_class(confusion: Whole, classes: tuple[str, ...]) -> tuple[ClassScore, ...]:
    scores = []
    for index, name in enumerate(classes):
        hits, called, support = int(confusion[index, index]), int(confusion[:, index].sum()), int(confusion[index].sum())
        scores.append(
            ClassScore(
                name=name,
                precision=hits / called if called else None,
                recall=hits / support if support else None,
                f1=2 * hits / (called + support) if support else None,
                support=support,
            )
        )
    return tuple(scores)
