"""The window as a person uses it, page by page, through real events; what needs no torch."""

import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QSpinBox,
    QWidget,
)
from pytestqt.qtbot import QtBot

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.dataset import Subset
from desktop_ft.core.errors import Cancelled
from desktop_ft.core.events import RunEnded
from desktop_ft.core.forecast import VIEWS_WORTH_TRYING
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.gui import own_weights
from desktop_ft.gui.augment_page import AugmentPage
from desktop_ft.gui.data_edits import DataEdits
from desktop_ft.gui.data_page import DataPage
from desktop_ft.gui.kept_dialog import QUESTIONS, KeptDialog
from desktop_ft.gui.layers_page import LayersPage
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.model_page import ModelPage
from desktop_ft.gui.palette import Palette
from desktop_ft.gui.state import PAGES
from desktop_ft.gui.theme import Theme, ThemeChoice
from desktop_ft.gui.thumbnails import SIDE, Thumb, Wall
from desktop_ft.gui.train_page import TrainPage
from desktop_ft.gui.training_job import Emit, PhaseProgress
from desktop_ft.jobs.augmenting import presets
from desktop_ft.jobs.kept import all_kept
from desktop_ft.plugin_manager import set_enabled

LIGHT_PAGES = [name for name in PAGES if name != "layers"]  # that one imports torch


