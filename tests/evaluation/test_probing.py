"""A probe and LogME against what they stand for: a Bayesian linear model, and features whose classes are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_ft.core.advice import Against
from desktop_ft.evaluation.probing import Probe, logme, one_hot, probe


def drawn(rows: int, columns: int, classes: int, seed: int, apart: float = 1.0) -> tuple[np.ndarray, list[int]]:
    """Features of classes that stand so far apart."""
    chance = np.random.default_rng(seed)
    labels = [number % classes for number in range(rows)]
    return chance.normal(size=(rows, columns)) + apart * chance.normal(size=(classes, columns))[labels], labels


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999), st.integers(2, 5))
def test_of_labels_that_mean_nothing_no_more_is_told_than_by_chance(seed: int, classes: int) -> None:
    features, labels = drawn(200, 30, classes, seed)
    mixed = np.random.default_rng(seed).permutation(labels)
    accuracy = probe(features, mixed).accuracy
    error = np.sqrt((classes - 1) / classes**2 / len(labels))
    assert abs(accuracy.value - 1 / classes) < 4.5 * error
    assert probe(features, labels).accuracy.value > accuracy.value


def test_what_is_plain_is_told_and_the_interval_holds_it() -> None:
    features, labels = drawn(90, 20, 3, 0, apart=4.0)
    accuracy = probe(features, labels).accuracy
    assert accuracy.low < accuracy.value == accuracy.high == 1.0


@pytest.mark.parametrize("labels", [[0, 1], [3, 3, 3, 7], [0, 0, 5, 5, 9]])
def test_few_pictures_and_gaps_between_the_classes_do_no_harm(labels: list[int]) -> None:
    features = np.array([[float(label), 1.0] for label in labels])
    assert len(probe(features, labels).right) == len(labels)


def test_features_that_are_all_alike_tell_no_more_than_the_largest_class() -> None:
    assert probe(np.ones((20, 3)), [0] * 14 + [1] * 6).accuracy.value == pytest.approx(0.7)


def test_pictures_that_are_one_do_not_vouch_for_each_other() -> None:
    features, labels = drawn(60, 200, 3, 0, apart=0.0)
    twice, said = np.vstack([features, features]), labels * 2
    assert probe(twice, said).accuracy.value > 0.9
    once = probe(twice, said, [(number, number + 60) for number in range(60)])
    assert once.accuracy.value < 0.6 and len(once.right) == 60


def evidence(features: np.ndarray, target: np.ndarray, alpha: float, beta: float) -> float:
    """Log evidence of a Bayesian linear model, with its matrices written out (You et al. 2021, equation 2)."""
    rows, columns = features.shape
    inner = alpha * np.eye(columns) + beta * features.T @ features
    weights = beta * np.linalg.solve(inner, features.T @ target)
    _, determinant = np.linalg.slogdet(inner)
    errors = float(((features @ weights - target) ** 2).sum())
    return float(
        rows / 2 * np.log(beta)
        + columns / 2 * np.log(alpha)
        - rows / 2 * np.log(2 * np.pi)
        - beta / 2 * errors
        - alpha / 2 * (weights @ weights)
        - determinant / 2
    )


def naive_logme(features: np.ndarray, labels: list[int]) -> float:
    """The paper's algorithm 1, a matrix inverted in every round."""
    rows, columns = features.shape
    gram, found = features.T @ features, []
    for target in one_hot(labels).T:
        alpha = beta = 1.0
        for _ in range(300):
            inner = np.linalg.inv(alpha * np.eye(columns) + beta * gram)
            weights = beta * inner @ features.T @ target
            known = float(np.trace(beta * gram @ inner))
            errors = float(((features @ weights - target) ** 2).sum())
            alpha, beta = (
                known / max(float(weights @ weights), 1e-10),
                (rows - known) / errors,
            )  # where nothing is told, alpha grows
        found.append(evidence(features, target, alpha, beta) / rows)
    return float(np.mean(found))


@settings(max_examples=20, deadline=None)
@given(st.integers(30, 60), st.integers(2, 20), st.integers(2, 4), st.integers(0, 99))
def test_logme_is_what_its_paper_computes(rows: int, columns: int, classes: int, seed: int) -> None:
    features, labels = drawn(rows, columns, classes, seed)
    assert logme(features, labels) == pytest.approx(naive_logme(features, labels), abs=2e-3)


def test_logme_of_features_that_tell_nothing_is_a_number() -> None:
    assert np.isfinite([logme(np.zeros((20, 3)), [0, 1] * 10), logme(np.ones((20, 3)), [0, 1] * 10)]).all()


def test_logme_ranks_features_by_how_far_the_classes_stand_apart() -> None:
    values = [logme(*drawn(120, 200, 3, seed=1, apart=apart)) for apart in (0.0, 0.2, 0.5, 1.0)]
    assert values == sorted(values) and np.isfinite(values).all()


def test_two_probes_are_compared_picture_by_picture() -> None:
    def told(*right: bool) -> Probe:
        return Probe(right=np.array(right), strength=1.0)

    best = told(True, True, True, False)
    assert told(True, False, False, True).against(best) == Against(won=1, lost=2)
    assert best.against(best) == Against()
