"""What a run will cost by its views."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.forecast import Forecast, StageCosts

costs = st.floats(min_value=0.001, max_value=1000)
stages = st.builds(
    StageCosts, epochs=st.integers(1, 50), front=costs, learning=costs, judging=costs, after=st.sampled_from(["", "blocks.5"])
)
forecasts = st.builds(
    Forecast,
    training=st.integers(1, 10_000),
    validation=st.integers(1, 10_000),
    augmented=st.booleans(),
    mixed=st.booleans(),
    precision=st.just("fp32"),
    stages=st.lists(stages, min_size=1, max_size=4).map(tuple),
)


def a_forecast(epochs: int = 10, front: float = 5.0, learning: float = 0.01, after: str = "blocks.5") -> Forecast:
    stage = StageCosts(epochs=epochs, front=front, learning=learning, judging=0.0, after=after)
    return Forecast(training=1000, validation=100, augmented=True, mixed=False, precision="fp32", stages=(stage,))


def test_each_view_goes_through_the_frozen_layers_once() -> None:
    told = a_forecast()
    assert told.seconds(1) == pytest.approx(5.0 * 1.1 + 0.1)
    assert told.seconds(4) == pytest.approx(5.0 * 4.1 + 0.1)
    assert told.seconds(0) == told.seconds(10) == told.seconds(99) == pytest.approx(5.0 * 10.1 + 0.1)


@pytest.mark.parametrize(
    ("epochs", "learning", "recommended"), [(10, 0.01, 4), (30, 0.01, 8), (4, 0.01, 1), (2, 0.01, 0), (10, 100.0, 0)]
)
def test_the_most_views_that_save_half_are_recommended(epochs: int, learning: float, recommended: int) -> None:
    assert a_forecast(epochs, learning=learning).recommended_views == recommended


def test_where_everything_learns_views_make_no_difference() -> None:
    told = a_forecast(after="")
    assert (told.recommended_views, len(told.choices()), told.seconds(0)) == (0, 1, told.seconds(4))


@given(forecasts)
def test_fewer_views_never_take_longer_and_a_recommendation_saves(told: Forecast) -> None:
    by_views = [told.seconds(views) for views in (1, 2, 4, 8, 100)]
    assert by_views == sorted(by_views)
    assert told.seconds(0) >= by_views[-1] * (1 - 1e-9)
    best = told.recommended_views
    assert best == 0 or (told.views_matter and told.seconds(best) <= told.seconds(0) / 2)
    assert told.choices()[0] == (0, told.seconds(0))
