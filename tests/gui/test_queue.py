"""The queue in the window: what waits, and one run of it after another."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from desktop_ft import places
from desktop_ft.api import TrainEvent
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import EpochDone, RunEnded, RunStarted, RunStatus, StepDone
from desktop_ft.core.recipe import DatasetChoice, Optimisation, Recipe
from desktop_ft.gui import main_window
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.queue_dialog import QueueDialog
from desktop_ft.gui.train_page import TrainPage
from desktop_ft.jobs import queueing, training
from desktop_ft.runs.queue import Queue
from desktop_ft.runs.run_folder import RunFolder
from tests.gui.test_window import click, opened, page

BEGUN = RunStarted(
    epochs=1, steps_per_epoch=1, first_epoch=0, first_step=0, device="CPU", precision="fp32", learning_share=1.0, time=0.0
)
TOLD = (
    BEGUN,
    StepDone(epoch=0, step=0, loss=1.0, lr=0.1, seconds=1.0),
    EpochDone(epoch=0, train_loss=1.0, train_accuracy=0.5, val_loss=1.0, val_accuracy=0.5, seconds=2.0, best=True),
)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were trained, in order: at once, without a network. `bad` fails, `long…` waits to be stopped."""
    done: list[str] = []

    def train(recipe, run, plugins, emit, control, *, progress=None):  # type: ignore[no-untyped-def]
        folder = RunFolder.create(run)
        folder.write_recipe(recipe)
        name = Path(recipe.dataset.folder).name
        done.append(name)
        if name.startswith("long"):
            control.stop.wait(60)
        ended = RunEnded(status=RunStatus.STOPPED if name.startswith("long") else RunStatus.COMPLETED)
        if name == "bad":
            ended = RunEnded(status=RunStatus.FAILED, error="The folder is gone. Choose another.")
        with folder.log() as log:
            for event in (*TOLD, ended):
                log.append(event)
                emit(event)
        return ended

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(queueing, "new_run_path", lambda recipe: places.runs() / Path(recipe.dataset.folder).name)
    return done


def waiting(*names: str) -> None:
    for name in names:
        Queue().add(Recipe(dataset=DatasetChoice(folder=f"/photos/{name}")), name)


def shown(window: MainWindow) -> QueueDialog:
    window.actions_["queue.show"].trigger()
    dialog = window.findChild(QueueDialog)
    assert isinstance(dialog, QueueDialog)
    return dialog


def lines(dialog: QueueDialog) -> list[str]:
    return [dialog.list.item(row).text() for row in range(dialog.list.count())]


