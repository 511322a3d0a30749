"""The page Model: cards, the chart in step with the table, speeds that are measured, downloads that are stopped."""

import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication
from pytestqt.qtbot import QtBot
from safetensors.numpy import save

from desktop_ft import places
from desktop_ft.core.metrics import Interval
from desktop_ft.core.offers import Aim, Speed
from desktop_ft.core.recipe import BackboneChoice
from desktop_ft.gui import languages
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.model_page import ModelPage
from desktop_ft.gui.network_facts import COLUMNS, SPEED
from desktop_ft.gui.readiness import blockers
from desktop_ft.gui.train_page import TrainPage
from desktop_ft.jobs.backbones import offers
from desktop_ft.models import fetching
from desktop_ft.plugin_manager import turn
from tests.gui.test_window import click, drop, opened, page

NAME = "shufflenet_v2_x0_5"


def model_page(window: MainWindow) -> ModelPage:
    found = page(window, "model")
    assert isinstance(found, ModelPage)
    return found


def current(model: ModelPage) -> str:
    return str(model.table.current().spec.name)


def test_a_card_uses_its_network_and_undo_takes_it_back(window: MainWindow, qtbot: QtBot) -> None:
    model = model_page(window)
    cards = model.cards.cards
    assert [card.offer is not None and card.isVisible() for card in cards.values()] == [True] * 3
    assert cards[Aim.SPEED].isChecked() and not cards[Aim.BALANCE].isChecked()
    for told in ("top-1", "GFLOPs", "BSD", "MB"):
        assert told in cards[Aim.BALANCE].accessibleName()
    assert "Choose a folder" in model.cards.reason.text()
    cards[Aim.BALANCE].setFocus()
    QTest.keyClick(cards[Aim.BALANCE], Qt.Key.Key_Space)
    name = window.session.state.recipe.backbone.name
    assert name == cards[Aim.BALANCE].name.text() == current(model)
    assert cards[Aim.BALANCE].isChecked() and not cards[Aim.SPEED].isChecked()
    click(cards[Aim.BALANCE])  # again: it stays
    assert cards[Aim.BALANCE].isChecked() and window.session.state.recipe.backbone.name == name
    window.commands.undo()
    assert cards[Aim.SPEED].isChecked() and not cards[Aim.BALANCE].isChecked()


def test_a_network_is_recommended_for_the_pictures_that_were_opened(window: MainWindow, photos: Path, qtbot: QtBot) -> None:
    opened(window, photos, qtbot)
    model = model_page(window)
    qtbot.waitUntil(lambda: "Recommended for your data" in model.cards.reason.text(), timeout=60_000)
    assert "24 pictures" in model.cards.reason.text()
    marked = [card.aim for card in model.cards.cards.values() if "recommended" in card.mark.text()]
    assert marked == [Aim.SPEED]  # pictures of 40 pixels: larger inputs would only enlarge them


def test_a_point_of_the_chart_is_a_row_of_the_table(window: MainWindow, qtbot: QtBot) -> None:
    model = model_page(window)
    model.tabs.setCurrentWidget(model.chart)
    chart = model.chart
    assert len(chart.shown) == model.table.proxy.rowCount() and "efficientnet_lite0" in chart.said.text()
    chart.plot.setFocus()
    for key, name in ((Qt.Key.Key_Home, chart.shown[0]), (Qt.Key.Key_Right, chart.shown[1]), (Qt.Key.Key_End, chart.shown[-1])):
        QTest.keyClick(chart.plot, key)
        assert current(model) == name and chart.said.text().startswith(name)
    QTest.keyClick(chart.plot, Qt.Key.Key_Up)
    assert model.table.current().spec.top1 >= 86
    where = chart.point_of("shufflenet_v2_x0_5")
    assert where is not None
    QTest.mouseMove(chart.plot.viewport(), where.toPoint())
    QTest.mouseClick(chart.plot.viewport(), Qt.MouseButton.LeftButton, pos=where.toPoint())
    qtbot.waitUntil(lambda: current(model) == "shufflenet_v2_x0_5")
    QTest.keyClick(chart.plot, Qt.Key.Key_Return)
    assert window.session.state.recipe.backbone.name == "shufflenet_v2_x0_5"
    QTest.keyClicks(model.search, "squeezenet")
    assert sorted(chart.shown) == ["squeezenet1_0", "squeezenet1_1"]
    model.search.setText("no such network")
    assert chart.nothing.isVisible() and "nothing matches" in chart.nothing.text()


