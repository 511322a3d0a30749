"""From probabilities to figures: numpy only."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from desktop_ft.core.dataset import Sample
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.metrics import Answer, ClassScore, Evaluation
from desktop_ft.evaluation.calibration import calibration_error
from desktop_ft.evaluation.intervals import wilson

_TOP = 5

Real = NDArray[np.floating]
Whole = NDArray[np.int64]


def softmax(logits: Real) -> NDArray[np.float64]:
    """Probabilities (N, C) of logits (N, C), in double precision."""
    exact = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(exact - exact.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
    return result


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
        raise UserError(
            tr("There are no pictures to evaluate on."), tr("Choose a folder with pictures, or hold out a larger share.")
        )
    if given.shape != (len(samples), len(classes)):
        raise ValueError(f"probabilities {given.shape} do not fit {len(samples)} samples of {len(classes)} classes")
    if not np.isfinite(given).all():
        worst = samples[int(np.argmin(np.isfinite(given).all(axis=1)))]
        raise UserError(
            tr("The model gives no usable answer for {path}.", path=worst.path), tr("Train again with a lower learning rate.")
        )
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
