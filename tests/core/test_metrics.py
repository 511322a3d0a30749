"""The curves of a run, rebuilt from its events alone."""

import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from desktop_ft.core.changes import Change
from desktop_ft.core.events import (
    EpochDone,
    MachineUse,
    Paused,
    PlanChanged,
    PrefixProgress,
    PrefixReady,
    RatesSet,
    RunEnded,
    RunStarted,
    RunStatus,
    StepDone,
    TrainEvent,
    Warned,
    WorkPlanned,
)
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.core.values import from_json


def started(epoch=0, step=0, epochs=4, steps=5):
    return RunStarted(
        epochs=epochs,
        steps_per_epoch=steps,
        first_epoch=epoch,
        first_step=step,
        device="CPU",
        precision="fp32",
        learning_share=1.0,
        time=0.0,
    )


def step_done(epoch, step, seconds=1.0, loss=1.0):
    return StepDone(epoch=epoch, step=step, loss=loss, lr=0.1, seconds=seconds)


def epoch_done(epoch, best, seconds=1.0):
    return EpochDone(epoch=epoch, train_loss=1.0, train_accuracy=0.5, val_loss=1.0, val_accuracy=0.5, seconds=seconds, best=best)


def test_before_anything_happens_nothing_can_be_told():
    history = MetricHistory()
    assert (history.progress, history.eta_seconds, history.best, history.epochs_without_improvement) == (0.0, None, None, 0)
    history.add(started())
    assert (history.progress, history.eta_seconds) == (0.0, None)


def test_progress_and_time_left_follow_the_steps():
    history = MetricHistory.of([started(), *(step_done(0, n, seconds=2.0 * (n + 1)) for n in range(5))])
    assert history.progress == 0.25 and history.eta_seconds == approx(30)
    history.add(epoch_done(0, True, seconds=15.0))  # a validation of 5 s
    assert history.eta_seconds == approx(45)  # three epochs more, of 15 s each
    history.add(step_done(1, 0, seconds=18.0))
    assert history.eta_seconds == approx(11.0 / 5 * 14 + 3 * 5.0)  # steps at the pace since the first, and three validations more


def test_what_the_very_first_step_loads_is_not_paid_for_again():
    history = MetricHistory.of([started(), *(step_done(0, n, seconds=18.0 + n) for n in range(5))])
    assert history.eta_seconds == approx(15.0)
    history.add(epoch_done(0, True, seconds=23.0))
    assert history.eta_seconds == approx(15.0 + 3 * 1.0)


def test_before_the_first_validation_the_time_left_is_the_least_it_can_be():
    history = MetricHistory.of([started(), step_done(0, 0, seconds=2.0)])
    assert history.eta_seconds == approx(38.0) and not history.eta_is_whole
    history.add(epoch_done(0, True, seconds=5.0))
    assert history.eta_is_whole


def test_the_frozen_layers_own_pass_does_not_slow_the_epochs_forecast_down():
    history = MetricHistory.of([started(), PrefixProgress(done=10, total=40, seconds=5.0)])
    assert history.prefix_eta_seconds == approx(15.0)
    history.add(PrefixReady(after="pool", kept=40, reused=0, bytes=1, precision="fp32", seconds=20.0))
    assert history.prefix_eta_seconds is None
    history.add(step_done(0, 0, seconds=20.1))
    assert history.eta_seconds == approx(1.9)
    assert history.work_seconds == approx(20.1)


def test_a_pass_that_was_broken_off_is_forecast_no_more():
    history = MetricHistory.of([started(), PrefixProgress(done=10, total=40, seconds=5.0), RunEnded(status=RunStatus.CANCELLED)])
    assert history.prefix_eta_seconds is None


def test_the_work_of_all_starts_counts():
    history = MetricHistory.of([started(), step_done(0, 0, seconds=100.0), started(0, 1), step_done(0, 1, seconds=3.0)])
    history.add(epoch_done(0, True, seconds=4.0))
    assert history.work_seconds == approx(104.0)
    assert history.begun == started()


def test_the_time_left_of_a_resumed_run_counts_from_its_resumption():
    events = [
        started(),
        *(step_done(0, n, seconds=100.0 * n) for n in range(5)),
        epoch_done(0, True),
        *(step_done(1, n, seconds=900.0) for n in range(4)),
    ]
    history = MetricHistory.of([*events, started(1, 3)])
    assert history.eta_seconds is None and history.progress == 8 / 20
    history.add(step_done(1, 3, seconds=2.0))
    assert history.eta_seconds == approx(2.0 * 11) and history.progress == 9 / 20


