"""The confusion matrix as a table: rows are what the pictures are, columns what they were called."""

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QTableView, QWidget

from desktop_ft.core.language import grouped, tr, tr_n
from desktop_ft.core.metrics import Evaluation
from desktop_ft.gui import words
from desktop_ft.gui.theme import Theme

_Index = QModelIndex | QPersistentModelIndex


class ConfusionModel(QAbstractTableModel):
    """Counts, coloured by their share of the row: right answers green, wrong ones red."""

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._names: tuple[str, ...] = ()
        self._counts: tuple[tuple[int, ...], ...] = ()

    def set_evaluation(self, evaluation: Evaluation | None) -> None:
        """Show another evaluation."""
        self.beginResetModel()
        self._names = tuple(words.printable(name) for name in evaluation.classes) if evaluation else ()
        self._counts = evaluation.confusion if evaluation else ()
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's
        """Classes."""
        return 0 if parent.isValid() else len(self._counts)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's
        """Classes."""
        return 0 if parent.isValid() else len(self._counts)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802 - Qt's
        """Class names."""
        return self._names[section] if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole) else None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The count, and its colour."""
        if not index.isValid():
            return None
        number = self._counts[index.row()][index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return grouped(number) if number else "·"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignCenter)
        if role == Qt.ItemDataRole.ToolTipRole:
            actual, called = self._names[index.row()], self._names[index.column()]
            return tr_n(
                "{n:,} picture of {actual} called {called}. Click to see them.",
                "{n:,} pictures of {actual} called {called}. Click to see them.",
                n=number,
                actual=actual,
                called=called,
            )
        if role == Qt.ItemDataRole.BackgroundRole:
            return self._colour(index.row(), index.column(), number)
        return None

    def _colour(self, row: int, column: int, number: int) -> QColor | None:
        whole = sum(self._counts[row])
        if not number or not whole:
            return None
        colour = QColor(self._theme.colours.good if row == column else self._theme.colours.bad)
        colour.setAlphaF(0.12 + 0.4 * number / whole)
        return colour


class Confusion(QTableView):
    """The matrix; choosing a cell tells (actual, called)."""

    picked = Signal(int, int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.matrix = ConfusionModel(theme, self)
        self.setModel(self.matrix)
        self.setAccessibleName(tr("Confusion matrix: rows are what pictures are, columns what they were called"))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        for header, least in ((self.horizontalHeader(), 44), (self.verticalHeader(), self.fontMetrics().height() + 12)):
            header.setMinimumSectionSize(least)
            header.setHighlightSections(True)
        self.selectionModel().currentChanged.connect(self._pick)

    def show_evaluation(self, evaluation: Evaluation | None) -> None:
        """Show another evaluation."""
        self.matrix.set_evaluation(evaluation)
        self.resizeColumnsToContents()
        widest = max((self.columnWidth(column) for column in range(self.matrix.columnCount())), default=0)
        for column in range(self.matrix.columnCount()):
            self.setColumnWidth(column, min(140, max(widest, 48)))

    def _pick(self, current: QModelIndex) -> None:
        if current.isValid():
            self.picked.emit(current.row(), current.column())
