"""Classes and photos are edited on the page Data through real events, and every edit can be undone."""

import shutil
import threading
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.recipe import DatasetChoice, Part, Recipe
from desktop_ft.data import decode
from desktop_ft.data.scan import scan
from desktop_ft.gui import opening, words
from desktop_ft.gui.data_page import DataPage
from desktop_ft.gui.large_photo import LargePhoto
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.name_dialog import NameDialog
from desktop_ft.gui.table import Table
from desktop_ft.gui.thumbnails import Wall
from tests.gui.test_window import click, drop, opened, page
from tests.pictures import class_folders, hostile_folder

NONE, CTRL, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def data(window: MainWindow, photos: Path, qtbot: QtBot) -> DataPage:
    """The page with three classes of 12, 12 and 2 photos."""
    (photos / "few").mkdir()
    for number in range(2):
        Image.new("RGB", (40, 40), (10, 20 + number, 250)).save(photos / "few" / f"{number:02}.png")
    made = page(window, "data")
    assert isinstance(made, DataPage)
    opened(window, photos, qtbot)
    qtbot.waitUntil(window.isActiveWindow)
    return made


def manifest(data: DataPage) -> DatasetManifest:
    made = data._session.state.manifest
    assert made is not None
    return made


def counts(data: DataPage) -> dict[str, int]:
    """What the table shows."""
    return {row.name: row.train + row.val + row.test for row in data.classes.rows.rows}


def pick(table: Table, name: str, modifier: Qt.KeyboardModifier = NONE) -> None:
    """Click a class."""
    number = next(n for n in range(table.proxy.rowCount()) if name in table.proxy.index(n, 0).data())
    QTest.mouseClick(
        table.viewport(), Qt.MouseButton.LeftButton, modifier, table.visualRect(table.proxy.index(number, 0)).center()
    )


def pick_photo(wall: Wall, number: int, modifier: Qt.KeyboardModifier = NONE) -> None:
    at = wall.visualRect(wall.model().index(number, 0)).center()
    QTest.mouseClick(wall.viewport(), Qt.MouseButton.LeftButton, modifier, at)


def name_dialog(data: DataPage) -> NameDialog:
    (dialog,) = data.findChildren(NameDialog)
    return dialog


def answer(data: DataPage, name: str, qtbot: QtBot) -> None:
    """Type a name and press Return."""
    dialog = name_dialog(data)
    line = dialog.findChild(QLineEdit)
    assert line is not None
    qtbot.waitUntil(line.hasFocus)
    line.selectAll()
    QTest.keyClicks(line, name)
    click(dialog.ok)
    qtbot.waitUntil(lambda: not data.findChildren(NameDialog))
    data.window().activateWindow()  # there is no window manager here that would
    qtbot.waitUntil(data.window().isActiveWindow)


def button(within: QWidget, text: str) -> QAbstractButton:
    return next(each for each in within.findChildren(QAbstractButton) if each.text() == text and each.isVisible())


def where(data: DataPage) -> dict[str, Subset | None]:
    return {sample.path: sample.subset for sample in manifest(data).samples}


def undo_all(window: MainWindow) -> None:
    while window.session.state.undo_stack.canUndo():
        window.commands.undo()


