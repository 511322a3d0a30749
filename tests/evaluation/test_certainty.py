"""Every figure has an interval that holds it, agrees with references, and is the same at every call."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import f1_score, precision_recall_fscore_support, top_k_accuracy_score

from desktop_ft.evaluation.calibration import BINS, calibration_error, reliability
from desktop_ft.evaluation.certainty import figures
from desktop_ft.evaluation.intervals import f1_interval, wilson
from desktop_ft.evaluation.score import softmax
from tests.evaluation.test_score import scored


def drawn(seed, n, classes, sharpness=3.0):
    rng = np.random.default_rng(seed)
    return softmax(rng.normal(size=(n, classes)) * sharpness), rng.integers(0, classes, n)


def intervals_of(told):
    single = (told.accuracy, told.top5, told.macro_f1, told.confidence, told.calibration_error)
    return [each for each in (*single, *(getattr(c, k) for c in told.per_class for k in ("precision", "recall", "f1"))) if each]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), classes=st.integers(2, 9))
def test_figures_agree_with_scikit_learn_and_lie_in_their_intervals(seed, n, classes):
    probabilities, labels = drawn(seed, n, classes)
    told, every, predicted = figures(scored(probabilities, labels)), list(range(classes)), probabilities.argmax(1)
    assert told == figures(scored(probabilities, labels))
    for each in intervals_of(told):
        assert 0 <= each.low <= each.value <= each.high <= 1
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted, labels=every, zero_division=np.nan)
    for name, theirs in (("precision", precision), ("recall", recall)):
        ours = [getattr(c, name) for c in told.per_class]
        np.testing.assert_allclose([np.nan if x is None else x.value for x in ours], theirs, atol=1e-12)
    present = [c for c in every if support[c]]
    assert [c.f1.value for c in told.per_class if c.f1] == pytest.approx([f1[c] for c in present])
    assert told.macro_f1.value == pytest.approx(f1_score(labels, predicted, labels=present, average="macro", zero_division=0))
    assert told.confidence.value == pytest.approx(probabilities.max(1).mean())
    if classes > 5:
        assert told.top5.value == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5, labels=every))
    else:
        assert told.top5 is None


def test_recall_and_precision_have_wilson_intervals():
    # Of four pictures of c0 three are called so; c0 is called four times.
    labels, called = [0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 1]
    first = figures(scored(np.eye(2)[called] * 0.8 + 0.1, labels)).per_class[0]
    expected = binomtest(3, 4).proportion_ci(0.95, method="wilson")
    for share in (first.recall, first.precision):
        assert (share.value, share.low, share.high) == pytest.approx((0.75, expected.low, expected.high))


def test_the_interval_of_f1_holds_the_truth_about_95_times_in_100():
    # c1 is a third of all; it is missed one time in five, and others are called so one time in ten.
    rng, n = np.random.default_rng(1), 90
    recall, false = 0.8, 0.1
    truth = 2 * recall / 3 / (recall / 3 + false * 2 / 3 + 1 / 3)
    inside = 0
    for _ in range(2000):
        label = rng.random(n) < 1 / 3
        called = np.where(label, rng.random(n) < recall, rng.random(n) < false)
        found = f1_interval(int((label & called).sum()), int(called.sum()), int(label.sum()))
        inside += found.low <= truth <= found.high
    assert 0.93 < inside / 2000 < 0.975


def test_the_bootstrap_interval_is_as_wide_as_chance():
    # Of a mean the standard error is known: 1.96 of them on either side.
    probabilities, labels = drawn(3, 400, 3)
    told, confidence = figures(scored(probabilities, labels)), probabilities.max(1)
    half = 1.96 * confidence.std() / np.sqrt(len(confidence))
    assert told.confidence.high - told.confidence.low == pytest.approx(2 * half, rel=0.1)
    # With two classes of equal size and errors on both sides the mean F1 is nearly the accuracy.
    sure = np.array([0.9] * 85 + [0.1] * 15 + [0.1] * 85 + [0.9] * 15)
    two = figures(scored(np.stack([sure, 1 - sure], 1), [0] * 100 + [1] * 100))
    assert (two.macro_f1.low, two.macro_f1.high) == pytest.approx((two.accuracy.low, two.accuracy.high), abs=0.012)


def test_without_a_mistake_no_interval_is_a_point():
    told = figures(scored(np.array([[0.9, 0.1], [0.2, 0.8]] * 10), [0, 1] * 10))
    assert told.macro_f1.value == 1
    assert told.macro_f1.low == told.accuracy.low < 0.9
    assert all(each.f1.low < 0.9 for each in told.per_class)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_bins_sum_to_all_and_their_gaps_to_the_calibration_error(answers):
    confidence, right = np.array([c for c, _ in answers]), np.array([r for _, r in answers])
    bins = reliability(confidence, right)
    assert len(bins) == BINS
    assert sum(each.count for each in bins) == len(answers)
    assert sum(round(each.count * each.right.value) for each in bins) == right.sum()
    for each in bins:
        assert each.right.low <= each.right.value <= each.right.high
        inside = (confidence > each.low) & (confidence <= each.high) | ((confidence == 0) & (each.low == 0))
        if not np.isclose(confidence[:, None], np.arange(1, BINS) / BINS).any():  # on an edge rounding decides
            assert each.count == inside.sum()
        if each.count:
            assert each.right == wilson(round(each.count * each.right.value), each.count)
    assert calibration_error(confidence, right) == pytest.approx(
        sum(each.count * abs(each.confidence - each.right.value) for each in bins) / len(answers)
    )
