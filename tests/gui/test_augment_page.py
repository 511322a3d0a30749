"""The page Augment: the order of the transforms, what chance does, and one picture large."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox
from pytestqt.qtbot import QtBot

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.gui.augment_page import AugmentPage
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.picture_dialog import PictureDialog
from desktop_ft.jobs.augmenting import presets
from tests.gui.test_window import click, opened, page

_ALT = Qt.KeyboardModifier.AltModifier


@pytest.fixture
def augment(window: MainWindow) -> AugmentPage:
    state = window.session.state
    state.edit("standard", state.recipe.model_copy(update={"augmentation": presets()["standard"].specs}))
    found = page(window, "augment")
    assert isinstance(found, AugmentPage)
    return found


def order(window: MainWindow) -> list[str]:
    return [spec.transform for spec in window.session.state.recipe.augmentation]


def test_the_list_is_reordered_by_keys(window: MainWindow, augment: AugmentPage) -> None:
    first, second, *others = order(window)
    augment.list.setFocus()
    augment.list.setCurrentRow(0)
    QTest.keyClick(augment.list, Qt.Key.Key_Up, _ALT)  # it is the first already
    assert order(window) == [first, second, *others]
    QTest.keyClick(augment.list, Qt.Key.Key_Down, _ALT)
    assert order(window) == [second, first, *others] and augment.list.currentRow() == 1
    QTest.keyClick(augment.list, Qt.Key.Key_Delete)
    assert order(window) == [second, *others]
    window.commands.undo()
    window.commands.undo()
    assert order(window) == [first, second, *others]


def test_the_list_has_a_menu_of_what_can_be_done_with_a_transform(window: MainWindow, augment: AugmentPage) -> None:
    first, *others = order(window)
    augment.list.setCurrentRow(0)
    menu = {action.text(): action for action in augment.list.actions()}
    assert augment.list.contextMenuPolicy() is Qt.ContextMenuPolicy.ActionsContextMenu
    assert {text for text, action in menu.items() if action.isEnabled()} == {"Down", "Duplicate", "Remove"}
    augment.list.setFocus()
    QTest.keyClick(augment.list, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
    assert order(window) == [first, first, *others] and augment.list.currentRow() == 1
    menu["Down"].trigger()
    assert order(window) == [first, others[0], first, *others[1:]] and augment.list.currentRow() == 2
    menu["Remove"].trigger()
    assert order(window) == [first, *others]


def test_the_list_is_reordered_by_dragging(window: MainWindow, augment: AugmentPage, qtbot: QtBot) -> None:
    first, *others = order(window)
    model = augment.list.model()
    # What Qt does when the first item is dropped behind the last.
    assert model.moveRow(model.index(0, 0).parent(), 0, model.index(0, 0).parent(), augment.list.count())
    qtbot.waitUntil(lambda: order(window) == [*others, first])
    assert augment.list.count() == len(order(window))
    window.commands.undo()
    assert order(window) == [first, *others]


def test_chance_is_fixed_or_runs_on(window: MainWindow, augment: AugmentPage, photos: Path, qtbot: QtBot) -> None:
    opened(window, photos, qtbot)
    page(window, "augment")
    qtbot.waitUntil(lambda: augment.grid.shown == 12, timeout=60_000)
    assert augment.seed.value() == 0
    click(augment.again)
    assert augment.seed.value() == 12
    augment.free.setFocus()
    QTest.keyClick(augment.free, Qt.Key.Key_Space)
    assert not augment.seed.isEnabled()
    qtbot.waitUntil(lambda: augment.seed.value() >= 12 * 3, timeout=20_000)
    QTest.keyClick(augment.free, Qt.Key.Key_Space)
    fixed = augment.seed.value()
    assert augment.seed.isEnabled()
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=20_000)
    augment._run_on.stop()
    assert augment.seed.value() == fixed


def test_the_preview_is_as_large_as_lets_all_of_it_be_seen(
    window: MainWindow, augment: AugmentPage, photos: Path, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    page(window, "augment")
    qtbot.waitUntil(lambda: augment.grid.shown == 12, timeout=60_000)
    small = augment.grid.tile(0).width()
    window.resize(1900, 1060)
    qtbot.waitUntil(lambda: augment.grid.tile(0).width() > small)
    assert augment.grid.tile(11).bottom() <= augment.scroller.viewport().height()
    assert augment.grid.tile(3).right() <= augment.grid.width()
    window.resize(1280, 720)
    qtbot.waitUntil(lambda: augment.grid.tile(0).width() == small)


def seen(dialog: PictureDialog) -> QImage:
    return dialog.seen.pixmap().toImage()


def test_a_picture_is_shown_large_beside_what_the_network_sees(
    window: MainWindow, augment: AugmentPage, photos: Path, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    page(window, "augment")
    qtbot.waitUntil(lambda: augment.grid.shown == 12, timeout=60_000)
    augment.grid.setFocus()
    QTest.keyClick(augment.grid, Qt.Key.Key_Right)
    assert augment.grid.accessibleDescription() == "Picture 2 of 12"
    QTest.keyClick(augment.grid, Qt.Key.Key_Return)
    dialog = augment.findChild(PictureDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: "224 × 224" in dialog.seen_words.text(), timeout=20_000)
    assert dialog.original_words.text() == "As it is: 40 × 40 pixels." and dialog.name.text() == "00.png"
    before = seen(dialog)
    click(dialog.again)
    qtbot.waitUntil(lambda: seen(dialog) != before)
    QTest.keyClick(dialog, Qt.Key.Key_Left)
    qtbot.waitUntil(lambda: not dialog.previous.isEnabled())
    QTest.keyClick(dialog, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: seen(dialog) == before)  # the seed of the grid again
    (photos / "dark" / "00.png").unlink()
    (photos / "light" / "00.png").unlink()
    click(dialog.again)
    qtbot.waitUntil(lambda: "00.png" in dialog.notice.text and dialog.seen.pixmap().isNull())
    dialog.reject()
    qtbot.waitUntil(lambda: augment.findChild(PictureDialog) is None)
    QTest.mouseClick(augment.grid, Qt.MouseButton.LeftButton, pos=augment.grid.tile(3).center())
    dialog = augment.findChild(PictureDialog)
    assert dialog is not None
    assert dialog.name.text() == augment._pictures[3].path.name
    dialog.reject()
    qtbot.waitUntil(lambda: not window.session.worker.busy)


def test_pictures_that_are_mixed_are_shown_mixed(window: MainWindow, augment: AugmentPage, photos: Path, qtbot: QtBot) -> None:
    state = window.session.state
    mixing = AugmentationSpec(transform="cutmix", parameters={"alpha": 10.0})
    state.edit("mixed", state.recipe.model_copy(update={"augmentation": (mixing,)}))
    opened(window, photos, qtbot)
    page(window, "augment")
    qtbot.waitUntil(lambda: augment.grid.shown == 12, timeout=60_000)
    augment.list.setCurrentRow(0)
    assert "mixed with one another" in augment.form_help.text()
    QTest.mouseClick(augment.grid, Qt.MouseButton.LeftButton, pos=augment.grid.tile(0).center())
    dialog = augment.findChild(PictureDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: "224 × 224" in dialog.seen_words.text(), timeout=20_000)
    image = seen(dialog)
    colours = {image.pixelColor(x, y).red() for x in range(5, image.width(), 9) for y in range(5, image.height(), 9)}
    assert colours == {40, 200}, "a part of a light picture lies in a dark one"
    dialog.reject()
    qtbot.waitUntil(lambda: not window.session.worker.busy)


def test_undo_names_transforms_presets_and_settings_as_the_page_does(window: MainWindow, augment: AugmentPage) -> None:
    stack = window.session.state.undo_stack

    def choose(box: QComboBox, data: str) -> str:
        number = box.findData(data)
        box.setCurrentIndex(number)
        box.activated.emit(number)  # as where it was picked from the list
        return box.itemText(number)

    title = augment.add.itemText(augment.add.findData("vertical_flip"))
    choose(augment.add, "vertical_flip")
    assert title != "vertical_flip" and stack.undoText() == f"add {title}"
    assert augment._form is not None
    probability = augment._form.control("probability")
    assert isinstance(probability, QDoubleSpinBox)
    probability.setFocus()
    QTest.keyClick(probability, Qt.Key.Key_Up)
    assert stack.undoText() == f"{title}: {probability.accessibleName()}" == f"{title}: Probability"
    assert choose(augment.preset, "light") == presets()["light"].title
    assert stack.undoText() == f"preset {presets()['light'].title}" != "preset light"
