"""Panels in windows of their own, and an arrangement that is found again."""

import json

import pytest
from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QSpinBox, QTabWidget
from pytestqt.qtbot import QtBot

from desktop_ft import app, places
from desktop_ft.gui.data_page import DataPage
from desktop_ft.gui.detachable import Detachable, PanelWindow
from desktop_ft.gui.faults import Faults
from desktop_ft.gui.log_dialog import LogDialog
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.model_page import ModelPage
from desktop_ft.gui.train_page import TrainPage

CTRL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


def train_page(window: MainWindow) -> TrainPage:
    window.session.state.go("train")
    page = window.page("train")
    assert isinstance(page, TrainPage)
    return page


def panel_of(page: TrainPage) -> Detachable:
    found = page.findChild(Detachable)
    assert found is not None
    return found


def test_the_curves_go_out_and_come_back_from_the_keyboard(window: MainWindow, qtbot: QtBot) -> None:
    page = train_page(window)
    panel = panel_of(page)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    QTest.keyClick(window, Qt.Key.Key_D, CTRL_SHIFT)
    own = page.plots.window()
    assert isinstance(own, PanelWindow) and own.isVisible() and page.plots.isVisible()
    assert page.controls.window() is own and page.controls.legend.text() and page.controls.pointed.isVisible()
    window.session.state.go("data")
    assert page.plots.isVisible(), "it stays in sight whatever page is shown"
    own.resize(640, 480)
    own.activateWindow()
    qtbot.waitUntil(own.isActiveWindow)
    QTest.keyClick(own, Qt.Key.Key_5, Qt.KeyboardModifier.ControlModifier)
    assert window.session.state.page == "train", "the keys of the main window work there"
    own.close()
    assert page.plots.window() is window and page.plots.isVisible() and not panel.detached
    panel.detach()
    assert page.plots.window().size() == QSize(640, 480)
    back = next(button for button in panel.findChildren(QPushButton) if button.isVisible())
    QTest.mouseClick(back, Qt.MouseButton.LeftButton)
    assert page.plots.window() is window


def test_a_page_is_drawn_when_it_is_shown_or_at_once_where_a_part_of_it_is_in_sight(window: MainWindow) -> None:
    page, state = train_page(window), window.session.state
    epochs = page.optimisation.control("epochs")
    assert isinstance(epochs, QSpinBox)
    before = epochs.value()
    state.go("data")
    state.edit_optimisation("epochs", 17)
    assert epochs.value() == before, "nobody sees it"
    state.go("train")
    assert epochs.value() == 17
    state.go("data")
    panel_of(page).detach()
    state.edit_optimisation("epochs", 18)
    assert epochs.value() == 18, "its curves are in sight"
    panel_of(page).attach()


def test_a_page_without_such_a_panel_says_so(window: MainWindow) -> None:
    window.actions_["panel.detach"].trigger()
    assert "No panel" in window.notice.text


def test_closing_the_main_window_closes_all_others_and_one_screen_keeps_the_panel_in_place(
    window: MainWindow, faults: Faults, qtbot: QtBot
) -> None:
    page = train_page(window)
    panel_of(page).detach()
    window.actions_["log.show"].trigger()
    qtbot.waitUntil(lambda: not window.session.worker.busy)
    window.close()
    assert not window.findChildren(LogDialog) or not window.findChildren(LogDialog)[0].isVisible()
    assert page.plots.window() is window
    kept = json.loads((places.data() / "window.json").read_text())
    assert kept["detached"] == {"curves": True}
    again = app.build_window(faults)
    again.show()
    assert not panel_of(train_page(again)).detached  # there is one screen only
    again.close()
    again.deleteLater()


def test_tabs_columns_and_order_are_found_again(window: MainWindow, faults: Faults) -> None:
    data, model = window.page("data"), window.page("model")
    assert isinstance(data, DataPage) and isinstance(model, ModelPage)
    data.tabs.setCurrentIndex(1)
    model.table.setColumnWidth(0, 222)
    model.table.sortByColumn(3, Qt.SortOrder.DescendingOrder)
    window.close()
    kept = json.loads((places.data() / "window.json").read_text())["layout"]
    widths = next(value["own_widths"] for key, value in kept.items() if key.startswith("model/") and isinstance(value, dict))
    assert widths[:4] == [222, None, None, None], "what nobody changed may be wider in the next version"
    again = app.build_window(faults)
    found, models = again.page("data"), again.page("model")
    assert isinstance(found, DataPage) and isinstance(models, ModelPage)
    assert found.tabs.currentIndex() == 1
    header = models.table.horizontalHeader()
    assert models.table.columnWidth(0) == 222
    assert (header.sortIndicatorSection(), header.sortIndicatorOrder()) == (3, Qt.SortOrder.DescendingOrder)
    shown = [models.table.proxy.index(row, 3).data() for row in range(2)]
    assert shown[0] >= shown[1] and shown[0] != "–"
    again.close()
    again.deleteLater()


def test_a_damaged_arrangement_is_left_out(window: MainWindow, faults: Faults) -> None:
    window.page("model")
    window.close()
    file = places.data() / "window.json"
    kept = json.loads(file.read_text())
    name = next(key for key, value in kept["layout"].items() if key.startswith("model/") and isinstance(value, dict))
    kept["layout"][name] |= {"own_widths": ["x", 10**9, -4, None, 5.5, [], {}, 3], "sort": [99, 1]}
    kept["layout"]["data/tabs 0"] = 17
    kept["windows"] = {"curves": 5, "log": "nonsense"}
    kept["detached"] = {"curves": "yes"}
    file.write_text(json.dumps(kept))
    again = app.build_window(faults)
    for page in ("data", "model", "train"):
        assert again.page(page).findChildren(QTabWidget) is not None
    panel = panel_of(train_page(again))
    panel.detach()
    panel.attach()
    again.close()
    again.deleteLater()


def test_icons_follow_a_panel_to_a_finer_screen(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    page = train_page(window)
    panel = panel_of(page)
    panel.detach()
    own = page.plots.window()
    monkeypatch.setattr("desktop_ft.gui.theme._scales", lambda: [1, 3])
    QApplication.sendEvent(own, QEvent(QEvent.Type.DevicePixelRatioChange))
    assert 3 * panel.way.iconSize().width() in {size.width() * 16 // 20 for size in panel.way.icon().availableSizes()}
    panel.attach()
