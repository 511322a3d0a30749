"""A grid of pictures as the network will see them."""

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop_ft.core.language import tr

_SIDES = range(136, 281, 8)
"""Pixels that a picture may take; those of most networks are 224."""
_GAP = 8


class PreviewGrid(QWidget):
    """Square pictures in rows, as large as lets all of them be seen in the room that what holds it has, and never small. `opened`
    tells which one a person wants to see large: a click, or the arrow keys and Return.
    """

    opened = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._images: list[QImage] = []
        self._pixmaps: list[QPixmap] = []
        self._side = _SIDES[0]
        self._current = 0
        self.setAccessibleName(tr("Preview of the augmented pictures"))
        self.setToolTip(tr("A click, or Return, shows a picture large beside what it was."))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    @property
    def shown(self) -> int:
        """How many pictures there are."""
        return len(self._images)

    def show_pictures(self, pictures: Sequence[np.ndarray]) -> None:
        """Show uint8 (S, S, 3) pictures."""
        self._images, self._pixmaps = [_image(picture) for picture in pictures], []
        self._current = min(self._current, max(0, self.shown - 1))
        self._fit()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Three pictures wide."""
        return QSize(3 * (_SIDES[0] + _GAP), self.heightForWidth(3 * (_SIDES[0] + _GAP)))

    def heightForWidth(self, width: int) -> int:  # noqa: N802 - Qt's name
        """What the pictures need."""
        return self._height(width, self._fitting(width))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Other columns, other height."""
        self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """The pictures."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if not self._pixmaps:
            self._pixmaps = [_pixmap(image, self._side, self.devicePixelRatioF()) for image in self._images]
        for number, pixmap in enumerate(self._pixmaps):
            painter.drawPixmap(self.tile(number), pixmap)
            if number == self._current and self.hasFocus():
                painter.setPen(QPen(QColor(self.palette().highlight().color()), 3))
                painter.drawRect(self.tile(number).adjusted(1, 1, -2, -2))

    def tile(self, number: int) -> QRect:
        """Where the picture `number` lies."""
        line, column = divmod(number, _columns(self.width(), self._side))
        return QRect(column * (self._side + _GAP), line * (self._side + _GAP), self._side, self._side)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Open the picture that was clicked."""
        at = event.position().toPoint()
        found = next((number for number in range(self.shown) if self.tile(number).contains(at)), None)
        if event.button() == Qt.MouseButton.LeftButton and found is not None:
            self._go_to(found)
            self.opened.emit(found)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Go from picture to picture, and open one."""
        columns = _columns(self.width(), self._side)
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: -columns, Qt.Key.Key_Down: columns}
        if event.key() in steps:
            self._go_to(self._current + steps[Qt.Key(event.key())])
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self._images:
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
        width = max(1, self.width())
        side = self._fitting(width)
        if side != self._side:
            self._side, self._pixmaps = side, []
            self.update()
        self.updateGeometry()  # what holds it asks for its height, and whether a scroll bar is needed

    def _fitting(self, width: int) -> int:
        holder = self.parentWidget()
        room = holder.height() if holder is not None else 0
        return max((side for side in _SIDES if side <= width and self._height(width, side) <= room), default=_SIDES[0])

    def _height(self, width: int, side: int) -> int:
        return max(1, -(-self.shown // _columns(width, side))) * (side + _GAP)


def _columns(width: int, side: int) -> int:
    return max(1, (width + _GAP) // (side + _GAP))


def _image(picture: np.ndarray) -> QImage:
    height, width, _ = picture.shape
    return QImage(np.ascontiguousarray(picture).tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def _pixmap(image: QImage, side: int, ratio: float) -> QPixmap:
    pixels = round(side * ratio)
    return QPixmap.fromImage(
        image.scaled(pixels, pixels, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
    )
