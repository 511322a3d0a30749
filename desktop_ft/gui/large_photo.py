"""One photo of the dataset large, with its class and subset; and the others that are shown on the wall, one after the other."""

import threading
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.leafing import Leafing
from desktop_ft.gui.photos import Photos
from desktop_ft.gui.picture_view import PictureView
from desktop_ft.gui.widgets import GAP, MARGIN, Notice, button, label, row
from desktop_ft.gui.worker import Newest, Report, Worker

if TYPE_CHECKING:
    import numpy as np

_SIZE = QSize(820, 660)
_SHORTER_SIDE = 1200
"""Pixels: as many as a large screen shows."""
_STAYS_MS = 200
"""So long a photo stays, under its own name, while the next one is read: on most disks there is always one to see."""


class LargePhoto(Leafing):
    """Goes through `photos`, beginning at `first`."""

    def __init__(self, worker: Worker, photos: Photos, first: int, parent: QWidget) -> None:
        super().__init__(len(photos), first, parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Photo"))
        self.resize(_SIZE)
        self._photos = photos
        self._newest = Newest(worker, self._show, self._failed, self)
        self._late = QTimer(self)
        self._late.setSingleShot(True)
        self._late.setInterval(_STAYS_MS)
        self._late.timeout.connect(lambda: self._show(None))
        self.title = label(role="heading", wrap=True)
        self.about = label(role="muted", wrap=True)
        self.notice = Notice()
        self.picture = PictureView(tr("The photo"))
        for key, way in ((Qt.Key.Key_Right, self.go_on), (Qt.Key.Key_Left, self.go_back)):  # wherever the keyboard is
            QShortcut(QKeySequence(key), self).activated.connect(way)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(GAP)
        for thing in (self.title, self.about, self.notice):
            layout.addWidget(thing)
        layout.addWidget(self.picture, 1)
        layout.addLayout(row(self.previous, self.next, None, button(tr("Close"), self.reject)))
        self.finished.connect(self._newest.stop)
        self.picture.setFocus()
        self.begin()

    def begin(self) -> None:
        """Read the photo `number`, and show it when it is there."""
        super().begin()
        path, sample = self._photos[self.number].path, self._photos.samples[self.number]
        side = min(sample.width, sample.height, _SHORTER_SIDE)
        self._late.start()

        def work(report: Report, cancel: threading.Event) -> "np.ndarray":
            from desktop_ft.data import decode  # Pillow: not before it is needed
            from desktop_ft.data.source import read_picture

            return read_picture(path, lambda where: decode.load(where, side))

        self._newest.ask(work)

    def _show(self, pixels: "np.ndarray | None") -> None:
        self._late.stop()
        thumb = self._photos[self.number]
        place = tr("{number:,} of {total:,}", number=self.number + 1, total=len(self._photos))
        self.notice.clear()
        self.title.setText(f"{words.printable(thumb.path.name)} · {thumb.caption}")
        self.about.setText(f"{thumb.tip}\n{place}")
        self.picture.show_pixels(pixels)

    def _failed(self, error: BaseException) -> None:
        self._show(None)
        self.notice.fail(error)
