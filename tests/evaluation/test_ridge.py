"""Ridge regression against scikit-learn's, fitted anew for each fold; and the folds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge as Fitted

from desktop_ft.evaluation.ridge import FOLDS, STRENGTHS, Ridge, folds_of

sizes = st.tuples(st.integers(8, 60), st.integers(1, 80), st.integers(1, 5), st.integers(0, 99))


def drawn(rows: int, columns: int, targets: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows, and targets that partly follow them."""
    chance = np.random.default_rng(seed)
    made = chance.normal(size=(rows, columns))
    return made, made @ chance.normal(size=(columns, targets)) + chance.normal(size=(rows, targets))


def refitted(rows: np.ndarray, strength: float) -> Fitted:
    """What is to answer the same: the penalty is a share of the mean of the eigenvalues that are not zero."""
    values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    return Fitted(alpha=strength * values[values > 1e-10 * values.max()].mean())


@settings(max_examples=40, deadline=None)
@given(sizes, st.sampled_from(STRENGTHS), st.integers(2, 9))
def test_what_is_held_out_is_answered_as_by_one_that_never_saw_it(
    size: tuple[int, int, int, int], strength: float, folds: int
) -> None:
    rows, targets = drawn(*size)
    fold = np.arange(len(rows)) % folds
    told = Ridge(rows, targets, strength).held_out(fold)
    for each in range(folds):
        held = fold == each
        naive = refitted(rows, strength).fit(rows[~held], targets[~held]).predict(rows[held])
        np.testing.assert_allclose(told[held], naive.reshape(told[held].shape), rtol=1e-3, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(sizes, st.sampled_from(STRENGTHS))
def test_new_rows_are_answered_as_by_another_ridge(size: tuple[int, int, int, int], strength: float) -> None:
    rows, targets = drawn(*size)
    middle, weights, prior = Ridge(rows, targets, strength).fitted()
    new = rows[::2] + 0.1
    naive = refitted(rows, strength).fit(rows, targets).predict(new)
    np.testing.assert_allclose((new - middle) @ weights + prior, naive.reshape(len(new), -1), rtol=1e-4, atol=1e-6)


def test_the_strength_is_the_one_with_the_least_error_where_each_row_is_left_out() -> None:
    rows, targets = drawn(40, 60, 2, 3)

    def error(strength: float) -> float:
        return float(((targets - Ridge(rows, targets, strength).held_out(np.arange(len(rows)))) ** 2).sum())

    assert Ridge(rows, targets).strength == min(STRENGTHS, key=error)


@pytest.mark.parametrize("rows", [np.ones((6, 3)), np.zeros((6, 0))])
def test_rows_that_are_all_alike_tell_the_mean_of_the_others(rows: np.ndarray) -> None:
    targets = np.arange(6.0)[:, None]
    told = Ridge(rows, targets).held_out(np.arange(6))
    np.testing.assert_allclose(told, (targets.sum() - targets) / 5)


def test_where_nothing_else_was_seen_nothing_is_told() -> None:
    assert not Ridge(np.eye(4), np.ones((4, 2))).held_out(np.zeros(4, np.int64)).any()


labels = st.lists(st.integers(0, 6), min_size=1, max_size=80)


@given(labels, st.integers(1, 9), st.integers(0, 9))
def test_every_class_is_dealt_out_evenly(labels: list[int], folds: int, seed: int) -> None:
    fold = folds_of(labels, (), folds, np.random.default_rng(seed))
    for kept in (np.ones(len(labels), dtype=bool), *(np.array(labels) == label for label in set(labels))):
        counts = np.bincount(fold[kept], minlength=folds)
        assert counts.max() - counts.min() <= 1


@given(labels, st.integers(0, 9))
def test_what_is_one_lies_in_one_fold(labels: list[int], seed: int) -> None:
    groups = [range(start, min(start + 3, len(labels))) for start in range(0, len(labels), 7)]
    fold = folds_of(labels, groups, FOLDS, np.random.default_rng(seed))
    assert all(len(set(fold[list(group)])) == 1 for group in groups)


def test_a_rare_class_is_not_always_in_the_same_fold() -> None:
    labels = [0] * 20 + [1]
    assert len({int(folds_of(labels, (), FOLDS, np.random.default_rng(seed))[-1]) for seed in range(40)}) == FOLDS
