"""The command palette: what can be done and set is found by its name, and done from the keyboard."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from desktop_ft.gui.conditions import OBSTACLES
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.menus import ACTIONS
from desktop_ft.gui.palette import SETTINGS, Entry, Palette, Setting
from desktop_ft.gui.theme import ThemeChoice


def asked(window: MainWindow, typed: str) -> Palette:
    QTest.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    palette = window.findChild(Palette)
    assert palette is not None and palette.isVisible()
    QTest.keyClicks(palette.line, typed)
    return palette


def texts(palette: Palette) -> list[str]:
    return [entry.text for entry in palette.found]


def test_every_action_and_setting_is_there(window: MainWindow) -> None:
    palette = asked(window, "")
    assert len(texts(palette)) == len(ACTIONS) + len(SETTINGS)
    assert {setting.field for setting in SETTINGS} >= {"lr", "batch_size", "val", "preset", "image_size", "seed"}
    palette.reject()


def test_an_action_is_done(window: MainWindow) -> None:
    palette = asked(window, "dark")
    assert texts(palette)[0] == "Dark colours"
    QTest.keyClick(palette.line, Qt.Key.Key_Return)
    assert window.session.theme.choice is ThemeChoice.DARK


def test_what_cannot_be_done_now_is_found_by_its_name_and_is_not_done(window: MainWindow) -> None:
    palette = asked(window, "")
    enabled = [entry.enabled for entry in palette.found]
    assert enabled == sorted(enabled, reverse=True) and not all(enabled), "what can be done comes first"
    palette.line.setText("start training")
    assert palette.tip.text().startswith("Cannot be done now. Choose a folder of pictures first.")
    QTest.keyClick(palette.line, Qt.Key.Key_Return)
    assert palette.isVisible() and not window.session.training.running
    palette.reject()


def test_why_an_action_cannot_be_done_is_always_said(window: MainWindow) -> None:
    window.actions_.refresh()
    idle = [spec.id for spec in ACTIONS if not window.actions_[spec.id].isEnabled()]
    assert "run.start" in idle and "run.pause" in idle
    for name in idle:
        assert (why := window.actions_.obstacle(name)).endswith(".") and why in window.actions_[name].toolTip()
    assert not window.actions_.obstacle("palette") and not window.actions_.obstacle("open.folder")
    assert {spec.enabled for spec in ACTIONS if spec.enabled} <= {*OBSTACLES, "can_start", "can_queue"}


def test_nothing_found_is_said(window: MainWindow) -> None:
    palette = asked(window, "no such thing")
    assert texts(palette) == [] and palette.tip.text() == "Nothing is called so."
    QTest.keyClick(palette.line, Qt.Key.Key_Return)
    QTest.keyClick(palette.line, Qt.Key.Key_Escape)
    assert not palette.isVisible()


def test_a_word_of_what_it_does_is_enough(window: MainWindow) -> None:
    palette = asked(window, "overconfidence")
    assert texts(palette) == ["Label smoothing"]
    palette.reject()


def test_an_entry_is_found_in_the_language_shown_and_in_english() -> None:
    german = Entry(text="Dunkel", place="Ansicht", keys="", tip="Dunkle Farben.", run=print, english="Dark")
    assert all(german.matches(typed) for typed in ("dunkel", "dark", "ansicht dark", "farben"))
    assert not german.matches("unkel") and not german.matches("light")
    assert german.rank("dark") == german.rank("dunkel") < german.rank("farben")
    chinese = Entry(text="学习率", place="训练", keys="", tip="", run=print, english="Learning rate")
    assert all(chinese.matches(typed) for typed in ("学习", "习率", "rate", "训练 率")) and not chinese.matches("冻结")


@pytest.mark.parametrize(
    "setting", [s for s in SETTINGS if s.page != "layers"], ids=lambda s: f"{s.page}-{s.field}"
)  # imports torch
def test_a_setting_leads_to_its_control(window: MainWindow, qtbot: QtBot, setting: Setting) -> None:
    window.resize(window.minimumSize())
    palette = asked(window, setting.text)
    row = next(n for n, entry in enumerate(palette.found) if (entry.text, entry.tip) == (setting.text, setting.tip))
    where = palette.list.visualItemRect(palette.list.topLevelItem(row)).center()
    QTest.mouseClick(palette.list.viewport(), Qt.MouseButton.LeftButton, pos=where)
    control = window.page(setting.page).findChild(QWidget, setting.field)
    assert control is not None and window.session.state.page == setting.page
    unused = ("val", "rename", "pictures", "images_per_class", "draw", "momentum", "views")
    if setting.field in unused:  # no pictures yet, no use for it as the recipe stands
        assert not (control.isEnabled() and control.isVisible())
    else:
        qtbot.waitUntil(control.hasFocus)
        qtbot.waitUntil(lambda: not control.visibleRegion().isEmpty())
