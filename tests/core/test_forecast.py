"""What a run will cost by its views and its batches."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.forecast import USUAL_BATCH_SIZE, Forecast, StageCosts, StepMemory

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
memories = st.builds(StepMemory, fixed=st.integers(0, 10**9), picture=st.integers(0, 10**8), free=st.integers(0, 10**11))
tried = st.lists(costs, max_size=5).map(
    lambda times: tuple((USUAL_BATCH_SIZE << place, took) for place, took in enumerate(sorted(times, reverse=True)))
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
    batch_size=st.sampled_from([1, 8, 32, 64, 100, 4096]),
    memory=memories,
    by_batch_size=tried,
)


def a_forecast(epochs: int = 10, learning: float = 0.01, after: str = "blocks.5", **changes: Any) -> Forecast:
    stage = StageCosts(epochs=epochs, front=5.0, anew=4.0, learning=learning, judging=0.0, after=after)
    told = Forecast(
        training=1000,
        validation=100,
        augmented=True,
        mixed=False,
        processes=1,
        precision="fp32",
        stages=(stage,),
        batch_size=32,
        memory=StepMemory(fixed=10_000_000, picture=1_000_000, free=1_000_000_000),
        by_batch_size=((32, learning),),
    )
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
    memory = "What learns takes 42.0 MB of memory."
    assert a_forecast().words(1) == f"The whole training, 10 epochs, takes about 6 s; it computes in fp32. {memory}"
    assert a_forecast(processes=4).words(1) == (
        f"The whole training, 10 epochs, would take one process about 6 s; 4 will share it, computing in fp32. {memory}"
    )


@given(forecasts)
def test_fewer_views_never_take_longer_and_a_recommendation_saves(told: Forecast) -> None:
    by_views = [told.seconds(views) for views in (1, 2, 4, 8, 100)]
    assert by_views == sorted(by_views)
    best = told.recommended_views
    assert best == 0 or (told.views_matter and told.seconds(best) <= told.seconds(0) / 2)
    assert told.choices()[0] == (0, told.seconds(0))


@pytest.mark.parametrize(("batch_size", "fits"), [(32, True), (512, True), (790, True), (791, False), (2048, False)])
def test_batches_that_do_not_fit_are_told_with_some_that_do(batch_size: int, fits: bool) -> None:
    told = a_forecast(batch_size=batch_size)  # 800 MB may be taken, 10 of them are gradients and the optimiser's
    assert told.memory.most == 512
    assert (told.batch_advice == "") is fits
    assert told.recommended_batch_size == (batch_size if fits else 512)
    if not fits:
        told_too_much = "That is too much: of the 1.0 GB that are free it should take 800.0 MB at most."
        assert told.batch_advice == f"{told_too_much} Batches of 512 fit."


def test_where_not_even_one_picture_fits_fewer_layers_are_recommended() -> None:
    told = a_forecast(batch_size=1, memory=StepMemory(fixed=900, picture=200, free=1000), by_batch_size=())
    assert told.recommended_batch_size == 1
    assert told.batch_advice.endswith("Let fewer layers learn.")


def test_larger_batches_are_recommended_only_where_they_make_the_run_shorter() -> None:
    faster = ((32, 20.0), (64, 12.0), (128, 10.0))
    told = a_forecast(learning=20.0, by_batch_size=faster)  # 244 s, of which 100 can be saved
    assert told.recommended_batch_size == 128
    assert told.batch_advice.startswith("In batches of 128 a step takes 10 ms a picture instead of 20;")
    taken = replace(told, batch_size=128)
    assert taken.seconds(0) == pytest.approx(told.seconds(0) - 100) and not taken.batch_advice
    assert replace(told, batch_size=48).seconds(0) == told.seconds(0)  # of those tried the nearest below
    # The frozen layers take nearly all of the time: the step is no matter.
    short = a_forecast(learning=0.02, by_batch_size=((32, 0.02), (64, 0.01)))
    assert (short.recommended_batch_size, short.batch_advice) == (32, "")
    # Who takes another size than those tried has chosen.
    assert a_forecast(batch_size=48, learning=20.0, by_batch_size=faster).batch_advice == ""


@given(forecasts)
def test_a_recommended_batch_fits_and_has_a_reason(told: Forecast) -> None:
    best = told.recommended_batch_size
    assert (best == told.batch_size) or told.batch_advice
    assert told.memory.of(best) <= told.memory.usable or best == 1
    most = told.memory.most
    assert most == 1 or told.memory.of(most) <= told.memory.usable
    assert told.memory.picture == 0 or told.memory.of(2 * most) > told.memory.usable


def test_each_device_holds_its_part_of_a_batch() -> None:
    alone = StepMemory(fixed=10, picture=2, free=1000)
    shared = replace(alone, devices=4)
    assert (alone.of(100), shared.of(100), shared.of(101)) == (210, 60, 62)
    assert shared.most == 4 * alone.most
