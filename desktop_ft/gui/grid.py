"""A scrolling grid of cells of one size. Where a cell lies is arithmetic: 100,000 of them cost no more than a hundred."""

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QPersistentModelIndex, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPalette, QRegion
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyleOptionViewItem, QWidget

_Index = QModelIndex | QPersistentModelIndex
_State = QAbstractItemView.State
_Cursor = QAbstractItemView.CursorAction
_Hint = QAbstractItemView.ScrollHint


class Grid(QAbstractItemView):
    """The rows of a list model, cell by cell and line by line; as many cells a line as there is room for.

    Qt's own list view lays out every item anew on each reset and resize, which for 100,000 takes half a second.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cell = QSize(100, 100)
        self._band = QRect()
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)

    def gridSize(self) -> QSize:  # noqa: N802 - as Qt's list view calls it
        """The size of a cell."""
        return self._cell

    def setGridSize(self, size: QSize) -> None:  # noqa: N802 - as Qt's list view calls it
        """Give every cell another size."""
        if size != self._cell:
            self._cell = size
            self.scheduleDelayedItemsLayout()

    @property
    def count(self) -> int:
        """How many cells there are."""
        return self.model().rowCount() if self.model() is not None else 0

    @property
    def seen(self) -> range:
        """The rows of which something is to be seen."""
        return self._rows_in(self.viewport().rect())

    def chosen_rows(self) -> list[int]:
        """The rows that are selected, in order."""
        return sorted(row for each in _ranges(self.selectionModel().selection()) for row in each)

    @property
    def chosen_count(self) -> int:
        """How many rows are selected."""
        return sum(map(len, _ranges(self.selectionModel().selection())))

    def choose_rows(self, rows: list[int]) -> None:
        """Select these rows (in order, without gaps they become one range) and no others; the first becomes the current one."""
        selection = QItemSelection()
        for first, last in _runs(rows):
            selection.select(self.model().index(first, 0), self.model().index(last, 0))
        flag = QItemSelectionModel.SelectionFlag
        if rows:
            self.selectionModel().setCurrentIndex(self.model().index(rows[0], 0), flag.NoUpdate)
        self.selectionModel().select(selection, flag.ClearAndSelect)

    def visualRect(self, index: _Index) -> QRect:  # noqa: N802 - Qt's name
        """Where the cell of `index` lies in the viewport, which may be out of sight."""
        line, column = divmod(index.row(), self._columns) if index.isValid() else (0, 0)
        at = QPoint(column * self._cell.width(), line * self._cell.height() - self.verticalOffset())
        return QRect(at, self._cell) if index.isValid() else QRect()

    def indexAt(self, point: QPoint) -> QModelIndex:  # noqa: N802 - Qt's name
        """The index whose cell holds `point`; invalid where there is none."""
        column, line = point.x() // self._cell.width(), (point.y() + self.verticalOffset()) // self._cell.height()
        inside = 0 <= column < self._columns and 0 <= (row := line * self._columns + column) < self.count
        return self.model().index(row, 0) if inside else QModelIndex()

    def scrollTo(self, index: _Index, hint: _Hint = _Hint.EnsureVisible) -> None:  # noqa: N802 - Qt's name
        """Scroll until the cell of `index` is seen."""
        if not index.isValid():
            return
        area, height, bar = self.visualRect(index), self.viewport().height(), self.verticalScrollBar()
        if hint is _Hint.PositionAtCenter:
            bar.setValue(bar.value() + area.center().y() - height // 2)
        elif area.top() < 0 or hint is _Hint.PositionAtTop:
            bar.setValue(bar.value() + area.top())
        elif area.bottom() >= height or hint is _Hint.PositionAtBottom:
            bar.setValue(bar.value() + area.bottom() + 1 - height)

    def moveCursor(self, action: _Cursor, modifiers: Qt.KeyboardModifier) -> QModelIndex:  # noqa: N802 - Qt's name
        """Where a key leads from the current cell."""
        last, row = self.count - 1, self.currentIndex().row()
        if last < 0:
            return QModelIndex()
        if row < 0:
            return self.model().index(0, 0)
        page = max(1, self.viewport().height() // self._cell.height()) * self._columns
        steps = {
            _Cursor.MoveLeft: -1,
            _Cursor.MovePrevious: -1,
            _Cursor.MoveRight: 1,
            _Cursor.MoveNext: 1,
            _Cursor.MoveUp: -self._columns,
            _Cursor.MoveDown: self._columns,
            _Cursor.MovePageUp: -page,
            _Cursor.MovePageDown: page,
            _Cursor.MoveHome: -last,
            _Cursor.MoveEnd: last,
        }
        wanted = row + steps[action]
        if action in (_Cursor.MoveUp, _Cursor.MoveDown) and not 0 <= wanted <= last:
            same_line = row // self._columns == (last if action is _Cursor.MoveDown else 0) // self._columns
            return self.model().index(row if same_line else max(0, min(last, wanted)), 0)
        return self.model().index(max(0, min(last, wanted)), 0)

    def horizontalOffset(self) -> int:  # noqa: N802 - Qt's name
        """Lines are never wider than the view."""
        return 0

    def verticalOffset(self) -> int:  # noqa: N802 - Qt's name
        """How many pixels have scrolled by."""
        return self.verticalScrollBar().value()

    def isIndexHidden(self, index: _Index) -> bool:  # noqa: N802 - Qt's name
        """None is."""
        return False

    def setSelection(self, rect: QRect, command: QItemSelectionModel.SelectionFlag) -> None:  # noqa: N802 - Qt's name
        """Select what a rubber band touches; or, by click and key, all from the one corner of `rect` to the other, in order."""
        selection = QItemSelection()
        if self.state() is _State.DragSelectingState:
            self._band = rect
            self.viewport().update()
            for first, last in self._lines_in(rect):
                selection.select(self.model().index(first, 0), self.model().index(last, 0))
        else:
            ends = sorted(
                index.row() for index in (self.indexAt(rect.topLeft()), self.indexAt(rect.bottomRight())) if index.isValid()
            )
            if ends:
                selection.select(self.model().index(ends[0], 0), self.model().index(ends[-1], 0))
        self.selectionModel().select(selection, command)

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:  # noqa: N802 - Qt's name
        """What of the selection is in sight."""
        region, seen = QRegion(), self.seen
        for each in _ranges(selection):
            for row in range(max(each.start, seen.start), min(each.stop, seen.stop)):
                region += self.visualRect(self.model().index(row, 0))
        return region

    def updateGeometries(self) -> None:  # noqa: N802 - Qt's name
        """Make the scroll bar as long as there are lines."""
        bar, height = self.verticalScrollBar(), self.viewport().height()
        lines = -(-self.count // self._columns)
        bar.setSingleStep(max(1, self._cell.height() // 3))
        bar.setPageStep(height)
        bar.setRange(0, max(0, lines * self._cell.height() - height))
        super().updateGeometries()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """The rubber band goes."""
        super().mouseReleaseEvent(event)
        self._band = QRect()
        self.viewport().update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """The cells in sight, and the rubber band."""
        with QPainter(self.viewport()) as painter:
            self._paint_cells(painter, event.rect())
            if not self._band.isEmpty():
                colour = self.palette().color(QPalette.ColorRole.Highlight)
                painter.setPen(colour)
                painter.fillRect(self._band, QColor(colour.red(), colour.green(), colour.blue(), 40))
                painter.drawRect(self._band)

    def _paint_cells(self, painter: QPainter, area: QRect) -> None:
        option = QStyleOptionViewItem()
        self.initViewItemOption(option)
        usual, chosen, current = option.state, self.selectionModel(), self.currentIndex()
        for row in self._rows_in(area):
            index = self.model().index(row, 0)
            option.rect = self.visualRect(index)
            option.state = usual
            if chosen.isSelected(index):
                option.state |= QStyle.StateFlag.State_Selected
            if index == current and self.hasFocus():
                option.state |= QStyle.StateFlag.State_HasFocus
            self.itemDelegate().paint(painter, option, index)

    @property
    def _columns(self) -> int:
        return max(1, self.viewport().width() // self._cell.width())

    def _rows_in(self, area: QRect) -> range:
        first, last = self._lines_of(area)
        return range(min(self.count, first * self._columns), min(self.count, (last + 1) * self._columns))

    def _lines_of(self, area: QRect) -> tuple[int, int]:
        top = max(0, area.top() + self.verticalOffset())
        return top // self._cell.height(), max(top, area.bottom() + self.verticalOffset()) // self._cell.height()

    def _lines_in(self, area: QRect) -> list[tuple[int, int]]:
        """First and last row of each line that `area` touches."""
        left = max(0, area.left()) // self._cell.width()
        right = min(self._columns - 1, max(0, area.right()) // self._cell.width())
        first, last = self._lines_of(area)
        found = (
            (line * self._columns + left, min(self.count - 1, line * self._columns + right)) for line in range(first, last + 1)
        )
        return [(start, end) for start, end in found if start <= end]


def _ranges(selection: QItemSelection) -> list[range]:
    return [range(each.top(), each.bottom() + 1) for each in map(selection.at, range(selection.count()))]


def _runs(rows: list[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    found: list[tuple[int, int]] = []
    for row in rows:
        if found and row == found[-1][1] + 1:
            found[-1] = (found[-1][0], row)
        else:
            found.append((row, row))
    return found
