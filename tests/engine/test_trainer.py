"""A run from start to end: what it tells, what it keeps, and how it answers what is asked of it."""

import re
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop_ft.core.errors import UserError
from desktop_ft.core.events import CheckpointSaved, EpochDone, Paused, RunEnded, RunStarted, RunStatus, StepDone, Warned
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.core.recipe import Optimizer, Precision, Schedule
from tests.engine.tiny import PLAN, STEPS, Run, TinyBatches, TinyNet, same

LETTERS = {RunStarted: "r", StepDone: "s", EpochDone: "e", CheckpointSaved: "c", Paused: "p", Warned: "w", RunEnded: "X"}
LEGAL = re.compile(r"r(?:s|ec|c?pp|w|c)*X")


def letters(run: Run) -> str:
    return "".join(LETTERS.get(type(event), "") for event in run.events)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupted."""
    run = Run(tmp_path_factory.mktemp("whole"))
    run.fit()
    return run


def test_a_run_tells_all_of_its_epochs_and_learns(whole):
    assert letters(whole) == "r" + ("s" * STEPS + "ec") * 3 + "X"
    ended = whole.events[-1]
    assert ended.status is RunStatus.COMPLETED and ended.checkpoint == whole.store.best and not ended.error
    epochs = whole.of(EpochDone)
    assert epochs[-1].train_loss < epochs[0].train_loss and epochs[0].best
    assert [step.seconds for step in whole.of(StepDone)] == sorted(step.seconds for step in whole.of(StepDone))
    started = whole.events[0]
    assert (started.device.split()[0], started.precision, started.learning_share) == ("CPU", "fp32", 1.0)


@pytest.mark.parametrize("optimizer", Optimizer)
@pytest.mark.parametrize("schedule", Schedule)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path, optimizer, schedule):
    plan = PLAN.model_copy(update={"optimizer": optimizer, "schedule": schedule})
    runs = [Run(tmp_path / str(n), plan=plan, seed=seed) for n, seed in enumerate((5, 5, 6))]
    for run in runs:
        run.fit()
    assert same(runs[0].weights, runs[1].weights)
    assert not same(runs[0].weights, runs[2].weights)  # by its dropout alone: the batches are the same


def test_a_run_leaves_torch_as_it_was(tmp_path):
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    Run(tmp_path).fit()
    assert torch.equal(torch.rand(3), wanted)
    assert (torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory) == before


def test_the_best_epoch_is_the_most_accurate_one_then_the_one_of_least_loss(tmp_path):
    run = Run(tmp_path, plan=PLAN.model_copy(update={"epochs": 8, "lr": 0.05}))
    run.fit()
    best = None
    for epoch in run.of(EpochDone):
        key = (epoch.val_accuracy, -epoch.val_loss)
        assert epoch.best is (best is None or key > best)
        best = max(best or key, key)
    kept = run.store.load("best")
    assert (kept.progress.best_accuracy, -kept.progress.best_loss) == best
    assert kept.progress.epoch == kept.progress.best_epoch + 1
    assert run.store.load("last").progress.epoch == 8


def test_early_stopping_ends_a_run_that_no_longer_gets_better(tmp_path):
    plan = PLAN.model_copy(update={"epochs": 40, "early_stopping": 2})
    run = Run(tmp_path, plan=plan)
    assert run.fit().status is RunStatus.COMPLETED
    epochs = run.of(EpochDone)
    assert len(epochs) < 40
    assert [epoch.best for epoch in epochs[-3:]] == [True, False, False]
    again = Run(tmp_path, plan=plan)
    assert again.fit(run.store.load("last")).status is RunStatus.COMPLETED
    assert letters(again) == "rX"


def test_what_is_frozen_does_not_change_by_a_bit(tmp_path):
    run = Run(tmp_path, learning=("fc",), plan=PLAN.model_copy(update={"weight_decay": 0.5}))
    before = run.weights
    run.fit()
    changed = {name for name, tensor in run.weights.items() if not torch.equal(tensor, before[name])}
    assert changed == {"fc.weight", "fc.bias"}
    assert run.events[0].learning_share == pytest.approx(15 / (15 + 8 + 112))


def test_nothing_that_learns_is_told_in_a_sentence(tmp_path):
    ended = Run(tmp_path, learning=()).fit()
    assert ended == RunEnded(
        status=RunStatus.FAILED, error="No layer may learn. Tick at least one layer, or take another preset."
    )


@pytest.mark.parametrize("step", range(STEPS))
@pytest.mark.parametrize("epoch", range(3))
def test_resuming_at_any_step_gives_the_same_weights_as_never_stopping(tmp_path, whole, epoch, step):
    first = Run(tmp_path)

    def stop(event):
        if isinstance(event, StepDone) and (event.epoch, event.step) == (epoch, step):
            first.control.stop.set()

    first.on_event = stop
    assert first.fit().status is RunStatus.STOPPED
    second = Run(tmp_path)
    assert second.fit(second.store.load("last")).status is RunStatus.COMPLETED
    assert same(second.weights, whole.weights)
    whole_curve, both = MetricHistory.of(whole.events), MetricHistory.of(first.events + second.events)
    assert [s.loss for s in both.steps] == [s.loss for s in whole_curve.steps]
    assert [(e.train_loss, e.val_loss, e.train_accuracy, e.best) for e in both.epochs] == [
        (e.train_loss, e.val_loss, e.train_accuracy, e.best) for e in whole_curve.epochs
    ]


def test_bf16_resumes_identically_too(tmp_path):
    whole = Run(tmp_path / "whole", precision=Precision.BF16)
    whole.fit()
    first = Run(tmp_path / "parts", precision=Precision.BF16)
    first.on_event = lambda event: first.control.stop.set() if isinstance(event, StepDone) and event.step == 1 else None
    first.fit()
    second = Run(tmp_path / "parts", precision=Precision.BF16)
    second.fit(second.store.load("last"))
    assert same(second.weights, whole.weights)


def test_a_checkpoint_of_another_network_is_refused_whole(tmp_path):
    run = Run(tmp_path)
    run.fit()
    other = TinyNet()
    other.fc = torch.nn.Linear(4, 5)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    ended = Run(tmp_path, network=other).fit(run.store.load("last"))
    assert ended.status is RunStatus.FAILED and "these tensors differ: fc." in ended.error
    assert same(dict(other.state_dict()), before)


def test_resuming_on_another_machine_says_that_it_is_not_bit_identical(tmp_path):
    run = Run(tmp_path)
    run.on_event = lambda event: run.control.stop.set() if isinstance(event, StepDone) else None
    run.fit()
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        again = Run(tmp_path)
        again.fit(run.store.load("last"))
    finally:
        torch.set_num_threads(threads)
    assert again.of(Warned) == [Warned(message=f"Continues, but not bit-identical: threads {threads} → {threads + 1}.")]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moments=st.lists(
        st.tuples(st.integers(0, 25), st.sampled_from(["pause", "stop", "cancel"])),
        min_size=1,
        max_size=3,
        unique_by=lambda m: m[0],
    )
)
def test_whatever_is_asked_whenever_there_is_one_legal_ending(tmp_path_factory, moments):
    run = Run(tmp_path_factory.mktemp("asked"))
    asked = dict(moments)

    def ask(event):
        if wish := asked.get(len(run.events)):
            getattr(run.control, wish).set()
        if isinstance(event, Paused) and event.paused:
            run.control.pause.clear()

    run.on_event = ask
    ended = run.fit()
    assert LEGAL.fullmatch(letters(run)), letters(run)
    assert [event.paused for event in run.of(Paused)] == [True, False] * (len(run.of(Paused)) // 2)
    if ended.status is RunStatus.CANCELLED:
        assert "cancel" in asked.values()
    elif ended.status is RunStatus.STOPPED:
        assert "stop" in asked.values() and ended.checkpoint
        again = Run(run.folder)
        assert again.fit(run.store.load("last")).status is RunStatus.COMPLETED
    else:
        assert ended.status is RunStatus.COMPLETED and len(run.of(EpochDone)) == 3


def test_cancelling_ends_within_one_step_and_keeps_the_best_so_far(tmp_path):
    run = Run(tmp_path)
    run.on_event = lambda event: (
        run.control.cancel.set() if isinstance(event, StepDone) and (event.epoch, event.step) == (1, 1) else None
    )
    ended = run.fit()
    assert ended.status is RunStatus.CANCELLED and ended.checkpoint == run.store.best
    assert letters(run) == "rssssecssX"
    assert run.batches.closed == 2  # the data's threads and files are let go of


@pytest.mark.parametrize("wish", ["stop", "cancel", "go on"])
def test_a_paused_run_waits_without_work_until_something_is_asked(tmp_path, wish):
    run = Run(tmp_path)
    paused = threading.Event()

    def hear(event):
        if isinstance(event, StepDone) and event.epoch == 0 and event.step == 1:
            run.control.pause.set()
        if isinstance(event, Paused) and event.paused:
            paused.set()

    run.on_event = hear
    ended = []
    thread = threading.Thread(target=lambda: ended.append(run.fit()))
    thread.start()
    assert paused.wait(30)
    assert letters(run) == "rsscp" and run.store.load("last").progress.step == 2
    if wish == "go on":
        run.control.pause.clear()
    else:
        getattr(run.control, wish).set()
    thread.join(30)
    status = {"stop": RunStatus.STOPPED, "cancel": RunStatus.CANCELLED, "go on": RunStatus.COMPLETED}[wish]
    assert ended[0].status is status


def test_a_pause_does_not_count_as_working_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("desktop_ft.engine.clock.time.monotonic", lambda: now[0])
    run = Run(tmp_path)

    def hear(event):
        if isinstance(event, StepDone) and event.step == 0:
            now[0] += 1
            run.control.pause.set()
        if isinstance(event, Paused) and event.paused:
            now[0] += 500
            run.control.pause.clear()

    run.on_event = hear
    run.fit()
    assert run.of(EpochDone)[-1].seconds == 3


def test_progress_is_saved_as_often_as_asked(tmp_path):
    run = Run(tmp_path, save_every_s=0)
    run.fit()
    assert letters(run) == "r" + ("sc" * STEPS + "ec") * 3 + "X"


def test_a_program_fault_ends_the_run_and_is_not_swallowed(tmp_path):
    def fail(epoch, step):
        if step == 2:
            raise ZeroDivisionError("planted")

    run = Run(tmp_path, batches=TinyBatches(on_step=fail))
    with pytest.raises(ZeroDivisionError):
        run.fit()
    assert letters(run) == "rssX"
    assert run.events[-1] == RunEnded(status=RunStatus.FAILED, error="ZeroDivisionError: planted")


def test_a_full_disk_ends_the_run_with_its_sentence_and_the_last_save_is_usable(tmp_path, whole):
    writes = []

    def write(path: Path, *parts: bytes | memoryview) -> None:
        writes.append(path)
        if len(writes) > 5:
            raise UserError("The disk is full.", "Free some space.")
        path.write_bytes(b"".join(parts))

    run = Run(tmp_path, write=write)
    ended = run.fit()
    assert (ended.status, ended.error) == (RunStatus.FAILED, "The disk is full. Free some space.")
    assert len(run.of(CheckpointSaved)) == 2
    again = Run(tmp_path)
    again.fit(again.store.load("last"))
    assert same(again.weights, whole.weights)


SELDOM = 1e-9
"""A share of the time so small that only the end is saved: not even a first save is thought to be as quick."""


def test_fast_epochs_are_not_slowed_by_saving_and_the_best_is_kept(tmp_path, whole):
    run = Run(tmp_path, saving_share=SELDOM)
    assert run.fit().status is RunStatus.COMPLETED
    saved = run.of(CheckpointSaved)
    assert saved[-1].epoch == PLAN.epochs and len(saved) <= 2  # the best and the last
    assert run.events.index(saved[0]) > run.events.index(run.of(EpochDone)[-2])
    best = whole.store.load("best")
    assert run.store.load("best").progress == best.progress
    assert same(run.store.load("best").model, best.model)
    assert same(run.weights, whole.weights)


def test_what_begins_to_learn_leaves_the_best_that_is_held_as_it_was(tmp_path):
    plan = PLAN.model_copy(update={"lr": 1.0})  # so much that the first epoch stays the best
    runs = [
        Run(tmp_path / str(share), plan=plan, learning=("fc",), later={1: ("stem", "norm", "fc")}, saving_share=share)
        for share in (1.0, SELDOM)
    ]
    for run in runs:
        run.fit()
    often, seldom = (run.store.load("best") for run in runs)
    assert seldom.progress.best_epoch == 0
    assert same(seldom.model, often.model)
    assert not torch.equal(seldom.model["stem.weight"], runs[1].weights["stem.weight"])


@pytest.mark.parametrize("how", ["stop", "cancel", "diverge", "raise"])
def test_the_best_that_is_held_in_memory_is_written_in_every_ending(tmp_path, whole, how):
    best_epoch = max(e.epoch for e in whole.of(EpochDone)[:2] if e.best)
    run = Run(tmp_path, saving_share=SELDOM)
    if how == "diverge":
        run.batches.spoil[2, 1] = float("nan")

    def hear(event):
        if isinstance(event, StepDone) and (event.epoch, event.step) == (2, 0):
            if how == "raise":
                raise ZeroDivisionError("planted")
            if how != "diverge":
                getattr(run.control, how).set()

    run.on_event = hear
    if how == "raise":
        with pytest.raises(ZeroDivisionError):
            run.fit()
    else:
        run.fit()
    assert isinstance(run.events[-1], RunEnded)
    kept = run.store.load("best")
    assert kept.progress.best_epoch == best_epoch
    assert kept.progress.epoch == best_epoch + 1
    assert run.events[-1].checkpoint == run.store.best
    again = Run(tmp_path)
    assert again.fit(again.store.load("last")).status is RunStatus.COMPLETED
    assert same(again.weights, whole.weights)
