"""The figures agree with scikit-learn's and with values worked out by hand."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, top_k_accuracy_score

from desktop_ft.core.dataset import Sample, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.metrics import Evaluation
from desktop_ft.core.values import from_json, to_json
from desktop_ft.evaluation.calibration import calibration_error
from desktop_ft.evaluation.intervals import wilson
from desktop_ft.evaluation.score import evaluate, softmax


def samples(labels):
    return [
        Sample(path=f"c{label}/{i}.jpg", label=int(label), subset=Subset.VAL, sha256="", width=1, height=1, bytes=1, mtime_ns=0)
        for i, label in enumerate(labels)
    ]


def scored(probabilities, labels):
    classes = tuple(f"c{i}" for i in range(probabilities.shape[1]))
    return evaluate(probabilities, samples(labels), classes, dataset="toys", subset="val")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), classes=st.integers(2, 9))
def test_agrees_with_scikit_learn(seed, n, classes):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    probabilities = softmax(rng.normal(size=(n, classes)) * 3)
    result = scored(probabilities, labels)
    every = list(range(classes))
    predicted = probabilities.argmax(1)
    assert result.accuracy.value == pytest.approx((predicted == labels).mean())
    assert np.array_equal(result.confusion, confusion_matrix(labels, predicted, labels=every))
    expected = precision_recall_fscore_support(labels, predicted, labels=every, zero_division=np.nan)
    support = np.array([score.support for score in result.per_class])
    assert np.array_equal(support, expected[3])
    for share, theirs in (("precision", expected[0]), ("recall", expected[1])):
        np.testing.assert_allclose(np.array([getattr(s, share) for s in result.per_class], dtype=float), theirs, atol=1e-12)
    known = support > 0  # of a class without pictures nothing can be known, whatever it is called
    f1 = np.array([score.f1 for score in result.per_class], dtype=float)
    np.testing.assert_allclose(f1[known], expected[2][known], atol=1e-12)
    assert np.isnan(f1[~known]).all()
    if classes > 5:
        assert result.top5 == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5, labels=every))
    else:
        assert result.top5 is None
    assert len(result.mistakes) == (predicted != labels).sum()
    assert from_json(Evaluation, to_json(result), "it") == result


@pytest.mark.parametrize(("hits", "of"), [(0, 10), (10, 10), (50, 100), (143, 153), (1, 1), (999, 1000)])
def test_wilson_interval_agrees_with_scipy(hits, of):
    interval = wilson(hits, of)
    expected = binomtest(hits, of).proportion_ci(0.95, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert interval.low <= interval.value <= interval.high


def test_calibration_error_by_hand():
    # Bin of 0.9: two pictures, one right: |0.9 - 0.5|; bin of 0.6: two, both right: |0.6 - 1|. Each weighs one half.
    error = calibration_error(np.array([0.9, 0.9, 0.6, 0.6]), np.array([True, False, True, True]))
    assert error == pytest.approx(0.4)
    assert calibration_error(np.ones(5), np.ones(5, dtype=bool)) == 0


def test_mistakes_come_with_the_most_confident_first():
    result = scored(np.array([[0.6, 0.4], [0.1, 0.9], [0.8, 0.2]]), [1, 0, 0])
    assert [mistake.path for mistake in result.mistakes] == ["c0/1.jpg", "c1/0.jpg"]
    assert result.mistakes[0].confidence == pytest.approx(0.9)
    assert sum(result.answers[0].probabilities) == pytest.approx(1)


def test_softmax_takes_large_logits():
    np.testing.assert_allclose(softmax(np.array([[1e4, 0.0], [-1e4, -1e4]])), [[1, 0], [0.5, 0.5]])
    assert softmax(np.zeros((1, 2), np.float32)).dtype == np.float64


def test_no_pictures_and_no_numbers_are_told():
    with pytest.raises(UserError, match="no pictures"):
        scored(np.zeros((0, 2)), [])
    with pytest.raises(UserError, match=r"c1/1\.jpg"):
        scored(np.array([[0.5, 0.5], [np.nan, 0.5]]), [0, 1])
    with pytest.raises(ValueError, match="do not fit"):
        scored(np.zeros((3, 2)), [0, 1])


def test_needs_no_torch():
    code = "import sys, desktop_ft.evaluation.score, desktop_ft.export.metadata; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
