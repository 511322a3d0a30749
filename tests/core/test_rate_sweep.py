"""What follows from the losses of a learning-rate finder."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.rate_sweep import HIGHEST, LOWEST, STEPS, RateSweep, rate_at


def swept(losses: list[float]) -> RateSweep:
    return RateSweep(tuple(map(rate_at, range(len(losses)))), tuple(losses))


def valley(at: float, noise: float = 0.0) -> list[float]:
    """Losses that fall towards the rate `at`, and explode behind it."""
    rates = map(rate_at, range(STEPS))
    found = [1.0 if rate < at / 100 else 0.5 if rate <= at else 9.0 for rate in rates]
    return [loss + noise * (-1) ** number for number, loss in enumerate(found)]


def test_the_rates_rise_by_the_same_factor_from_the_lowest_to_the_highest() -> None:
    rates = [rate_at(step) for step in range(STEPS)]
    assert (rates[0], rates[-1]) == pytest.approx((LOWEST, HIGHEST))
    factors = [after / before for before, after in pairwise(rates)]
    assert factors == pytest.approx([factors[0]] * len(factors)) and factors[0] > 1


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("at", [1e-2, 1e-1, 1.0])
def test_a_tenth_of_the_rate_with_the_lowest_loss_is_suggested(at: float, noise: float) -> None:
    sweep = swept(valley(at, noise))
    assert sweep.suggested == pytest.approx(at / 10, rel=0.7)
    assert f"a tenth, {sweep.suggested:g}, is safe" in sweep.words


def test_a_loss_that_explodes_ends_the_search_and_one_that_falls_does_not() -> None:
    assert swept([*valley(1e-2)[:60], *[100.0] * 5]).over
    assert not swept([1 / (1 + number) for number in range(STEPS)]).over
    assert not swept([]).over


@pytest.mark.parametrize("losses", [[], [1.0], [1.0, 1.1, 1.3, 2.0]])
def test_where_the_loss_never_fell_nothing_is_suggested(losses: list[float]) -> None:
    assert swept(losses).suggested is None and "never fell" in swept(losses).words


@given(st.lists(st.floats(1e-3, 1e3), max_size=STEPS))
def test_smoothing_stays_among_what_it_smooths(losses: list[float]) -> None:
    smooth = swept(losses).smooth
    assert len(smooth) == len(losses)
    for number, mean in enumerate(smooth):
        so_far = losses[: number + 1]
        assert min(so_far) * (1 - 1e-9) <= mean <= max(so_far) * (1 + 1e-9)
    suggested = swept(losses).suggested
    assert suggested is None or (LOWEST / 100 < suggested <= HIGHEST and math.isfinite(suggested))
