"""The layer tree for Qt: an adapter over `LayerNode`. Ticks are worked out from the leaves, never stored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.language import grouped, marked, tr
from desktop_ft.core.layer_learning import CURES, LayerState, share, together
from desktop_ft.core.layers import LayerNode
from desktop_ft.core.plan_comparison import differ
from desktop_ft.gui import words
from desktop_ft.gui.plan_edit import held_by_policy

_Index = QModelIndex | QPersistentModelIndex
TITLES = (
    marked("Layer"),
    marked("Type"),
    marked("Parameters"),
    marked("Output"),
    marked("Share of rate"),
    marked("Learning rate"),
    marked("Compared"),
    marked("Gradient"),
    marked("Step"),
    marked("Drift"),
    marked("Remark"),
)
HELP = (
    marked("Tick what shall learn; what is not ticked stays exactly as it was."),
    marked("What kind of layer it is."),
    marked("How many numbers it holds."),
    marked("Shape of its output for one picture."),
    marked("Its learning rate as a share of the recipe's. Double-click, or F2, to give it one of its own; 0 freezes it."),
    marked("Its learning rate at the highest point of the schedule. Double-click, or F2, to change it; 0 freezes the layer."),
    marked("Its share of the rate in the plan that this one is compared with, where that differs."),
    marked("Length of its gradient in the last step of the epoch: how much the loss asks of it."),
    marked("How far that step moved its weights, as a share of their length."),
    marked("How far its weights are from what they were pre-trained to, as a share of their length."),
    marked("What is wrong with how it learns, if anything."),
)
LAYER, TYPE, PARAMETERS, OUTPUT, SHARE, RATE, COMPARED, GRADIENT, STEP, DRIFT, REMARK = range(11)
LEARNED = (GRADIENT, STEP, DRIFT, REMARK)
_NUMBERS = (PARAMETERS, SHARE, RATE, COMPARED, GRADIENT, STEP, DRIFT)
PATH_ROLE = int(Qt.ItemDataRole.UserRole)


@dataclass(slots=True)
class _Row:
    """A node, its place, and the interval of leaves below it."""

    node: LayerNode
    parent: int
    place: int
    first: int
    last: int = 0
    children: list[int] = field(default_factory=list)


class LayerModel(QAbstractItemModel):
    """Rows are layers. `ticked` tells that a person wants a layer to learn or not, `rated` at which share of the learning
    rate; the model itself changes nothing.
    """

    ticked = Signal(str, bool)
    rated = Signal(str, float)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[_Row] = []
        self._leaves: list[LayerNode] = []
        self._rates: Mapping[str, float] = {}
        self._held: frozenset[str] = frozenset()
        self._lr = 0.0
        self._head = ""
        self._others: Mapping[str, float] | None = None
        self._learned: Mapping[str, LayerState] = {}

    def set_tree(self, tree: LayerNode | None, head: str) -> None:
        """Show another network."""
        self.beginResetModel()
        self._rows, self._leaves, self._rates, self._head = [], [], {}, head
        if tree is not None:
            self._add(tree, -1, 0)
        self.endResetModel()

    def set_plan(self, plan: FreezePlan, lr: float, epoch: int = 0) -> None:
        """Show what `plan` comes to in `epoch` (0-based), at a learning rate of `lr` for the head."""
        if not self._rows:
            return
        tree = self._rows[0].node
        self._rates, self._held, self._lr = plan.rates(tree, self._head, epoch), held_by_policy(plan, tree), lr
        for number, row in enumerate(self._rows):
            index = self.createIndex(row.place, 0, number)
            self.dataChanged.emit(index, index.siblingAtColumn(COMPARED))

    def set_others(self, rates: Mapping[str, float] | None) -> None:
        """Show where the rates differ from those of another plan, by leaf path; None: compare no more."""
        self._others = rates

    def set_learned(self, found: Mapping[str, LayerState]) -> None:
        """Show how the layers of a run have learned, by leaf path."""
        self._learned = found
        for number, row in enumerate(self._rows):
            index = self.createIndex(row.place, GRADIENT, number)
            self.dataChanged.emit(index, index.siblingAtColumn(REMARK))

    def matches(self, text: str) -> list[QModelIndex]:
        """The layers whose path or type has `text` in it, in order; of those that lie within each other the innermost alone."""
        wanted = text.lower()
        found = {number for number, row in enumerate(self._rows) if _is_named(row.node, wanted)} if wanted else set()
        above = {ancestor for number in found for ancestor in self._above(number)}
        return [self.createIndex(self._rows[number].place, 0, number) for number in sorted(found - above)]

    def _above(self, number: int) -> Iterator[int]:
        while (number := self._rows[number].parent) >= 0:
            yield number

    @property
    def rates(self) -> Mapping[str, float]:
        """Leaf path to its multiplier."""
        return self._rates

    def check_state(self, index: _Index) -> Qt.CheckState:
        """Checked when every leaf below learns that can, unchecked when none does."""
        row = self._rows[index.internalId()]
        can = [leaf for leaf in self._leaves[row.first : row.last] if leaf.path not in self._held]
        learning = sum(self._rates.get(leaf.path, 0.0) > 0 for leaf in can)
        if learning == 0:
            return Qt.CheckState.Unchecked
        return Qt.CheckState.Checked if learning == len(can) else Qt.CheckState.PartiallyChecked

    def index_of(self, path: str) -> QModelIndex:
        """Where the layer `path` stands."""
        for number, row in enumerate(self._rows):
            if row.node.path == path:
                return self.createIndex(row.place, 0, number)
        return QModelIndex()

    def index(self, row: int, column: int, parent: _Index = QModelIndex()) -> QModelIndex:  # noqa: B008 - Qt's
        """Qt's address of a cell."""
        if not self.hasIndex(row, column, parent):
            return QModelIndex()
        number = self._rows[parent.internalId()].children[row] if parent.isValid() else 0
        return self.createIndex(row, column, number)

    def parent(self, index: _Index) -> QModelIndex:  # type: ignore[override] # Qt overloads it with QObject.parent()
        """Qt's address of the layer above."""
        if not index.isValid():
            return QModelIndex()
        above = self._rows[index.internalId()].parent
        return self.createIndex(self._rows[above].place, 0, above) if above >= 0 else QModelIndex()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's
        """Layers directly below."""
        if not parent.isValid():
            return 1 if self._rows else 0
        return len(self._rows[parent.internalId()].children) if parent.column() == 0 else 0

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's
        """Columns."""
        return len(TITLES)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802 - Qt's
        """Titles and their explanations."""
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return tr(TITLES[section])
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return tr(HELP[section])
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return None

    def flags(self, index: _Index) -> Qt.ItemFlag:
        """Layers with parameters can be ticked and given a rate, unless the BatchNorm policy holds them."""
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        row = self._rows[index.internalId()]
        free = any(leaf.path not in self._held for leaf in self._leaves[row.first : row.last])
        own = {LAYER: Qt.ItemFlag.ItemIsUserCheckable, SHARE: Qt.ItemFlag.ItemIsEditable, RATE: Qt.ItemFlag.ItemIsEditable}
        return flags | own.get(index.column(), flags) if free else flags

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        if not index.isValid():
            return None
        row = self._rows[index.internalId()]
        column = index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == Qt.ItemDataRole.EditRole and column in (SHARE, RATE):
            return max(self._shares(row), default=0.0) * self._unit(column)
        if role == Qt.ItemDataRole.CheckStateRole and column == LAYER and row.last > row.first:
            return self.check_state(index)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return row.node.path if role == PATH_ROLE else None

    def setData(self, index: _Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:  # noqa: N802 - Qt's
        """Tell that a layer shall learn, or not, or how fast."""
        if not index.isValid():
            return False
        path, column = self._rows[index.internalId()].node.path, index.column()
        if role == Qt.ItemDataRole.CheckStateRole and column == LAYER:
            # PySide6 hands over a plain int.
            self.ticked.emit(path, Qt.CheckState(value) is not Qt.CheckState.Unchecked)
            return True
        if role == Qt.ItemDataRole.EditRole and column in (SHARE, RATE):
            self.rated.emit(path, float(value) / self._unit(column))
            return True
        return False

    def _add(self, node: LayerNode, parent: int, place: int) -> int:
        number = len(self._rows)
        row = _Row(node, parent, place, len(self._leaves))
        self._rows.append(row)
        if not node.children and node.parameters:
            self._leaves.append(node)
        row.children = [self._add(child, number, at) for at, child in enumerate(node.children)]
        row.last = len(self._leaves)
        return number

    def _text(self, row: _Row, column: int) -> str:
        node = row.node
        match column:
            case 0:
                return node.name or tr("network")
            case 1:
                return node.type
            case 2:
                return grouped(node.parameters) if node.parameters else ""
            case 3:
                return " × ".join(map(str, node.output_shape)) if node.output_shape else ""
        if column == COMPARED:
            return self._compared(row)
        if column in LEARNED:
            return self._of_learning(row, column)
        return _span(self._shares(row), self._unit(column)) or (tr("frozen") if row.last > row.first else "")

    def _compared(self, row: _Row) -> str:
        if self._others is None:
            return ""
        leaves = [leaf.path for leaf in self._leaves[row.first : row.last]]
        if not any(differ(self._rates.get(path, 0.0), self._others.get(path, 0.0)) for path in leaves):
            return ""
        return f"≠ {_span({self._others.get(path, 0.0) for path in leaves} - {0.0}, 1.0) or tr('frozen')}"

    def _of_learning(self, row: _Row, column: int) -> str:
        state = self._state(row)
        if state is None:
            return ""
        if column == REMARK:
            return tr(state.sign.value) if state.sign is not None else ""
        value = {GRADIENT: state.gradient, STEP: state.update, DRIFT: state.drift}[column]
        if value is None:
            return ""
        return f"{value:.2g}" if column == GRADIENT else share(value)

    def _state(self, row: _Row) -> LayerState | None:
        leaves = (leaf.path for leaf in self._leaves[row.first : row.last])
        return together(self._learned[path] for path in leaves if path in self._learned)

    def _unit(self, column: int) -> float:
        return 1.0 if column == SHARE else self._lr

    def _shares(self, row: _Row) -> set[float]:
        """The multipliers of what learns below."""
        return {self._rates.get(leaf.path, 0.0) for leaf in self._leaves[row.first : row.last]} - {0.0}

    def _tip(self, row: _Row, column: int) -> str:
        if column == REMARK and (state := self._state(row)) is not None and state.sign is not None:
            return f"{row.node.path or tr('the whole network')}\n{tr(CURES[state.sign])}"
        if row.node.path in self._held:
            return tr("{layer}: held by the BatchNorm policy 'frozen'.", layer=row.node.path)
        return f"{row.node.path or tr('the whole network')}\n{tr(HELP[column])}"


def _is_named(node: LayerNode, wanted: str) -> bool:
    return wanted in node.path.lower() or wanted in node.type.lower()


def _span(rates: set[float], unit: float) -> str:
    """The rates from the lowest to the highest; "" where there are none."""
    if not rates:
        return ""
    low, high = min(rates) * unit, max(rates) * unit
    return words.rate(low) if low == high else f"{low:.2g} – {high:.2g}"


def _alignment(column: int) -> int:
    side = Qt.AlignmentFlag.AlignRight if column in _NUMBERS else Qt.AlignmentFlag.AlignLeft
    return int(side | Qt.AlignmentFlag.AlignVCenter)