def test_a_class_is_renamed_merged_and_left_out_and_all_is_undone(window: MainWindow, data: DataPage, qtbot: QtBot) -> None:
    state = window.session.state
    recipe, before = state.recipe, manifest(data)
    pick(data.classes, "dark")
    QTest.keyClick(data.classes, Qt.Key.Key_F2)
    answer(data, "night", qtbot)
    assert counts(data) == {"few": 2, "light": 12, "night": 12}
    assert state.undo_stack.undoText() == "rename dark to night"
    qtbot.waitUntil(lambda: "rename dark to night" in window.actions_["edit.undo"].toolTip())
    assert data.wall.thumbs.rowCount() == 12, "the class that was shown is shown under its new name"
    assert data.class_list.chosen == ["night"]

    pick(data.classes, "few")
    assert data.wall.thumbs.rowCount() == 2
    pick(data.classes, "light", CTRL)
    assert data.wall.thumbs.rowCount() == 14, "the photos of all that is selected"
    click(button(data.class_list, "Merge…"))
    dialog = name_dialog(data)
    QTest.keyClicks(dialog.name.lineEdit(), "night")
    assert "There is a class 'night' already" in dialog.said.text()
    answer(data, "day", qtbot)
    assert counts(data) == {"day": 14, "night": 12}
    assert state.undo_stack.undoText() == "merge few, light into day"
    assert data.class_list.chosen == ["day"]
    assert data.photos.class_filter.currentText() == "day" and data.wall.thumbs.rowCount() == 14
    window.commands.undo()
    assert data.class_list.chosen == ["few", "light"]
    assert data.photos.class_filter.currentText() == "few, light" and data.wall.thumbs.rowCount() == 14, "as the table says"
    window.commands.redo()

    pick(data.classes, "day")
    QTest.keyClick(data.classes, Qt.Key.Key_Delete)
    assert counts(data) == {"night": 12}
    assert "only one class" in data.health.text
    left = data.class_list.left_out
    assert [left.item(n).text() for n in range(left.count())] == ["few (2 photos)", "light (12 photos)"]
    assert "Put back" in data.health.text and "Names of the folder" in data.health.text
    QTest.mouseClick(left.viewport(), Qt.MouseButton.LeftButton, NONE, left.visualItemRect(left.item(1)).center())
    click(button(data.class_list, "Put back"))
    assert counts(data) == {"light": 12, "night": 12}
    assert "only one class" not in data.health.text

    saved = Recipe.from_toml(state.recipe.to_toml(), "recipe")
    assert saved == state.recipe and dict(saved.dataset.rename) == {"dark": "night", "few": ""}
    undo_all(window)
    assert state.recipe == recipe and manifest(data) == before
    assert counts(data) == {"dark": 12, "few": 2, "light": 12} and not left.isVisible()
    for _ in range(4):
        window.commands.redo()
    assert state.recipe == saved


def test_a_rare_class_is_marked_and_what_was_merged_comes_apart_again(window: MainWindow, data: DataPage, qtbot: QtBot) -> None:
    recipe = window.session.state.recipe
    assert [row.name for row in data.classes.rows.rows if row.fewer] == ["few"]
    index = data.classes.proxy.index(1, 0)
    assert index.data() == "⚠ few" and "Balance" in index.data(Qt.ItemDataRole.ToolTipRole)
    pick(data.classes, "few")
    click(button(data.class_list, "Rename…"))
    answer(data, "dark", qtbot)
    assert counts(data) == {"dark": 14, "light": 12}
    pick(data.classes, "dark")
    index = data.classes.currentIndex()
    assert "In the folder: dark, few." in index.data(Qt.ItemDataRole.ToolTipRole)
    assert data.class_list.as_found.isVisible(), "the way back is in sight"
    QTest.keyClick(data.classes, Qt.Key.Key_F2, SHIFT)
    assert window.session.state.recipe == recipe and not data.class_list.as_found.isVisible()

    # A name that is none is refused in the dialog.
    pick(data.classes, "dark")
    QTest.keyClick(data.classes, Qt.Key.Key_F2)
    dialog = name_dialog(data)
    assert not dialog.ok.isEnabled(), "it is called so already"
    dialog.name.setEditText("a\x07b")
    click(dialog.ok)
    assert "no name for a class" in dialog.notice.text and dialog.isVisible()
    dialog.name.setEditText("  ")
    assert not dialog.ok.isEnabled()
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not data.findChildren(NameDialog))


