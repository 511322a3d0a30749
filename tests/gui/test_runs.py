"""The page Runs: what it lists, compares and leads to."""

import html
import shlex
import shutil
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt, QTimer
from PySide6.QtGui import QDesktopServices, QGuiApplication, QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from desktop_ft import jobs, places
from desktop_ft.api import TrainEvent
from desktop_ft.core.changes import Change
from desktop_ft.core.dataset import Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import EpochDone, RunEnded, RunStarted, RunStatus
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.language import tr
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Recipe
from desktop_ft.core.run_note import RunNote
from desktop_ft.data.scan import scan
from desktop_ft.gui import languages, runs_page, trash, words
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.runs_page import RunsPage
from desktop_ft.gui.train_page import TrainPage
from desktop_ft.jobs import run_list
from desktop_ft.runs import atomic
from desktop_ft.runs.index import RunSummary
from desktop_ft.runs.run_folder import RunFolder
from tests.gui.test_window import click, drop, opened, page

_ADD_ROW = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows


def made(
    name: str | Path, photos: Path, *, preset: str = "head", accuracy: tuple[float, ...] = (0.5, 0.9), time: float = 1e9
) -> Path:
    """A run that was completed: recipe and events, and nothing else."""
    folder = RunFolder.create(places.runs() / name)
    folder.write_recipe(Recipe(dataset=DatasetChoice(folder=str(photos)), freeze=FreezePlan(preset=preset)))
    with folder.log() as log:
        log.append(
            RunStarted(
                epochs=len(accuracy), steps_per_epoch=3, first_epoch=0, first_step=0,
                device="CPU", precision="fp32", learning_share=0.1, time=time,
            )
        )  # fmt: skip
        for epoch, value in enumerate(accuracy):
            log.append(
                EpochDone(
                    epoch=epoch, train_loss=1.0, train_accuracy=value, val_loss=1.0, val_accuracy=value,
                    seconds=1.0 + epoch, best=True,
                )
            )  # fmt: skip
        log.append(RunEnded(status=RunStatus.COMPLETED, checkpoint="", error=""))
    return folder.path


def shown(window: MainWindow, qtbot: QtBot, count: int) -> RunsPage:
    runs = page(window, "runs")
    assert isinstance(runs, RunsPage)
    qtbot.waitUntil(lambda: not window.session.worker.busy and len(runs.runs.rows.rows) == count)
    return runs


def select(runs: RunsPage, *rows: int) -> None:
    selection = runs.runs.selectionModel()
    selection.clearSelection()
    for row in rows:
        selection.select(runs.runs.proxy.index(row, 0), _ADD_ROW)


def test_without_runs_the_page_says_so(window: MainWindow, qtbot: QtBot) -> None:
    runs = shown(window, qtbot, 0)
    assert runs.empty.isVisible() and not runs.contents.isVisible()
    assert not any(way.isEnabled() for way in (runs.open, runs.resume, runs.again, runs.trash, runs.command, runs.folder))


