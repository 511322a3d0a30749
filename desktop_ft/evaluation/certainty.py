"""Every figure of an evaluation with its 95 % interval: Wilson's for shares and what follows from one, else the bootstrap's.

numpy only.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from desktop_ft.core.metrics import Evaluation, Interval
from desktop_ft.evaluation.calibration import calibration_interval
from desktop_ft.evaluation.intervals import f1_interval, percentiles, resamples, wilson

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """How one class fares; None as in `ClassScore`."""

    name: str
    precision: Interval | None
    recall: Interval | None
    f1: Interval | None
    support: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How a model fares.

    Attributes:
        top5: share whose class is among the five most likely; None with fewer than six classes.
        macro_f1: mean F1 of the classes that have pictures.
        confidence: mean confidence.
        calibration_error: expected calibration error.
    """

    accuracy: Interval
    top5: Interval | None
    macro_f1: Interval
    confidence: Interval
    calibration_error: Interval
    per_class: tuple[ClassFigures, ...]


def figures(evaluation: Evaluation) -> Figures:
    """The figures of `evaluation`; the same at every call."""
    answers = evaluation.answers
    labels = np.array([answer.label for answer in answers], dtype=np.int64)
    predicted = np.array([answer.predicted for answer in answers], dtype=np.int64)
    confidence = np.array([answer.confidence for answer in answers])
    drawn = resamples(len(answers))
    top5 = evaluation.top5
    return Figures(
        accuracy=evaluation.accuracy,
        top5=None if top5 is None else wilson(round(top5 * len(answers)), len(answers)),
        macro_f1=_macro_f1(evaluation, labels[drawn], predicted[drawn]),
        confidence=percentiles(float(confidence.mean()), confidence[drawn].mean(axis=1)),
        calibration_error=calibration_interval(confidence, predicted == labels, drawn),
        per_class=_per_class(evaluation),
    )


def _per_class(evaluation: Evaluation) -> tuple[ClassFigures, ...]:
    confusion = np.array(evaluation.confusion)
    counts = zip(confusion.diagonal().tolist(), confusion.sum(axis=0).tolist(), confusion.sum(axis=1).tolist(), strict=True)
    return tuple(
        ClassFigures(
            name=name,
            precision=wilson(hits, called) if called else None,
            recall=wilson(hits, support) if support else None,
            f1=f1_interval(hits, called, support) if support else None,
            support=support,
        )
        for name, (hits, called, support) in zip(evaluation.classes, counts, strict=True)
    )


def _macro_f1(evaluation: Evaluation, labels: Whole, predicted: Whole) -> Interval:
    """The mean F1 of the classes with its interval, from R resampled evaluations (R, N)."""
    scores = [score.f1 for score in evaluation.per_class if score.f1 is not None]
    macro = percentiles(sum(scores) / max(1, len(scores)), np.nanmean(_f1(labels, predicted, len(evaluation.classes)), axis=1))
    accuracy = evaluation.accuracy
    if 0 < accuracy.value < 1:
        return macro
    # From answers that are all right no mistake can be drawn, though there may be some: the accuracy's interval knows more.
    return replace(macro, low=min(macro.low, accuracy.low), high=max(macro.high, accuracy.high))


def _f1(labels: Whole, predicted: Whole, classes: int) -> NDArray[np.float64]:
    """F1 (R, classes) of R resampled evaluations (R, N); NaN where a class has no picture in one."""
    row = classes * np.arange(len(labels))[:, None]
    size = classes * len(labels)
    support = np.bincount((row + labels).ravel(), minlength=size)
    called = np.bincount((row + predicted).ravel(), minlength=size)
    hits = np.bincount((row + labels)[labels == predicted], minlength=size)
    f1: NDArray[np.float64] = np.where(support > 0, 2 * hits / np.maximum(1, called + support), np.nan)
    return f1.reshape(len(labels), classes)