def test_a_network_whose_weights_are_fetched_by_hand_says_where_and_what_then(window: MainWindow) -> None:
    turn(window.session.plugins, "timm_backbones", on=True)
    model = model_page(window)
    QTest.keyClicks(model.search, "VIT tiny_patch16 imagenet-21k 384px")
    model.table.selectRow(1)
    assert current(model) == "timm/vit_tiny_patch16_384.augreg_in21k_ft_in1k"
    assert not model.download.isVisible() and "fetched by hand" in model.facts.text
    assert "huggingface.co/timm/vit_tiny" in model.facts.text and "choose it with Own weights" in model.chosen.text()
    click(model.use_it)
    said = [
        each.reason
        for each in blockers(window.session.state.recipe, None, window.session.plugins, window.session.own_weights.is_there)
    ]
    assert any("are fetched by hand. Choose the file as weights of your own first." in reason for reason in said)


def test_a_network_whose_plugin_is_off_is_told_of_as_on_the_page_train_and_there_is_a_way_to_plugins(
    window: MainWindow, photos: Path, qtbot: QtBot
) -> None:
    opened(window, photos, qtbot)
    session, model = window.session, model_page(window)
    train = page(window, "train")
    assert isinstance(train, TrainPage)
    assert not model.reason.isVisible() and not model.to_plugins.isVisible()
    turn(session.plugins, "timm_backbones", on=True)
    backbone = BackboneChoice(name="timm/vit_tiny_patch16_384.augreg_in21k_ft_in1k")
    session.state.load(session.state.recipe.model_copy(update={"backbone": backbone}))
    turn(session.plugins, "timm_backbones", on=False)
    session.plugin_work.changed.emit()
    session.state.go("train")
    click(train.way)
    assert session.state.page == "model"
    assert model.reason.isVisible() and model.reason.text() == train.reason.text()
    assert "It comes from the plugin timm_backbones, which is disabled. Turn it on" in model.reason.text()
    click(model.to_plugins)
    assert session.state.page == "plugins"
    qtbot.waitUntil(lambda: session.plugin_work.can_begin)
    session.plugin_work.turn("timm_backbones", on=True)
    qtbot.waitUntil(lambda: backbone.name in session.plugins.backbones and session.plugin_work.can_begin, timeout=60_000)
    session.state.go("model")
    assert not model.reason.isVisible() and not model.to_plugins.isVisible() and current(model) == backbone.name


def test_where_no_row_is_picked_it_says_what_to_do(window: MainWindow) -> None:
    model = model_page(window)
    model.table.setCurrentIndex(QModelIndex())
    assert model.name.text() == "No network picked" and not model.use_it.isVisible()
    assert model.chosen.isVisible() and "Pick a row" in model.chosen.text()


def test_a_speed_is_measured_and_drawn(window: MainWindow, qtbot: QtBot) -> None:
    model = model_page(window)
    model.tabs.setCurrentWidget(model.chart)
    model.chart.axis.setCurrentIndex(model.chart.axis.findData("speed"))
    assert model.chart.shown == [] and "Measure speed" in model.chart.nothing.text()
    model.chart.accuracy.setCurrentIndex(model.chart.accuracy.findData("probe"))
    assert model.chart.shown == [] and "Compare on my pictures" in model.chart.nothing.text()
    model.search.setText("no such network")
    assert model.chart.nothing.text() == "No network to draw: nothing matches the search."
    model.search.clear()
    model.chart.accuracy.setCurrentIndex(0)
    assert "Compare" not in model.chart.nothing.text(), "accuracy on ImageNet is known"
    QTest.keyClicks(model.search, NAME)
    model.table.selectRow(0)
    assert model.table.isColumnHidden(SPEED), "it has nothing to say yet"
    click(model.measure)
    assert model.measuring.isVisible() and not model.measure.isEnabled() and not model.measure_all.isEnabled()
    qtbot.waitUntil(lambda: not window.session.networks.measuring, timeout=60_000)
    assert model.chart.shown == [NAME] and "Speed here" in model.facts.text and model.measure.isEnabled()
    assert model.table.current().speed.pictures_per_second > 0 and not model.table.isColumnHidden(SPEED)
    assert "pictures a second of 224 pixels here" in model.chart.said.text()
    assert "as large as the network was trained on" in model.chart.plot.getAxis("bottom").labelText
    model.chart.accuracy.setCurrentIndex(model.chart.accuracy.findData("probe"))
    assert "Compare on my pictures" in model.chart.nothing.text() and "Measure" not in model.chart.nothing.text()


def test_of_two_sides_the_one_that_is_known_is_not_said_to_be_unknown(window: MainWindow) -> None:
    chart = model_page(window).chart
    one, other, *_ = offers(window.session.plugins)
    compared = replace(one, speed=None, probe=Interval(value=0.8, low=0.7, high=0.9))
    chart.axis.setCurrentIndex(chart.axis.findData("speed"))
    chart.accuracy.setCurrentIndex(chart.accuracy.findData("probe"))
    chart.show_offers([compared], "")
    assert "Measure speed" in chart.nothing.text() and "Compare" not in chart.nothing.text()
    chart.show_offers([compared, replace(other, speed=Speed(pictures_per_second=9.0, device="CPU"), probe=None)], "")
    assert chart.nothing.text() == "Of none of these networks both values are known."


