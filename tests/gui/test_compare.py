"""The comparison in the window: asked for, watched, stopped and gone on with; what it found is read there."""

import shutil
import threading
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from desktop_ft import places
from desktop_ft.api import TrainEvent
from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.comparing import Compared, PlannedRun
from desktop_ft.core.dataset import Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import EpochDone, RunEnded, RunStatus
from desktop_ft.core.recipe import BackboneChoice, Optimisation
from desktop_ft.core.values import from_json
from desktop_ft.engine.control import RunControl
from desktop_ft.gui.augment_page import AugmentPage
from desktop_ft.gui.compare_dialog import About, CompareDialog
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.training_job import Emit, Fit, PhaseProgress
from desktop_ft.jobs import comparing, run_list
from desktop_ft.jobs.comparing import ComparisonFolder, Plan, Shelf
from desktop_ft.plugin_manager import Plugins, set_enabled
from tests import tiny_backbone
from tests.e2e.conftest import shapes
from tests.gui.test_runs import made
from tests.gui.test_window import page
from tests.models.tiny import save_safetensors


@pytest.fixture(autouse=True)
def tiny(home: Path) -> None:
    """A network whose runs take a moment, on offer before the window is there."""
    place = places.data() / "plugins" / "tiny.py"
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(str(tiny_backbone.__file__), place)
    set_enabled("tiny", on=True)


@pytest.fixture
def dialog(tiny: None, window: MainWindow, qtbot: QtBot, tmp_path: Path) -> CompareDialog:
    """The dialog of a window whose pictures are open, set to the least that can be compared."""
    state = window.session.state
    window.session.opening.open(shapes(tmp_path / "photos", pictures=8))
    qtbot.waitUntil(lambda: state.manifest is not None, timeout=10_000)
    weights = save_safetensors(window.session.plugins.backbones.get("tiny").build().state_dict(), tmp_path / "tiny.safetensors")
    changes = {
        "backbone": BackboneChoice(name="tiny", weights=str(weights)),
        "optimisation": Optimisation(epochs=1, batch_size=8),
    }
    state.edit("tiny", state.recipe.model_copy(update=changes))
    window.actions_["compare"].trigger()
    found = window.findChild(CompareDialog)
    assert found is not None
    found.seeds.setValue(1)
    found.images.setText("3,all")
    for name in ("last:2", "all", "discriminative"):
        found.strategies[name].setChecked(False)
    qtbot.waitUntil(found.start.isEnabled)  # its weights are looked for in the background
    return found


def end(window: MainWindow, qtbot: QtBot) -> None:
    """Stop the comparison, and wait until the run under way has ended, too."""
    work, training = window.session.comparing, window.session.training
    work.stop()
    qtbot.waitUntil(lambda: not work.busy and not training.running, timeout=60_000)


def click(which: QPushButton) -> None:
    assert which.isEnabled(), which.toolTip()
    QTest.mouseClick(which, Qt.MouseButton.LeftButton)


def test_a_comparison_runs_to_its_end_and_says_what_was_gained(dialog: CompareDialog, window: MainWindow, qtbot: QtBot) -> None:
    assert dialog.verdict.text() == "Nothing has been compared yet." and not dialog.report.isEnabled()
    click(dialog.start)
    assert not dialog.start.isEnabled() and dialog.progress.isVisible()
    work = window.session.comparing
    qtbot.waitUntil(lambda: work.found is not None and not work.busy, timeout=60_000)
    assert work.found is not None and len(work.found.runs) == work.found.planned == 4
    assert dialog.table.rows.rows == list(work.found.scores) and dialog.verdict.text() == work.found.verdict[0]
    assert work.report is not None and dialog.report.isEnabled() and not dialog.progress.isVisible()
    assert len(dialog.plots[1].getPlotItem().listDataItems()) == 2 + 4  # two curves, and a whisker for each score
    dialog.reject()


