"""What nobody foresaw: one dialog with details to copy, and the application goes on."""

import logging
import sys
import traceback
from types import TracebackType

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from desktop_ft import __version__
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.runs.logbook import shareable, tell


class Faults(QObject):
    """Takes exceptions from any thread and shows them, one dialog for equal ones, in the window's thread."""

    _came = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.seen: list[str] = []
        self._dialog: FaultDialog | None = None
        self._came.connect(self._show, Qt.ConnectionType.QueuedConnection)

    def install(self) -> None:
        """From now on, exceptions that leave a slot come here."""
        sys.excepthook = self._hook

    def uninstall(self) -> None:
        """Give exceptions back to Python."""
        sys.excepthook = sys.__excepthook__

    def report(self, error: BaseException) -> None:
        """Show `error` to the person. May be called from any thread."""
        self._came.emit(error)

    def _hook(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.__excepthook__(kind, error, trace)
        if not issubclass(kind, KeyboardInterrupt):
            self.report(error)

    def _show(self, error: BaseException) -> None:
        details = describe(error)
        if self._dialog is None:
            self._dialog = FaultDialog()
            self._dialog.finished.connect(self._closed)
        tell(logging.ERROR, f"{type(error).__name__}: {error}", "Desktop FT", error)
        if details not in self.seen:
            self.seen.append(details)
            self._dialog.add(error, details)
        self._dialog.show()

    def _closed(self) -> None:
        if self._dialog is not None:
            self._dialog.deleteLater()
            self._dialog = None


class FaultDialog(QDialog):
    """The errors of one moment, with their details to copy."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Something went wrong"))
        self.resize(640, 380)
        self._message = QLabel()
        self._message.setWordWrap(True)
        self._message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._details = QPlainTextEdit()
        self._details.setReadOnly(True)
        self._details.setAccessibleName(tr("Details"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton(tr("Copy details"), QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(self._copy)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self._message)
        layout.addWidget(self._details, 1)
        layout.addWidget(buttons)

    def add(self, error: BaseException, details: str) -> None:
        """Show one more error."""
        self._message.setText(
            tr(
                "{error}\n\nThis is a fault of Desktop FT, not yours. Your files are untouched and you can go on. To report it, "
                "copy the details.",
                error=f"{type(error).__name__}: {error}",
            )
        )
        self._details.appendPlainText(details)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(shareable(self._details.toPlainText()))


def describe(error: BaseException) -> str:
    """The details of an exception, for a report."""
    head = f"Desktop FT {__version__}, Python {sys.version.split()[0]}, {sys.platform}\n"
    return head + traceback_of(error)


def traceback_of(error: BaseException) -> str:
    """Where it was raised, and by what."""
    return "".join(traceback.format_exception(error))


def words_of(error: BaseException) -> tuple[str, str]:
    """What is wrong and what to do, for any exception: a UserError's own words, else its name and where to look."""
    if isinstance(error, UserError):
        return error.what, error.cure
    return f"{type(error).__name__}: {error}", tr("This was not foreseen; its details are in the log (menu Help), to be copied.")
