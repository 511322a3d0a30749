"""What follows from the losses of a learning-rate finder."""

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.rate_sweep import HIGHEST, LOWEST, STEPS, RateSweep, rate_at


def swept(losses: list[float]) -> RateSweep:
    return RateSweep(tuple(map(rate_at, range(len(losses)))), tuple(losses))


def valley(at: float, noise: float = 0.0) -> list[float]:
    """Losses that are lowest at the rate `at`: a parabola over the logarithm of the rate."""
    chance = random.Random(0)
    return [0.3 + 0.2 * (math.log10(rate_at(step)) - math.log10(at)) ** 2 + chance.gauss(0, noise) for step in range(STEPS)]


def test_the_rates_rise_by_the_same_factor_from_the_lowest_to_the_highest() -> None:
    rates = [rate_at(step) for step in range(STEPS)]
    assert (rates[0], rates[-1]) == pytest.approx((LOWEST, HIGHEST))
    factors = [after / before for before, after in pairwise(rates)]
    assert factors == pytest.approx([factors[0]] * len(factors)) and factors[0] > 1


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("at", [1e-3, 1e-2, 1e-1, 1.0])
def test_the_rate_with_the_lowest_loss_is_found_and_a_third_suggested(at: float, noise: float) -> None:
    sweep = swept(valley(at, noise))
    assert sweep.lowest is not None and abs(math.log10(sweep.lowest / at)) < 0.2
    assert sweep.suggested == pytest.approx(sweep.lowest / 3, rel=0.2)
    assert "lowest at" in sweep.words and f"{sweep.suggested:g}, is a safe rate" in sweep.words


def test_a_loss_that_still_falls_is_told_so() -> None:
    sweep = swept([1 / (1 + 0.1 * step) for step in range(STEPS)])
    assert sweep.lowest == rate_at(STEPS - 1) and "still falls at 1e+01" in sweep.words


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_not_taken_for_learning(seed: int) -> None:
    chance = random.Random(seed)
    assert swept([chance.gauss(0.7, 0.1) for _ in range(STEPS)]).suggested is None


def test_a_loss_that_explodes_ends_the_search_and_one_that_falls_does_not() -> None:
    assert swept([*valley(1e-2)[:40], *[100.0] * 5]).over
    assert not swept([1 / (1 + number) for number in range(STEPS)]).over
    assert not swept([]).over


@pytest.mark.parametrize("losses", [[], [1.0], [1.0, 1.1, 1.3, 2.0]])
def test_where_the_loss_never_fell_nothing_is_suggested(losses: list[float]) -> None:
    assert swept(losses).suggested is None and "never clearly fell" in swept(losses).words


@given(st.lists(st.floats(1e-3, 1e3), max_size=STEPS))
def test_smoothing_stays_among_what_it_smooths(losses: list[float]) -> None:
    smooth = swept(losses).smooth
    assert len(smooth) == len(losses)
    for mean in smooth:
        assert min(losses) * (1 - 1e-9) <= mean <= max(losses) * (1 + 1e-9)
    suggested = swept(losses).suggested
    assert suggested is None or LOWEST / 10 < suggested <= HIGHEST