def test_stopped_it_goes_on_where_it_was(dialog: CompareDialog, window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    work = window.session.comparing
    click(dialog.start)
    qtbot.waitUntil(lambda: work.done[0] == 1, timeout=60_000)
    end(window, qtbot)
    assert work.report is not None and dialog.start.isEnabled()
    done = work.done[0]
    assert 1 <= done < 4
    assert f"Stopped: {done} of 4 runs are done, and kept in {work.report.parent}" in dialog.said.text()
    work.start(None, work.report.parent)
    qtbot.waitUntil(lambda: work.found is not None and len(work.found.runs) == 4 and not work.busy, timeout=60_000)
    dialog.reject()


def test_stopped_between_two_runs_it_lets_go_of_its_folder(dialog: CompareDialog, window: MainWindow, qtbot: QtBot) -> None:
    work = window.session.comparing
    stopped = []

    def stop() -> None:
        if work.summing and window.session.training.run is not None and not stopped:  # the first run has just ended
            stopped.append(True)
            work.stop()

    work.changed.connect(stop)
    click(dialog.start)
    qtbot.waitUntil(lambda: bool(stopped) and not work.busy, timeout=60_000)
    assert work.report is not None and dialog.start.isEnabled() and not dialog.progress.isVisible()
    assert work.found is not None and len(work.found.runs) == 1
    work.start(None, work.report.parent)
    qtbot.waitUntil(lambda: work.found is not None and len(work.found.runs) == 4 and not work.busy, timeout=60_000)
    dialog.reject()


def test_runs_are_summed_up_beside_the_window_and_none_is_trained_meanwhile(
    dialog: CompareDialog, window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, training, threads, beside = window.session.comparing, window.session.training, set(), []
    sum_up = Shelf.sum_up

    def heard(shelf: Shelf) -> Compared:
        threads.add(threading.get_ident())
        beside.append(training.running)
        return sum_up(shelf)

    def tell() -> None:
        can.add((work.busy, session.lesson.can_start))
        can.add((work.busy, session.forecast.can_ask))

    monkeypatch.setattr(Shelf, "sum_up", heard)
    session, can = window.session, set[tuple[bool, bool]]()
    for signal in (work.changed, session.training.started, session.training.ended, session.computing.changed):
        signal.connect(tell)
    click(dialog.start)
    qtbot.waitUntil(lambda: work.done == (4, 4) and not work.busy, timeout=60_000)
    assert len(beside) == 4 and not any(beside)
    assert can == {(True, False), (False, True)}, "neither planning nor between two runs is a lesson begun, or a time measured"
    assert threading.get_ident() not in threads
    dialog.reject()


def test_of_the_runs_that_fail_the_person_s_own_are_offered_once_the_comparison_is_over(
    dialog: CompareDialog, window: MainWindow, qtbot: QtBot, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_of, work, own, beside = comparing.fit_of, window.session.comparing, made("own", photos), []
    log = own / "events.jsonl"
    log.write_bytes(b"".join(line for line in log.read_bytes().splitlines(True) if b'"run_ended"' not in line))

    def fails(*_: object) -> RunEnded:
        raise UserError("The disk is full.", "Free some of it.")

    def some_fail(folder: ComparisonFolder, plan: Plan, run: PlannedRun, plugins: Plugins) -> Fit:
        fit = fit_of(folder, plan, run, plugins)

        def tell(emit: Emit, event: TrainEvent) -> None:
            emit(event)
            if run.strategy == "scratch" and isinstance(event, EpochDone):
                fails()

        return lambda emit, control, progress: fit(partial(tell, emit), control, progress)

    monkeypatch.setattr(comparing, "fit_of", some_fail)
    window.session.training.start(own, fails)
    qtbot.waitUntil(window.interrupted.isVisible)
    window.session.broken_off.changed.connect(lambda: beside.append(work.busy and not window.interrupted.isHidden()))
    click(dialog.start)
    qtbot.waitUntil(lambda: work.done == (4, 4) and not work.busy and not window.session.worker.busy, timeout=60_000)
    assert work.found is not None and len(work.found.failed) == 2
    assert beside and not any(beside), "between two runs neither"
    assert window.interrupted.notice.text.startswith("The run own ")
    click(window.interrupted.later)
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert window.interrupted.isHidden(), "those of the comparison go on with it"
    assert [each.name for each in run_list.listed()] == ["own"]
    dialog.reject()


def test_a_window_that_closes_waits_until_it_is_summed_up(dialog: CompareDialog, window: MainWindow, qtbot: QtBot) -> None:
    work, ended, closed = window.session.comparing, [], []

    def count(*_: object) -> None:
        ended.append(True)
        if len(ended) == 4:  # the last; it is not summed up yet
            QTimer.singleShot(0, lambda: closed.append(window.close()))

    window.session.training.ended.connect(count)
    click(dialog.start)
    qtbot.waitUntil(lambda: bool(closed), timeout=60_000)
    assert closed == [True] and work.report is not None
    folder = ComparisonFolder(work.report.parent)
    found = from_json(Compared, folder.result.read_bytes(), "comparison.json")
    assert len(found.runs) == 4 and not folder.kept.exists()
    qtbot.waitUntil(lambda: not work.busy)
    with folder.worked():
        pass  # it was let go of


@pytest.mark.parametrize("summing", [True, False])
def test_paused_it_begins_no_other_run_until_it_is_to_go_on(
    dialog: CompareDialog, window: MainWindow, qtbot: QtBot, summing: bool
) -> None:
    work, training = window.session.comparing, window.session.training
    click(dialog.start)
    qtbot.waitUntil(lambda: work.now is not None, timeout=60_000)
    work.pause()  # as while the window asks whether to close
    went_on = []

    def go_on() -> None:
        if not training.running and not work.working and work.summing is summing and not went_on:
            went_on.append(work.now is None and work.done[0] <= 1)
            work.go_on()

    work.changed.connect(go_on)
    qtbot.waitUntil(lambda: work.done == (4, 4) and not work.busy, timeout=60_000)
    assert went_on == [True]
    dialog.reject()


@pytest.mark.parametrize(("images", "told"), [("5,some", "no number of pictures"), ("", "no number of pictures")])
def test_what_cannot_be_compared_is_told_there(dialog: CompareDialog, window: MainWindow, images: str, told: str) -> None:
    dialog.images.setText(images)
    click(dialog.start)
    assert told in dialog.choice.text and not window.session.comparing.planning
    dialog.images.setText("3,alle")
    assert "'alle' is no number" in dialog.choice.text, "what is said is about what stands there"
    dialog.images.setText("3,all")
    assert "no number" not in dialog.choice.text
    dialog.reject()


def test_what_a_choice_lacks_is_told_until_it_is_there(dialog: CompareDialog, window: MainWindow) -> None:
    state = window.session.state
    for box in dialog.strategies.values():
        box.setChecked(False)
    assert not dialog.choice.text, "nobody has asked yet"
    click(dialog.start)
    assert "two at least" in dialog.choice.text
    dialog.choose(About.AUGMENTATION)
    assert "no augmentation" in dialog.choice.text
    flip = AugmentationSpec(transform="horizontal_flip")
    state.edit("flip", state.recipe.model_copy(update={"augmentation": (flip,)}))
    assert "no augmentation" not in dialog.choice.text
    dialog.reject()


def test_a_refused_choice_is_no_news_at_each_key(dialog: CompareDialog, caplog: pytest.LogCaptureFixture) -> None:
    dialog.images.setText("3,x")
    click(dialog.start)
    for text in ("3,xy", "3,xyz", "3,all"):
        dialog.images.setText(text)
    assert not [each for each in caplog.records if "no number" in each.getMessage()]
    dialog.reject()


def test_why_a_comparison_failed_is_told_until_the_next_begins(dialog: CompareDialog, window: MainWindow, qtbot: QtBot) -> None:
    window.session.comparing.failed.emit(UserError("The disk is full.", "Make room."))
    dialog.seeds.setValue(2)
    window.session.opening.divide(0.5)
    assert "The disk is full" in dialog.notice.text
    dialog.seeds.setValue(1)
    click(dialog.start)
    assert not dialog.notice.text
    qtbot.waitUntil(lambda: window.session.comparing.now is not None, timeout=60_000)
    window.session.opening.divide(0.25)  # meanwhile
    before = dialog.choice.text
    end(window, qtbot)
    assert not before and "pictures to judge on" in dialog.choice.text, "what is chosen is looked at again"
    dialog.reject()


def test_a_recipe_that_draws_pictures_is_judged_on_what_the_runs_draw_from(
    dialog: CompareDialog, window: MainWindow, qtbot: QtBot
) -> None:
    state, work, warned = window.session.state, window.session.comparing, list[str]()
    work.warned.connect(warned.append)
    dataset = state.recipe.dataset.model_copy(update={"images_per_class": 2})
    state.edit("fewer", state.recipe.model_copy(update={"dataset": dataset}))
    assert not dialog.choice.text
    click(dialog.start)
    qtbot.waitUntil(lambda: work.now is not None, timeout=60_000)
    assert len(warned) == 1 and "pictures to judge on" in warned[0] and dialog.choice.text == warned[0]
    end(window, qtbot)
    dialog.reject()


def test_that_the_pictures_are_too_few_to_show_anything_is_told_before(dialog: CompareDialog, window: MainWindow) -> None:
    state = window.session.state
    assert state.manifest is not None
    assert f"only {len(state.manifest.of(Subset.VAL))} pictures to judge on" in dialog.choice.text
    window.session.opening.divide(0.5)
    assert not dialog.choice.text
    dialog.reject()


def test_the_page_augment_asks_what_each_transform_is_worth(dialog: CompareDialog, window: MainWindow, qtbot: QtBot) -> None:
    state = window.session.state
    state.go("augment")
    augment = page(window, "augment")
    assert isinstance(augment, AugmentPage) and not augment.worth.isEnabled()
    assert "no transform" in augment.worth.toolTip(), "why not"
    flip = AugmentationSpec(transform="horizontal_flip")
    state.edit("flip", state.recipe.model_copy(update={"augmentation": (flip,)}))
    assert "no transform" not in augment.worth.toolTip()
    click(augment.worth)
    assert dialog.windowTitle() == "What augmentation is worth"
    assert dialog.images.isHidden() and all(box.isHidden() for box in dialog.strategies.values())
    click(dialog.start)
    qtbot.waitUntil(lambda: dialog.verdict.text().startswith("horizontal_flip"), timeout=60_000)
    qtbot.waitUntil(lambda: not window.session.comparing.busy, timeout=60_000)
    assert dialog.table.rows.rowCount() == 2
    dialog.reject()


def test_what_a_choice_makes_is_told_before_it_begins(dialog: CompareDialog) -> None:
    assert dialog.makes.text() == "4 runs: 2 ways × 2 numbers of pictures × 1 seed; each has the recipe's epochs."
    dialog.images.setText("3,500,all")
    assert dialog.makes.text().startswith("4 runs"), "no class has 500"
    dialog.seeds.setValue(3)
    dialog.budget.setValue(10)
    told = "12 runs: 2 ways × 2 numbers of pictures × 3 seeds; about 2 min 00 s of training"
    assert dialog.makes.text().startswith(told)
    dialog.images.setText("3,x")
    assert not dialog.makes.text() and not dialog.how_long.isEnabled()
    dialog.reject()


def test_how_long_it_takes_is_told_before_it_begins(dialog: CompareDialog, window: MainWindow, qtbot: QtBot) -> None:
    click(dialog.how_long)
    assert dialog.measuring.isVisible() and not dialog.start.isEnabled() and "being measured" in dialog.start.toolTip()
    qtbot.waitUntil(dialog.start.isEnabled, timeout=60_000)
    assert dialog.makes.text().startswith("4 runs") and "That is about" in dialog.makes.text()
    assert "come on top" in dialog.makes.text() and not dialog.measuring.isVisible()
    dialog.seeds.setValue(2)
    assert dialog.makes.text().startswith("8 runs") and "That is about" not in dialog.makes.text(), "of what was chosen before"
    click(dialog.how_long)
    dialog.seeds.setValue(3)
    qtbot.waitUntil(dialog.start.isEnabled, timeout=60_000)
    assert "That is about" not in dialog.makes.text()
    assert window.session.comparing.plan is None, "nothing has begun"
    dialog.reject()


@pytest.mark.parametrize("way", ["cancel", "run", "close"])
def test_how_long_it_takes_is_given_up_and_not_told_of_what_was_measured_beside_a_run(
    dialog: CompareDialog, window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    asked_to_end, free, session = list[bool](), threading.Event(), window.session

    def expected(*_: object, progress: PhaseProgress, control: RunControl) -> float:
        progress("Measuring how long an epoch takes", 1, 2)
        free.wait(20)
        asked_to_end.append(control.stop.is_set())
        return 7.0

    def fit(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
        free.wait(20)
        return RunEnded(status=RunStatus.CANCELLED)

    monkeypatch.setattr(comparing, "expected_seconds", expected)
    click(dialog.how_long)
    qtbot.waitUntil(lambda: dialog.measuring.what.text() == "Measuring how long an epoch takes")
    if way == "cancel":
        click(*[each for each in dialog.measuring.findChildren(QPushButton) if each.isVisible()])
    elif way == "run":
        session.training.start(places.runs() / "beside", fit)
        assert not dialog.measuring.isVisible() and dialog.makes.text() == "A run is under way already."
    else:
        dialog.reject()
    free.set()
    qtbot.waitUntil(lambda: not session.worker.busy and not session.training.running)
    assert asked_to_end == [True]
    if way != "close":
        qtbot.waitUntil(dialog.start.isEnabled)
        assert "That is about" not in dialog.makes.text()
        dialog.reject()


def test_why_nothing_can_be_compared_is_told(dialog: CompareDialog, window: MainWindow) -> None:
    state = window.session.state
    state.edit("none", state.recipe.model_copy(update={"backbone": BackboneChoice(name="nothing")}))
    blocker = window.session.blocker()
    assert blocker is not None and not dialog.start.isEnabled() and dialog.makes.text() == blocker.reason
    dialog.reject()


def test_a_comparison_that_is_gone_on_with_is_shown_in_the_controls(
    dialog: CompareDialog, window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    work = window.session.comparing
    click(dialog.start)
    qtbot.waitUntil(lambda: work.done[0] == 1, timeout=60_000)
    end(window, qtbot)
    assert work.report is not None
    dialog.seeds.setValue(4)
    dialog.images.setText("all")
    dialog.strategies["all"].setChecked(True)
    window.session.opening.open(shapes(tmp_path / "others", pictures=2))  # of which no class has 3 to learn from
    qtbot.waitUntil(lambda: not window.session.opening.running, timeout=60_000)
    work.start(None, work.report.parent)
    qtbot.waitUntil(lambda: work.now is not None, timeout=60_000)
    assert (dialog.seeds.value(), dialog.images.text()) == (1, "3,all")
    assert [name for name, box in dialog.strategies.items() if box.isChecked()] == ["scratch", "head"]
    assert dialog.makes.text().startswith("4 runs")
    end(window, qtbot)
    dialog.reject()
