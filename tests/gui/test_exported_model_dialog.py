"""A file that was exported is dropped on the window."""

import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import BUNDLE_FILES
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Recipe
from desktop_ft.gui import trying
from desktop_ft.gui.data_page import DataPage
from desktop_ft.gui.exported_model_dialog import ExportedModelDialog
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.train_page import TrainPage
from desktop_ft.jobs import exported_file
from desktop_ft.jobs.predicting import Prediction
from desktop_ft.runs.run_folder import RunFolder
from tests.data.test_model_files import EXPORTS
from tests.gui.test_window import until_cancelled
from tests.reliability import hostile_onnx


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(hostile_onnx.sound().SerializeToString())
    return path


def drop(target: MainWindow | ExportedModelDialog, path: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    buttons, modifiers = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    target.dropEvent(QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, mime, buttons, modifiers))


def dropped(window: MainWindow, file: Path, qtbot: QtBot) -> ExportedModelDialog:
    """The dialog that a drop of `file` has opened, once the file is read."""
    drop(window, file)
    dialog = window.findChild(ExportedModelDialog)
    assert dialog is not None
    qtbot.waitUntil(dialog.progress.isHidden, timeout=20_000)
    return dialog


@pytest.mark.parametrize("page", ["data", "export", "results"])
def test_a_dropped_file_shows_its_card_on_every_page(window: MainWindow, file: Path, page: str, qtbot: QtBot) -> None:
    window.session.state.go(page)
    dialog = dropped(window, file, qtbot)
    classes = ", ".join(exported_file.file_card(file).classes)
    assert f"Classes: {classes}" in dialog.facts.text
    assert "none of your runs" in dialog.whence.text() and dialog.go_on.isHidden()
    dialog.close()


@pytest.mark.parametrize("page", ["data", "export"])
def test_a_dropped_folder_that_is_an_unpacked_bundle_shows_its_model(
    window: MainWindow, file: Path, page: str, qtbot: QtBot
) -> None:
    window.session.state.go(page)
    (bundle := file.with_name("bundle")).mkdir()
    file.rename(bundle / "model.onnx")
    for name in BUNDLE_FILES - {"model.onnx"}:
        (bundle / name).write_text("{}")
    dialog = dropped(window, bundle, qtbot)
    assert "Classes: " in dialog.facts.text and window.session.state.manifest is None
    dialog.close()


@pytest.mark.parametrize("chosen", [True, False])
def test_it_is_opened_from_the_menu_too(
    window: MainWindow, file: Path, chosen: bool, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *asked: (str(file) if chosen else "", ""))
    window.actions_["model.open"].trigger()
    dialog = window.findChild(ExportedModelDialog)
    if not chosen:
        assert dialog is None
        return
    assert dialog is not None
    qtbot.waitUntil(dialog.progress.isHidden, timeout=20_000)
    assert "Classes: " in dialog.facts.text
    dialog.close()


