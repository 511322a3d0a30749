"""What is kept on this machine for the next run: what it is good for, how much it takes, and a way to drop it."""

import threading

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QMessageBox, QPushButton, QVBoxLayout, QWidget

from desktop_ft.core.language import marked, tr
from desktop_ft.gui import words
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import GAP, MARGIN, button, card, label, row
from desktop_ft.gui.worker import Report
from desktop_ft.jobs.kept import Kept, all_kept

_WIDTH = 640
QUESTIONS = {"archives": marked("Drop the unpacked .zip files?"), "weights": marked("Drop the downloaded weights?")}
"""What is asked before something is dropped that does not come back by itself."""


class KeptDialog(QDialog):
    """One card for each thing that is kept."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("What is kept"))
        self.setMinimumWidth(_WIDTH)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(GAP)
        layout.addWidget(label(tr("Kept on this machine so that the next run is quick."), wrap=True))
        for kept in all_kept():
            layout.addWidget(_Card(kept, session))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)
        buttons.button(QDialogButtonBox.StandardButton.Close).setFocus()  # not what drops

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's name)
        """Take the height that the wrapped lines need at this width, now that their font is known."""
        super().showEvent(event)
        layout = self.layout()
        if layout is not None:
            self.resize(self.width(), layout.totalHeightForWidth(self.width()))


class _Card(QWidget):
    """One thing that is kept. It is measured and dropped in a thread: there may be a hundred thousand files."""

    def __init__(self, kept: Kept, session: Session) -> None:
        super().__init__()
        self._kept = kept
        self._session = session
        title = tr(kept.title)
        frame, inside = card()
        self._size: QLabel = label(role="muted")
        self._drop: QPushButton = button(tr("Drop"), self._ask_to_drop, tip=tr("Delete {path}", path=kept.path))
        self._drop.setAccessibleName(tr("Drop: {name}", name=title))
        inside.addLayout(row(label(title, "heading"), None, self._size, self._drop))
        inside.addWidget(label(tr(kept.saves), "muted", wrap=True))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)
        self._measure()

    def _measure(self) -> None:
        self._drop.setEnabled(False)
        self._run(drop=False)

    def _ask_to_drop(self) -> None:
        if not self._kept.lightly and not self._sure():
            return
        self._drop.setEnabled(False)
        self._size.setText(tr("Dropping…"))
        self._run(drop=True)

    def _sure(self) -> bool:
        """Whether the person really wants to drop what does not come back by itself; not while a run may read it."""
        if not self._session.can_open:
            self._size.setText(tr("in use: wait for the work under way"))
            return False
        box = QMessageBox(self)
        box.setWindowTitle(tr(self._kept.title))
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(tr(QUESTIONS[self._kept.name]))
        box.setInformativeText(tr(self._kept.saves))
        drop = box.addButton(tr("Drop"), QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(tr("Keep"), QMessageBox.ButtonRole.RejectRole))
        box.exec()
        return box.clickedButton() is drop

    def _run(self, *, drop: bool) -> None:
        kept = self._kept

        def work(report: Report, cancel: threading.Event) -> int:
            if drop:
                kept.drop()
            return kept.size()

        self._session.worker.run(work, finished=self._show, failed=self._fail)

    def _show(self, size: int) -> None:
        self._size.setText(words.size(size) if size else tr("nothing"))
        self._drop.setEnabled(size > 0)

    def _fail(self, error: BaseException) -> None:
        self._size.setText(str(error))
