"""The tree as Qt sees it."""

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QLineEdit, QStyleOptionViewItem, QTreeView, QWidget
from pytestqt.qtbot import QtBot

from desktop_ft.core.freezing import BatchNormPolicy, FreezePlan
from desktop_ft.gui.layer_model import LAYER, RATE, SHARE, LayerModel
from desktop_ft.gui.rate_delegate import RateDelegate
from tests.gui.test_plan_edit import HEAD, TREE


@pytest.fixture
def model(qtbot: QtBot) -> LayerModel:
    made = LayerModel()
    made.set_tree(TREE, HEAD)
    made.set_plan(FreezePlan(preset="last:1", backbone_rate=0.1), 0.01)
    return made


def state(model: LayerModel, path: str) -> Qt.CheckState:
    return Qt.CheckState(model.index_of(path).data(Qt.ItemDataRole.CheckStateRole))


def test_qt_finds_nothing_wrong_with_it(model: LayerModel) -> None:
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.set_plan(FreezePlan(preset="all"), 0.01)
    model.set_tree(None, "")
    assert model.rowCount() == 0
    model.set_tree(TREE, HEAD)
    assert model.rowCount(model.index_of("body")) == 3
    assert tester.model() is model


def test_check_states_follow_the_leaves(model: LayerModel) -> None:
    assert state(model, HEAD) is Qt.CheckState.Checked
    assert state(model, "body.2") is Qt.CheckState.Checked
    assert state(model, "body") is Qt.CheckState.PartiallyChecked
    assert state(model, "body.0.conv") is Qt.CheckState.Unchecked
    assert state(model, "") is Qt.CheckState.PartiallyChecked


def test_rates_are_shown_as_share_and_as_value(model: LayerModel) -> None:
    body = model.index_of("body.2.conv")
    assert body.siblingAtColumn(SHARE).data() == "0.1"
    assert body.siblingAtColumn(RATE).data() == "0.001"
    assert model.index_of("stem").siblingAtColumn(SHARE).data() == "frozen"


def test_a_plain_int_ticks(model: LayerModel, qtbot: QtBot) -> None:
    told: list[tuple[str, bool]] = []
    model.ticked.connect(lambda path, learn: told.append((path, learn)))
    assert model.setData(model.index_of("stem"), 2, Qt.ItemDataRole.CheckStateRole)
    assert model.setData(model.index_of("stem"), 0, Qt.ItemDataRole.CheckStateRole)
    assert not model.setData(QModelIndex(), 2, Qt.ItemDataRole.CheckStateRole)
    assert told == [("stem", True), ("stem", False)]


def shown(model: LayerModel, qtbot: QtBot) -> QTreeView:
    tree = QTreeView()
    qtbot.addWidget(tree)
    tree.setModel(model)
    tree.setItemDelegate(RateDelegate(tree))
    tree.expandAll()
    tree.show()
    return tree


@pytest.mark.parametrize(("column", "typed"), [(SHARE, 0.05), (RATE, 0.0005)])
def test_a_rate_is_typed_into_its_cell(model: LayerModel, qtbot: QtBot, column: int, typed: float) -> None:
    told: list[tuple[str, float]] = []
    model.rated.connect(lambda path, share: told.append((path, share)))
    tree = shown(model, qtbot)
    cell = model.index_of("body.2").siblingAtColumn(column)
    tree.setCurrentIndex(cell)
    QTest.keyClick(tree, Qt.Key.Key_F2)
    line = tree.findChild(QLineEdit)
    assert line is not None
    assert float(line.text()) == pytest.approx(2 * typed)
    QTest.keyClicks(line, str(typed))
    QTest.keyClick(line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(told))  # Qt commits what was typed with the next event
    assert told == [("body.2", pytest.approx(0.05))]


def test_a_rate_in_a_cell_may_have_a_comma(qtbot: QtBot) -> None:
    cell = QWidget()
    qtbot.addWidget(cell)
    line = RateDelegate().createEditor(cell, QStyleOptionViewItem(), QModelIndex())
    assert isinstance(line, QLineEdit)
    QTest.keyClicks(line, "0,001")
    assert line.text() == "0.001" and line.hasAcceptableInput()


@pytest.mark.parametrize("leave", [Qt.Key.Key_Return, Qt.Key.Key_Escape])
@pytest.mark.parametrize("path", ["body", "stem", "body.2"])
def test_a_cell_that_is_opened_and_left_changes_nothing(model: LayerModel, qtbot: QtBot, leave: Qt.Key, path: str) -> None:
    told: list[str] = []
    model.rated.connect(lambda path, share: told.append(path))
    model.set_plan(FreezePlan(preset="last:1", backbone_rate=0.03), 0.003)
    tree = shown(model, qtbot)
    tree.setCurrentIndex(model.index_of(path).siblingAtColumn(RATE))
    QTest.keyClick(tree, Qt.Key.Key_F2)
    line = tree.findChild(QLineEdit)
    assert line is not None
    QTest.keyClick(line, leave)
    qtbot.waitUntil(lambda: tree.state() is not QTreeView.State.EditingState)
    assert told == []


def test_a_tiny_rate_is_shown_and_kept(model: LayerModel, qtbot: QtBot) -> None:
    told: list[tuple[str, float]] = []
    model.rated.connect(lambda path, share: told.append((path, share)))
    model.set_plan(FreezePlan(preset="discriminative:0.05", backbone_rate=0.0001), 0.003)
    tree = shown(model, qtbot)
    cell = model.index_of("stem").siblingAtColumn(RATE)
    tree.setCurrentIndex(cell)
    QTest.keyClick(tree, Qt.Key.Key_F2)
    line = tree.findChild(QLineEdit)
    assert line is not None
    assert 0 < float(line.text()) == pytest.approx(cell.data(Qt.ItemDataRole.EditRole), rel=1e-5)
    QTest.keyClicks(line, "1e-7")
    QTest.keyClick(line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(told))
    assert told == [("stem", pytest.approx(1e-7 / 0.003))]


def test_layers_that_the_policy_holds_cannot_be_ticked(model: LayerModel) -> None:
    model.set_plan(FreezePlan(preset="all", batch_norm=BatchNormPolicy.FROZEN), 0.01)
    assert not model.flags(model.index_of("body.0.bn")) & Qt.ItemFlag.ItemIsUserCheckable
    assert state(model, "body") is Qt.CheckState.Checked
    assert model.index_of("body").column() == LAYER
