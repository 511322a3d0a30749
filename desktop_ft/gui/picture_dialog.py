"""One picture large: as it is, and beside it what the network sees of it, pixel by pixel."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.backbone import ResizeRule
from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import GAP, MARGIN, Notice, button, label, row
from desktop_ft.gui.worker import Newest, Report
from desktop_ft.jobs import augmenting
from desktop_ft.jobs.augmenting import Shown

if TYPE_CHECKING:
    import numpy as np

_SIDE = 448
"""Pixels that a picture may take a side; an input that is larger is shown as large as it is, where the screen has room."""
_AROUND = 220


class PictureDialog(QDialog):
    """Goes from picture to picture, also with the arrow keys.

    Args:
        pictures: what can be looked at. at: the first to be shown. seed: the chance of picture 0, as in the grid.
    """

    def __init__(
        self,
        session: Session,
        pictures: Sequence[Shown],
        specs: Sequence[AugmentationSpec],
        rule: ResizeRule,
        *,
        at: int,
        seed: int,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("What the network sees"))
        self._session = session
        self._pictures, self._specs, self._rule = pictures, tuple(specs), rule
        self._at, self._seed, self._draws = at, seed, 0
        self._newest = Newest(session.worker, self._show, self._failed, self)
        self.notice = Notice()
        self.name = label(role="heading", wrap=True)
        self.original, self.seen = QLabel(), QLabel()
        self.original_words, self.seen_words = label(role="muted", wrap=True), label(role="muted", wrap=True)
        self.original.setAccessibleName(tr("The picture as it is"))
        self.seen.setAccessibleName(tr("What the network sees of it"))
        side = QHBoxLayout()
        side.setSpacing(MARGIN)
        for picture, text in ((self.original, self.original_words), (self.seen, self.seen_words)):
            picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
            picture.setFixedSize(self._room())
            column = QVBoxLayout()
            column.addWidget(picture)
            column.addWidget(text)
            column.addStretch(1)
            side.addLayout(column)
        self.previous = button(tr("Previous"), self._go_back, tip=tr("The picture before (Left)."))
        self.next = button(tr("Next"), self._go_on, tip=tr("The picture after (Right)."))
        self.again = button(tr("Draw &again"), self._draw_again, tip=tr("Change this picture in another random way."))
        self.previous.setShortcut(Qt.Key.Key_Left)
        self.next.setShortcut(Qt.Key.Key_Right)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(GAP)
        layout.addWidget(self.name)
        layout.addWidget(self.notice)
        layout.addLayout(side)
        layout.addLayout(row(self.previous, self.next, self.again, None, button(tr("Close"), self.reject)))
        self._ask()

    def _room(self) -> QSize:
        wanted = max(_SIDE, round(self._rule.crop / self.devicePixelRatioF()))
        screen = self.screen().availableGeometry()
        side = min(wanted, (screen.width() - 4 * MARGIN) // 2, screen.height() - _AROUND)
        return QSize(side, side)

    def _go_back(self) -> None:
        self._go_to(self._at - 1)

    def _go_on(self) -> None:
        self._go_to(self._at + 1)

    def _go_to(self, at: int) -> None:
        if 0 <= at < len(self._pictures):
            self._at, self._draws = at, 0
            self._ask()

    def _draw_again(self) -> None:
        if self._specs:
            self._draws += 1
            self._ask()

    def _ask(self) -> None:
        pictures, at, plugins, specs, rule = self._pictures, self._at, self._session.plugins, self._specs, self._rule
        shown, seed = pictures[at], self._seed + len(pictures) * self._draws
        self.previous.setEnabled(self._at > 0)
        self.next.setEnabled(self._at < len(self._pictures) - 1)
        self.again.setEnabled(bool(specs))
        self.name.setText(words.printable(shown.path.name))

        def work(report: Report, cancel: threading.Event) -> object:
            return shown, augmenting.side_by_side(plugins, specs, pictures, at, rule, seed)

        self._newest.ask(work)

    def _show(self, found: "tuple[Shown, tuple[np.ndarray, np.ndarray]]") -> None:
        shown, (original, seen) = found
        self.notice.clear()
        ratio, crop = self.devicePixelRatioF(), self._rule.crop
        room = self._room() * ratio
        self.original.setPixmap(_pixmap(original, ratio, room, smooth=True))
        zoom = room.width() // crop
        whole = QSize(crop * zoom, crop * zoom)
        self.seen.setPixmap(_pixmap(seen, ratio, whole if zoom else room, smooth=not zoom))
        self.original_words.setText(tr("As it is: {width} × {height} pixels.", width=shown.width, height=shown.height))
        parts = [tr("{width} × {height} pixels", width=crop, height=crop)]
        if zoom != 1:
            parts.append(
                tr("each shown {zoom} times as wide", zoom=zoom) if zoom else tr("shown smaller, as the screen has no room")
            )
        parts.append(tr("changed as in training") if self._specs else tr("unchanged: the list of transforms is empty"))
        self.seen_words.setText(tr("What the network sees: {what}.", what=", ".join(parts)))

    def _failed(self, error: BaseException) -> None:
        self.original.clear()
        self.seen.clear()
        self.notice.fail(error)


def _pixmap(picture: "np.ndarray", ratio: float, room: QSize, *, smooth: bool) -> QPixmap:
    """`picture`, uint8 (H, W, 3), as large as fits into `room` (pixels of the screen)."""
    height, width, _ = picture.shape
    image = QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    mode = Qt.TransformationMode.SmoothTransformation if smooth else Qt.TransformationMode.FastTransformation
    pixmap = QPixmap.fromImage(image.scaled(room, Qt.AspectRatioMode.KeepAspectRatio, mode))
    pixmap.setDevicePixelRatio(ratio)
    return pixmap