def until_cancelled(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
    """A run that goes on until it is cancelled."""
    control.cancel.wait(60)
    raise Cancelled


def drop(window: MainWindow, *paths: Path) -> bool:
    """Drop paths on the window as the window system does; returns whether it took them."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    where, none = QPoint(400, 300), Qt.KeyboardModifier.NoModifier
    entered = QDragEnterEvent(where, Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, none)
    QApplication.sendEvent(window, entered)
    if not entered.isAccepted():
        return False
    dropped = QDropEvent(QPointF(where), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, none)
    QApplication.sendEvent(window, dropped)
    return dropped.isAccepted()


def click(button: QAbstractButton) -> None:
    assert button.isEnabled()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def button_named(of: QWidget, text: str) -> QPushButton:
    return next(button for button in of.findChildren(QPushButton) if button.text() == text)


def opened(window: MainWindow, folder: Path, qtbot: QtBot) -> None:
    assert drop(window, folder)
    qtbot.waitUntil(lambda: window.session.state.manifest is not None and not window.session.opening.running, timeout=30_000)


def page(window: MainWindow, name: str) -> QWidget:
    window.session.state.go(name)
    return window.page(name)


def test_undo_and_redo_work_from_within_a_number_box(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    opened(window, photos, qtbot)
    train, state = page(window, "train"), window.session.state
    assert isinstance(train, TrainPage)
    before, epochs = state.recipe.optimisation.epochs, train.optimisation.control("epochs")
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    epochs.setFocus()
    QTest.keyClick(epochs, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(epochs, "12")
    QTest.keyClick(epochs, Qt.Key.Key_Return)
    assert state.recipe.optimisation.epochs == 12
    qtbot.waitUntil(window.actions_["edit.undo"].isEnabled)
    QTest.keyClick(epochs, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert state.recipe.optimisation.epochs == before
    qtbot.waitUntil(window.actions_["edit.redo"].isEnabled)
    QTest.keyClick(epochs, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert state.recipe.optimisation.epochs == 12


def test_what_is_undone_and_redone_is_named_and_seen(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    opened(window, photos, qtbot)
    state = window.session.state
    DataEdits(state, window.session.opening).rename(["dark"], "night")
    state.edit_optimisation("epochs", 12)
    page(window, "results")
    window.commands.undo()
    assert state.page == "train" and window.notice.text == "Undone: epochs."
    window.commands.undo()
    assert state.page == "data" and window.notice.text == "Undone: rename dark to night."
    page(window, "runs")
    assert not window.notice.text
    window.commands.redo()
    assert state.page == "data" and window.notice.text == "Redone: rename dark to night."
    window.commands.redo()
    window.commands.redo()  # nothing is left to make again
    assert window.notice.text == "Redone: epochs."
    window.commands.undo()
    DataEdits(state, window.session.opening).leave_out(["light"])
    assert not window.notice.text, "what was undone is not what was done last any more"


def test_undo_leaves_the_page_alone_where_it_is_seen_and_an_error_that_lasts(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    state, layers = window.session.state, page(window, "layers")
    assert isinstance(layers, LayersPage)
    state.edit("plan", state.recipe.model_copy(update={"freeze": FreezePlan(preset="last:1")}))
    layers.panel.toggle()
    page(window, "train")
    (tmp_path / "x.toml").write_text("not = [a recipe")
    window.commands.open_paths((tmp_path / "x.toml",))
    refused = window.notice.text
    window.commands.undo()
    assert state.page == "train" and state.recipe.freeze.preset == "head"
    assert refused and window.notice.text == refused
    layers.panel.toggle()
    window.commands.redo()
    assert state.page == "layers"
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=30_000)


@pytest.mark.parametrize("next_is", ["start", "queue", "close"])
def test_a_number_that_is_being_typed_counts_whatever_is_done_next(
    next_is: str, window: MainWindow, photos: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    train, session, taken = page(window, "train"), window.session, list[int]()
    assert isinstance(train, TrainPage)
    monkeypatch.setattr(session.starting, "start", lambda recipe, run: taken.append(recipe.optimisation.epochs))
    monkeypatch.setattr(session.queue, "add", lambda recipe, *_: taken.append(recipe.optimisation.epochs))
    epochs = train.optimisation.control("epochs")
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    epochs.setFocus()
    QTest.keyClick(epochs, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(epochs, "77")
    if next_is == "close":
        window.close()
        taken.append(Recipe.from_toml(session.autosave.file.read_text(), "it").optimisation.epochs)
    else:
        more = Qt.KeyboardModifier.ShiftModifier if next_is == "queue" else Qt.KeyboardModifier.NoModifier
        QTest.keyClick(epochs, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier | more)
        assert epochs.hasFocus()
    assert taken == [77]


def test_a_dropped_folder_shows_classes_photos_and_problems(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    data = page(window, "data")
    assert isinstance(data, DataPage)
    assert data.empty.isVisible()
    opened(window, photos, qtbot)
    assert not data.empty.isVisible()
    assert data.classes.rows.rowCount() == 2
    assert [problem.path for problem in data.problems.rows.rows] == ["dark/broken.png"]
    assert "1 file or folder left out" in data.summary.text()
    data.tabs.setCurrentIndex(1)
    assert "dark/broken.png" in data.problem.text
    data.tabs.setCurrentIndex(0)
    assert data.wall.thumbs.rowCount() == 24
    qtbot.waitUntil(lambda: data.wall.thumbs.decoded > 0, timeout=10_000)
    QTest.mouseClick(
        data.classes.viewport(), Qt.MouseButton.LeftButton, pos=data.classes.visualRect(data.classes.proxy.index(1, 0)).center()
    )
    assert data.wall.thumbs.rowCount() == 12
    before = _held_out(window)
    data.val.selectAll()
    QTest.keyClicks(data.val, "50")
    QTest.keyClick(data.val, Qt.Key.Key_Return)
    assert _held_out(window) > before
    qtbot.waitUntil(window.actions_["edit.undo"].isEnabled)
    window.actions_["edit.undo"].trigger()
    assert _held_out(window) == before
    assert data.val.value() == 20


def _held_out(window: MainWindow) -> int:
    manifest = window.session.state.manifest
    assert manifest is not None
    return len(manifest.of(Subset.VAL))


def test_what_stands_in_the_way_of_training_is_told_with_the_pictures(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    data = page(window, "data")
    assert isinstance(data, DataPage)
    opened(window, photos, qtbot)
    assert "left out" in data.health.text
    for picture in photos.glob("*/[01][1-9].png"):
        picture.unlink()
    for name in ("dark", "light"):
        (photos / name / "10.png").unlink()
    opened(window, photos, qtbot)
    assert "no validation pictures" in data.health.text


def test_what_cannot_be_opened_is_told_in_place(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> None:
    data = page(window, "data")
    assert isinstance(data, DataPage)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert drop(window, empty)
    qtbot.waitUntil(lambda: not window.session.opening.running)
    assert data.notice.text
    assert data.empty.isVisible()
    picture = tmp_path / "notes.txt"
    picture.write_text("x")
    assert drop(window, picture)
    assert "notes.txt" in window.notice.text


@pytest.fixture
def plugin(home: Path) -> None:
    """One that brings a sample of two colours."""
    (home / "data" / "plugins").mkdir(parents=True)
    (home / "data" / "plugins" / "two_colours.py").write_text(SAMPLE)
    set_enabled("two_colours", on=True)


SAMPLE = """
from PIL import Image
from desktop_ft.api import SampleDataset, hookimpl
DESKTOP_FT_API = ">=1,<2"

def write(folder):
    for name in ("black", "white"):
        (folder / name).mkdir()
        for side in (20, 21):
            Image.new("RGB", (side, side), name).save(folder / name / f"{side}.png")

@hookimpl
def register_sample_datasets(register):
    register(SampleDataset(name="two", title="Two colours", description="Black and white.", licence="CC0", write=write))
"""


def test_a_sample_of_a_plugin_can_be_tried(plugin: None, window: MainWindow, qtbot: QtBot) -> None:
    data = page(window, "data")
    assert isinstance(data, DataPage)
    offered = {action.text(): action for action in button_named(data, "Try a sample").menu().actions()}
    assert list(offered) == ["Handwritten digits", "Two colours"]
    offered["Two colours"].trigger()
    qtbot.waitUntil(lambda: window.session.state.manifest is not None, timeout=30_000)
    assert window.session.state.manifest.classes == ("black", "white")
    qtbot.waitUntil(lambda: window.actions_["open.sample"].isEnabled())
    window.actions_["open.sample"].trigger()
    palette = window.findChild(Palette)
    assert palette is not None
    QTest.keyClicks(palette.line, "two")
    QTest.keyClick(palette.line, Qt.Key.Key_Return)
    assert window.session.opening.running
    qtbot.waitUntil(lambda: not window.session.opening.running, timeout=30_000)


def test_photos_that_are_gone_are_told_of_once_and_found_again(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    data = page(window, "data")
    assert isinstance(data, DataPage)
    opened(window, photos, qtbot)
    qtbot.waitUntil(lambda: not data.wall.thumbs.waiting and not window.session.worker.busy, timeout=10_000)
    assert data.gone.isHidden()
    photos.rename(photos.with_name("unplugged"))
    page(window, "model")
    page(window, "data")
    qtbot.waitUntil(data.gone.isVisible, timeout=10_000)
    assert str(photos) in data.gone.notice.text
    photos.with_name("unplugged").rename(photos)
    click(data.gone.again)
    qtbot.waitUntil(data.gone.isHidden, timeout=10_000)


def test_what_is_wrong_with_a_recipe_is_seen_on_every_page_until_it_is_right(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    right = window.session.state.recipe.to_toml()
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(right.replace("epochs = 10", "epochs = -1"))
    assert drop(window, wrong)
    for name in ("train", "model", "data"):
        page(window, name)
        assert "wrong.toml" in window.notice.text and window.notice.dismiss.isVisible()
    click(window.notice.dismiss)
    assert not window.notice.text
    assert drop(window, wrong) and window.notice.text
    wrong.write_text(right)
    assert drop(window, wrong)
    assert not window.notice.text
    qtbot.waitUntil(lambda: not window.session.opening.running, timeout=30_000)


def test_the_rail_says_where_a_recipe_is_not_right(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    opened(window, photos, qtbot)
    augment = page(window, "augment")
    assert isinstance(augment, AugmentPage)
    entry = window.rail.model().index(PAGES.index("augment"), 0)
    good, bad = AugmentationSpec(transform="horizontal_flip"), AugmentationSpec(transform="from_elsewhere")
    recipe = window.session.state.recipe
    window.session.state.edit("another list", recipe.model_copy(update={"augmentation": (good, bad)}))
    page(window, "model")
    qtbot.waitUntil(lambda: "from_elsewhere" in entry.data(Qt.ItemDataRole.ToolTipRole))
    assert "needs attention" in entry.data(Qt.ItemDataRole.AccessibleDescriptionRole)
    page(window, "augment")
    assert augment.list.currentRow() == 0 and "from_elsewhere" in augment.notice.text
    window.commands.undo()
    qtbot.waitUntil(lambda: "from_elsewhere" not in entry.data(Qt.ItemDataRole.ToolTipRole))
    assert not augment.notice.text


def test_what_is_open_after_a_look_was_cancelled_is_told(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    data = page(window, "data")
    assert isinstance(data, DataPage)
    for before in ("No pictures are open", "stay open"):
        assert drop(window, photos)
        click(data.progress.findChild(QAbstractButton))
        qtbot.waitUntil(lambda: not window.session.opening.running, timeout=30_000)
        assert "colours was cancelled" in data.notice.text and before in data.notice.text
        opened(window, photos, qtbot)
        assert not data.notice.text


def test_text_that_is_dropped_is_ignored(window: MainWindow) -> None:
    mime = QMimeData()
    mime.setText("file:///tmp")
    event = QDragEnterEvent(
        QPoint(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(window, event)
    assert not event.isAccepted()


def test_the_sample_opens_with_one_click(window: MainWindow, qtbot: QtBot) -> None:
    data = page(window, "data")
    sample = next(button for button in data.findChildren(QAbstractButton) if button.text() == "Try the sample")
    click(sample)
    assert window.session.opening.running
    window.session.opening.cancel()
    qtbot.waitUntil(lambda: not window.session.opening.running, timeout=60_000)
    assert window.session.state.manifest is None


def test_a_network_is_found_and_chosen(window: MainWindow, qtbot: QtBot) -> None:
    model = page(window, "model")
    assert isinstance(model, ModelPage)
    assert model.table.current().spec.name == window.session.state.recipe.backbone.name
    assert model.table.horizontalScrollBar().maximum() == 0, "the licence is out of sight at 1280 pixels"
    QTest.keyClicks(model.search, "resnet18")
    names = [model.table.proxy.index(row, 0).data() for row in range(model.table.proxy.rowCount())]
    assert "resnet18" in names
    row = names.index("resnet18")
    QTest.mouseClick(
        model.table.viewport(), Qt.MouseButton.LeftButton, pos=model.table.visualRect(model.table.proxy.index(row, 0)).center()
    )
    assert "BSD" in model.facts.text
    assert model.download.isVisible()
    click(model.use_it)
    assert window.session.state.recipe.backbone.name == "resnet18"
    window.commands.undo()
    assert window.session.state.recipe.backbone.name == "efficientnet_lite0"
    model.search.clear()
    QTest.keyClicks(model.search, "no such network")
    assert "Nothing matches" in model.shown.text()


def test_augmentation_is_a_list_with_forms(window: MainWindow, qtbot: QtBot) -> None:
    augment = page(window, "augment")
    assert isinstance(augment, AugmentPage)
    assert augment.nothing.isVisible()
    augment.preset.setFocus()
    while augment.preset.currentData() != "standard":
        QTest.keyClick(augment.preset, Qt.Key.Key_Down)
    specs = window.session.state.recipe.augmentation
    assert specs
    assert augment.list.count() == len(specs)
    augment.list.setCurrentRow(0)
    click(button_named(augment, "Down"))
    assert window.session.state.recipe.augmentation[1] == specs[0]
    click(button_named(augment, "Remove"))
    assert window.session.state.recipe.augmentation == specs[1:]
    assert augment.preset.currentData() == ""
    window.commands.undo()
    window.commands.undo()
    assert window.session.state.recipe.augmentation == specs
    assert augment.preset.currentData() == "standard"


def test_why_a_run_cannot_start_stands_beside_the_button(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    assert not train.start.isEnabled()
    assert "folder of pictures" in train.reason.text()
    click(train.way)
    assert window.session.state.page == "data"
    opened(window, photos, qtbot)
    window.session.state.go("train")
    assert train.start.isEnabled()
    assert not train.reason.isVisible()
    recipe = window.session.state.recipe
    other = recipe.backbone.model_copy(update={"name": "resnet18"})
    window.session.state.edit("resnet18", recipe.model_copy(update={"backbone": other}))
    assert not train.start.isEnabled()
    assert "not on this machine" in train.reason.text()


def test_a_drive_that_hangs_holds_up_no_refresh(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(window, photos, qtbot)
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    weights, is_file = tmp_path / "own.safetensors", Path.is_file
    weights.write_bytes(b"some")
    asked_by, answer = list[threading.Thread](), threading.Event()

    def hangs(path: Path) -> bool:
        if path == weights:
            asked_by.append(threading.current_thread())
            answer.wait(3)
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", hangs)
    recipe = window.session.state.recipe
    own = recipe.backbone.model_copy(update={"weights": str(weights)})
    window.session.state.edit("own", recipe.model_copy(update={"backbone": own}))
    for _ in range(5):
        window.refresh()
    assert "is being looked for" in train.reason.text() and not train.start.isEnabled()
    answer.set()
    qtbot.waitUntil(train.start.isEnabled)
    for _ in range(5):
        window.refresh()
    assert len(asked_by) == 1 and threading.main_thread() not in asked_by
    monkeypatch.setattr(own_weights, "_FRESH_S", 0.0)
    weights.unlink()
    window.refresh()  # as when the window comes to the front
    qtbot.waitUntil(lambda: "is not there any more" in train.reason.text())
    monkeypatch.undo()


def test_how_long_a_run_will_take_is_told_before_it_starts(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    train, state = page(window, "train"), window.session.state
    assert isinstance(train, TrainPage)
    row = train.forecast
    assert not row.ask.isEnabled() and not row.take_views.isVisible()
    opened(window, photos, qtbot)
    longer = state.recipe.optimisation.model_copy(update={"epochs": 30, "batch_size": 8})
    augmented = {"optimisation": longer, "augmentation": presets()["light"].specs}
    state.edit("a longer run", state.recipe.model_copy(update=augmented))
    page(window, "train")
    click(row.ask)
    assert not row.ask.isEnabled() and row.answer.text() == "Taking a few steps…"
    qtbot.waitUntil(lambda: row.answer.text().startswith("The whole training, 30 epochs, takes about"), timeout=60_000)
    qtbot.waitUntil(lambda: "As it is set now, one takes about" in window.strip.text)
    told = re.search(r"Recommended: (\d+) view", row.answer.text())  # how many depends on how fast this machine is just now
    assert told and int(told[1]) in VIEWS_WORTH_TRYING
    click(row.take_views)
    assert state.recipe.optimisation.views == int(told[1])
    assert not row.take_views.isVisible() and not row.answer.text()  # it was measured for another recipe
    state.undo_stack.undo()
    assert state.recipe.optimisation.views == 0
    assert row.answer.text().startswith("The whole training, 30 epochs, takes about"), (
        "what was measured of this recipe still holds"
    )
    assert not window.session.forecast.running


def test_a_forecast_gives_way_to_what_is_changed_meanwhile(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    train, state = page(window, "train"), window.session.state
    assert isinstance(train, TrainPage)
    opened(window, photos, qtbot)
    click(train.forecast.ask)
    state.edit("seed", state.recipe.model_copy(update={"seed": 5}))
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=60_000)
    assert train.forecast.answer.text() == "" and train.forecast.ask.isEnabled()


def test_a_saved_recipe_is_the_window_s_recipe(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    opened(window, photos, qtbot)
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    epochs = train.optimisation.control("epochs")
    assert isinstance(epochs, QSpinBox)
    epochs.selectAll()
    QTest.keyClicks(epochs, "3")
    QTest.keyClick(epochs, Qt.Key.Key_Return)
    window.commands.write_recipe(tmp_path / "mine.toml")
    saved = Recipe.from_toml((tmp_path / "mine.toml").read_text(), "mine.toml")
    assert saved == window.session.state.recipe
    assert saved.optimisation.epochs == 3
    window.commands.undo()
    assert drop(window, tmp_path / "mine.toml")
    qtbot.waitUntil(lambda: not window.session.opening.running and window.session.state.manifest is not None, timeout=30_000)
    assert window.session.state.recipe == saved


@pytest.mark.parametrize("choice", [ThemeChoice.LIGHT, ThemeChoice.DARK])
def test_every_page_fits_and_names_its_controls(window: MainWindow, choice: ThemeChoice, qtbot: QtBot) -> None:
    window.session.theme.choose(choice)
    for name in LIGHT_PAGES:
        shown = page(window, name)
        QApplication.processEvents()
        assert shown.isVisible()
        assert window.width() <= 1280
        assert window.height() <= 720
        for kind in (QComboBox, QLineEdit, QSpinBox):
            for control in shown.findChildren(kind):
                inner = control.objectName().startswith("qt_") or isinstance(control.parent(), QSpinBox | QComboBox)
                assert inner or control.accessibleName(), f"{name}: {control}"
        for button in shown.findChildren(QAbstractButton):
            if button.isVisible() and button.text():
                needed = button.fontMetrics().horizontalAdvance(button.text().replace("&", ""))
                assert button.width() >= needed, f"{name}: '{button.text()}' is cut"


def test_pages_are_reached_by_keyboard(window: MainWindow, qtbot: QtBot) -> None:
    window.rail.setFocus()
    QTest.keyClick(window.rail, Qt.Key.Key_Down)
    assert window.session.state.page == "model"
    window.actions_["go.export"].trigger()
    assert window.session.state.page == "export"
    assert window.rail.currentRow() == PAGES.index("export")


def test_sizes_are_remembered(window: MainWindow, qtbot: QtBot) -> None:
    page(window, "model")
    window.close()
    settings = type(window.session.settings)()
    assert settings.splitter("model")
    assert settings.geometry.size() > 0


def test_the_first_window_and_its_page_need_nothing_heavy(home: Path) -> None:
    code = (
        "import sys\n"
        "from PySide6.QtWidgets import QApplication\n"
        "from desktop_ft import app\n"
        "from desktop_ft.gui.faults import Faults\n"
        "application = QApplication([])\n"
        "window = app.build_window(Faults())\n"
        "window.show()\n"
        "application.processEvents()\n"
        "assert not window.grab().isNull()\n"
        "window.page('data')\n"
        "libraries = {'torch', 'torchvision', 'sklearn', 'scipy', 'onnx', 'onnxruntime', 'pyqtgraph', 'numpy', 'PIL'}\n"
        "heavy = (libraries | {'psutil', 'ssl', 'http.client', 'sqlite3', 'desktop_ft.jobs.training'}) & set(sys.modules)\n"
        "window.close()\n"
        "print(sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_qt_reads_no_source_of_what_is_imported_and_a_plugin_may_still_ask_for_its_other_names(tmp_path: Path) -> None:
    (tmp_path / "other_names.py").write_text(
        "from PySide6.QtCore import QObject\n"
        "from __feature__ import snake_case\n"
        "def named():\n"
        "    made = QObject()\n"
        "    made.set_object_name('by its other name')\n"
        "    return made\n"
    )
    code = (
        "import desktop_ft.gui\n"
        "import linecache, sys\n"
        "import desktop_ft.app, desktop_ft.jobs.training\n"
        "read = [name for name in linecache.cache if 'desktop_ft' in name]\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import other_names\n"
        "print(read, other_names.named().objectName())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[] by its other name", 0), done.stderr


def test_what_a_labels_csv_holds_out_stays_held_out(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    rows = [f"{file.relative_to(photos)},{file.parent.name}" for file in sorted(photos.rglob("*.png")) if file.stem != "broken"]
    held_out = {f"{kind}/{number:02}.png" for kind in ("dark", "light") for number in range(3)}
    lines = [f"{row},{'val' if row.partition(',')[0] in held_out else 'train'}" for row in rows]
    (photos / "labels.csv").write_text("\n".join(["path,class,split", *lines]) + "\n")
    opened(window, photos, qtbot)
    data = page(window, "data")
    assert isinstance(data, DataPage)
    assert not data.val.isEnabled()
    assert "itself" in data.val_note.text()
    window.session.opening.divide(0.5)  # as a recipe or an undo may
    manifest = window.session.state.manifest
    assert manifest is not None
    assert {sample.path for sample in manifest.of(Subset.VAL)} == held_out


def test_the_test_pictures_of_a_folder_stay_apart_when_the_share_moves(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    (photos / "train").mkdir()
    for kind in ("dark", "light"):
        (photos / "test" / kind).mkdir(parents=True)
        (photos / kind).rename(photos / "train" / kind)
        for number in range(4):
            (photos / "train" / kind / f"{number:02}.png").rename(photos / "test" / kind / f"{number:02}.png")
    opened(window, photos, qtbot)
    data = page(window, "data")
    assert isinstance(data, DataPage)
    assert data.val.isEnabled()
    before = _held_out(window)
    window.session.opening.divide(0.5)
    manifest = window.session.state.manifest
    assert manifest is not None
    assert _held_out(window) > before
    assert len(manifest.of(Subset.TEST)) == 8


def test_captions_of_mistakes_are_shown_in_full(qtbot: QtBot, tmp_path: Path) -> None:
    theme = Theme(ThemeChoice.LIGHT)
    wall = Wall(theme, "Mistakes", lines=2)
    qtbot.addWidget(wall)
    caption = "called pink primrose > 99.9 %\nis black-eyed susan"
    wall.thumbs.set_thumbs([Thumb(path=tmp_path / "no.jpg", caption=caption, tip=caption)])
    widest = max(wall.fontMetrics().horizontalAdvance(line) for line in caption.split("\n"))
    assert wall.gridSize().width() - 8 >= widest
    assert wall.gridSize().height() >= SIDE + 2 * wall.fontMetrics().height()
    wall.thumbs.set_thumbs([Thumb(path=tmp_path / "no.jpg", caption="w" * 400, tip="")])
    assert wall.gridSize().width() < 3 * SIDE


def test_a_photo_that_is_gone_says_so_in_its_place(qtbot: QtBot, tmp_path: Path) -> None:
    wall = Wall(Theme(ThemeChoice.LIGHT), "Mistakes")
    qtbot.addWidget(wall)
    thumb = Thumb(path=tmp_path / "gone.jpg", caption="ants", tip="")
    wall.thumbs.set_thumbs([thumb])
    with qtbot.waitExposed(wall):
        wall.show()
    qtbot.waitUntil(lambda: wall.thumbs.cell(0) == (thumb, None, True))
    Image.new("RGB", (50, 40)).save(thumb.path)  # the disk is there again
    wall.hide()
    wall.show()
    qtbot.waitUntil(lambda: wall.thumbs.decoded == 1)
    assert not wall.thumbs.cell(0)[2]
    other = replace(thumb, path=tmp_path / "other.jpg")
    wall.thumbs.set_thumbs([other])
    qtbot.waitUntil(lambda: wall.thumbs.cell(0) == (other, None, True))
    Image.new("RGB", (50, 40)).save(other.path)
    wall.thumbs.set_thumbs([other])
    qtbot.waitUntil(lambda: wall.thumbs.decoded == 2)
    wall.stop()


def test_what_is_kept_can_be_cleared(window: MainWindow, home: Path, qtbot: QtBot) -> None:
    kept = home / "cache" / "features" / "a"
    kept.mkdir(parents=True)
    (kept / "rows.safetensors").write_bytes(bytes(1234))
    window.actions_["kept.show"].trigger()
    (dialog,) = window.findChildren(KeptDialog)
    drop = {button.accessibleName(): button for button in dialog.findChildren(QPushButton)}["Drop: Answers of frozen layers"]
    said = list(dialog.findChildren(QLabel))
    qtbot.waitUntil(drop.isEnabled)
    assert "1.2 kB" in [each.text() for each in said]
    click(drop)
    qtbot.waitUntil(lambda: "1.2 kB" not in [each.text() for each in said] and not window.session.worker.busy)
    assert not kept.exists() and not drop.isEnabled()
    dialog.reject()


def test_there_is_a_question_for_all_that_is_not_dropped_lightly() -> None:
    assert set(QUESTIONS) == {kept.name for kept in all_kept() if not kept.lightly}


def test_what_may_be_the_only_copy_is_dropped_only_when_that_is_meant(window: MainWindow, home: Path, qtbot: QtBot) -> None:
    only = home / "cache" / "archives" / "a" / "cat.png"
    only.parent.mkdir(parents=True)
    only.write_bytes(bytes(10))
    window.actions_["kept.show"].trigger()
    (dialog,) = window.findChildren(KeptDialog)
    drop = {button.accessibleName(): button for button in dialog.findChildren(QPushButton)}["Drop: Unpacked .zip files"]
    qtbot.waitUntil(drop.isEnabled)

    def answer(words: str) -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        assert "only copies" in box.informativeText()
        click(next(button for button in box.buttons() if button.text().replace("&", "") == words))

    for words, left in (("Keep", True), ("Drop", False)):
        QTimer.singleShot(0, lambda words=words: answer(words))
        click(drop)
        qtbot.waitUntil(lambda: not window.session.worker.busy)
        assert only.exists() is left
    dialog.reject()


def test_the_page_data_opens_nothing_beside_a_run(window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot) -> None:
    data = page(window, "data")
    assert isinstance(data, DataPage)
    window.session.training.start(tmp_path / "under way", until_cancelled)
    ways = (data.choose, data.choose_zip, data.samples)
    for way in ways:
        assert not way.isEnabled() and "Something is under way" in way.toolTip()
    window.session.opening.open(photos)
    window.session.open_sample(next(iter(window.session.plugins.samples)).name)
    assert not window.session.opening.running and "Something is under way" in data.notice.text
    window.session.training.cancel()
    qtbot.waitUntil(lambda: all(way.isEnabled() for way in ways))
    assert not any("under way" in way.toolTip() for way in ways) and data.samples.toolTip()


def test_undo_leads_back_to_what_was_saved_and_to_what_stood_when_a_page_was_left(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    epochs = train.optimisation.control("epochs")
    assert isinstance(epochs, QSpinBox)
    state = window.session.state
    began = epochs.value()

    def write(number: int) -> None:
        epochs.selectAll()
        QTest.keyClicks(epochs, f"{number}")
        QTest.keyClick(epochs, Qt.Key.Key_Return)
        assert state.recipe.optimisation.epochs == number

    write(33)
    window.commands.write_recipe(tmp_path / "mine.toml")
    write(44)
    page(window, "data")
    page(window, "train")
    write(55)
    found = []
    while state.undo_stack.canUndo():
        window.commands.undo()
        found.append(epochs.value())
    assert found == [44, 33, began]
    QTest.keyClick(epochs, Qt.Key.Key_Up)
    assert state.undo_stack.canUndo()
    QTest.keyClick(epochs, Qt.Key.Key_Down)
    assert epochs.value() == began and not state.undo_stack.canUndo(), "nothing is another than before"
