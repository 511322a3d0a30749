"""Says once, at the top of a page, that the photos it shows are not there, such as those of a disk that is unplugged."""

import threading
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QWidget

from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.thumbnails import Wall
from desktop_ft.gui.widgets import Notice, button
from desktop_ft.gui.worker import Newest, Report, Worker

_LOOKED_AT = 5
"""Where none of so many, from the first to the last, is there, none is taken to be."""
_SOON_MS = 300


class PhotosGone(QWidget):
    """A line with a button, above `walls`; hidden while the photos are there. A disk may be slow: it is asked in the background.

    It looks when other photos are shown, when the page says so, when the window comes to the front, and when a photo cannot be
    read; once they are back, the walls show them again.
    """

    def __init__(self, worker: Worker, walls: Sequence[Wall]) -> None:
        super().__init__()
        self._walls = tuple(walls)
        self._looked_at: tuple[Path, ...] = ()
        self._root, self._told = Path(), False
        self._newest = Newest(worker, self._know, lambda error: None, self)  # what nobody knows is not told
        self.notice = Notice()
        self.again = button(tr("Look again"), self.look, tip=tr("Look whether the photos are there now."))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.notice, 1)
        layout.addWidget(self.again)
        self.hide()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(self.look)
        for wall in self._walls:
            wall.thumbs.unreadable.connect(self._soon.start)
        application = QGuiApplication.instance()
        if isinstance(application, QGuiApplication):
            application.applicationStateChanged.connect(self._fronted)

    def watch(self, root: Path | None, paths: Sequence[str]) -> None:
        """From now on it is about the photos at `paths`, relative to `root`; None: about none."""
        step = max(1, (len(paths) - 1) // (_LOOKED_AT - 1)) if paths else 1
        looked_at = tuple(root / path for path in paths[::step]) if root is not None else ()
        if looked_at != self._looked_at:
            self._root, self._looked_at = root or Path(), looked_at
            self._told = False
            self.hide()
        self.look()

    def look(self) -> None:
        """Find out whether they are there."""
        looked_at = self._looked_at

        def work(report: Report, cancel: threading.Event) -> bool:
            return bool(looked_at) and not any(path.is_file() for path in looked_at)

        self._newest.ask(work)

    def stop(self) -> None:
        """Look no more."""
        self._looked_at = ()
        self._soon.stop()
        self._newest.stop()

    def _fronted(self, state: Qt.ApplicationState) -> None:
        page = self.parentWidget()
        if state is Qt.ApplicationState.ApplicationActive and self._looked_at and page is not None and page.isVisible():
            self.look()

    def _know(self, gone: bool) -> None:
        if not gone and self._told:
            for wall in self._walls:
                wall.thumbs.try_again()
                wall.viewport().update()
        if gone and not self._told:
            folder = words.printable(str(self._root))
            self.notice.say(
                tr(
                    "None of the photos in {folder} is there: it was moved, or its disk is not connected. Bring it back, then "
                    "look again.",
                    folder=folder,
                ),
                "warn",
            )
        self._told = gone
        self.setVisible(gone)