def test_the_recipe_waits_while_another_run_goes_on(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    window.session.opening.open(photos)
    qtbot.waitUntil(lambda: not window.session.opening.running and not window.session.worker.busy)
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    assert train.queue.text() == "Queue…"
    click(train.wait)
    window.refresh()
    QTest.keyClick(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert [each.recipe for each in Queue().entries()] == [window.session.state.recipe] * 2
    assert train.queue.text() == "Queue (2)…"


def test_without_pictures_nothing_can_wait(window: MainWindow) -> None:
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    assert not train.wait.isEnabled() and not window.session.can_queue
    dialog = shown(window)
    assert "Add to the queue" in dialog.about.text() and not dialog.start.isEnabled()
    dialog.close()


def test_one_after_another_and_a_failed_one_does_not_stop_the_rest(window: MainWindow, trained: list[str], qtbot: QtBot) -> None:
    waiting("one", "bad", "two")
    dialog = shown(window)
    click(dialog.start)
    qtbot.waitUntil(lambda: not window.session.queue.working, timeout=20_000)
    assert trained == ["one", "bad", "two"]
    assert lines(dialog) == ["bad\nfailed: The folder is gone. Choose another."]
    assert not dialog.start.isEnabled() and not Queue().is_worked
    click(dialog.remove)
    assert lines(dialog) == []
    dialog.close()


def test_they_are_put_in_another_order_and_taken_out(window: MainWindow) -> None:
    waiting("one", "two", "three")
    dialog = shown(window)
    dialog.list.setCurrentRow(2)
    click(dialog.earlier)
    click(dialog.earlier)
    assert [line.partition("\n")[0] for line in lines(dialog)] == ["three", "one", "two"]
    assert dialog.list.currentRow() == 0 and not dialog.earlier.isEnabled()  # the same one stays chosen
    click(dialog.later)
    click(dialog.remove)
    assert [each.name for each in Queue().entries()] == ["one", "two"]
    dialog.close()


def test_two_that_are_called_alike_say_what_differs(window: MainWindow) -> None:
    for rate, name in ((0.1, "pets"), (0.02, "pets"), (0.1, "cars")):
        Queue().add(Recipe(dataset=DatasetChoice(folder="/photos"), optimisation=Optimisation(lr=rate)), name)
    dialog = shown(window)
    assert lines(dialog) == ["pets\nLearning rate: 0.1\nwaits", "pets\nLearning rate: 0.02\nwaits", "cars\nwaits"]
    dialog.close()


def test_what_was_put_into_the_queue_can_be_gone_back_to(
    window: MainWindow, trained: list[str], photos: Path, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    state, train = window.session.state, window.page("train")
    state.edit_optimisation("epochs", 7)
    train.add_to_queue()
    assert [each.recipe.optimisation.epochs for each in Queue().entries()] == [7]
    state.edit_optimisation("epochs", 8)
    qtbot.waitUntil(window.actions_["edit.undo"].isEnabled)
    QTest.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert state.recipe.optimisation.epochs == 7
    qtbot.waitUntil(window.actions_["edit.redo"].isEnabled)
    QTest.keyClick(window, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert state.recipe.optimisation.epochs == 8


def test_a_paused_queue_begins_no_other_run(window: MainWindow, trained: list[str], qtbot: QtBot) -> None:
    waiting("long", "two")
    dialog = shown(window)
    click(dialog.start)
    qtbot.waitUntil(lambda: trained == ["long"])
    assert "under way" in lines(dialog)[0] and Queue().is_worked
    assert not dialog.remove.isEnabled() and not dialog.later.isEnabled()  # what is under way
    assert "comes before all that waits" in dialog.later.toolTip()
    dialog.list.setCurrentRow(1)
    assert not dialog.earlier.isEnabled()
    click(dialog.start)
    assert dialog.start.text() == "Start the queue"
    window.session.training.stop()
    qtbot.waitUntil(lambda: not window.session.training.running)
    qtbot.waitUntil(lambda: lines(dialog) == ["two\nwaits"])
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    assert train.notice.text.endswith("the best model so far is kept. It waits in the queue no more.")
    assert trained == ["long"] and not Queue().is_worked
    click(dialog.start)
    qtbot.waitUntil(lambda: trained == ["long", "two"] and not window.session.queue.working)
    dialog.close()


@pytest.mark.parametrize("how", ["one", "bad"])
def test_how_a_run_ended_is_told_once_and_dismissed_once(window: MainWindow, trained: list[str], qtbot: QtBot, how: str) -> None:
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    waiting(how)
    window.session.queue.start()
    qtbot.waitUntil(lambda: trained == [how] and not window.session.queue.working)
    assert window.strip.text.startswith("Training is complete" if how == "one" else "Training failed")
    assert train.notice.text == ("" if how == "one" else "Training failed: The folder is gone. Choose another.")
    assert not train.notice.dismiss.isVisible()
    click(window.strip.dismiss)
    assert window.strip.text == "No run is under way." and not train.notice.text


@pytest.mark.parametrize("way", ["cancel", "stop"])
def test_who_ends_a_run_hears_what_comes_next_and_how_to_hold_that(
    window: MainWindow, trained: list[str], qtbot: QtBot, way: str
) -> None:
    waiting("long", "two")
    dialog = shown(window)
    click(dialog.start)
    qtbot.waitUntil(lambda: trained == ["long"])
    click(getattr(window.strip, way))
    assert "now with 'two'" in window.notice.text and "Pause the queue" in window.notice.text
    click(dialog.start)
    assert not window.notice.text, "the queue is held"
    window.session.training.stop()
    assert not window.notice.text, "nothing follows by itself"
    qtbot.waitUntil(lambda: not window.session.training.running)
    assert [each.name for each in Queue().entries()] == ["two"]
    dialog.close()


@pytest.mark.parametrize("moved", [False, True])
def test_what_comes_next_is_told_until_another_does(window: MainWindow, trained: list[str], qtbot: QtBot, moved: bool) -> None:
    waiting("long a", "long b", "long c")
    session = window.session
    session.queue.start()
    for name in ("long a", "long c", "long b") if moved else ("long a", "long b", "long c"):
        qtbot.waitUntil(lambda now=name: bool(trained) and trained[-1] == now)  # type: ignore[misc]
        if name == "long a":
            click(window.strip.stop)
            assert "now with 'long b'" in window.notice.text
            if moved:
                session.queue.move(Queue().entries()[2].number, -1)
        else:
            assert bool(window.notice.text) is (name == "long b" and not moved), name
            session.training.control.stop.set()  # it ends; nobody asks what comes next
    qtbot.waitUntil(lambda: not session.queue.working and not session.training.running)
    assert not window.notice.text


@pytest.mark.parametrize("by_hand", [False, True])
def test_where_the_session_does_not_end_after_all_the_night_s_runs_go_on(
    window: MainWindow, trained: list[str], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    monkeypatch.setattr(main_window, "_GOES_ON_AFTER_MS", 50, raising=False)
    session = window.session
    waiting("long", "two")
    session.queue.start()
    qtbot.waitUntil(lambda: trained == ["long"])
    if by_hand:
        session.training.pause(True)
    window.save_all()  # as the system asks for it, and once more
    window.save_all()
    assert session.training.control.pause.is_set() and not session.queue.working
    assert "may be about to end" in window.notice.text
    qtbot.waitUntil(lambda: session.queue.working)
    assert session.training.control.pause.is_set() is by_hand, "what a person paused stays so"
    assert "has not ended" in window.notice.text
    session.training.stop()
    qtbot.waitUntil(lambda: trained == ["long", "two"] and not session.queue.working)


def test_a_session_that_may_end_holds_up_nothing_where_nothing_is_under_way(window: MainWindow) -> None:
    window.save_all()
    assert not window.notice.text


def test_another_process_that_works_at_it_is_told(window: MainWindow) -> None:
    waiting("one")
    dialog = shown(window)
    with Queue().worked():
        click(dialog.start)
        assert "is being worked at by process" in dialog.notice.text
    assert not window.session.queue.working
    dialog.close()


def test_a_damaged_queue_is_told_and_nothing_is_lost(window: MainWindow) -> None:
    waiting("one")
    file = places.data() / "queue" / "queue.toml"
    file.write_text("waiting = [")
    dialog = shown(window)
    dialog.refresh()
    assert "is damaged" in dialog.notice.text and file.read_text() == "waiting = ["
    dialog.close()


def beside_the_window(read: Callable[[RunFolder], list[TrainEvent]]) -> Callable[[RunFolder], list[TrainEvent]]:
    """`read`, which may take long."""

    def beside(folder: RunFolder) -> list[TrainEvent]:
        assert threading.current_thread() is not threading.main_thread()
        return read(folder)

    return beside


def test_a_run_that_cannot_go_on_says_why_and_stays_in_the_queue(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    def resume(*given: object, **more: object) -> RunEnded:
        raise UserError("The last checkpoint is lost.", "Train a new run.")

    monkeypatch.setattr(training, "resume", resume)
    broken = RunFolder.create(places.runs() / "broken off")
    broken.write_recipe(Recipe(dataset=DatasetChoice(folder="/photos/some")))
    with broken.log() as log:
        log.append(BEGUN)
    waiting("some")
    Queue().mark(Queue().entries()[0].number, run=str(broken.path))
    monkeypatch.setattr(RunFolder, "events", beside_the_window(RunFolder.events))
    click(shown(window).start)
    qtbot.waitUntil(lambda: not window.session.queue.working and not window.session.training.running, timeout=10_000)
    assert "checkpoint is lost" in Queue().entries()[0].error
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    assert "checkpoint is lost" in train.notice.text


def test_an_output_folder_and_the_queue_do_not_go_together(
    window: MainWindow, photos: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    window.session.opening.open(photos)
    qtbot.waitUntil(lambda: not window.session.opening.running and not window.session.worker.busy)
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    train.output.setText(str(tmp_path / "mine"))
    window.refresh()
    window.actions_["queue.add"].trigger()
    assert "new folder" in train.notice.text
    assert Queue().entries() == ()