def test_measuring_can_be_cancelled(window: MainWindow, qtbot: QtBot) -> None:
    model = model_page(window)
    click(model.measure_all)
    click(model.measuring.findChild(QAbstractButton))
    qtbot.waitUntil(lambda: not window.session.networks.measuring, timeout=60_000)
    assert not model.measuring.isVisible() and model.measure_all.isEnabled()
    assert "are kept" in model.notice.text
    assert sum(offer.speed is not None for offer in model.table.rows.rows) <= 1


class Slow(BaseHTTPRequestHandler):
    """Sends a part, and the rest when it is allowed to."""

    go_on = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2000000")
        self.end_headers()
        self.wfile.write(bytes(1_000_000))
        while not self.go_on.wait(0.02):
            self.wfile.write(bytes(1000))
        self.wfile.write(bytes(2_000_000))

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Slow]]:
    Slow.go_on = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{made.server_port}"
        made.handle_error = lambda *_: None  # type: ignore[method-assign] # whoever cancels hangs up
        monkeypatch.setattr(fetching, "_open", lambda url, timeout: urllib.request.urlopen(address, timeout=timeout))
        yield Slow
        Slow.go_on.set()
        made.shutdown()
        thread.join()


def test_a_download_shows_how_far_it_is_and_can_be_cancelled(window: MainWindow, server: type[Slow], qtbot: QtBot) -> None:
    model = model_page(window)
    QTest.keyClicks(model.search, NAME)
    model.table.selectRow(0)
    click(model.download)
    assert model.progress.isVisible() and not model.download.isEnabled()
    detail = model.progress._detail
    qtbot.waitUntil(lambda: "MB of" in detail.text(), timeout=10_000)
    click(model.progress.findChild(QAbstractButton))
    qtbot.waitUntil(lambda: not window.session.networks.downloading, timeout=10_000)
    assert not model.progress.isVisible() and model.download.isEnabled()
    assert NAME in model.notice.text and "nothing of it is kept" in model.notice.text
    assert not [path for path in (places.cache() / "weights").rglob("*") if path.is_file()]
    server.go_on.set()
    click(model.download)  # what arrives this time is not what the publisher gave a hash of
    qtbot.waitUntil(lambda: bool(model.notice.text), timeout=10_000)
    assert NAME in model.notice.text and "cancelled" not in model.notice.text and not model.table.current().local


def test_own_weights_are_dropped_and_taken_back(window: MainWindow, tmp_path: Path) -> None:
    model = model_page(window)
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"\x05\x8a\x99 noise")
    assert drop(window, file)
    assert not window.session.state.recipe.backbone.weights, "that it holds none is told at once, not when a run starts"
    assert "mine.safetensors is not a weights file" in model.notice.text
    file.write_bytes(save({"a": np.zeros(1)}))
    assert drop(window, file)
    assert window.session.state.recipe.backbone.weights == str(file) and "mine.safetensors" in model.own.text()
    assert window.session.state.recipe.backbone.name in model.own.text() and not model.notice.text
    click(model.own_clear)
    assert window.session.state.recipe.backbone.weights == ""
    window.commands.undo()
    assert window.session.state.recipe.backbone.weights == str(file)


@pytest.mark.parametrize("language", ["en", "de"])
def test_network_and_licence_are_whole_at_the_size_a_window_has_at_first(
    english_again: None, qapp: QApplication, request: pytest.FixtureRequest, qtbot: QtBot, language: str
) -> None:
    languages.speak(qapp, language)
    window: MainWindow = request.getfixturevalue("window")
    window.resize(1200, 680)
    table = model_page(window).table
    licence = next(number for number, column in enumerate(COLUMNS) if column.title == "Licence")
    row = next(number for number, offer in enumerate(table.rows.rows) if offer.spec.weights.licence == "BSD-3-Clause")

    def needed(column: int) -> int:
        text = str(table.rows.index(row, column).data())
        return table.fontMetrics().horizontalAdvance(text) + 18  # and what Qt leaves beside it

    assert not table.horizontalScrollBar().isVisible()
    assert table.columnWidth(licence) >= needed(licence) and table.columnWidth(0) >= needed(0)


def test_a_page_that_is_first_seen_with_a_network_that_nobody_brings_says_so(window: MainWindow) -> None:
    state = window.session.state
    state.edit("network", state.recipe.model_copy(update={"backbone": BackboneChoice(name="hedgehog_net")}))
    state.go("model")
    page = window.page("model")
    assert isinstance(page, ModelPage)
    assert "There is no backbone 'hedgehog_net'" in page.reason.text() and page.to_plugins.isVisible()
    assert page.name.text() == "No network picked" and not page.use_it.isVisible() and not page.download.isVisible()
