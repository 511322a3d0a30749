"""The page Runs: what it lists, compares and leads to."""

import shlex
from pathlib import Path

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from desktop_ft import places
from desktop_ft.core.events import EpochDone, RunEnded, RunStarted, RunStatus
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.runs_page import RunsPage
from desktop_ft.runs.run_folder import RunFolder
from tests.gui.test_window import click, page

_ADD_ROW = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows


def made(name: str, photos: Path, *, preset: str = "head", accuracy: tuple[float, ...] = (0.5, 0.9), time: float = 1e9) -> Path:
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
    made("new", photos, preset="last:2", time=1.5e9)
    runs = shown(window, qtbot, 2)
    assert [run.name for run in runs.selected] == ["new"]  # the newest comes first
    assert "Select two runs" in runs.same.text()
    select(runs, 0, 1)
    qtbot.waitUntil(lambda: runs.differences.rowCount() > 0)
    assert runs.differences.verticalHeaderItem(0).text() == "freeze.preset"
    assert [runs.differences.item(0, place).text() for place in range(2)] == ["last:2", "head"]
    curves = runs.plot.getPlotItem().listDataItems()
    assert [len(curve.getData()[0]) for curve in curves] == [2, 3]
    assert runs.legend.text().count("■") == 2
    assert not runs.open.isEnabled() and runs.trash.isEnabled()
    QTest.keyClicks(runs.search, "last:2")
    assert runs.runs.proxy.rowCount() == 1


def test_a_run_leads_to_its_results_and_its_recipe(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    run = made("one $(touch x) `y` 'z'", photos, preset="last:1")
    runs = shown(window, qtbot, 1)
    assert not runs.resume.isEnabled()  # it is complete
    click(runs.command)
    assert shlex.split(QGuiApplication.clipboard().text()) == ["desktop-ft", "train", "--recipe", str(run / "recipe.toml")]
    click(runs.open)
    assert window.session.state.page == "results" and window.session.state.run == run
    window.session.state.go("runs")
    click(runs.again)
    qtbot.waitUntil(lambda: not window.session.opening.running and window.session.state.manifest is not None)
    assert window.session.state.recipe.freeze.preset == "last:1" and window.session.state.page == "data"


def test_a_run_that_another_process_trains_by_now_is_not_trashed(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    run = made("one", photos)
    runs = shown(window, qtbot, 1)
    with RunFolder(run).lock():
        click(runs.trash)
        assert run.is_dir() and "Wait for the run to end" in runs.notice.text
        qtbot.waitUntil(lambda: not window.session.worker.busy)


@pytest.mark.parametrize("can", [True, False])
def test_a_run_goes_to_the_trash(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, can: bool
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))  # where the system's trash is
    (tmp_path / "share").mkdir()
    run = made("one", photos)
    runs = shown(window, qtbot, 1)
    click(runs.open)
    window.session.state.go("runs")
    qtbot.waitUntil(lambda: not window.session.worker.busy and runs.trash.isEnabled())
    if not can:
        run.rename(run.with_name("moved by hand"))
    click(runs.trash)
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    trashed = tmp_path / "share" / "Trash" / "files" / "one"
    assert trashed.is_dir() is can and not run.exists()
    assert ("1 run moved to the trash" if can else "cannot be moved") in runs.notice.text
    assert window.session.state.run == (None if can else run)


def test_a_damaged_run_is_listed_and_can_only_be_looked_at(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    (made("one", photos) / "recipe.toml").write_text("no recipe = [")
    runs = shown(window, qtbot, 1)
    assert runs.selected[0].status == "damaged"
    assert not runs.open.isEnabled() and not runs.again.isEnabled() and runs.folder.isEnabled() and runs.trash.isEnabled()


def test_return_opens_the_run(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    made("one", photos)
    runs = shown(window, qtbot, 1)
    runs.runs.setCurrentIndex(runs.runs.proxy.index(0, 0))
    QTest.keyClick(runs.runs, Qt.Key.Key_Return)
    assert window.session.state.page == "results"