def test_what_a_resumed_run_repeats_replaces_what_was_there():
    history = MetricHistory.of(
        [
            started(),
            *(step_done(0, n, loss=n) for n in range(5)),
            epoch_done(0, True),
            *(step_done(1, n, loss=n) for n in range(5)),
            epoch_done(1, True),
            RunEnded(status=RunStatus.FAILED, error="x"),
            started(1, 2),
        ]
    )
    assert history.ended is None
    assert [(s.epoch, s.step) for s in history.steps] == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1)]
    assert [e.epoch for e in history.epochs] == [0] and history.best == epoch_done(0, True)


def test_resuming_before_a_validation_keeps_every_step_and_the_end_has_no_time_left():
    events = [started(epochs=1), *(step_done(0, n) for n in range(5)), started(0, 5, epochs=1)]
    history = MetricHistory.of(events)
    assert len(history.steps) == 5 and history.progress == 1.0 and history.eta_seconds is None
    history = MetricHistory.of([*events[:-1], epoch_done(0, True)])
    assert history.eta_seconds == 0


def test_epochs_since_the_best_one():
    history = MetricHistory.of([started(), *(epoch_done(n, n < 2) for n in range(4))])
    assert history.best == epoch_done(1, True) and history.epochs_without_improvement == 2


def test_warnings_and_pauses_are_kept():
    history = MetricHistory.of([started(), Warned(message="a"), Paused(paused=True)])
    assert history.paused and history.warnings == ["a"]
    history.add(started())
    assert not history.paused and history.warnings == ["a"]


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_a_history_never_fails_and_stays_in_bounds(epochs, steps, data):
    history = MetricHistory()
    clock = 0.0
    position = 0
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, position))
        history.add(started(*divmod(position, steps), epochs=epochs, steps=steps))
        clock = 0.0
        for _ in range(data.draw(st.integers(0, epochs * steps - position))):
            clock += data.draw(st.floats(0, 10))
            history.add(step_done(*divmod(position, steps), seconds=clock))
            position += 1
            assert history.eta_seconds >= 0
        assert 0 <= history.progress <= 1
        assert [(s.epoch, s.step) for s in history.steps] == [divmod(n, steps) for n in range(position)]


RECORDED = Path(__file__).with_name("recorded_run.jsonl")
"""398 photos of ants and bees, last:2 at 96 pixels, behind frozen layers that answer once; its seconds are the processor's."""