def test_what_is_no_exported_file_is_told(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    dialog = dropped(window, tmp_path / "text.onnx", qtbot)
    assert "is not an ONNX file" in dialog.notice.text and not dialog.judge.isEnabled()
    assert dialog.tabs.isHidden()
    dialog.close()


def test_a_file_whose_opening_is_cancelled_shows_nothing(window: MainWindow, file: Path, qtbot: QtBot) -> None:
    drop(window, file)
    dialog = window.findChild(ExportedModelDialog)
    assert dialog is not None
    shown = list[str]()
    dialog.finished.connect(lambda code: shown.append(dialog.facts.text))
    dialog.progress.cancelled.emit()
    qtbot.waitUntil(lambda: bool(shown), timeout=20_000)
    assert "Classes" not in shown[0]


@pytest.mark.parametrize("name", ["model.pt2", "model.zip"])
def test_an_export_for_something_else_is_told_of_on_the_page_data(
    window: MainWindow, tmp_path: Path, name: str, qtbot: QtBot
) -> None:
    (path := tmp_path / name).write_bytes(EXPORTS["PyTorch"])
    drop(window, path)
    page = window.page("data")
    assert isinstance(page, DataPage)
    said = "is an export for PyTorch"
    qtbot.waitUntil(lambda: said in window.notice.text or said in page.notice.text, timeout=20_000)


def test_a_table_is_not_taken_for_a_photo(window: MainWindow, file: Path, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    dialog = dropped(window, file, qtbot)
    (tmp_path / "answers.csv").write_bytes(b"file,answer\n")
    (tmp_path / "model.ncnn.zip").write_bytes(EXPORTS["ncnn"])
    told = []
    for name in ("answers.csv", "model.ncnn.zip"):
        drop(dialog, tmp_path / name)
        told.append((dialog.trying.notice.text, window.session.runs.busy))
        qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=20_000)
    dialog.close()
    assert [busy for _, busy in told] == ["", ""] and not dialog.trying.answers
    assert "answers.csv is a table, not a photo." in told[0][0] and "is an export for ncnn" in told[1][0]


def test_answers_of_models_shown_before_are_kept_as_far_as_there_is_room(
    window: MainWindow, file: Path, photos: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [Path(shutil.copy(file, tmp_path / f"{number}.onnx")) for number in range(4)]
    shown, given = models[:1], list[list[Prediction]]()
    page = trying.TryIt(window.session, lambda: shown[0], "")
    qtbot.addWidget(page)
    monkeypatch.setattr(trying, "_ROOM", 2 * 25 * 4)  # of two models, besides the one that is shown
    for shown[0] in models:
        page.show_model()
        assert not page.answers
        page.try_on((photos,))
        qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=20_000)
        given.append(list(page.answers))
    assert all(len(answers) == 25 for answers in given)
    for shown[0], answers in zip(reversed(models), [*reversed(given[1:]), []], strict=True):
        page.show_model()
        assert page.answers == answers and page.wall.thumbs.rowCount() == len(answers)
    page.stop()


def test_it_is_tried_and_judged(window: MainWindow, file: Path, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    dialog = dropped(window, file, qtbot)
    names = exported_file.file_card(file).classes
    for place, name in zip(sorted(photos.iterdir()), names, strict=False):
        place.rename(photos / name)
    drop(dialog, photos)
    qtbot.waitUntil(lambda: not window.session.runs.busy, timeout=20_000)
    assert len(dialog.trying.answers) == 25
    dialog.tabs.setCurrentWidget(dialog.judging)
    drop(dialog, photos)
    qtbot.waitUntil(dialog.progress.isHidden, timeout=20_000)
    assert "24 photos of colours" in dialog.verdict.text() and "none of your runs" in dialog.notice.text
    assert dialog.confusion.matrix.rowCount() == len(names)
    wrong = exported_file.evaluate_file(file, photos).evaluation.mistakes
    assert [mistake.path for mistake, _ in dialog.mistakes.rows.rows] == [mistake.path for mistake in wrong]
    assert not dialog.tabs.isHidden()
    (empty := tmp_path / "nothing").mkdir()
    drop(dialog, empty)
    qtbot.waitUntil(dialog.progress.isHidden, timeout=20_000)
    assert "nothing" in dialog.notice.text and dialog.verdict.isHidden() and dialog.confusion.isHidden()
    dialog.close()


def test_it_trains_on_from_its_run(
    window: MainWindow, file: Path, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.create(places.runs() / "the run")
    run.write_recipe(Recipe(dataset=DatasetChoice(folder=str(photos))))
    backbone = BackboneChoice(weights=str(run.path / "checkpoints" / "best.safetensors"))
    recipe = Recipe(dataset=DatasetChoice(folder=str(photos)), backbone=backbone, seed=77)
    monkeypatch.setattr(exported_file, "run_of_file", lambda card: run.path)
    monkeypatch.setattr(exported_file, "going_on", lambda path, plugins: recipe)
    dialog = dropped(window, file, qtbot)
    assert "the run" in dialog.whence.text()
    dialog.go_on.click()
    qtbot.waitUntil(lambda: window.session.state.recipe.seed == 77, timeout=20_000)
    assert window.session.state.page == "train"
    page = window.page("train")
    assert isinstance(page, TrainPage) and page.starts.text() == "Starts from the weights of the run the run."
    qtbot.waitUntil(lambda: not window.session.opening.running, timeout=20_000)


def test_beside_a_run_it_leads_to_no_other_run_nor_recipe(
    window: MainWindow, file: Path, photos: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.create(places.runs() / "the run")
    run.write_recipe(Recipe(dataset=DatasetChoice(folder=str(photos))))
    monkeypatch.setattr(exported_file, "run_of_file", lambda card: run.path)
    monkeypatch.setattr(exported_file, "going_on", lambda path, plugins: run.recipe)
    dialog = dropped(window, file, qtbot)
    window.session.training.start(tmp_path / "under way", until_cancelled)
    for way in (dialog.show_run, dialog.go_on):
        assert not way.isEnabled() and "Something is under way" in way.toolTip()
    with pytest.raises(UserError, match="under way"):
        window.session.shown.open(run.path)
    with pytest.raises(UserError, match="under way"):
        window.session.opening.take_recipe(run.recipe)
    assert window.session.state.run is None and not window.session.state.recipe.dataset.folder
    window.session.training.cancel()
    qtbot.waitUntil(lambda: dialog.show_run.isEnabled() and dialog.go_on.isEnabled())
    assert "under way" not in dialog.show_run.toolTip() + dialog.go_on.toolTip() and "learned" in dialog.go_on.toolTip()
    dialog.close()
