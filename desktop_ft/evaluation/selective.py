"""A model that may say *don't know*: what it answers, and how well, when it must be sure (Chow 1970). numpy only."""

import hashlib
from dataclasses import dataclass

import numpy as np

from desktop_ft.core.language import marked, tr
from desktop_ft.core.metrics import Answer, Evaluation, Interval, Threshold
from desktop_ft.evaluation.intervals import wilson

FLATTERS = marked(
    "The threshold was picked on these very pictures, so the accuracy among the answered flatters it: judge it on "
    "pictures that had no part in the choice."
)

_POINTS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is answered where answers less sure than `threshold` are *don't know*.

    Attributes:
        coverage: the share of the pictures that are answered.
        accuracy: the share of the answered that is right; of none answered, anything may be true.
        mistakes: the wrong answers that remain, the most confident first.
    """

    threshold: float
    answered: int
    of: int
    coverage: Interval
    accuracy: Interval
    mistakes: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveragePoint:
    """Accuracy where only the surest `coverage` (a share) of the pictures is answered; `threshold` does it."""

    threshold: float
    coverage: float
    accuracy: Interval


def select(evaluation: Evaluation, threshold: float) -> Selection:
    """What `evaluation` comes to where an answer must be at least `threshold` (0 to 1) sure."""
    answered = [answer for answer in evaluation.answers if answer.confidence >= threshold]
    wrong = tuple(answer for answer in evaluation.mistakes if answer.confidence >= threshold)
    of = len(evaluation.answers)
    return Selection(
        threshold=threshold,
        answered=len(answered),
        of=of,
        coverage=wilson(len(answered), of),
        accuracy=wilson(len(answered) - len(wrong), len(answered)),
        mistakes=wrong,
    )


def coverage_curve(evaluation: Evaluation) -> tuple[CoveragePoint, ...]:
    """Accuracy against the share answered, the surest first: the risk-coverage curve (El-Yaniv and Wiener 2010) upside down.

    At most some hundreds of points; the last answers all.
    """
    confidence = np.array([answer.confidence for answer in evaluation.answers])
    right = np.array([answer.predicted == answer.label for answer in evaluation.answers])
    order = np.argsort(-confidence, kind="stable")
    confidence, hits = confidence[order], np.cumsum(right[order])
    # Equal confidences are answered together or not at all.
    ends = np.append(np.flatnonzero(np.diff(confidence)), len(confidence) - 1)
    if len(ends) > _POINTS:
        ends = ends[np.linspace(0, len(ends) - 1, _POINTS).astype(int)]
    return tuple(
        CoveragePoint(
            threshold=float(confidence[end]),
            coverage=(int(end) + 1) / len(confidence),
            accuracy=wilson(int(hits[end]), int(end) + 1),
        )
        for end in ends
    )


def picked(evaluation: Evaluation, value: float) -> Threshold:
    """The threshold `value`, picked while looking at `evaluation`."""
    return Threshold(
        value=value,
        dataset=evaluation.dataset,
        subset=evaluation.subset,
        pictures=len(evaluation.answers),
        fingerprint=fingerprint(evaluation),
    )


def fingerprint(evaluation: Evaluation) -> str:
    """Which pictures `evaluation` is about, whatever was answered: SHA-256 of the folder's name and their paths."""
    names = "\0".join([evaluation.dataset, *sorted(answer.path for answer in evaluation.answers)])
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()


def caveat(threshold: Threshold | None, evaluation: Evaluation) -> str:
    """What must be said of a threshold judged on `evaluation`; "" where it was not picked on these pictures."""
    return tr(FLATTERS) if threshold is not None and threshold.fingerprint == fingerprint(evaluation) else ""
