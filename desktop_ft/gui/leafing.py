"""A dialog that goes through photos, one after the other."""

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui.widgets import button


class Leafing(QDialog):
    """The number of the photo that is shown, and the ways to the one before and after; `begin` shows another."""

    def __init__(self, count: int, first: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.number = first
        self._count = count
        self.previous = button(tr("&Previous"), self.go_back, tip=tr("The photo before (Left, or Page up)."))
        self.next = button(tr("&Next"), self.go_on, tip=tr("The next photo (Right, or Page down)."))
        for keys, way in (
            (QKeySequence.StandardKey.MoveToNextPage, self.go_on),
            (QKeySequence.StandardKey.MoveToPreviousPage, self.go_back),
        ):
            QShortcut(keys, self).activated.connect(way)

    def turn(self, step: int) -> None:
        """Show the photo so many places further, where there is one."""
        if 0 <= self.number + step < self._count:
            self.number += step
            self.begin()

    def go_on(self) -> None:
        """Show the next photo."""
        self.turn(1)

    def go_back(self) -> None:
        """Show the photo before."""
        self.turn(-1)

    def begin(self) -> None:
        """Show the photo `number`."""
        self.previous.setEnabled(self.number > 0)
        self.next.setEnabled(self.number < self._count - 1)
