"""A grid of pictures as the network will see them."""

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop_ft.core.language import tr

TILE = 136
_GAP = 8


class PreviewGrid(QWidget):
    """Square pictures in rows, as many a row as there is room for. `opened` tells which one a person wants to see large: a click,
    or the arrow keys and Return.
    """

    opened = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pixmaps: list[QPixmap] = []
        self._current = 0
        self.setAccessibleName(tr("Preview of the augmented pictures"))
        self.setToolTip(tr("A click, or Return, shows a picture large beside what it was."))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    @property
    def shown(self) -> int:
        """How many pictures there are."""
        return len(self._pixmaps)

    def show_pictures(self, pictures: Sequence[np.ndarray]) -> None:
        """Show uint8 (S, S, 3) pictures."""
        ratio = self.devicePixelRatioF()
        self._pixmaps = [_pixmap(picture, ratio) for picture in pictures]
        self._current = min(self._current, max(0, len(self._pixmaps) - 1))
        self._fit()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Three tiles wide."""
        return QSize(3 * (TILE + _GAP), self.heightForWidth(3 * (TILE + _GAP)))

    def heightForWidth(self, width: int) -> int:  # noqa: N802 - Qt's name
        """What the pictures need."""
        return max(1, -(-len(self._pixmaps) // self._columns(width))) * (TILE + _GAP)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Other columns, other height."""
        self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """The pictures."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        for number, pixmap in enumerate(self._pixmaps):
            painter.drawPixmap(self.tile(number), pixmap)
            if number == self._current and self.hasFocus():
                painter.setPen(QPen(QColor(self.palette().highlight().color()), 3))
                painter.drawRect(self.tile(number).adjusted(1, 1, -2, -2))

    def tile(self, number: int) -> QRect:
        """Where the picture `number` lies."""
        line, column = divmod(number, self._columns(self.width()))
        return QRect(column * (TILE + _GAP), line * (TILE + _GAP), TILE, TILE)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Open the picture that was clicked."""
        at = event.position().toPoint()
        found = next((number for number in range(self.shown) if self.tile(number).contains(at)), None)
        if event.button() == Qt.MouseButton.LeftButton and found is not None:
            self._go_to(found)
            self.opened.emit(found)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Go from picture to picture, and open one."""
        columns = self._columns(self.width())
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: -columns, Qt.Key.Key_Down: columns}
        if event.key() in steps:
            self._go_to(self._current + steps[Qt.Key(event.key())])
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self._pixmaps:
            self.opened.emit(self._current)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802 - Qt's name
        """Show where the keys are."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802 - Qt's name
        """Show it no more."""
        super().focusOutEvent(event)
        self.update()

    def _go_to(self, number: int) -> None:
        if 0 <= number < self.shown:
            self._current = number
            self.setAccessibleDescription(tr("Picture {number} of {total}", number=number + 1, total=self.shown))
            self.update()

    def _fit(self) -> None:
        self.setMinimumHeight(self.heightForWidth(max(1, self.width())))

    @staticmethod
    def _columns(width: int) -> int:
        return max(1, (width + _GAP) // (TILE + _GAP))


def _pixmap(picture: np.ndarray, ratio: float) -> QPixmap:
    height, width, _ = picture.shape
    image = QImage(np.ascontiguousarray(picture).tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    side = round(TILE * ratio)
    return QPixmap.fromImage(
        image.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
    )
