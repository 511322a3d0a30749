"""A grid of pictures as the network will see them."""

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

TILE = 136
_GAP = 8


class PreviewGrid(QWidget):
    """Square pictures in rows, as many a row as there is room for."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pixmaps: list[QPixmap] = []
        self.setAccessibleName("Preview of the augmented pictures")
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
        columns = self._columns(self.width())
        for number, pixmap in enumerate(self._pixmaps):
            line, column = divmod(number, columns)
            painter.drawPixmap(QRect(column * (TILE + _GAP), line * (TILE + _GAP), TILE, TILE), pixmap)

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
