"""One picture, as large as there is room."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    import numpy as np

_FRAMES = 4
"""Pixels that the frames on both sides take."""


class PictureView(QWidget):
    """A picture as large as there is room; Left and Right tell `turned` -1 and 1."""

    turned = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._image: QImage | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(280, 280)

    def show_pixels(self, pixels: "np.ndarray | None") -> None:
        """Show uint8 (H, W, 3); None: nothing."""
        self._image = None
        if pixels is not None:
            height, width, _ = pixels.shape
            self._image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
        self.update()

    @property
    def image(self) -> QImage | None:
        """What is shown."""
        return self._image

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """The picture, and a frame where the keyboard is."""
        painter = QPainter(self)
        room = self.size() - QSize(_FRAMES, _FRAMES)
        shape = self._image.size() if self._image is not None else QSize(1, 1)
        shown = shape.scaled(room, Qt.AspectRatioMode.KeepAspectRatio)
        box = QRect(QPoint((self.width() - shown.width()) // 2, (self.height() - shown.height()) // 2), shown)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if self._image is not None:
            painter.drawImage(box, self._image)
        if self.hasFocus():
            painter.setPen(self.palette().accent().color())
            painter.drawRect(box.adjusted(-1, -1, 0, 0))
        painter.end()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Left and right turn over."""
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.turned.emit(step)