def test_the_time_left_after_the_first_epoch_of_a_recorded_run_is_right_within_15_percent():
    events = [from_json(TrainEvent, line, RECORDED.name) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    whole = next(event.seconds for event in reversed(events) if isinstance(event, EpochDone))
    frozen = next(event for event in events if isinstance(event, PrefixReady))
    assert frozen.seconds > 0.1 * whole  # it would spoil what is told, were it taken for learning
    history, told = MetricHistory(), []
    for event in events:
        history.add(event)
        if isinstance(event, EpochDone):
            told.append((history.eta_seconds, whole - event.seconds))
    assert all(eta == approx(took, rel=0.15) for eta, took in told[:5])
    assert history.eta_seconds == 0


def test_what_only_the_first_epoch_pays_for_is_forgotten_once_another_one_has_followed():
    events = [started(), *(step_done(0, n, seconds=10.0 * (n + 1)) for n in range(5)), epoch_done(0, True, seconds=60.0)]
    history = MetricHistory.of([*events, *(step_done(1, n, seconds=60.0 + n + 1) for n in range(5))])
    assert history.eta_seconds == approx(10 * 45 / 9 + 3 * 10)
    history.add(epoch_done(1, True, seconds=67.0))
    assert history.eta_seconds == approx(10 * 1.0 + 2 * 2.0)


def test_the_time_left_knows_what_coming_epochs_compute_and_what_getting_ready_for_them_takes():
    frozen = PrefixReady(after="a", kept=0, reused=0, bytes=0, precision="fp32", seconds=3.0)
    told = [started(), WorkPlanned(epoch=0, steps=(2.0, 2.0, 4.0, 6.0)), frozen]
    steps = [step_done(0, n, seconds=5.0 + 2 * n) for n in range(5)]  # each takes 2 s: a second for each unit of work
    history = MetricHistory.of([*told, *steps, epoch_done(0, True, seconds=14.0)])
    assert history.eta_seconds == approx(5 * (2 + 4 + 6) + 2 * 3.0 + 3 * 1.0)
    history.add(step_done(1, 0, seconds=16.0))
    assert history.eta_seconds == approx(4 * 2 + 5 * (4 + 6) + 2 * 3.0 + 3 * 1.0)
    for n in range(1, 5):
        history.add(step_done(1, n, seconds=16.0 + 2 * n))
    history.add(epoch_done(1, True, seconds=25.0))
    history.add(PrefixReady(after="b", kept=0, reused=0, bytes=0, precision="fp32", seconds=5.0))
    history.add(step_done(2, 0, seconds=34.0))
    assert history.eta_seconds == approx(4 * 4 + 5 * 6 + 4.0 + 2 * 1.0)


def test_the_time_left_counts_anew_when_other_layers_learn_and_goes_on_when_only_the_rate_changes():
    slow = [started(), *(step_done(0, n, seconds=100.0 * (n + 1)) for n in range(5)), epoch_done(0, True, seconds=600.0)]
    rate = PlanChanged(epoch=1, change=Change(lr=0.1), learning_share=1.0)
    history = MetricHistory.of([*slow, rate])
    assert history.eta_seconds == approx(100 * 15 + 3 * 100)
    history.add(PlanChanged(epoch=1, change=Change(freeze=FreezePlan(preset="head")), learning_share=0.1))
    assert history.eta_seconds is None and not history.eta_is_whole
    for n in range(2):
        history.add(step_done(1, n, seconds=601.0 + n))
    assert history.eta_seconds == approx(13 * 1.0)
    assert history.work_seconds == 602.0, "what it took so far is not forgotten"


def test_what_a_far_larger_plan_will_take_is_not_made_up_and_the_bar_does_not_run_ahead():
    told = [started(), WorkPlanned(epoch=0, steps=(1.0, 1.0, 1.0, 97.0))]
    quick = [step_done(0, n, seconds=0.01 * (n + 1)) for n in range(5)]
    history = MetricHistory.of([*told, *quick, epoch_done(0, True, seconds=0.06)])
    assert history.eta_seconds == approx(15 * 0.01 + 3 * 0.01) and not history.eta_is_whole, "at least that long"
    assert history.progress == approx(0.01)
    for epoch in (1, 2):
        for n in range(5):
            history.add(step_done(epoch, n, seconds=0.06 * epoch + 0.01 * (n + 1)))
        history.add(epoch_done(epoch, True, seconds=0.06 * (epoch + 1)))
    history.add(PlanChanged(epoch=3, change=Change(freeze=FreezePlan(preset="all")), learning_share=1.0))
    history.add(WorkPlanned(epoch=3, steps=(97.0,)))
    assert history.progress == approx(0.03), "what was done before is not worth more now"
    for n in range(2):
        history.add(step_done(3, n, seconds=1.0 + 2 * n))
    assert history.eta_seconds == approx(3 * 2.0) and history.progress == approx((3 + 2 * 97 / 5) / 100)
    history.add(epoch_done(3, True, seconds=4.0))
    assert history.eta_is_whole


@given(st.lists(st.floats(0), max_size=6), st.integers())
def test_whatever_a_run_tells_of_its_work_the_time_left_is_a_number(steps: list[float], since: int):
    told = [started(), WorkPlanned(epoch=since, steps=tuple(steps)), step_done(0, 0, seconds=2.0), step_done(0, 1, seconds=3.0)]
    eta = MetricHistory.of(told).eta_seconds
    assert eta is not None and 0 <= eta < math.inf


def test_rates_are_told_by_epoch_and_again_after_a_resumption():
    told = [RatesSet(epoch=0, groups=(("fc", 1.0),)), RatesSet(epoch=2, groups=(("b", 0.03), ("fc", 1.0)))]
    history = MetricHistory.of([started(), *told])
    assert history.rates_in(1) == told[0].groups and history.rates_in(5) == told[1].groups
    history.add(started(2, 0))
    assert history.rates == told[:1]
    assert MetricHistory().rates_in(0) == (("head", 1.0),)


def test_speeds_leave_out_what_is_no_learning():
    begun = RunStarted(
        epochs=2, steps_per_epoch=3, first_epoch=0, first_step=0, device="CPU", precision="fp32",
        learning_share=1.0, time=0.0, batch_size=8,
    )  # fmt: skip
    frozen = PrefixReady(after="a", kept=9, reused=0, bytes=1, precision="fp32", seconds=10.0)
    steps = [step_done(0, n, seconds=12.0 + 2 * n) for n in range(3)]
    history = MetricHistory.of([begun, frozen, *steps, epoch_done(0, True, seconds=20.0), step_done(1, 0, seconds=24.0)])
    assert history.speeds() == [4.0, 4.0, None, 2.0]  # the last batch of an epoch may be a smaller one
    history.add(started(0, 2, steps=3))
    assert len(history.took) == 2 and history.speeds() == [None, None]  # who told no size tells no speed


def test_the_machine_is_told_of_without_the_time_between_two_starts():
    use = [MachineUse(seconds=float(at), cpu=0.5, memory=1) for at in (1, 2)]
    history = MetricHistory.of([started(), *use, started(1, 0), *use])
    assert [seconds for seconds, _ in history.machine] == [1.0, 2.0, 3.0, 4.0]
