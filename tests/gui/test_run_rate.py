"""The learning rate of the run under way, changed from the page Train."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from desktop_ft.core.changes import Change
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import EpochDone, PlanChanged, RunEnded, RunStarted, RunStatus, StepDone
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.train_page import TrainPage
from desktop_ft.jobs import replanning
from tests.gui.test_window import click, page


class Live:
    """A run under way, whose events the test tells."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self._qtbot = qtbot
        self.training = window.session.training
        self._over = threading.Event()
        self._emit = lambda event: None
        begun = threading.Event()

        def fit(emit, control, progress):  # type: ignore[no-untyped-def]
            self._emit = emit
            begun.set()
            self._over.wait(60)
            return RunEnded(status=RunStatus.COMPLETED)

        recipe = window.session.state.recipe.with_optimisation(lr=0.02)
        window.session.starting.begin(recipe, Path("a run"), fit)
        qtbot.waitUntil(begun.is_set)

    def tell(self, *events: object) -> None:
        for event in events:
            with self._qtbot.waitSignal(self.training.updated):
                self._emit(event)

    def end(self) -> None:
        self._over.set()
        self._qtbot.waitUntil(lambda: not self.training.running)


BEGUN = RunStarted(
    epochs=3, steps_per_epoch=1, first_epoch=0, first_step=0, device="CPU", precision="fp32", learning_share=1.0, time=0.0
)


def done(epoch: int) -> EpochDone:
    return EpochDone(epoch=epoch, train_loss=1.0, train_accuracy=0.5, val_loss=1.0, val_accuracy=0.5, seconds=1.0, best=True)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """What was asked of the run."""
    changes: list[Change] = []
    monkeypatch.setattr(replanning, "replan", lambda run, change, plugins: changes.append(change) or True)
    return changes


@pytest.fixture
def live(window: MainWindow, qtbot: QtBot) -> Iterator[Live]:
    made = Live(window, qtbot)
    yield made
    made.end()


def train_page(window: MainWindow) -> TrainPage:
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    return train


def test_another_rate_is_typed_used_and_marked(window: MainWindow, live: Live, asked: list[Change], qtbot: QtBot) -> None:
    train = train_page(window)
    rate = train.run_rate
    assert rate.isVisible() and not rate.rate.isEnabled() and not rate.use.isEnabled()  # it does not train yet
    live.tell(BEGUN)
    assert rate.rate.value() == 0.02 and not rate.use.isEnabled()  # the run's own, not the next one's
    window.actions_["run.rate"].trigger()
    rate.rate.selectAll()
    QTest.keyClicks(rate.rate, "0.001\t")
    click(rate.use)
    qtbot.waitUntil(lambda: "0.001, scaled by its schedule, from its next epoch on" in train.notice.text)
    assert asked == [Change(lr=0.001)] and not rate.use.isEnabled()
    step = StepDone(epoch=1, step=0, loss=1.0, lr=0.001, seconds=2.0)
    live.tell(done(0), PlanChanged(epoch=1, change=Change(lr=0.001), learning_share=1.0), step)
    assert rate.rate.value() == 0.001 and "dotted: changed" in train.controls.legend.text()
    assert [line.label.format for _, line in train.plots.learning._marks] == ["rate 0.001", ""]
    assert rate.rate.isEnabled()  # the last epoch is still to come
    live.tell(done(1))
    assert not rate.rate.isEnabled() and "no epoch is left" in rate.told.text()


def test_what_cannot_be_done_is_told(window: MainWindow, live: Live, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(run, change, plugins):  # type: ignore[no-untyped-def]
        raise UserError("It is too late.", "Train a new one.")

    monkeypatch.setattr(replanning, "replan", refuse)
    train = train_page(window)
    live.tell(BEGUN)
    train.run_rate.rate.setValue(0.5)
    click(train.run_rate.use)
    qtbot.waitUntil(lambda: "It is too late." in train.notice.text)
    assert train.run_rate.use.isEnabled()  # it may be tried again


def test_changes_of_a_taken_recipe_are_shown_and_can_be_dropped(window: MainWindow) -> None:
    train, state = train_page(window), window.session.state
    assert not train.planned.isVisibleTo(train)
    state.edit("take a recipe", state.recipe.with_change(2, Change(lr=0.001)))
    assert "From epoch 3 on: learning rate 0.001." in train.planned.text() and train.planned.isVisibleTo(train)
    click(train.drop_planned)
    assert state.recipe.changes == () and not train.planned.isVisibleTo(train)
    state.undo_stack.undo()
    assert len(state.recipe.changes) == 1


def test_where_nothing_trains_there_is_no_rate_to_change(window: MainWindow) -> None:
    train = train_page(window)
    assert not train.run_rate.isVisible() and not window.session.replanning.can_change
