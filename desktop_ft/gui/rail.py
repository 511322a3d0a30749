"""The navigation rail: the steps of the work, in order."""

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QListView, QListWidget, QListWidgetItem, QWidget

from desktop_ft.gui.actions import PAGE_TITLES
from desktop_ft.gui.theme import Theme


class Rail(QListWidget):
    """A list of pages; arrow keys and clicks choose one. Under each name stands where that step is."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("rail")
        self.setAccessibleName("Pages")
        self.setIconSize(QSize(20, 20))
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setFixedWidth(QFontMetrics(self.font()).horizontalAdvance("M" * 11) + 40)
        self._theme = theme
        self._names = tuple(PAGE_TITLES)
        for name in self._names:
            self.addItem(QListWidgetItem(PAGE_TITLES[name]))
        self._draw_icons()
        theme.changed.connect(self._draw_icons)
        self.currentRowChanged.connect(self._choose)

    def show_page(self, name: str) -> None:
        """Mark `name` as the page that is shown."""
        self.setCurrentRow(self._names.index(name))

    def set_note(self, name: str, note: str, tip: str) -> None:
        """Say in a few words under a page's name where that step is; `tip` says it in full."""
        item = self.item(self._names.index(name))
        item.setText(f"{PAGE_TITLES[name]}\n{note}" if note else PAGE_TITLES[name])
        item.setToolTip(tip)

    def _choose(self, index: int) -> None:
        if index >= 0:
            self.chosen.emit(self._names[index])

    def _draw_icons(self) -> None:
        for index, name in enumerate(self._names):
            self.item(index).setIcon(self._theme.icon(name))
