"""Read-only tables whose columns are described as data: sorted, filtered, copied and drawn in one way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRectF,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPainter
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QStyledItemDelegate, QStyleOptionViewItem, QTableView, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.widgets import letters_width

SORT_ROLE = int(Qt.ItemDataRole.UserRole)
ROW_ROLE = SORT_ROLE + 1
BAR_ROLE = SORT_ROLE + 2
WARN_ROLE = SORT_ROLE + 3
_Index = QModelIndex | QPersistentModelIndex
_PADDING = 22
"""Of a cell, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        title, help: of the column, in English; they are looked up where they are shown.
        text: what a row shows in it.
        sort: what it is sorted by; the text where not given.
        tip: the tool tip; the text where not given.
        bar: a share, 0 to 1, drawn as a bar behind the text.
        warn: whether the bar has the colour of a warning.
        number: whether it stands on the right.
        width: in average characters; 0 takes what is left.
        among: all words that it can show, in English, where these are few: none of them is cut, in whatever language.
    """

    title: str
    text: Callable[[Any], str]
    sort: Callable[[Any], Any] | None = None
    tip: Callable[[Any], str] | None = None
    bar: Callable[[Any], float] | None = None
    warn: Callable[[Any], bool] | None = None
    number: bool = False
    width: int = 0
    among: tuple[str, ...] = ()
    help: str = ""


class TableModel(QAbstractTableModel):
    """Rows of any value, seen through columns."""

    def __init__(self, columns: Sequence[Column], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._columns = tuple(columns)
        self._rows: list[Any] = []
        self.bold: Callable[[Any], bool] | None = None

    @property
    def rows(self) -> list[Any]:
        """The rows in their own order."""
        return self._rows

    def set_rows(self, rows: Sequence[Any]) -> None:
        """Show other rows."""
        self.beginResetModel()
        self._rows = list(rows)
        self.endResetModel()

    def add_rows(self, rows: Sequence[Any]) -> None:
        """Show more rows, behind those there are; what is selected stays so."""
        if rows:
            self.beginInsertRows(QModelIndex(), len(self._rows), len(self._rows) + len(rows) - 1)
            self._rows.extend(rows)
            self.endInsertRows()

    def redraw(self) -> None:
        """What the rows say has changed; which rows there are has not."""
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(self._columns) - 1))

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's
        """Rows, on the top level only."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's
        """Columns."""
        return 0 if parent.isValid() else len(self._columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802 - Qt's
        """Titles and their explanations."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        column = self._columns[section]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return tr(column.title)
            case Qt.ItemDataRole.ToolTipRole:
                return tr(column.help) or None
            case Qt.ItemDataRole.TextAlignmentRole:
                side = Qt.AlignmentFlag.AlignRight if column.number else Qt.AlignmentFlag.AlignLeft
                return int(side | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows and how."""
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], self._columns[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.text(row)
            case Qt.ItemDataRole.ToolTipRole:
                return (column.tip or column.text)(row)
            case Qt.ItemDataRole.TextAlignmentRole:
                side = Qt.AlignmentFlag.AlignRight if column.number else Qt.AlignmentFlag.AlignLeft
                return int(side | Qt.AlignmentFlag.AlignVCenter)
            case Qt.ItemDataRole.FontRole:
                return self._font(row) if index.column() == 0 else None
        if role == SORT_ROLE:
            return (column.sort or column.text)(row)
        if role == BAR_ROLE:
            return column.bar(row) if column.bar else None
        if role == WARN_ROLE:
            return column.warn is not None and column.warn(row)
        return row if role == ROW_ROLE else None

    def _font(self, row: Any) -> Any:
        if self.bold is None or not self.bold(row):
            return None
        font = QFont(QGuiApplication.font())
        font.setBold(True)
        return font


class BarDelegate(QStyledItemDelegate):
    """Draws a column's bar behind its text."""

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = theme

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """The bar, then the cell."""
        share = index.data(BAR_ROLE)
        if isinstance(share, float):
            area = QRectF(option.rect).adjusted(3, 4, -3, -4)
            area.setWidth(max(2.0, area.width() * min(1.0, share)))
            colours = self._theme.colours
            painter.fillRect(area, QColor(colours.warn_soft if index.data(WARN_ROLE) else colours.accent_soft))
        super().paint(painter, option, index)


class _Filter(QSortFilterProxyModel):
    """Sorts, and keeps the rows that are wanted, of those that the text lets through."""

    wanted: Callable[[Any], bool] | None = None

    def filterAcceptsRow(self, row: int, parent: _Index) -> bool:  # noqa: N802 - Qt's name
        """Whether the row is shown."""
        model = self.sourceModel()
        if self.wanted is not None and isinstance(model, TableModel) and not self.wanted(model.rows[row]):
            return False
        return super().filterAcceptsRow(row, parent)


class Table(QTableView):
    """A sortable, searchable table of a `TableModel`."""

    def __init__(self, model: TableModel, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = model
        model.setParent(self)  # else nobody frees it once Qt has called it its own
        self.proxy = _Filter(self)
        self.proxy.setSourceModel(model)
        self.proxy.setSortRole(SORT_ROLE)
        self.proxy.setSortCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.proxy.setFilterKeyColumn(-1)
        self.proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.setModel(self.proxy)
        self.setItemDelegate(BarDelegate(theme, self))
        self.setAccessibleName(name)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 11)
        self.horizontalHeader().setHighlightSections(False)
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)

    def set_widths(self, columns: Sequence[Column]) -> None:
        """Give each column the width it asks for."""
        header = self.horizontalHeader()
        for number, column in enumerate(columns):
            if column.width:
                title = self._width_of(column.title) + letters_width(self, 1)  # beside it stands how it is sorted
                asked = letters_width(self, column.width)
                self.setColumnWidth(number, max(asked, title, *map(self._width_of, column.among)) + _PADDING)
            else:
                header.setSectionResizeMode(number, QHeaderView.ResizeMode.Stretch)

    def _width_of(self, word: str) -> int:
        return self.fontMetrics().horizontalAdvance(tr(word))

    def keep(self, wanted: Callable[[Any], bool]) -> None:
        """Show the rows that are `wanted`, and no others."""
        self.proxy.beginFilterChange()
        self.proxy.wanted = wanted
        self.proxy.endFilterChange(QSortFilterProxyModel.Direction.Rows)

    def current(self) -> Any:
        """The value of the current row, or None."""
        index = self.currentIndex()
        return index.data(ROW_ROLE) if index.isValid() else None

    def choose(self, wanted: Callable[[Any], bool]) -> None:
        """Select the rows that are `wanted`, and no others."""
        flag = QItemSelectionModel.SelectionFlag
        selection = QItemSelection()
        for number in range(self.proxy.rowCount()):
            index = self.proxy.index(number, 0)
            if wanted(index.data(ROW_ROLE)):
                selection.select(index, index)
        self.selectionModel().select(selection, flag.ClearAndSelect | flag.Rows)

    def select(self, wanted: Callable[[Any], bool]) -> None:
        """Make the first row that is `wanted` the current one."""
        for number, value in enumerate(self.rows.rows):
            if wanted(value):
                index = self.proxy.mapFromSource(self.rows.index(number, 0))
                if index.isValid():
                    self.setCurrentIndex(index)
                return


def table(columns: Sequence[Column], theme: Theme, name: str) -> Table:
    """A table with these columns, empty."""
    made = Table(TableModel(columns), theme, name)
    made.set_widths(columns)
    return made
