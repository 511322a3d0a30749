"""The main job in the window: drop, tick, train, look, export, try; through real events and with the real network."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPointF, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from desktop_ft import app
from desktop_ft.core.events import RunStatus
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.gui import own_weights
from desktop_ft.gui.export_page import ExportPage
from desktop_ft.gui.faults import Faults
from desktop_ft.gui.layer_model import PATH_ROLE
from desktop_ft.gui.layers_page import LayersPage
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.rate_dialog import RateDialog
from desktop_ft.gui.results_page import ResultsPage
from desktop_ft.gui.train_page import TrainPage
from desktop_ft.jobs.replanning import current
from desktop_ft.runs.run_folder import RunFolder
from tests.e2e.conftest import shapes
from tests.gui.test_layers_page import click_tick
from tests.gui.test_window import click, drop, page

pytestmark = pytest.mark.slow
LONG = 180_000


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[MainWindow]:
    faults = Faults()
    made = app.build_window(faults)
    made.resize(1280, 720)
    made.show()
    yield made
    made.session.training.cancel()
    qtbot.waitUntil(lambda: not made.session.training.running, timeout=LONG)
    made.close()
    qtbot.waitUntil(lambda: not made.session.worker.busy)
    made.deleteLater()
    faults.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert faults.seen == []


def take_recipe(window: MainWindow, qtbot: QtBot, photos: Path, tmp_path: Path, epochs: int, preset: str = "head") -> Recipe:
    recipe = Recipe(
        dataset=DatasetChoice(folder=str(photos), val=0.3),
        backbone=BackboneChoice(image_size=64),
        freeze=FreezePlan(preset=preset),
        optimisation=Optimisation(epochs=epochs, batch_size=8),
    )
    file = tmp_path / "small.toml"
    file.write_text(recipe.to_toml())
    assert drop(window, file)
    qtbot.waitUntil(lambda: window.session.state.manifest is not None and not window.session.opening.running, timeout=LONG)
    return recipe


def test_from_a_recipe_to_a_proven_file(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    state, training = window.session.state, window.session.training
    take_recipe(window, qtbot, photos, tmp_path, epochs=2)
    layers = page(window, "layers")
    assert isinstance(layers, LayersPage)
    qtbot.waitUntil(lambda: state.tree is not None, timeout=LONG)
    before = layers.share.text()
    click_tick(layers, "conv_head")
    assert dict(state.recipe.freeze.overrides) == {"conv_head": 1.0}
    assert layers.share.text() != before
    click_tick(layers, "conv_head")
    assert dict(state.recipe.freeze.overrides) == {}

    train = page(window, "train")
    assert isinstance(train, TrainPage)
    click(train.start)
    assert training.running
    assert window.strip.isVisible()
    qtbot.waitUntil(lambda: not training.running, timeout=LONG)
    assert training.end is not None
    assert training.end.status is RunStatus.COMPLETED, training.end.error
    assert train.plots.learning.points("val_loss") == 2
    assert train.plots.learning.points("steps") == len(training.history.steps) > 2

    click(window.strip.results)
    assert not window.strip.results.isVisible(), "there they are"
    results = window.page("results")
    assert isinstance(results, ResultsPage)
    assert state.evaluation is not None
    assert "%" in results.accuracy.text()
    results.tabs.setCurrentIndex(1)
    cell = results.confusion.model().index(0, 0)
    QTest.mouseClick(results.confusion.viewport(), Qt.MouseButton.LeftButton, pos=results.confusion.visualRect(cell).center())
    assert results.cell.thumbs.rowCount() == state.evaluation.confusion[0][0]

    export = page(window, "export")
    assert isinstance(export, ExportPage)
    assert not export.trying.ask.isEnabled()
    click(export.export)
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    assert state.export is not None, export.notice.text
    assert state.export.accepted
    assert "No answer changed" in export.proof_text.text()
    assert drop(window, photos / "disc")
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    assert len(export.trying.answers) == 12
    assert state.run is not None
    assert RunFolder.open(state.run).evaluation == state.evaluation

    # Other pictures are another project: what the window tells of a run must not be taken for theirs.
    window.session.opening.open(photos)
    qtbot.waitUntil(lambda: not window.session.opening.running, timeout=LONG)
    assert state.evaluation is not None
    window.session.opening.open(shapes(tmp_path / "others", 4))
    qtbot.waitUntil(lambda: not window.session.opening.running, timeout=LONG)
    assert (state.run, state.evaluation, state.export, training.end) == (None, None, None, None)
    assert window.strip.text == "No run is under way."
    assert train.notice.text == ""
    assert page(window, "train") is train and train.plots.learning.points("steps") == 0


@pytest.mark.parametrize("preset", ["last:1", "last:25", "gradual", "gradual:30", "gradual:300", "discriminative:0.5"])
def test_looking_at_the_layers_edits_nothing(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot, preset: str) -> None:
    state = window.session.state
    take_recipe(window, qtbot, photos, tmp_path, epochs=2, preset=preset)
    before = state.recipe
    layers = page(window, "layers")
    assert isinstance(layers, LayersPage)
    qtbot.waitUntil(lambda: state.tree is not None, timeout=LONG)
    assert state.recipe == before
    assert not state.undo_stack.canUndo()
    assert layers.share.text()


def test_picture_and_tree_and_plan_go_in_step(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    state = window.session.state
    take_recipe(window, qtbot, photos, tmp_path, epochs=2)
    layers = page(window, "layers")
    assert isinstance(layers, LayersPage)
    qtbot.waitUntil(lambda: state.tree is not None, timeout=LONG)
    picture, count = layers.picture, layers.picture.maximum()
    assert picture.value() == count
    picture.setFocus()
    QTest.keyClick(picture, Qt.Key.Key_Left)
    QTest.keyClick(picture, Qt.Key.Key_Left)
    assert state.recipe.freeze.preset == "last:2" and layers.blocks.value() == 2
    window.commands.undo()  # both steps were one change
    assert state.recipe.freeze.preset == "head" and picture.value() == count
    click_tick(layers, "blocks.6")
    assert picture.value() < count
    QTest.keyClick(picture, Qt.Key.Key_End)
    assert state.recipe.freeze.preset == "head" and not state.recipe.freeze.overrides
    QTest.mouseClick(picture, Qt.MouseButton.LeftButton, pos=picture.bar_rect(1).center().toPoint())
    assert layers.tree.currentIndex().data(PATH_ROLE).startswith("blocks")


def test_time_and_memory_of_what_is_ticked_are_measured_by_themselves(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    state, forecast = window.session.state, window.session.forecast
    layers = page(window, "layers")
    assert isinstance(layers, LayersPage)
    qtbot.waitUntil(lambda: state.tree is not None, timeout=LONG)
    assert "Choose a folder of pictures first" in layers.measured.text.text()
    take_recipe(window, qtbot, photos, tmp_path, epochs=2)
    state.go("layers")
    qtbot.waitUntil(lambda: forecast.told is not None, timeout=LONG)
    head = layers.measured.text.text()
    assert head.startswith("The whole training") and "of memory. An epoch takes" in head
    click_tick(layers, "blocks.6")
    assert forecast.told is None and layers.measured.text.text() == "Measuring time and memory…"
    qtbot.waitUntil(lambda: forecast.told is not None, timeout=LONG)
    assert layers.measured.text.text() != head
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    assert train.forecast.answer.text().startswith("The whole training")  # what is known is shown there too


def test_a_learning_rate_is_found_and_taken(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    state = window.session.state
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    assert not train.find_rate.isEnabled()
    take_recipe(window, qtbot, photos, tmp_path, epochs=2)
    page(window, "train")
    before = state.recipe.optimisation.lr
    click(train.find_rate)
    dialog = window.findChild(RateDialog)
    assert dialog is not None and dialog.progress.isVisible() and not dialog.use.isEnabled()
    qtbot.waitUntil(dialog.use.isEnabled, timeout=LONG)
    assert "is a safe rate" in dialog.words.text() and state.recipe.optimisation.lr == before
    suggested = dialog.rate.value()
    view = dialog.plot.getPlotItem().getViewBox()
    where = dialog.plot.mapFromScene(view.mapViewToScene(QPointF(-2.0, view.viewRect().center().y())))
    QTest.mouseClick(dialog.plot.viewport(), Qt.MouseButton.LeftButton, pos=where)
    qtbot.waitUntil(lambda: dialog.rate.value() != suggested)
    assert dialog.rate.value() == pytest.approx(0.01, rel=0.1)
    click(dialog.use)
    assert state.recipe.optimisation.lr == dialog.rate.value()
    window.commands.undo()
    assert state.recipe.optimisation.lr == before
    window.actions_["rate.find"].trigger()
    other = window.findChild(RateDialog)
    assert other is not None
    other.reject()  # while it tries rates: they are given up
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=LONG)
    assert state.recipe.optimisation.lr == before


def test_a_recipe_for_other_pictures_ends_what_is_shown_of_a_run(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    state, training = window.session.state, window.session.training
    take_recipe(window, qtbot, photos, tmp_path, epochs=1)
    window.actions_["run.start"].trigger()
    qtbot.waitUntil(lambda: not training.running, timeout=LONG)
    assert state.evaluation is not None
    shown, other = state.run, shapes(tmp_path / "other", 4)
    window.session.opening.open(other)
    assert not window.actions_["run.start"].isEnabled() or window.session.blocker() is not None
    qtbot.waitUntil(lambda: not window.session.opening.running, timeout=LONG)
    assert state.evaluation is None and state.run is None
    take_recipe(window, qtbot, photos, tmp_path, epochs=1)
    assert state.run == shown, "it comes back with its pictures"


def test_a_run_pauses_goes_on_and_stops_keeping_the_best(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    training, strip, state = window.session.training, window.strip, window.session.state
    take_recipe(window, qtbot, photos, tmp_path, epochs=500)
    window.actions_["run.start"].trigger()
    qtbot.waitUntil(lambda: len(training.history.epochs) >= 1, timeout=LONG)
    click(strip.pause)
    qtbot.waitUntil(lambda: training.history.paused, timeout=LONG)
    steps = len(training.history.steps)
    assert strip.pause.text() == "Resume"
    window.session.state.go("data")
    assert strip.isVisible()
    click(strip.pause)
    qtbot.waitUntil(lambda: len(training.history.steps) > steps, timeout=LONG)
    click(strip.stop)
    qtbot.waitUntil(lambda: not training.running, timeout=LONG)
    assert training.end is not None
    assert training.end.status is RunStatus.STOPPED
    assert window.session.state.evaluation is not None
    results = page(window, "results")
    assert isinstance(results, ResultsPage)
    assert results.resume.isVisible()
    done = len(training.history.epochs)

    # Another folder is judged with progress, can be broken off, and changes nothing that the run keeps.
    other = shapes(tmp_path / "other", 4)
    own = state.evaluation
    results._evaluate_on(other)
    assert results.progress.isVisible()
    results.progress.cancelled.emit()
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    assert state.evaluation == own
    results._evaluate_on(other)
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    assert state.evaluation is not None, results.notice.text
    assert len(state.evaluation.answers) == 12
    assert "all of other" in results.figures.text()
    assert state.run is not None
    assert RunFolder.open(state.run).evaluation == own
    click(results.own)
    assert state.evaluation == own
    strange = tmp_path / "strange"
    shutil.copytree(other, strange)
    (strange / "disc").rename(strange / "cat")
    results._evaluate_on(strange)
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=LONG)
    assert "'cat'" in results.notice.text

    # What is dropped on Export before there is a model replaces nothing.
    export = page(window, "export")
    assert isinstance(export, ExportPage)
    before = state.manifest
    assert drop(window, other)
    assert state.manifest is before
    assert not window.session.opening.running
    assert "page Data" in export.notice.text

    state.go("results")
    click(results.resume)
    qtbot.waitUntil(lambda: len(training.history.epochs) > done, timeout=LONG)
    training.stop()
    qtbot.waitUntil(lambda: not training.running, timeout=LONG)
    assert training.end.status is RunStatus.STOPPED


def test_other_layers_learn_in_the_run_under_way(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    training, state = window.session.training, window.session.state
    recipe = take_recipe(window, qtbot, photos, tmp_path, epochs=500)
    layers = page(window, "layers")
    assert isinstance(layers, LayersPage)
    qtbot.waitUntil(lambda: state.tree is not None, timeout=LONG)
    window.actions_["run.start"].trigger()
    qtbot.waitUntil(lambda: len(training.history.epochs) >= 1, timeout=LONG)
    state.go("layers")  # the start had led to the curves
    assert not layers.replan.isVisible() and not window.session.replanning.can_replan
    click_tick(layers, "blocks.6")
    assert state.recipe.freeze != recipe.freeze
    qtbot.waitUntil(layers.replan.isVisible)
    click(layers.replan)
    qtbot.waitUntil(lambda: bool(training.history.replanned), timeout=LONG)
    assert not layers.replan.isVisible() and "next epoch" in layers.notice.text
    assert not window.session.replanning.can_replan
    (change,) = training.history.replanned
    assert change.learning_share > training.history.started.learning_share
    qtbot.waitUntil(lambda: training.history.epochs[-1].epoch > change.epoch, timeout=LONG)
    training.stop()
    qtbot.waitUntil(lambda: not training.running, timeout=LONG)
    assert training.end is not None and training.end.status is RunStatus.STOPPED
    assert state.run is not None and current(RunFolder.open(state.run)).freeze == state.recipe.freeze


def test_closing_while_it_trains_asks_cancels_and_waits(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    training = window.session.training
    take_recipe(window, qtbot, photos, tmp_path, epochs=500)
    window.actions_["run.start"].trigger()
    qtbot.waitUntil(lambda: bool(training.history.steps), timeout=LONG)

    def answer(words: str) -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        click(next(button for button in box.findChildren(QAbstractButton) if words in button.text()))

    QTimer.singleShot(100, lambda: answer("Go on"))
    window.close()
    assert training.running
    assert window.isVisible()
    QTimer.singleShot(100, lambda: answer("Cancel it"))
    window.close()
    qtbot.waitUntil(lambda: not training.running and not window.isVisible(), timeout=LONG)
    assert training.end is not None
    assert training.end.status is RunStatus.CANCELLED


def failed_start(window: MainWindow, qtbot: QtBot) -> str:
    """Start; what stands on the page Train when that has failed."""
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    click(train.start)
    qtbot.waitUntil(lambda: not window.session.training.running, timeout=LONG)
    assert train.notice.isVisible()
    assert "Traceback" not in train.notice.text
    assert len(train.notice.text) < 400, train.notice.text
    return train.notice.text


def test_pictures_that_are_gone_are_told_in_place(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    take_recipe(window, qtbot, photos, tmp_path, epochs=1)
    shutil.rmtree(photos)
    assert str(photos) in failed_start(window, qtbot)


def test_an_output_folder_that_cannot_be_written_is_told(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    take_recipe(window, qtbot, photos, tmp_path, epochs=1)
    (tmp_path / "file").write_text("in the way")
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    train.output.setText(str(tmp_path / "file" / "run"))
    assert "file" in failed_start(window, qtbot)


def test_weights_that_have_gone_block_the_start(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_weights, "_FRESH_S", 0.0)
    take_recipe(window, qtbot, photos, tmp_path, epochs=1)
    state = window.session.state
    gone = state.recipe.backbone.model_copy(update={"weights": str(tmp_path / "gone.safetensors")})
    state.edit("own weights", state.recipe.model_copy(update={"backbone": gone}))
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    assert not train.start.isEnabled()
    assert "gone.safetensors" in train.reason.text()
    # They may also go after the button was drawn.
    (tmp_path / "gone.safetensors").write_bytes(b"x")
    train.refresh()
    qtbot.waitUntil(train.start.isEnabled)
    (tmp_path / "gone.safetensors").unlink()
    click(train.start)
    qtbot.waitUntil(lambda: not window.session.training.running and not train.start.isEnabled(), timeout=60_000)
    assert "gone.safetensors" in train.reason.text()


def test_a_full_disk_ends_the_run_with_a_sentence(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_recipe(window, qtbot, photos, tmp_path, epochs=2)
    real = os.fsync

    def full(descriptor: int) -> None:
        if ".safetensors" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert "The disk is full" in failed_start(window, qtbot)


def test_a_zip_is_opened(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", photos))
    assert drop(window, archive)
    qtbot.waitUntil(lambda: not window.session.opening.running, timeout=LONG)
    manifest = window.session.state.manifest
    assert manifest is not None, window.page("data")
    assert len(manifest.samples) == 36
    assert window.session.state.recipe.dataset.folder == str(archive)
