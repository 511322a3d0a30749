"""The page Layers: what is done with many layers at once, and with whole plans."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QItemSelectionModel, QRect, Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QStyle, QStyleOptionViewItem
from pytestqt.qtbot import QtBot

from desktop_ft.core.errors import UserError
from desktop_ft.core.events import LayerSeen, LayersSeen
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.core.recipe import BackboneChoice
from desktop_ft.gui import languages
from desktop_ft.gui.layer_model import COMPARED, DRIFT, LAYER, LEARNED, PATH_ROLE, REMARK, SHARE
from desktop_ft.gui.layers_page import LayersPage
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.palette import Palette
from tests.gui.test_results import judged  # noqa: F401 - a fixture
from tests.gui.test_runs import made
from tests.gui.test_window import click, page

_ADD = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
_CTRL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def layers(window: MainWindow, qtbot: QtBot) -> LayersPage:
    found = page(window, "layers")
    assert isinstance(found, LayersPage)
    qtbot.waitUntil(lambda: window.session.state.tree is not None, timeout=60_000)
    return found


@pytest.fixture
def plan(window: MainWindow) -> Callable[[], FreezePlan]:
    return lambda: window.session.state.recipe.freeze


def test_a_network_that_could_not_be_built_is_forgotten_with_the_next(layers: LayersPage, window: MainWindow) -> None:
    state, networks = window.session.state, window.session.networks
    tree = state.tree
    for seen in ("layers", "data"):
        state.go(seen)
        state.set_tree(None)
        networks.tree_failed.emit(UserError("It cannot be built.", "Choose another."))
        state.go("layers")
        assert "cannot be built" in layers.notice.text and layers.retry.isVisible() and layers.progress.isHidden()
        state.go(seen)
        state.set_tree(tree)
        state.go("layers")
        assert not layers.notice.text and layers.retry.isHidden() and layers.tree.isVisible()


def test_where_the_pictures_are_gone_the_head_is_as_large_as_that_of_the_open_run(
    layers: LayersPage,
    window: MainWindow,
    judged: Path,  # noqa: F811 - the fixture
    qtbot: QtBot,
) -> None:
    state = window.session.state
    assert state.tree is not None and state.manifest is None
    whole = state.tree.parameters
    window.session.shown.open(judged)
    qtbot.waitUntil(lambda: state.tree is not None and state.tree.parameters < whole, timeout=60_000)
    assert whole - state.tree.parameters == (1000 - 2) * (1280 + 1)
    assert layers.share.text().startswith("0.1 % of 3.37 M")


def test_other_layers_and_another_plan_are_drawn_together_when_the_page_is_shown(
    layers: LayersPage, window: MainWindow, qtbot: QtBot
) -> None:
    state = window.session.state
    state.go("data")
    recipe = state.recipe
    state.edit("plan", recipe.model_copy(update={"freeze": FreezePlan(preset="all")}))
    state.edit("network", state.recipe.model_copy(update={"backbone": BackboneChoice(name="efficientnet_lite1")}))
    qtbot.waitUntil(lambda: state.tree is not None, timeout=60_000)
    state.go("layers")
    tree = state.tree
    assert tree is not None and set(layers.model.rates) == {leaf.path for leaf in tree.leaves()}
    assert layers.preset.currentData() == "all"
    state.undo_stack.undo()
    state.undo_stack.undo()
    state.go("data")
    qtbot.waitUntil(lambda: state.tree is not None, timeout=60_000)
    state.go("layers")
    assert layers.preset.currentData() == recipe.freeze.preset


def select(layers: LayersPage, *paths: str) -> None:
    selection = layers.tree.selectionModel()
    layers.tree.setCurrentIndex(layers.model.index_of(paths[0]))
    for path in paths:
        selection.select(layers.model.index_of(path), _ADD)
    layers.tree.setFocus()


def learns(layers: LayersPage, path: str) -> bool:
    return any(rate for leaf, rate in layers.model.rates.items() if leaf == path or leaf.startswith(f"{path}."))


def click_tick(layers: LayersPage, path: str) -> None:
    """Click the check box of a layer."""
    index = layers.model.index_of(path)
    layers.tree.scrollTo(index)
    option = QStyleOptionViewItem()
    option.initFrom(layers.tree)
    option.rect = layers.tree.visualRect(index)
    option.features |= QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator
    box: QRect = layers.tree.style().subElementRect(QStyle.SubElement.SE_ItemViewItemCheckIndicator, option, layers.tree)
    QTest.mouseClick(layers.tree.viewport(), Qt.MouseButton.LeftButton, pos=box.center())


def test_a_tick_or_a_rate_is_for_all_that_are_selected(
    window: MainWindow, layers: LayersPage, plan: Callable[[], FreezePlan], qtbot: QtBot
) -> None:
    before = plan()
    select(layers, "conv_head", "bn2", "conv_stem")
    QTest.keyClick(layers.tree, Qt.Key.Key_Space)
    assert all(learns(layers, path) for path in ("conv_head", "bn2", "conv_stem")) and not learns(layers, "blocks")
    assert window.session.state.undo_stack.undoText() == "let learn 3 layers"
    click_tick(layers, "bn2")  # the mouse means them all, too
    assert not any(learns(layers, path) for path in ("conv_head", "bn2", "conv_stem"))
    select(layers, "conv_head", "conv_stem")
    cell = layers.model.index_of("conv_head").siblingAtColumn(SHARE)
    layers.tree.selectionModel().setCurrentIndex(cell, QItemSelectionModel.SelectionFlag.NoUpdate)
    QTest.keyClick(layers.tree, Qt.Key.Key_F2)
    editor = layers.tree.findChild(QLineEdit)
    assert editor is not None
    QTest.keyClicks(editor, "0.5")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    wanted = pytest.approx(0.5)
    qtbot.waitUntil(lambda: layers.model.rates["conv_head"] == wanted and layers.model.rates["conv_stem"] == wanted)
    for _ in range(3):
        window.commands.undo()
    assert plan() == before
    select(layers, "conv_head", "bn2")
    click_tick(layers, "conv_stem")  # not among them: it alone
    assert learns(layers, "conv_stem") and not learns(layers, "bn2")


def test_layers_are_found_and_selected(layers: LayersPage, plan: Callable[[], FreezePlan]) -> None:
    QTest.keyClicks(layers.search.line, "blocks.6.0.bn")
    assert layers.search.found.text() == "1 of 3 layers found"
    current = layers.tree.currentIndex
    assert current().data(PATH_ROLE) == "blocks.6.0.bn1"
    QTest.keyClick(layers.search.line, Qt.Key.Key_Return)
    assert current().data(PATH_ROLE) == "blocks.6.0.bn2" and layers.search.found.text() == "2 of 3 layers found"
    QTest.keyClick(layers.search.line, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(layers.search.line, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert current().data(PATH_ROLE) == "blocks.6.0.bn3"  # from the first on to the last
    click(layers.search.select)
    QTest.keyClick(layers.tree, Qt.Key.Key_Space)
    assert [path for path, rate in layers.model.rates.items() if rate] == [
        "blocks.6.0.bn1",
        "blocks.6.0.bn2",
        "blocks.6.0.bn3",
        "classifier",
    ]
    layers.search.line.setText("BATCHNORM")
    assert layers.search.found.text() == "1 of 49 layers found"
    layers.search.line.setText("nothing like it")
    assert layers.search.found.text() == "No layer is called so." and not layers.search.select.isEnabled()


def test_a_plan_is_copied_and_pasted(
    window: MainWindow, layers: LayersPage, plan: Callable[[], FreezePlan], qtbot: QtBot
) -> None:
    select(layers, "conv_stem")
    QTest.keyClick(layers.tree, Qt.Key.Key_Space)
    wanted = plan()
    copy, copy_options, paste = (window.actions_[name] for name in ("plan.copy", "plan.options", "plan.paste"))
    assert layers.plan.menu().actions()[:3] == [copy, copy_options, paste], "the very actions of the menu Edit"
    for how in (copy, copy_options):
        how.trigger()
        assert "clipboard" in layers.notice.text and ("options" in layers.notice.text) == (how is copy_options)
        window.commands.undo()
        assert plan() != wanted
        paste.trigger()
        assert "Undo takes it back" in layers.notice.text
        assert plan() == wanted and window.session.state.undo_stack.undoText() == "paste a plan"
        window.commands.undo()
        window.commands.redo()
    QTest.keyClick(window, Qt.Key.Key_C, _CTRL_SHIFT)
    assert QGuiApplication.clipboard().text().startswith("[freeze]")
    QGuiApplication.clipboard().setText("--freeze all")
    QTest.keyClick(window, Qt.Key.Key_V, _CTRL_SHIFT)
    assert plan() == FreezePlan(preset="all")
    for text, told in (("hello", "no freeze plan"), ("--freeze all --rate layer4=0", "efficientnet_lite0 has no layer 'layer4'")):
        QGuiApplication.clipboard().setText(text)
        paste.trigger()
        assert told in window.notice.text and plan() == FreezePlan(preset="all")


def compared(layers: LayersPage, path: str) -> str:
    return str(layers.model.index_of(path).siblingAtColumn(COMPARED).data())


def test_a_plan_is_compared_with_a_preset_and_with_what_was_copied(
    window: MainWindow, layers: LayersPage, plan: Callable[[], FreezePlan]
) -> None:
    assert layers.tree.isColumnHidden(COMPARED) and not layers.plan.stop.isEnabled()
    preset = next(action for action in layers.plan.presets.actions() if action.text().endswith(" all"))
    assert isinstance(preset, QAction)
    preset.trigger()
    assert not layers.tree.isColumnHidden(COMPARED) and "Compared with all: " in layers.comparison.text()
    assert compared(layers, "conv_stem") == "≠ 0.03" and compared(layers, "classifier") == ""
    QGuiApplication.clipboard().setText("--freeze head --rate conv_stem=0 --rate classifier=0")
    layers.plan.with_copied.trigger()
    assert compared(layers, "classifier") == "≠ frozen" and compared(layers, "conv_stem") == ""
    assert "1 layer differs: classifier." in layers.comparison.text()
    select(layers, "classifier")
    QTest.keyClick(layers.tree, Qt.Key.Key_Space)  # what is compared follows each edit
    assert "every layer learns at the same rate" in layers.comparison.text() and compared(layers, "classifier") == ""
    window.commands.undo()
    assert compared(layers, "classifier") == "≠ frozen"
    layers.plan.stop.trigger()
    assert layers.tree.isColumnHidden(COMPARED) and layers.comparison.isHidden() and plan() == FreezePlan()


def test_a_plan_is_compared_with_that_of_a_run(window: MainWindow, layers: LayersPage, photos: Path, qtbot: QtBot) -> None:
    layers.plan.with_run.trigger()
    qtbot.waitUntil(lambda: "no runs yet" in layers.notice.text)
    made("first try", photos, preset="last:1")
    layers.plan.with_run.trigger()
    qtbot.waitUntil(lambda: window.findChild(Palette) is not None)
    palette = window.findChild(Palette)
    assert palette is not None
    QTest.keyClicks(palette.line, "first")
    QTest.keyClick(palette.line, Qt.Key.Key_Return)
    assert "Compared with the run first try" in layers.comparison.text() and compared(layers, "conv_head") == "≠ 0.03"


def test_what_was_done_with_a_plan_is_told_on_every_page(window: MainWindow) -> None:
    window.session.state.go("train")
    window.page("train")
    for name, said in (("plan.copy", "clipboard"), ("plan.paste", "The copied plan is this project's now")):
        window.actions_[name].trigger()
        assert said in window.notice.text


@pytest.fixture(params=["en", "de"])
def spoken(request: pytest.FixtureRequest, english_again: None, qapp: QApplication) -> str:
    """The language that the window speaks."""
    return languages.speak(qapp, request.param)


def test_whatever_a_layer_does_finds_room_beside_the_others(
    spoken: str, layers: LayersPage, window: MainWindow, tmp_path: Path
) -> None:
    window.session.state.go("layers")
    leaves = window.session.state.tree.leaves()  # type: ignore[union-attr]
    values = itertools.cycle([(0.00012, 0.00123, 0.2512), (1.2e-7, 1e-9, 1.2e-9), (1.2e3, 0.0, 0.0), (0.0, 0.9999, 0.00123)])
    seen = tuple(
        LayerSeen(path=leaf.path, gradient=gradient, update=update, drift=drift)
        for leaf, (gradient, update, drift) in zip(leaves, values, strict=False)
    )
    window.session.training.show(tmp_path, MetricHistory.of([LayersSeen(epoch=epoch, layers=seen) for epoch in (0, 1)]))
    click(layers.learning.switch)
    layers.tree.expandAll()
    header = layers.tree.header()
    for column in LEARNED:
        assert header.sectionSize(column) >= max(layers.tree.sizeHintForColumn(column), header.sectionSizeHint(column))
    assert header.sectionSize(LAYER) >= layers.tree.sizeHintForColumn(LAYER), "and the names have what is left"
    assert header.length() <= layers.tree.viewport().width()


def test_the_tree_shows_how_the_layers_of_a_run_learn(layers: LayersPage, window: MainWindow, tmp_path: Path) -> None:
    window.session.state.go("layers")
    assert layers.learning.switch.isHidden()
    forgets = LayerSeen(path="blocks.1.0.conv_dw", gradient=0.3, update=1e-3, drift=0.25)
    looks = [
        LayersSeen(epoch=epoch, layers=(forgets, LayerSeen(path="classifier", gradient=0.4, update=0.05))) for epoch in (0, 1)
    ]
    window.session.training.show(tmp_path, MetricHistory.of(looks))
    assert layers.learning.switch.isVisible() and layers.tree.isColumnHidden(DRIFT)
    click(layers.learning.switch)
    assert not layers.tree.isColumnHidden(DRIFT) and layers.tree.isColumnHidden(SHARE)
    assert "blocks.1.0.conv_dw: forgets." in layers.learning.line.text() and layers.learning.line.isVisible()
    shown = layers.model.index_of("blocks.1")
    assert [shown.siblingAtColumn(column).data() for column in LEARNED] == ["0.3", "0.1 %", "25 %", "forgets"]
    assert "Lower the learning rate" in shown.siblingAtColumn(REMARK).data(Qt.ItemDataRole.ToolTipRole)
    click(layers.learning.switch)
    assert layers.tree.isColumnHidden(DRIFT) and not layers.tree.isColumnHidden(SHARE) and layers.learning.line.isHidden()
    window.session.training.forget()
    assert layers.learning.switch.isHidden()
