"""The steps of a run as points of a plot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.events import PrefixReady, RunStarted, StepDone
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.gui.step_arrays import StepArrays


def begun(per: int, batch_size: int = 8) -> RunStarted:
    return RunStarted(
        epochs=100, steps_per_epoch=per, first_epoch=0, first_step=0, device="CPU", precision="fp32",
        learning_share=1.0, time=0.0, batch_size=batch_size,
    )  # fmt: skip


def step_done(number: int, per: int, seconds: float | None = None) -> StepDone:
    told = float(number + 1) if seconds is None else seconds
    return StepDone(epoch=number // per, step=number % per, loss=float(number % 7), lr=0.1, seconds=told)


def test_speeds_leave_out_what_is_no_learning() -> None:
    frozen = PrefixReady(after="a", kept=9, reused=0, bytes=1, precision="fp32", seconds=10.0)
    history = MetricHistory.of([begun(3), frozen, *(step_done(n, 3, 12.0 + 2 * n) for n in range(3)), step_done(3, 3, 18.0)])
    steps = StepArrays()
    steps.follow(history)
    # The last batch of an epoch may be a smaller one.
    assert np.array_equal(steps.speeds(8), [4.0, 4.0, np.nan, 4.0], equal_nan=True)
    assert np.isnan(steps.speeds(0)).all()  # who told no size tells no speed


@given(st.integers(1, 40), st.lists(st.integers(0, 60), max_size=8), st.integers(4, 64))
def test_a_long_run_is_drawn_as_means_of_all_its_steps(per: int, batches: list[int], most: int) -> None:
    history, followed = MetricHistory.of([begun(per)]), StepArrays(most)
    for batch in batches:
        for number in range(len(history.steps), len(history.steps) + batch):
            history.add(step_done(number, per))
        followed.follow(history)
    at_once = StepArrays(most)
    at_once.follow(history)
    count, epochs = sum(batches), -(-sum(batches) // per)
    assert len(followed.at) <= max(most, epochs)
    assert followed.every == 1 or count > most
    assert followed.every == at_once.every
    for name in ("at", "losses", "rates", "epochs"):
        assert np.allclose(getattr(followed, name), getattr(at_once, name)), name
    steps, took = followed.timed
    told = [step for step in history.steps if step.step + 1 < per or per == 1]
    assert (steps.sum(), took.sum()) == (len(told), len(told))  # each took a second
    points = [(step.epoch, step.step // followed.every) for step in history.steps]
    means = [np.mean([s.loss for s, own in zip(history.steps, points, strict=True) if own == p]) for p in dict.fromkeys(points)]
    assert np.allclose(followed.losses, means)


@pytest.mark.parametrize("most", [8, 1000])
def test_the_step_that_is_pointed_at_is_one_of_the_run(most: int) -> None:
    history, steps = MetricHistory.of([begun(30), *(step_done(n, 30) for n in range(100))]), StepArrays(most)
    assert steps.nearest(history, 1.0) is None
    steps.follow(history)
    assert steps.nearest(history, -1.0) == history.steps[0]
    assert steps.nearest(history, 9.0) == history.steps[-1]
    places = np.array([step.epoch + (step.step + 1) / 30 for step in history.steps])
    for number, place in enumerate(places):
        found = steps.nearest(history, place)
        assert found is not None
        assert abs(history.steps.index(found) - number) <= steps.every
