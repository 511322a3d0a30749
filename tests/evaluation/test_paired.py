"""The paired test and its intervals, against what others compute and what can be counted by hand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import binomtest

from desktop_ft.evaluation.paired import difference_interval, holm, mean_interval, sign_flip


def answers(seeds: int | None = None, most: int = 9) -> st.SearchStrategy[np.ndarray]:
    rows = st.just(seeds) if seeds else st.integers(1, 3)
    return st.tuples(st.just(2), rows, st.integers(1, most)).flatmap(lambda shape: arrays.arrays(np.bool_, shape))


@given(answers(seeds=1, most=60))
def test_with_one_seed_it_is_mcnemars_exact_test(pair: np.ndarray) -> None:
    first, second = pair
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if discordant := only_first + only_second:
        assert sign_flip(first, second) == pytest.approx(binomtest(only_first, discordant).pvalue)
    else:
        assert sign_flip(first, second) == 1.0


@settings(deadline=None)
@given(answers())
def test_with_several_seeds_it_is_what_counting_every_throw_of_signs_gives(pair: np.ndarray) -> None:
    differences = pair[0].sum(axis=0, dtype=int) - pair[1].sum(axis=0, dtype=int)
    sums = [abs(int(np.dot(signs, differences))) for signs in product((-1, 1), repeat=len(differences))]
    expected = np.mean([each >= abs(differences.sum()) for each in sums])
    assert sign_flip(pair[0], pair[1]) == pytest.approx(expected)
    assert sign_flip(pair[0], pair[1]) == sign_flip(pair[1], pair[0])


def test_more_seeds_of_the_same_answers_make_it_no_surer() -> None:
    first, second = np.zeros((1, 40), bool), np.zeros((1, 40), bool)
    first[0, :12], second[0, 8:14] = True, True
    once = sign_flip(first, second)
    assert sign_flip(np.repeat(first, 5, axis=0), np.repeat(second, 5, axis=0)) == pytest.approx(once)


def test_many_pictures_cost_no_overflow() -> None:
    first, second = np.ones((3, 4000), bool), np.ones((3, 4000), bool)
    first[:, :900] = False
    second[:, 900:1800] = False
    assert sign_flip(first, second) == pytest.approx(1.0)
    second[:, 900:1800] = True
    assert sign_flip(first, second) < 1e-200


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_correction_keeps_the_order_and_never_makes_surer(ps: list[float]) -> None:
    corrected = holm(ps)
    assert all(p <= c <= 1 for p, c in zip(ps, corrected, strict=True))
    ordered = sorted(zip(ps, corrected, strict=True))
    assert [c for _, c in ordered] == sorted(corrected)
    assert min(corrected) == pytest.approx(min(1.0, len(ps) * min(ps)))


def test_holms_correction_of_his_own_kind_of_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


@settings(deadline=None, max_examples=50)
@given(answers(most=60))
def test_intervals_hold_their_figure(pair: np.ndarray) -> None:
    mean, difference = mean_interval(pair[0]), difference_interval(pair[0], pair[1])
    assert 0 <= mean.low <= mean.value <= mean.high <= 1 and mean.value == pytest.approx(pair[0].mean())
    assert difference.low <= difference.value <= difference.high
    assert difference.value == pytest.approx(pair[0].mean() - pair[1].mean())


def test_an_interval_is_no_point_where_nothing_was_wrong_and_narrows_with_more_pictures() -> None:
    few, many = mean_interval(np.ones((3, 20), bool)), mean_interval(np.ones((3, 2000), bool))
    assert few.low < many.low < 1.0


def test_seeds_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    alike = rng.random((4, 400)) < 0.7
    unlike = rng.random((4, 400)) < np.array([0.4, 0.6, 0.8, 1.0])[:, None]
    narrow, wide = mean_interval(alike), mean_interval(unlike)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_answers_of_different_pictures_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        sign_flip(np.ones((1, 3), bool), np.ones((1, 4), bool))