def test_runs_are_listed_filtered_and_compared(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    made("old", photos, accuracy=(0.4, 0.6, 0.7), time=1e9)
    new = made("new", photos, preset="last:2", time=1.5e9)
    found = scan(photos)
    judged = tuple(each.placed(each.label, Subset.VAL) for each in found.samples)
    RunFolder(new).write_manifest(replace(found, samples=judged))
    runs = shown(window, qtbot, 2)
    tips = [runs.runs.proxy.index(place, 5).data(Qt.ItemDataRole.ToolTipRole) for place in range(2)]
    assert " to " in tips[0] and "validation pictures" in tips[0]
    assert tips[1] == "70.0 %"  # nobody knows of how many pictures it is
    assert [run.name for run in runs.selected] == ["new"]  # the newest comes first
    assert "Select two runs" in runs.same.text()
    select(runs, 0, 1)
    qtbot.waitUntil(lambda: runs.differences.rowCount() > 0)
    assert [runs.differences.item(0, place).text() for place in range(3)] == ["Preset", "last:2", "head"]
    curves = runs.plot.getPlotItem().listDataItems()
    assert [len(curve.getData()[0]) for curve in curves] == [2, 3]
    assert runs.legend.text().count("■") == 2
    assert all(f"</span> {runs.differences.horizontalHeaderItem(place).text()} " in runs.legend.text() for place in (1, 2))
    assert not runs.open.isEnabled() and runs.trash.isEnabled()
    QTest.keyClicks(runs.search, "last:2")
    assert runs.runs.proxy.rowCount() == 1


def test_many_selected_runs_cost_one_selection_when_the_list_is_made_anew(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    for number in range(30):
        made(f"run {number}", photos, time=1e9 + number)
    runs = shown(window, qtbot, 30)
    runs.runs.selectAll()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    told: list[object] = []
    runs.runs.selectionModel().selectionChanged.connect(lambda *each: told.append(each))
    runs.refresh()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert len(runs.selected) == 30 and len(told) == 1, "not once a row"
    assert runs.some.isVisible() and "30 runs are selected: the first 24" in runs.some.text()
    assert len(runs.plot.getPlotItem().listDataItems()) == 24
    select(runs, 3)
    assert not runs.some.isVisible()
    qtbot.waitUntil(lambda: not window.session.worker.busy)


def test_runs_that_are_not_selected_any_more_are_not_read_to_the_last(
    window: MainWindow, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        made(f"run {number}", photos, time=1e9 + number)
    runs = shown(window, qtbot, 12)
    reads: list[str] = []
    go_on, history = threading.Event(), RunFolder.history

    def slowly(self: RunFolder) -> MetricHistory:
        reads.append(self.path.name)
        go_on.wait(30)
        return history(self)

    monkeypatch.setattr(RunFolder, "history", slowly)
    runs.runs.selectAll()
    qtbot.waitUntil(lambda: len(reads) == 1)
    select(runs, 7)
    go_on.set()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert reads == ["run 11", "run 4"]


def test_a_run_leads_to_its_results_and_its_recipe(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    run = made("one $(touch x) `y` 'z'", photos, preset="last:1")
    runs = shown(window, qtbot, 1)
    assert not runs.resume.isEnabled()  # it is complete
    click(runs.command)
    assert shlex.split(QGuiApplication.clipboard().text()) == ["desktop-ft", "train", "--recipe", str(run / "recipe.toml")]
    click(runs.open)
    assert window.session.state.page == "results" and window.session.state.run == run
    assert window.strip.text == "No run is under way."  # that it ended is no news
    train = window.page("train")
    window.session.state.go("train")
    assert isinstance(train, TrainPage) and not train.notice.text
    assert html.escape(run.name) in train.controls.legend.text() and train.details.text().startswith("completed")
    window.session.state.go("runs")
    click(runs.again)
    qtbot.waitUntil(lambda: not window.session.opening.running and window.session.state.manifest is not None)
    assert window.session.state.recipe.freeze.preset == "last:1" and window.session.state.page == "data"


def test_why_an_old_run_failed_is_told_with_its_curves(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    run = made("one", photos)
    with RunFolder(run).log() as log:
        log.append(RunEnded(status=RunStatus.FAILED, error="Loss became infinite at epoch 2."))
    window.session.shown.open(run)
    window.session.state.go("train")
    train = window.page("train")
    assert isinstance(train, TrainPage) and "failed · Loss became infinite at epoch 2." in train.details.text()


def test_a_run_that_another_process_trains_by_now_is_not_trashed(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    run = made("one", photos)
    runs = shown(window, qtbot, 1)
    with RunFolder(run).lock():
        click(runs.trash)
        assert run.is_dir() and "Wait for the run to end" in runs.notice.text
        qtbot.waitUntil(lambda: not window.session.worker.busy)


@pytest.mark.parametrize("can", [True, False])
def test_a_run_goes_to_the_trash(window: MainWindow, photos: Path, system_trash: Path, qtbot: QtBot, can: bool) -> None:
    run = made("one", photos)
    runs = shown(window, qtbot, 1)
    click(runs.open)
    window.session.state.go("runs")
    qtbot.waitUntil(lambda: not window.session.worker.busy and runs.trash.isEnabled())
    if not can:
        run.rename(run.with_name("moved by hand"))
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    runs.runs.setFocus()
    assert not any(each.autoRepeat() for each in runs.runs.findChildren(QShortcut)), "held down, it would take one after another"
    QTest.keyClick(runs.runs, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    trashed = system_trash / "files" / "one"
    assert trashed.is_dir() is can and not run.exists()
    assert ("1 run moved to the trash" if can else "cannot be moved") in runs.notice.text
    assert window.session.state.run == (None if can else run)
    assert runs.notice.way.isVisible() is can


def test_a_run_comes_back_from_the_trash(window: MainWindow, photos: Path, system_trash: Path, qtbot: QtBot) -> None:
    made_runs = [made("one", photos), made("two", photos)]
    runs = shown(window, qtbot, 2)
    select(runs, 0, 1)
    click(runs.trash)
    qtbot.waitUntil(lambda: not window.session.worker.busy and not runs.runs.rows.rows)
    assert runs.notice.text == "2 runs moved to the trash."
    made("two", photos)
    click(runs.notice.way)
    qtbot.waitUntil(lambda: not window.session.worker.busy and len(runs.runs.rows.rows) == 2)
    assert "There is a folder" in runs.notice.text and "two" in runs.notice.text
    assert all((run / "events.jsonl").is_file() for run in made_runs)
    told = sorted(each.name for each in system_trash.rglob("*") if each.suffix == ".trashinfo")
    assert told == ["two.trashinfo"], "what came back is listed in the trash no more"
    runs.notice.clear()
    assert not runs.notice.way.isVisible()


def test_a_run_that_failed_and_was_thrown_away_is_offered_again_when_it_is_put_back(
    window: MainWindow, photos: Path, qtbot: QtBot
) -> None:
    run = made("one", photos)
    log = run / "events.jsonl"
    log.write_bytes(b"".join(line for line in log.read_bytes().splitlines(True) if b'"run_ended"' not in line))
    with RunFolder(run).log() as events:
        events.append(RunEnded(status=RunStatus.FAILED, error="The disk is full."))

    def fails(emit: object, control: object, progress: object) -> RunEnded:
        raise UserError("The disk is full.", "Free some.")

    runs = shown(window, qtbot, 1)
    window.session.training.start(run, fails)
    qtbot.waitUntil(window.interrupted.isVisible)
    click(window.interrupted.discard)
    qtbot.waitUntil(lambda: not runs.runs.rows.rows)  # the page that is shown follows
    assert not window.interrupted.isVisible() and window.notice.text == "1 run moved to the trash."
    click(window.notice.way)
    qtbot.waitUntil(lambda: len(runs.runs.rows.rows) == 1 and window.interrupted.isVisible())
    assert window.session.broken_off.offered is not None and window.session.broken_off.offered.run == run


def test_of_several_runs_each_that_stays_or_does_not_come_back_is_named(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    names = ("one", "two", "three", "four")
    one, two, three, four = (made(name, photos) for name in names)
    runs = shown(window, qtbot, 4)
    select(runs, 0, 1, 2, 3)
    four.rename(tmp_path / "four")
    click(runs.trash)
    qtbot.waitUntil(lambda: not window.session.worker.busy and not runs.runs.rows.rows)
    assert runs.notice.text.startswith("3 runs moved to the trash.") and f"{four} cannot be moved" in runs.notice.text
    made("one", photos)
    made("three", photos)
    click(runs.notice.way)
    qtbot.waitUntil(lambda: not window.session.worker.busy and len(runs.runs.rows.rows) == 3)
    assert all(f"There is a folder {run} again." in runs.notice.text for run in (one, three)) and str(two) not in runs.notice.text
    shutil.rmtree(one)
    shutil.rmtree(three)
    click(runs.notice.way)  # the ways of the others are free by now
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert all((run / "events.jsonl").is_file() for run in (one, two, three)) and not runs.notice.way.isVisible()


def test_a_run_in_the_trash_comes_back_from_the_menu_after_what_was_said_is_dismissed(
    window: MainWindow, photos: Path, qtbot: QtBot
) -> None:
    one, two = made("one", photos), made("two", photos, time=1.5e9)
    back = window.actions_["run.put_back"]
    assert not back.isEnabled() and "No run has been moved to the trash" in back.toolTip()
    runs = shown(window, qtbot, 2)
    click(runs.trash)
    qtbot.waitUntil(lambda: not window.session.worker.busy and len(runs.runs.rows.rows) == 1)
    click(runs.trash)
    qtbot.waitUntil(lambda: not window.session.worker.busy and not runs.runs.rows.rows)
    click(runs.notice.dismiss)
    window.session.state.go("data")
    qtbot.waitUntil(back.isEnabled)
    back.trigger()
    qtbot.waitUntil(lambda: not window.session.worker.busy and [run.name for run in runs.selected] == ["one"])
    assert one.is_dir() and not two.exists() and window.session.state.page == "runs"
    made("two", photos)
    back.trigger()
    assert "There is a folder" in window.notice.text
    shutil.rmtree(two)
    back.trigger()
    qtbot.waitUntil(lambda: not window.session.worker.busy and [run.name for run in runs.selected] == ["two"])
    qtbot.waitUntil(lambda: not back.isEnabled())


def test_what_is_said_of_a_run_in_the_trash_goes_when_it_comes_back_from_the_menu(
    window: MainWindow, photos: Path, qtbot: QtBot
) -> None:
    made("one", photos)
    runs = shown(window, qtbot, 1)
    click(runs.trash)
    assert runs.notice.way.isVisible()
    qtbot.waitUntil(window.actions_["run.put_back"].isEnabled)
    window.actions_["run.put_back"].trigger()
    assert not runs.notice.text
    qtbot.waitUntil(lambda: not window.session.worker.busy and len(runs.runs.rows.rows) == 1)


def test_a_run_that_cannot_be_put_back_says_where_it_is(
    window: MainWindow, photos: Path, tmp_path: Path, system_trash: Path, qtbot: QtBot
) -> None:
    run = made("one", photos)
    runs = shown(window, qtbot, 1)
    click(runs.trash)
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    (system_trash / "files" / "one").rename(tmp_path / "taken out by hand")
    click(runs.notice.way)
    assert "is not found in the trash any more. Take it out" in runs.notice.text.replace("\n", " ") and not run.exists()
    trash.tell(runs.notice, [trash.Trashed(run, None)], [], window.session.runs.put_back)
    assert "The trash of the system can put back" in runs.notice.text and not runs.notice.way.isVisible()
    qtbot.waitUntil(lambda: not window.session.worker.busy)


@pytest.mark.parametrize("name", ["data", "results", "runs"])
def test_what_is_grey_says_why(window: MainWindow, photos: Path, qtbot: QtBot, name: str) -> None:
    run = made("one", photos)
    opened(window, photos, qtbot)
    window.session.shown.open(run)
    shown(window, qtbot, 1)
    select(page(window, "runs"))
    looked_at = page(window, name)
    for running in (False, True):
        if running:
            window.session.opening.open(photos)
        grey = [way for way in looked_at.findChildren(QPushButton) if way.isVisible() and not way.isEnabled()]
        assert grey or name == "results"
        for way in grey:
            own = way.property("tip") if way.property("tip") is not None else "what it does"
            assert len(way.toolTip().splitlines()) > bool(own), f"{way.text()} says {way.toolTip()!r}"
    qtbot.waitUntil(lambda: not window.session.worker.busy)


def test_a_damaged_run_is_listed_and_says_why_when_it_is_opened(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    (made("one", photos) / "recipe.toml").write_text("no recipe = [")
    runs = shown(window, qtbot, 1)
    assert runs.selected[0].status == "damaged"
    assert (runs.selected[0].created, runs.selected[0].epochs) == (1e9, 2), "what is whole of it is told"
    assert not runs.again.isEnabled() and runs.folder.isEnabled() and runs.trash.isEnabled()
    click(runs.open)
    qtbot.waitUntil(lambda: "recipe.toml is not a recipe" in window.notice.text)
    assert window.session.state.page == "results" and len(window.session.training.history.epochs) == 2


def test_return_opens_the_run(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    made("one", photos)
    runs = shown(window, qtbot, 1)
    runs.runs.setCurrentIndex(runs.runs.proxy.index(0, 0))
    QTest.keyClick(runs.runs, Qt.Key.Key_Return)
    assert window.session.state.page == "results"


def test_what_is_written_about_a_run_is_kept_and_found(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    one, two = made("one", photos, time=1.5e9), made("two", photos)
    runs = shown(window, qtbot, 2)
    QTest.keyClicks(runs.notes.tags, "night, #good")
    QTest.keyClicks(runs.notes.text, "the new camera")
    qtbot.waitUntil(lambda: RunFolder(one).note.text == "the new camera", timeout=5_000)  # nobody asked for it
    assert RunFolder(one).note.tags == ("night", "good")
    QTest.keyClicks(runs.notes.text, "!")
    select(runs, 1)  # another run: what was typed is kept at once
    assert RunFolder(one).note.text == "the new camera!" and runs.notes.text.toPlainText() == ""
    QTest.keyClicks(runs.notes.tags, "night-shift")
    QTest.keyClicks(runs.search, "#night")
    assert runs.runs.proxy.rowCount() == 2
    QTest.keyClicks(runs.search, "-")
    assert runs.runs.proxy.rowCount() == 1 and RunFolder(two).note.tags == ("night-shift",)
    runs.search.setText("new camera")  # what is only in the note
    assert [runs.runs.proxy.index(row, 2).data() for row in range(runs.runs.proxy.rowCount())] == ["efficientnet_lite0"]
    runs.search.clear()
    select(runs, 0, 1)
    assert not runs.notes.text.isEnabled()
    select(runs, 0)
    assert runs.notes.text.toPlainText() == "the new camera!" and runs.notes.tags.text() == "night good"


def test_a_note_that_cannot_be_written_waits_until_it_can(
    window: MainWindow, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made("one", photos, time=1.5e9)
    made("two", photos)
    runs = shown(window, qtbot, 2)

    def full(path: Path, *parts: bytes) -> None:
        raise atomic.cannot_write(path, 1, OSError(28, "No space left on device"))

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "write", full)
        QTest.keyClicks(runs.notes.text, "dear")
        select(runs, 1)
        assert "disk is full" in runs.notice.text and runs.notes.text.toPlainText() == ""
    select(runs, 0)
    assert runs.notes.text.toPlainText() == "dear"
    runs.notes.save()
    assert RunFolder(one).note == RunNote(text="dear")


@pytest.mark.parametrize("way", ["Stay", "Close without saving"])
@pytest.mark.parametrize("another", [False, True])
def test_a_window_with_a_note_that_cannot_be_written_asks_before_it_closes(
    window: MainWindow, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, way: str, another: bool
) -> None:
    one = made("one", photos, time=1.5e9)
    made("two", photos)
    runs = shown(window, qtbot, 2)
    asked: list[str] = []

    def full(path: Path, *parts: bytes) -> None:
        raise atomic.cannot_write(path, 1, OSError(28, "No space left on device"))

    def answer() -> None:
        box = window.findChild(QMessageBox)
        assert box is not None
        asked.append(f"{box.text()} {box.informativeText()}")
        next(button for button in box.buttons() if button.text() == way).click()

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "write", full)
        QTest.keyClicks(runs.notes.text, "dear")
        if another:
            select(runs, 1)
        window.session.state.go("data")
        QTimer.singleShot(0, answer)
        window.close()
    assert len(asked) == 1 and "about a run could not be saved" in asked[0] and "disk is full" in asked[0]
    assert window.isVisible() is (way == "Stay")
    if way == "Stay":
        assert window.session.state.page == "runs"
        window.close()  # there is room again
        assert not window.isVisible() and RunFolder(one).note.text == "dear"


def test_a_note_that_could_not_be_written_and_was_taken_back_is_not_written_after_all(
    window: MainWindow, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made("one", photos)
    runs = shown(window, qtbot, 1)

    def full(path: Path, *parts: bytes) -> None:
        raise atomic.cannot_write(path, 1, OSError(28, "No space left on device"))

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "write", full)
        QTest.keyClicks(runs.notes.text, "x")
        runs.notes.save()
    QTest.keyClick(runs.notes.text, Qt.Key.Key_Backspace)
    window.close()
    assert not window.isVisible() and RunFolder(one).note == RunNote()


def test_typing_goes_on_while_the_list_is_made_anew(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    run = made("one", photos)
    runs = shown(window, qtbot, 1)
    QTest.keyClicks(runs.notes.text, "half a")
    runs.refresh()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    QTest.keyClicks(runs.notes.text, " word")
    window.session.state.go("data")  # leaves it
    runs.notes.save()
    assert RunFolder(run).note.text == "half a word"


def test_a_note_stays_when_a_list_that_was_begun_before_it_comes(
    window: MainWindow, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made("one", photos)
    runs = shown(window, qtbot, 1)
    read, go_on, listed = threading.Event(), threading.Event(), run_list.listed

    def slowly() -> list[RunSummary]:
        found = listed()
        read.set()
        go_on.wait(30)
        return found

    monkeypatch.setattr(run_list, "listed", slowly)
    runs.refresh()
    assert read.wait(30)
    QTest.keyClicks(runs.notes.tags, "night")
    QTest.keyClicks(runs.notes.text, "kept")
    runs.notes.save()
    go_on.set()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert runs.notes.text.toPlainText() == "kept" and runs.notes.tags.text() == "night"
    assert runs.selected[0].note == "kept" and runs.selected[0].tags == "#night"
    QTest.keyClicks(runs.notes.text, "!")
    runs.notes.save()
    assert RunFolder(run).note.tags == ("night",) and RunFolder(run).note.text == "kept!"


def test_using_another_run_s_recipe_can_be_undone(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    other = Path(shutil.copytree(photos, tmp_path / "others"))
    shutil.rmtree(other / "dark")
    shutil.copytree(photos / "dark", other / "black")
    made("one", other, preset="last:1")
    opened(window, photos, qtbot)
    state = window.session.state
    before, pictures = state.recipe, state.manifest
    runs = shown(window, qtbot, 1)
    click(runs.again)

    def settled(folder: Path) -> None:
        qtbot.waitUntil(lambda: not window.session.opening.running and state.manifest is not None, timeout=30_000)
        assert state.manifest is not None and state.manifest.source == str(folder) == state.recipe.dataset.folder

    settled(other)
    assert state.recipe.freeze.preset == "last:1" and state.manifest is not None and "black" in state.manifest.classes
    window.commands.undo()
    settled(photos)
    assert state.recipe == before and state.manifest == pictures
    window.commands.redo()
    window.commands.undo()  # while the other folder is still being looked at
    window.commands.redo()
    settled(other)
    assert state.recipe.freeze.preset == "last:1"
    window.commands.undo()
    settled(photos)
    assert state.recipe == before


def test_the_run_that_was_shown_comes_back_with_its_pictures(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    run = made("one", photos)
    other = Path(shutil.copytree(photos, tmp_path / "others"))
    opened(window, photos, qtbot)
    state = window.session.state
    assert drop(window, run) and state.run == run
    assert drop(window, other)
    qtbot.waitUntil(lambda: state.recipe.dataset.folder == str(other), timeout=30_000)
    assert state.run is None
    window.commands.undo()
    qtbot.waitUntil(lambda: state.run == run, timeout=30_000)
    assert state.manifest is not None and state.manifest.source == str(photos)
    window.commands.redo()
    qtbot.waitUntil(lambda: state.run is None, timeout=30_000)
    qtbot.waitUntil(lambda: not window.session.opening.running)
    shutil.rmtree(run)
    window.commands.undo()
    qtbot.waitUntil(lambda: not window.session.opening.running and state.manifest is not None)
    assert state.run is None and state.recipe.dataset.folder == str(photos)


def test_runs_that_lie_elsewhere_are_listed_once_known(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    far = made(tmp_path / "far away", photos)
    runs = shown(window, qtbot, 0)
    assert drop(window, far)
    qtbot.waitUntil(lambda: [run.path for run in runs.runs.rows.rows] == [str(far)])
    (places.data() / "runs.sqlite").unlink()  # only an index
    runs.refresh()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert [run.path for run in runs.runs.rows.rows] == [str(far)]
    assert drop(window, tmp_path) and len(runs.runs.rows.rows) == 1  # no run: it is opened as pictures
    qtbot.waitUntil(lambda: not window.session.opening.running)
    far.rename(tmp_path / "gone")
    window.session.state.go("runs")
    qtbot.waitUntil(lambda: runs.empty.isVisibleTo(runs))


def test_a_run_is_made_again_from_its_recipe(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    made("one", photos.with_name("gone"), preset="last:1")
    runs = shown(window, qtbot, 1)
    click(runs.repeat)
    assert window.session.state.page == "train"
    qtbot.waitUntil(lambda: not window.session.training.running, timeout=60_000)
    end = window.session.training.end  # its pictures are gone: that is told, and no new run is left
    assert end is not None and end.status is RunStatus.FAILED and "gone" in end.error
    assert window.session.state.recipe.freeze.preset == "head" and len(list(places.runs().iterdir())) == 1


def test_a_run_opens_as_a_report(window: MainWindow, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(window, photos, qtbot)
    run = made("one", photos)
    manifest = window.session.state.manifest
    assert manifest is not None
    RunFolder(run).write_manifest(manifest)
    asked: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: asked.append(url.toLocalFile()) or False)
    runs = shown(window, qtbot, 1)
    QTest.keyClicks(runs.notes.text, "<b>remember</b>")
    click(runs.report)
    qtbot.waitUntil(lambda: bool(asked), timeout=30_000)
    assert asked == [str(run / "report.html")] and asked[0] in runs.notice.text
    text = (run / "report.html").read_text()
    assert "&lt;b&gt;remember&lt;/b&gt;" in text and "desktop-ft train --recipe recipe.toml" in text and "@media print" in text


def test_a_recipe_that_is_no_text_is_told(window: MainWindow, tmp_path: Path) -> None:
    file = tmp_path / "bytes.toml"
    file.write_bytes(bytes(range(128, 256)))
    assert drop(window, file)
    assert "bytes.toml" in window.notice.text and "not a recipe" in window.notice.text


def test_a_long_run_that_goes_on_is_read_beside_the_window(
    window: MainWindow, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made("one", photos)
    with RunFolder(run).log() as log:
        log.append(RunEnded(status=RunStatus.CANCELLED))
    runs = shown(window, qtbot, 1)
    read, go_on, events = set[int](), threading.Event(), RunFolder.events

    def slow(folder: RunFolder) -> list[TrainEvent]:
        read.add(threading.get_ident())
        assert threading.current_thread() is not threading.main_thread() and go_on.wait(30)
        return events(folder)

    monkeypatch.setattr(RunFolder, "events", slow)
    monkeypatch.setattr(jobs.training, "resume", lambda *args, **kwargs: RunEnded(status=RunStatus.COMPLETED))
    click(runs.resume)
    assert window.session.state.page == "train" and window.strip.text == "Reading the run…"
    window.session.state.go("runs")
    assert not runs.resume.isEnabled(), "once is enough"
    go_on.set()
    qtbot.waitUntil(lambda: not window.session.training.running)
    assert read and len(window.session.training.history.epochs) == 2, window.strip.text


def test_what_cannot_be_done_with_runs_says_why(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    made("one", photos)
    made("two", photos, time=1.5e9)
    runs = shown(window, qtbot, 2)
    assert "It is complete" in runs.resume.toolTip() and "last checkpoint" in runs.resume.toolTip()
    assert runs.open.toolTip() == "Show its results."
    select(runs, 0, 1)
    one = (runs.open, runs.resume, runs.repeat, runs.again, runs.report, runs.command, runs.folder)
    assert all("Select one run." in way.toolTip() and not way.isEnabled() for way in one)
    select(runs, 0)
    window.session.opening.open(photos)
    assert all(way.toolTip().endswith("wait for it, or stop it.") for way in (runs.open, runs.again, runs.repeat, runs.trash))
    qtbot.waitUntil(lambda: not window.session.opening.running and not window.session.worker.busy)
    assert runs.trash.toolTip() == "Where the system keeps what was deleted, until it is emptied."
    select(runs)
    assert runs.trash.toolTip().endswith("Select a run.")


def test_a_filter_that_no_run_fits_says_so_and_can_be_cleared(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    made("one", photos)
    runs = shown(window, qtbot, 1)
    assert runs.runs.isVisible() and not runs.none_fits.isVisible()
    QTest.keyClicks(runs.search, "scratch")
    assert not runs.runs.isVisible() and runs.none_fits.isVisible()
    runs.refresh()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert runs.none_fits.isVisible()
    (clear,) = runs.none_fits.findChildren(QPushButton)
    click(clear)
    assert not runs.search.text() and runs.runs.isVisible() and not runs.none_fits.isVisible()


def test_what_is_selected_outlives_a_filter(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    for number in range(4):
        made(f"run {number}", photos, preset=f"last:{1 + number}", time=1e9 + number)
    runs = shown(window, qtbot, 4)
    select(runs, 1, 2)
    QTest.keyClicks(runs.search, "last:2")
    assert [run.name for run in runs.selected] == ["run 1"]
    runs.refresh()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    runs.search.clear()
    assert [run.name for run in runs.selected] == ["run 2", "run 1"]
    QTest.keyClicks(runs.search, "last:1")
    assert not runs.selected
    select(runs, 0)
    runs.search.clear()
    assert [run.name for run in runs.selected] == ["run 0"], "what the person selected last"
    qtbot.waitUntil(lambda: not window.session.worker.busy)


@pytest.mark.parametrize(("row", "name"), [(0, "run 2"), (1, "run 1"), (3, "run 1")])
def test_after_a_run_went_to_the_trash_its_neighbour_is_selected_and_a_second_key_does_nothing(
    window: MainWindow, photos: Path, qtbot: QtBot, row: int, name: str
) -> None:
    for number in range(4):
        made(f"run {number}", photos, time=1e9 + number)
    runs = shown(window, qtbot, 4)
    select(runs, row)
    runs.trash.setFocus()
    QTest.keyClick(runs.trash, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: not window.session.worker.busy and len(runs.runs.rows.rows) == 3)
    assert [run.name for run in runs.selected] == [name]
    assert window.focusWidget() is runs.runs
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert len(list(places.runs().iterdir())) == 3


def test_no_run_is_selected_by_itself_once_the_list_is_there(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    made("one", photos)
    made("two", photos, time=1.5e9)
    runs = shown(window, qtbot, 2)
    assert [run.name for run in runs.selected] == ["two"]
    select(runs)
    runs.refresh()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    assert not runs.selected and not runs.trash.isEnabled()


def test_runs_of_one_minute_are_told_apart(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    for number in range(3):
        made(f"run {number}", photos, accuracy=(0.5,) * (20 + number), time=1e9 + 20 * number)
    runs = shown(window, qtbot, 3)
    begun = [runs.runs.proxy.index(place, 0) for place in range(3)]
    now = [datetime.now().replace(month=1, day=2, hour=3, minute=4, second=20 * number).timestamp() for number in range(3)]
    runs.runs.rows.rows[:] = [replace(run, created=at) for run, at in zip(runs.runs.rows.rows, now, strict=True)]
    assert len({index.data() for index in begun}) == 3
    assert all(runs.runs.fontMetrics().horizontalAdvance(index.data()) + 16 <= runs.runs.columnWidth(0) for index in begun)
    for place in (0, 1, 2, 3, 4):
        tip = runs.runs.proxy.index(0, place).data(Qt.ItemDataRole.ToolTipRole)
        assert "22 epochs · learning rate 0.003 · 22 s" in tip and str(places.runs() / "run 2") in tip


@pytest.mark.parametrize("language", ["en", "de"])
def test_what_runs_differ_in_is_seen_beside_the_list(
    english_again: None, qapp: QApplication, request: pytest.FixtureRequest, photos: Path, qtbot: QtBot, language: str
) -> None:
    languages.speak(qapp, language)
    window: MainWindow = request.getfixturevalue("window")
    made("one", photos)
    two = RunFolder(made("two", photos, preset="last:1", time=1.5e9))
    change = Change(freeze=FreezePlan(preset="head", backbone_rate=0.25, batch_norm="frozen"))
    two.write_recipe(two.recipe.model_copy(update={"backbone": BackboneChoice(name="efficientnet_v2_s")}).with_change(37, change))
    runs = shown(window, qtbot, 2)
    runs.tabs.setCurrentIndex(1)
    select(runs, 0, 1)
    table = runs.differences
    qtbot.waitUntil(lambda: table.columnCount() == 3 and table.isVisible())
    assert not table.horizontalScrollBar().isVisible() and not runs.runs.horizontalScrollBar().isVisible()
    assert table.columnViewportPosition(2) + table.columnWidth(2) <= table.viewport().width()
    assert {table.item(line, 1).toolTip() for line in range(table.rowCount())} >= {"efficientnet_v2_s", "last:1", "frozen"}
    assert all(table.sizeHintForRow(line) <= table.rowHeight(line) for line in range(table.rowCount())), "cut at the bottom"


def test_no_word_for_a_state_is_cut_in_another_language(
    english_again: None, qapp: QApplication, request: pytest.FixtureRequest
) -> None:
    languages.speak(qapp, "de")
    window: MainWindow = request.getfixturevalue("window")
    runs = page(window, "runs")
    assert isinstance(runs, RunsPage)
    (state,) = (number for number, column in enumerate(runs_page.COLUMNS) if column.title == "State")
    widest = max(runs.runs.fontMetrics().horizontalAdvance(tr(word)) for word in words.STATES.values())
    assert widest + 16 <= runs.runs.columnWidth(state)
