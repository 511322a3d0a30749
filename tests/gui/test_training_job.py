"""A run in a thread: whatever happens in there, exactly one RunEnded is the last event."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import CheckpointSaved, EpochDone, RunEnded, RunStarted, RunStatus, StepDone, Warned
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.engine.control import RunControl
from desktop_ft.gui.strip import Strip, ending_words, kept_words
from desktop_ft.gui.training_job import Emit, PhaseProgress, Training, TrainingJob

STARTED = RunStarted(
    epochs=1, steps_per_epoch=2, first_epoch=0, first_step=0, device="CPU", precision="fp32", learning_share=0.5, time=0.0
)
LONG_S = 30
END = RunEnded(status=RunStatus.COMPLETED, checkpoint="best")


def step(number: int) -> StepDone:
    return StepDone(epoch=0, step=number, loss=1.0, lr=0.1, seconds=float(number + 1))


def well(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
    progress("Looking at the pictures", 1, 2)
    for event in (STARTED, step(0), step(1), END):
        emit(event)
    progress("Evaluating", 1, 1)
    return END


def raising(error: BaseException, *, after_end: bool = False) -> Callable[[Emit, RunControl, PhaseProgress], RunEnded]:
    def fit(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
        emit(STARTED)
        if after_end:
            emit(END)
        raise error

    return fit


@pytest.mark.parametrize(
    ("fit", "status", "words"),
    [
        (well, RunStatus.COMPLETED, ""),
        (raising(Cancelled()), RunStatus.CANCELLED, ""),
        (raising(UserError("Disk full.", "Make room.")), RunStatus.FAILED, "Disk full. Make room."),
        (raising(RuntimeError("CUDA out of memory")), RunStatus.FAILED, "CUDA out of memory"),
        (raising(SystemExit(1)), RunStatus.FAILED, "SystemExit"),
        (raising(RuntimeError("no evaluation"), after_end=True), RunStatus.COMPLETED, ""),
        (raising(Cancelled(), after_end=True), RunStatus.COMPLETED, ""),
    ],
)
def test_exactly_one_ending(fit: Callable[..., RunEnded], status: RunStatus, words: str) -> None:
    job = TrainingJob(fit, RunControl())
    job.run()
    events = job.drain()
    ends = [event for event in events if isinstance(event, RunEnded)]
    assert [end.status for end in ends] == [status]
    assert events[-1] is ends[0]
    assert words in ends[0].error
    assert job.drain() == []


def test_a_failed_evaluation_is_told_and_does_not_undo_the_training() -> None:
    job = TrainingJob(raising(RuntimeError("boom"), after_end=True), RunControl())
    job.run()
    assert any(isinstance(event, Warned) and "boom" in event.message for event in job.drain())
    assert isinstance(job.fault, RuntimeError)


def test_the_window_s_view_of_a_run(qtbot: QtBot, tmp_path: Path) -> None:
    training = Training()
    with qtbot.waitSignal(training.ended, timeout=5000) as ended:
        training.start(tmp_path, well)
    assert ended.args == [None]
    assert not training.running
    assert len(training.history.steps) == 2
    assert training.end == END
    training.deleteLater()


def test_how_a_run_ended_is_told_until_it_is_dismissed_or_another_is_shown(qtbot: QtBot, tmp_path: Path) -> None:
    training = Training()
    strip = Strip(training)
    qtbot.addWidget(strip)
    for leave in (training.dismiss, lambda: training.show(tmp_path / "other", MetricHistory())):
        with qtbot.waitSignal(training.ended, timeout=5000):
            training.start(tmp_path, well)
        assert strip.text.startswith("Training is complete")
        training.show(tmp_path, training.history)  # the same run, read again
        assert strip.text.startswith("Training is complete")
        leave()
        training.show(tmp_path, training.history)
        assert strip.text == "No run is under way."
    training.deleteLater()


def test_a_run_that_is_stopping_has_no_time_left_to_tell(qtbot: QtBot, tmp_path: Path) -> None:
    def slow(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
        emit(replace(STARTED, epochs=3))
        emit(step(0))
        emit(EpochDone(epoch=0, train_loss=1, train_accuracy=1, val_loss=1, val_accuracy=1, seconds=60, best=True))
        assert control.cancel.wait(10)
        return END

    training = Training()
    strip = Strip(training)
    qtbot.addWidget(strip)
    with qtbot.waitSignal(training.ended, timeout=10_000):
        training.start(tmp_path, slow)
        qtbot.waitUntil(lambda: " left" in strip.text)
        training.stop()
        assert " left" not in strip.text and "Stopping" in strip.text
        training.cancel()
    training.deleteLater()


def test_cancel_reaches_a_busy_run(qtbot: QtBot, tmp_path: Path) -> None:
    def busy(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
        emit(STARTED)
        assert control.cancel.wait(10)
        raise Cancelled

    training = Training()
    with qtbot.waitSignal(training.ended, timeout=5000):
        training.start(tmp_path, busy)
        with pytest.raises(UserError):
            training.start(tmp_path, busy)
        training.cancel()
    assert training.end is not None
    assert training.end.status is RunStatus.CANCELLED
    training.deleteLater()


def test_events_are_drawn_in_batches(qtbot: QtBot, tmp_path: Path) -> None:
    many = 4000

    def fast(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
        emit(STARTED)
        for number in range(many):
            emit(step(number))
        emit(EpochDone(epoch=0, train_loss=1, train_accuracy=1, val_loss=1, val_accuracy=1, seconds=1, best=True))
        return END

    training = Training()
    drawn: list[int] = []
    training.updated.connect(lambda: drawn.append(len(training.history.steps)))
    with qtbot.waitSignal(training.ended, timeout=10_000):
        training.start(tmp_path, fast)
    assert drawn[-1] == many
    assert len(drawn) < 100
    training.deleteLater()


def test_a_window_that_hangs_while_it_draws_does_not_hold_the_run_up(qtbot: QtBot, tmp_path: Path) -> None:
    begun, over, many = threading.Event(), threading.Event(), 2000

    def fit(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
        emit(STARTED)
        begun.wait(LONG_S)
        for number in range(many):
            emit(step(number))
        over.set()
        return END

    training, waited = Training(), list[bool]()

    def hang() -> None:
        if not waited:
            begun.set()
            waited.append(over.wait(LONG_S))

    training.updated.connect(hang)
    with qtbot.waitSignal(training.ended, timeout=2000 * LONG_S):
        training.start(tmp_path, fit)
    assert waited == [True] and len(training.history.steps) == many
    training.deleteLater()


def test_what_is_kept_of_a_run_that_was_ended_is_told() -> None:
    begun, saved = MetricHistory(), MetricHistory()
    saved.add(CheckpointSaved(path="checkpoints/last", epoch=3, step=0, best=True))
    cancelled, stopped = RunEnded(status=RunStatus.CANCELLED), RunEnded(status=RunStatus.STOPPED)
    assert kept_words(cancelled, begun) == kept_words(stopped, begun) == "Nothing of it was saved yet."
    assert "up to the end of epoch 3" in kept_words(cancelled, saved)
    assert "before an epoch" in ending_words(stopped, begun), "there is no best model that could be kept"
    assert kept_words(RunEnded(status=RunStatus.COMPLETED), saved) == ""


def test_a_complete_run_is_judged_unless_its_evaluation_ended_otherwise(qtbot: QtBot, tmp_path: Path) -> None:
    training = Training()
    for fit, judged in ((well, True), (raising(Cancelled(), after_end=True), False), (well, True)):
        with qtbot.waitSignal(training.ended):
            training.start(tmp_path, fit)
        assert training.end is not None and training.end.status is RunStatus.COMPLETED
        assert training.judged is judged
    training.deleteLater()
