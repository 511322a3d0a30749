"""Advice in the window: asked for, drawn, clicked into, taken and undone."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop_ft.core.recipe import BackboneChoice, Recipe
from desktop_ft.gui.layers_page import LayersPage
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.model_page import ModelPage
from desktop_ft.gui.network_facts import PROBE
from desktop_ft.gui.table import ROW_ROLE
from tests.e2e.conftest import shapes
from tests.gui.test_window import click, opened, page

LONG = 120_000


@pytest.fixture
def layers(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> LayersPage:
    """The page Layers with a few drawn shapes, small for the network."""
    found = page(window, "layers")
    assert isinstance(found, LayersPage)
    assert not found.advice.ask.isEnabled() and "Choose a folder of pictures first" in found.advice.words.text()
    opened(window, shapes(tmp_path / "shapes", pictures=8), qtbot)
    state = window.session.state
    state.edit("size", state.recipe.model_copy(update={"backbone": BackboneChoice(image_size=32)}))
    state.go("layers")
    qtbot.waitUntil(lambda: state.tree is not None and found.advice.ask.isEnabled(), timeout=LONG)
    return found


def test_advice_is_drawn_clicked_into_taken_and_undone(layers: LayersPage, window: MainWindow, qtbot: QtBot) -> None:
    state, panel, advisor = window.session.state, layers.advice, window.session.advice
    assert "Advice looks at your training pictures once" in panel.words.text() and layers.picture.curve is None
    click(panel.ask)
    assert panel.progress.isVisible() and not panel.ask.isEnabled()
    qtbot.waitUntil(lambda: advisor.told is not None, timeout=LONG)
    told = advisor.told
    assert told is not None and layers.picture.curve is not None and panel.progress.isHidden()
    assert panel.words.text() == told.short and panel.words.text().startswith("Recommended: ")
    QTest.mouseClick(panel.why, Qt.MouseButton.LeftButton)
    assert panel.words.text() == told.words and told.reason in told.words and told.reason not in told.short
    assert told.option.evidence.words in panel.words.text()

    depth, curve = 7, layers.picture.curve
    qtbot.waitExposed(window)
    point = curve.at(next(score for score in curve.scores if score.depth == depth))
    QTest.mouseClick(layers.picture, Qt.MouseButton.LeftButton, pos=point.toPoint())
    assert layers.picture.grip_at().x() == point.x()  # it stands where the grip does
    assert state.recipe.freeze.preset == f"last:{told.blocks - depth}" and layers.picture.value() == depth
    click(panel.take)
    assert state.recipe.freeze.preset == told.recommended and layers.picture.value() == told.option.depth
    assert not panel.take.isEnabled() and panel.take.toolTip() == "You have this plan already."
    assert advisor.told is told  # what learns makes no difference to it
    window.commands.undo()
    assert layers.picture.value() == depth and panel.take.isEnabled()
    window.commands.undo()
    assert state.recipe.freeze == Recipe(dataset=state.recipe.dataset).freeze


def test_advice_is_forgotten_with_another_network_and_comes_back_with_the_first(
    layers: LayersPage, window: MainWindow, qtbot: QtBot
) -> None:
    state, advisor = window.session.state, window.session.advice
    click(layers.advice.ask)
    qtbot.waitUntil(lambda: advisor.told is not None, timeout=LONG)
    told = advisor.told
    state.edit("size", state.recipe.model_copy(update={"backbone": BackboneChoice(image_size=64)}))
    assert advisor.told is None and layers.picture.curve is None and layers.advice.take.isHidden()
    qtbot.waitUntil(lambda: "is about other settings" in layers.advice.words.text(), timeout=LONG)
    window.commands.undo()
    assert advisor.told is told
    state.go("layers")  # Undo has led to the page Model
    qtbot.waitUntil(lambda: layers.picture.curve is not None, timeout=LONG)  # with the layers of the first


def test_it_can_be_given_up(layers: LayersPage, window: MainWindow, qtbot: QtBot) -> None:
    advisor = window.session.advice
    click(layers.advice.ask)
    layers.advice.progress.cancelled.emit()
    assert not advisor.running and layers.advice.progress.isHidden()
    qtbot.waitUntil(lambda: advisor.can_ask, timeout=LONG)
    assert advisor.told is None and not advisor.fault


def test_a_window_that_closes_meanwhile_leaves_nothing_to_see(layers: LayersPage, window: MainWindow, qtbot: QtBot) -> None:
    click(layers.advice.ask)
    qtbot.waitUntil(lambda: window.session.advice.running, timeout=LONG)
    window.close()
    qtbot.waitUntil(lambda: not window.session.worker.busy, timeout=LONG)
    assert not [shown for shown in QApplication.topLevelWidgets() if shown.isVisible()]


def test_what_stands_in_its_way_is_said(layers: LayersPage, window: MainWindow) -> None:
    state = window.session.state
    weights = BackboneChoice(image_size=32, weights="/nowhere/weights.pth")
    state.edit("weights", state.recipe.model_copy(update={"backbone": weights}))
    assert not layers.advice.ask.isEnabled()
    assert "Advice cannot be had yet" in layers.advice.words.text() and "weights.pth" in layers.advice.words.text()


def test_the_networks_here_are_compared_on_the_pictures(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> None:
    model, ranking = page(window, "model"), window.session.ranking
    assert isinstance(model, ModelPage)
    assert not model.ranking.ask.isEnabled() and model.table.isColumnHidden(PROBE)
    opened(window, shapes(tmp_path / "shapes", pictures=6), qtbot)
    state = window.session.state
    state.edit("size", state.recipe.model_copy(update={"backbone": BackboneChoice(image_size=32)}))
    state.go("model")
    qtbot.waitUntil(model.ranking.ask.isEnabled, timeout=LONG)
    click(model.ranking.ask)
    assert model.ranking.progress.isVisible()
    qtbot.waitUntil(lambda: ranking.told is not None, timeout=LONG)
    told = ranking.told
    assert (
        told is not None and model.ranking.words.text() == f"Probe accuracy on your data, with nothing trained yet: {told.words}"
    )
    assert not model.table.isColumnHidden(PROBE) and model.ranking.progress.isHidden()
    model.table.sortByColumn(PROBE, Qt.SortOrder.DescendingOrder)
    first = model.table.proxy.index(0, PROBE).data(ROW_ROLE)
    assert first.probe == told.scores[0].accuracy
    assert "efficientnet_lite1" in {score.name for score in told.scores}
    chart = model.chart
    model.tabs.setCurrentWidget(chart)
    chart.accuracy.setCurrentIndex(chart.accuracy.findData("probe"))
    asked = {score.name: 100 * score.accuracy.value for score in told.scores}
    assert set(chart.shown) == set(asked) and chart.height_of("efficientnet_lite1") == asked["efficientnet_lite1"]
    name = next(score.name for score in told.scores if score.name != state.recipe.backbone.name)
    model.use(next(offer for offer in model.table.rows.rows if offer.spec.name == name))
    window.commands.undo()
    assert ranking.told is told  # which network is in use makes no difference to it
