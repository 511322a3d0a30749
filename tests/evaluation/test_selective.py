"""What a model answers that may say *don't know*."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from desktop_ft.core.metrics import Threshold
from desktop_ft.core.values import from_json, to_json
from desktop_ft.evaluation.intervals import wilson
from desktop_ft.evaluation.score import evaluate, softmax
from desktop_ft.evaluation.selective import caveat, coverage_curve, picked, select
from tests.evaluation.test_score import samples, scored

SURE = np.array([[0.95, 0.05], [0.1, 0.9], [0.7, 0.3], [0.4, 0.6]])
LABELS = [0, 0, 0, 1]  # the second is wrong, and sure of it


def test_a_threshold_by_hand():
    evaluation = scored(SURE, LABELS)
    everything = select(evaluation, 0.0)
    assert (everything.answered, everything.of, everything.coverage.value) == (4, 4, 1)
    assert everything.accuracy == evaluation.accuracy
    some = select(evaluation, 0.7)  # as sure as the threshold is sure enough
    assert (some.answered, some.coverage.value) == (3, 0.75)
    assert some.accuracy == wilson(2, 3)
    assert [answer.path for answer in some.mistakes] == ["c0/1.jpg"]
    best = select(evaluation, 0.95)
    assert (best.answered, best.accuracy.value, best.mistakes) == (1, 1, ())
    nothing = select(evaluation, 0.96)
    assert (nothing.answered, nothing.coverage.value) == (0, 0)
    assert (nothing.accuracy.low, nothing.accuracy.high) == (0, 1)


def test_the_curve_by_hand():
    curve = coverage_curve(scored(SURE, LABELS))
    assert [p.coverage for p in curve] == [0.25, 0.5, 0.75, 1]
    assert [p.accuracy.value for p in curve] == pytest.approx([1, 1 / 2, 2 / 3, 3 / 4])
    assert [p.threshold for p in curve] == pytest.approx([0.95, 0.9, 0.7, 0.6])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 700), levels=st.integers(1, 1000))
def test_the_curve_agrees_with_the_threshold_at_each_of_its_points(seed, n, levels):
    rng = np.random.default_rng(seed)
    probabilities = softmax(np.round(rng.normal(size=(n, 3)) * levels) / levels)
    evaluation = scored(probabilities, rng.integers(0, 3, n))
    curve = coverage_curve(evaluation)
    assert len(curve) <= 400
    shares, thresholds = [p.coverage for p in curve], [p.threshold for p in curve]
    assert shares == sorted(set(shares)), "every point answers more than the one before"
    assert thresholds == sorted(set(thresholds), reverse=True)
    assert (shares[-1], curve[-1].accuracy) == (1, evaluation.accuracy)
    for point in curve[:: max(1, len(curve) // 5)]:
        there = select(evaluation, point.threshold)
        assert (there.coverage.value, there.accuracy) == (pytest.approx(point.coverage), point.accuracy)
        assert there.coverage.low <= there.coverage.value <= there.coverage.high


def test_a_threshold_says_when_it_is_judged_on_the_pictures_it_was_picked_on():
    evaluation = scored(SURE, LABELS)
    kept = picked(evaluation, 0.8)
    assert from_json(Threshold, to_json(kept), "it") == kept
    assert "these very pictures" in caveat(kept, evaluation)
    assert "these very pictures" in caveat(kept, scored(SURE[:, ::-1], LABELS)), "another answer, the same pictures"
    others = evaluate(SURE, samples([1, 1, 1, 1]), ("c0", "c1"), dataset="toys", subset="val")
    assert caveat(kept, others) == caveat(None, evaluation) == ""


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_share(value):
    with pytest.raises(ValidationError):
        picked(scored(SURE, LABELS), value)
