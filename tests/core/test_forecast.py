"""What a run will cost by its views."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.forecast import Forecast, StageCosts

costs = st.floats(min_value=0.001, max_value=1000)
stages = st.builds(
    StageCosts,
    epochs=st.integers(1, 50),
    front=costs,
    anew=costs,
    learning=costs,
    judging=costs,
    after=st.sampled_from(["", "blocks.5"]),
)
forecasts = st.builds(
    Forecast,
    training=st.integers(1, 10_000),
    validation=st.integers(1, 10_000),
    augmented=st.booleans(),
    mixed=st.booleans(),
    processes=st.just(1),
    precision=st.just("fp32"),
    stages=st.lists(stages, min_size=1, max_size=4).map(tuple),
)


def a_forecast(epochs: int = 10, learning: float = 0.01, after: str = "blocks.5", **changes: Any) -> Forecast:
    stage = StageCosts(epochs=epochs, front=5.0, anew=4.0, learning=learning, judging=0.0, after=after)
    told = Forecast(training=1000, validation=100, augmented=True, mixed=False, processes=1, precision="fp32", stages=(stage,))
    return replace(told, **changes)


def test_each_view_goes_through_the_frozen_layers_once() -> None:
    told = a_forecast()
    assert told.seconds(1) == pytest.approx(5.0 * 1.1 + 0.1)
    assert told.seconds(4) == pytest.approx(5.0 * 4.1 + 0.1)
    assert told.seconds(10) == told.seconds(99) == pytest.approx(5.0 * 10.1 + 0.1)
    assert told.seconds(0) == pytest.approx(5.0 * 1.1 + 4.0 * 9 + 0.1)  # decoded once


def test_what_is_mixed_or_not_cut_comes_anew_every_epoch() -> None:
    for told in (a_forecast(mixed=True), a_forecast(after="")):
        assert told.seconds(0) == told.seconds(4) == pytest.approx(5.0 * 1.1 + 4.0 * 9 + 0.1)
        assert (told.recommended_views, len(told.choices()), told.advice(0)) == (0, 1, "")


def test_pictures_that_are_not_changed_come_once() -> None:
    assert a_forecast(augmented=False).seconds(0) == pytest.approx(5.0 * 1.1 + 0.1)


@pytest.mark.parametrize(
    ("epochs", "learning", "recommended"), [(12, 0.01, 4), (30, 0.01, 8), (4, 0.01, 1), (2, 0.01, 0), (10, 100.0, 0)]
)
def test_the_most_views_that_save_half_are_recommended(epochs: int, learning: float, recommended: int) -> None:
    told = a_forecast(epochs, learning)
    assert told.recommended_views == recommended
    assert ("Recommended" in told.advice(0)) is (recommended > 0)
    assert told.advice(2) == ""  # who has chosen is not told otherwise


def test_times_of_one_process_are_called_so() -> None:
    assert a_forecast().words(1) == "About 6 s of training, in fp32."
    assert a_forecast(processes=4).words(1) == "About 6 s of training, in fp32 in one process; 4 will share it."


@given(forecasts)
def test_fewer_views_never_take_longer_and_a_recommendation_saves(told: Forecast) -> None:
    by_views = [told.seconds(views) for views in (1, 2, 4, 8, 100)]
    assert by_views == sorted(by_views)
    best = told.recommended_views
    assert best == 0 or (told.views_matter and told.seconds(best) <= told.seconds(0) / 2)
    assert told.choices()[0] == (0, told.seconds(0))