def test_what_was_moved_is_shown_as_soon_as_a_large_folder_is_divided_anew(
    window: MainWindow, data: DataPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop_ft.gui.opening._AT_ONCE", 0)
    pick_photo(data.wall, 0)
    pick_photo(data.wall, 1, SHIFT)
    moved = [sample.path for sample in data.photos.chosen]
    QTest.keyClick(data.wall, Qt.Key.Key_E)
    assert window.session.opening.dividing
    click(data.photos.notice.way)
    qtbot.waitUntil(lambda: not window.session.opening.dividing)
    assert data.photos.subset_filter.currentText() == "Only test"
    assert [sample.path for sample in data.photos.chosen] == moved


def test_a_class_may_be_called_as_all_or_two_of_them_are(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> None:
    names = ("All classes", "cat", "cat, dog", "dog")
    opened(window, class_folders(tmp_path / "odd", dict.fromkeys(names, 3)), qtbot)
    data = page(window, "data")
    assert isinstance(data, DataPage)

    def walls() -> set[str]:
        return {sample.path.split("/")[0] for sample in data.photos._photos.samples} if data.photos._photos is not None else set()

    for picked in (["All classes"], ["cat", "dog"], ["cat, dog"], []):
        data.photos.pick_classes(picked)
        assert walls() == set(picked or names)


def test_photos_are_moved_left_out_and_put_back(window: MainWindow, data: DataPage, qtbot: QtBot) -> None:
    state, wall = window.session.state, data.wall
    before = where(data)
    pick_photo(wall, 1)
    pick_photo(wall, 4, SHIFT)
    assert [sample.path for sample in data.photos.chosen] == [f"dark/{n:02}.png" for n in range(1, 5)]
    assert data.photos.shown.text() == "4 of 26 photos"
    menu = data.photos.move_to.menu()
    menu.popup(data.photos.move_to.mapToGlobal(QPoint()))  # as a click does, which would wait here for the choice
    qtbot.waitUntil(menu.isVisible)
    QTest.mouseClick(menu, Qt.MouseButton.LeftButton, NONE, menu.actionGeometry(menu.actions()[2]).center())
    assert state.undo_stack.undoText() == "move 4 photos to test"
    moved = {f"dark/{n:02}.png" for n in range(1, 5)}
    assert {path for path, subset in where(data).items() if subset is Subset.TEST} == moved
    assert all(subset is before[path] for path, subset in where(data).items() if path not in moved)
    assert not data.classes.isColumnHidden(3)
    assert len(data.photos.chosen) == 4, "what was moved stays selected"
    assert wall.model().index(1, 0).data() == "dark → test"
    assert data.photos.notice.text == "4 photos moved to test."
    data.photos.subset_filter.setCurrentText("Only training")
    click(data.photos.notice.way)
    assert data.photos.subset_filter.currentText() == "Only test" and wall.thumbs.rowCount() == 4
    assert {sample.path for sample in data.photos.chosen} == moved and not data.photos.notice.text
    data.photos.subset_filter.setCurrentIndex(0)

    pick_photo(wall, 2)
    QTest.keyClick(wall, Qt.Key.Key_Delete)
    assert "dark/02.png" not in where(data) and counts(data)["dark"] == 11
    assert data.photos.notice.text == "1 photo is left out of the run."
    QTest.keyClick(wall, Qt.Key.Key_V)  # what came in its place is selected now
    assert where(data)["dark/03.png"] is Subset.VAL

    left = data.class_list.left_out
    assert left.item(0).text() == "1 single photo"
    left.setCurrentRow(0)
    QTest.keyClick(left, Qt.Key.Key_Return)
    assert wall.thumbs.rowCount() == 1 and "left out" in wall.model().index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    pick_photo(wall, 0)
    QTest.keyClick(wall, Qt.Key.Key_Backspace)
    assert where(data)["dark/02.png"] is before["dark/02.png"], "it is where the split has it"
    assert data.photos.none.isVisible() and not wall.isVisible()
    data.photos.subset_filter.setCurrentIndex(data.photos.subset_filter.findText("Only moved by hand"))
    assert wall.thumbs.rowCount() == 3

    undo_all(window)
    assert where(data) == before and data.classes.isColumnHidden(3)


@pytest.mark.parametrize("way", ["return", "double click"])
def test_a_photo_of_the_wall_is_looked_at_large(
    data: DataPage, photos: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    Image.new("RGB", (300, 200), (9, 9, 200)).save(photos / "few" / "00.png")
    data._session.opening.open(photos)
    qtbot.waitUntil(lambda: not data._session.opening.running)
    data.photos.show_photo("few/00.png")
    qtbot.waitUntil(data.window().isActiveWindow)
    at = data.wall.visualRect(data.wall.currentIndex()).center()
    if way == "return":
        data.wall.setFocus()
        QTest.keyClick(data.wall, Qt.Key.Key_Return)
    else:
        pick_photo(data.wall, data.wall.currentIndex().row())
        QTest.mouseDClick(data.wall.viewport(), Qt.MouseButton.LeftButton, NONE, at)
    (large,) = data.findChildren(LargePhoto)
    qtbot.waitUntil(lambda: large.picture.image is not None)
    assert large.picture.image is not None and (large.picture.image.width(), large.picture.image.height()) == (300, 200)
    assert large.title.text() == "00.png · few"
    assert "300 × 200 pixels" in large.about.text() and "training" in large.about.text()
    QTest.keyClick(large.next, Qt.Key.Key_Left)  # wherever the keyboard is
    qtbot.waitUntil(lambda: large.picture.image is not None and large.picture.image.width() == 40)
    assert large.title.text() == "11.png · dark"
    go_on, load = threading.Event(), decode.load
    monkeypatch.setattr(decode, "load", lambda where, side: (go_on.wait(30), load(where, side))[1])
    QTest.keyClick(large.picture, Qt.Key.Key_Right)
    assert large.title.text() == "11.png · dark", "no photo stands below the name of another"
    qtbot.waitUntil(lambda: large.title.text() == "00.png · few" and large.picture.image is None)
    go_on.set()
    qtbot.waitUntil(lambda: large.picture.image is not None and large.picture.image.width() == 300)
    click(button(large, "Close"))


def test_edits_of_many_photos_come_from_a_thread(
    window: MainWindow, data: DataPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_AT_ONCE", 5)
    before = where(data)
    pick(data.classes, "light")
    QTest.keyClick(data.classes, Qt.Key.Key_Delete)
    pick(data.classes, "few")
    QTest.keyClick(data.classes, Qt.Key.Key_Delete)
    assert counts(data) == {"dark": 12, "few": 2, "light": 12}
    assert window.session.blocker() is not None
    qtbot.waitUntil(lambda: counts(data) == {"dark": 12})
    undo_all(window)
    qtbot.waitUntil(lambda: where(data) == before)


def test_edits_stay_when_the_folder_is_looked_at_again_and_go_with_another(
    window: MainWindow, data: DataPage, photos: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    pick(data.classes, "few")
    QTest.keyClick(data.classes, Qt.Key.Key_Delete)
    pick_photo(data.wall, 0)
    QTest.keyClick(data.wall, Qt.Key.Key_E)
    (photos / "dark" / "00.png").rename(photos / "dark" / "99.png")
    (photos / "few").rename(photos / "rare")
    recipe = window.session.state.recipe
    opened(window, photos, qtbot)
    qtbot.waitUntil(lambda: "dark/99.png" in where(data))
    assert window.session.state.recipe == recipe
    assert where(data)["dark/99.png"] is Subset.TEST, "a picture is known by its bytes"
    assert counts(data)["rare"] == 2
    assert "leaves out the class 'few', which the folder does not have" in data.health.text
    photos.rename(tmp_path / "elsewhere")
    window.session.opening.open(tmp_path / "elsewhere")
    qtbot.waitUntil(lambda: not window.session.opening.running)
    assert window.session.state.recipe.dataset.rename == {} == window.session.state.recipe.dataset.pictures


def test_problems_are_filtered_and_lead_to_their_photo(data: DataPage, photos: Path, window: MainWindow, qtbot: QtBot) -> None:
    (photos / "light" / "05.png").rename(photos / "light" / "05.jpg")
    opened(window, photos, qtbot)
    qtbot.waitUntil(lambda: data.problem_list.kinds.count() == 3)
    problems = data.problem_list
    assert [problems.kinds.itemText(n) for n in range(3)] == ["All kinds", "Broken (1)", "Wrong extension (1)"]
    data.tabs.setCurrentIndex(1)
    problems.table.select(lambda problem: problem.path == "dark/broken.png")
    assert not problems.photo.isVisible() and "dark/broken.png" in problems.notice.text
    problems.kinds.setCurrentIndex(problems.kinds.findText("Wrong extension (1)"))
    assert [problem.path for problem in problems.table.rows.rows] == ["light/05.jpg"]
    assert problems.photo.isVisible() and "Rename it." in problems.notice.text
    click(problems.go)
    assert data.tabs.currentIndex() == 0
    (shown,) = data.photos.chosen
    assert shown.path == "light/05.jpg"
    data.photos.problem_filter.setCurrentIndex(data.photos.problem_filter.findText("Only: wrong extension"))
    assert data.wall.thumbs.rowCount() == 1


def test_the_wall_is_walked_by_keys_and_by_a_rubber_band(data: DataPage, qtbot: QtBot) -> None:
    wall = data.wall
    columns = wall.viewport().width() // wall.gridSize().width()

    def at() -> int:
        return wall.currentIndex().row()

    pick_photo(wall, 0)
    for key, row in (
        (Qt.Key.Key_Right, 1),
        (Qt.Key.Key_Down, 1 + columns),
        (Qt.Key.Key_Left, columns),
        (Qt.Key.Key_Up, 0),
        (Qt.Key.Key_Up, 0),
        (Qt.Key.Key_End, 25),
        (Qt.Key.Key_Down, 25),
        (Qt.Key.Key_Home, 0),
    ):
        QTest.keyClick(wall, key)
        assert at() == row, key
    QTest.keyClick(wall, Qt.Key.Key_End)
    assert wall.viewport().rect().contains(wall.visualRect(wall.currentIndex())), "the current photo is in sight"
    QTest.keyClick(wall, Qt.Key.Key_Home, SHIFT)
    assert wall.chosen_count == 26
    pick_photo(wall, 0)
    QTest.keyClick(wall, Qt.Key.Key_Down, SHIFT)
    assert wall.chosen_rows() == list(range(columns + 1))
    first, last = wall.visualRect(wall.model().index(1, 0)), wall.visualRect(wall.model().index(columns + 2, 0))
    QTest.mouseClick(wall.viewport(), Qt.MouseButton.LeftButton, NONE, first.center())
    QTest.mousePress(wall.viewport(), Qt.MouseButton.LeftButton, NONE, first.center())
    QTest.mouseMove(wall.viewport(), first.center() + QPoint(40, 40))
    QTest.mouseMove(wall.viewport(), last.center())
    QTest.mouseRelease(wall.viewport(), Qt.MouseButton.LeftButton, NONE, last.center())
    assert wall.chosen_rows() == [1, 2, columns + 1, columns + 2]


def test_every_kind_of_problem_has_a_name_that_is_translated(tmp_path: Path) -> None:
    hostile_folder(class_folders(tmp_path, {"good": 3, "fine": 3}) / "good")
    kinds = {problem.kind for problem in scan(tmp_path).problems}
    assert len(kinds) > 5 and {words.english_title(words.problem(kind)) for kind in kinds} <= set(words.KINDS)


def settled(window: MainWindow, folder: Path, qtbot: QtBot) -> Recipe:
    """Wait until the photos in `folder` are the project's, and give its recipe."""
    state = window.session.state
    qtbot.waitUntil(
        lambda: not window.session.opening.running and state.manifest is not None and state.manifest.source == str(folder),
        timeout=30_000,
    )
    return state.recipe


@pytest.mark.parametrize("kind", ["folder", "recipe"])
def test_what_was_edited_comes_back_by_undo_after_another_folder_or_recipe_was_dropped(
    window: MainWindow, data: DataPage, photos: Path, tmp_path: Path, qtbot: QtBot, kind: str
) -> None:
    other = Path(shutil.copytree(photos, tmp_path / "others"))
    recipe = tmp_path / "of others.toml"
    recipe.write_text(Recipe(dataset=DatasetChoice(folder=str(other)), seed=7).to_toml())
    data._edits.rename(["dark"], "night")
    data._edits.move(list(manifest(data).samples[:3]), Part.LEFT_OUT)
    before, pictures = window.session.state.recipe, manifest(data)
    assert drop(window, other if kind == "folder" else recipe)
    after = settled(window, other, qtbot)
    assert "dark" in manifest(data).classes and (after.seed == 7) == (kind == "recipe")
    assert photos.name in data.notice.text and "Undo" in data.notice.text
    window.commands.undo()
    assert settled(window, photos, qtbot) == before and manifest(data) == pictures and not data.notice.text
    window.commands.redo()
    assert settled(window, other, qtbot) == after and "dark" in manifest(data).classes
    window.commands.undo()
    assert settled(window, photos, qtbot) == before
    undo_all(window)
    assert "dark" in manifest(data).classes, "the edits before it can be undone, too"
