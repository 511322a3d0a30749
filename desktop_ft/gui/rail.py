"""The navigation rail: the steps of the work, in order."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QIcon, QPainter
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.widgets import letters_width
from desktop_ft.gui.words import PAGE_TITLES

_ICON = 20
_PAD = 10
_NOTE_ROLE = int(Qt.ItemDataRole.UserRole)
_ATTENTION_ROLE = _NOTE_ROLE + 1


class RailDelegate(QStyledItemDelegate):
    """Draws a page's icon and name, and below it where that step is."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: N802 - Qt's
        """Two lines of text and some air."""
        lines = option.fontMetrics.height() + QFontMetrics(_smaller(option.font)).height()
        return QSize(100, lines + 16)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> None:
        """The entry, with a frame where it has the keyboard's focus."""
        colours = self._theme.colours
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        area = QRect(option.rect).adjusted(0, 2, 0, -2)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if selected or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(QColor(colours.accent_soft if selected else colours.window))
            focused = selected and option.state & QStyle.StateFlag.State_HasFocus
            painter.setPen(QColor(colours.accent) if focused else Qt.PenStyle.NoPen)
            painter.drawRoundedRect(QRectF(area).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        icon, note = index.data(Qt.ItemDataRole.DecorationRole), index.data(_NOTE_ROLE) or ""
        left = area.left() + 2 * _PAD + _ICON
        if isinstance(icon, QIcon):
            mode = QIcon.Mode.Selected if selected else QIcon.Mode.Normal
            icon.paint(painter, area.left() + _PAD, area.center().y() - _ICON // 2, _ICON, _ICON, mode=mode)
        height, small = option.fontMetrics.height(), _smaller(option.font)
        below = QFontMetrics(small).height() if note else 0
        top = area.center().y() - (height + below) // 2 + 1
        painter.setFont(option.font)
        painter.setPen(QColor(colours.accent if selected else colours.text))
        width = area.right() - left - 4
        painter.drawText(QRect(left, top, width, height), int(Qt.AlignmentFlag.AlignVCenter), index.data())
        painter.setFont(small)
        painter.setPen(QColor(colours.warn if index.data(_ATTENTION_ROLE) else colours.muted))
        shown = QFontMetrics(small).elidedText(note, Qt.TextElideMode.ElideRight, width)
        painter.drawText(QRect(left, top + height, width, below), int(Qt.AlignmentFlag.AlignVCenter), shown)
        painter.restore()


class Rail(QListWidget):
    """A list of pages; arrow keys and clicks choose one. Under each name stands where that step is."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("rail")
        self.setAccessibleName(tr("Pages"))
        self.setItemDelegate(RailDelegate(theme, self))
        self.setMouseTracking(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedWidth(letters_width(self, 17) + _ICON + 4 * _PAD + 12)
        self._theme = theme
        self._names = tuple(PAGE_TITLES)
        for name in self._names:
            self.addItem(QListWidgetItem(tr(PAGE_TITLES[name])))
        self._draw_icons()
        theme.changed.connect(self._draw_icons)
        self.currentRowChanged.connect(self._choose)

    def show_page(self, name: str) -> None:
        """Mark `name` as the page that is shown."""
        self.setCurrentRow(self._names.index(name))

    def set_note(self, name: str, note: str, tip: str, *, attention: bool = False) -> None:
        """Say in a few words under a page's name where that step is, in the colour of warnings where it needs `attention`;
        `tip` says it in full.
        """
        item = self.item(self._names.index(name))
        item.setData(_NOTE_ROLE, note)
        item.setData(Qt.ItemDataRole.AccessibleDescriptionRole, f"{note}. {tip}")
        item.setData(_ATTENTION_ROLE, attention)
        item.setToolTip(tip)

    def _choose(self, index: int) -> None:
        if index >= 0:
            self.chosen.emit(self._names[index])

    def _draw_icons(self) -> None:
        for index, name in enumerate(self._names):
            self.item(index).setIcon(self._theme.icon(name))


def _smaller(font: QFont) -> QFont:
    small = QFont(font)
    small.setPointSizeF(max(7.0, font.pointSizeF() - 1.5))
    return small
