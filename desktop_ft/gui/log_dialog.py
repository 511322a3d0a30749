"""The log: everything that was told, filtered and searched, with details to copy."""

import threading

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QComboBox, QDialog, QLineEdit, QPlainTextEdit, QSplitter, QVBoxLayout, QWidget

from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.gui import layout_memory, words
from desktop_ft.gui.folders import show_folder
from desktop_ft.gui.session import Session
from desktop_ft.gui.table import Column, table
from desktop_ft.gui.widgets import GAP, Notice, button, label, row
from desktop_ft.gui.worker import Report
from desktop_ft.runs import logbook
from desktop_ft.runs.logbook import Entry, Level

_SIZE = (900, 560)
_WAIT_MS = 200
LEVELS = (
    (marked("Everything"), (Level.NOTE, Level.WARNING, Level.ERROR)),
    (marked("Warnings and errors"), (Level.WARNING, Level.ERROR)),
    (marked("Errors"), (Level.ERROR,)),
)
_WORDS = {Level.NOTE: marked("note"), Level.WARNING: marked("warning"), Level.ERROR: marked("error")}
COLUMNS = (
    Column(title=marked("Time"), text=lambda entry: entry.when, sort=lambda entry: entry.time, width=24),
    Column(title=marked("Level"), text=lambda entry: tr(_WORDS[entry.level]), width=9),
    Column(title=marked("From"), text=lambda entry: words.printable(entry.origin), width=14),
    Column(
        title=marked("What was told"),
        text=lambda entry: words.printable(" ".join(entry.text.split())),
        tip=lambda entry: words.printable(entry.text),
    ),
)


class LogDialog(QDialog):
    """A table of entries, the newest first, and all of the current one below it."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Log"))
        self.resize(*_SIZE)
        self._settings = session.settings
        self.restoreGeometry(self._settings.window("log"))
        self.finished.connect(self._remember)
        self._book = session.log.book
        self._entries: list[Entry] = []
        self._count = 0
        self._build(session)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_WAIT_MS)
        self._soon.timeout.connect(self._take)
        session.log.came.connect(self._come)
        layout_memory.restore(self._settings, "log", self)
        self._take()
        self._show_entry()
        if self._book.fault:
            self.notice.say(tr("The log is not kept in a file: {reason}", reason=self._book.fault), "warn")
        before = self._book.began

        def work(report: Report, cancel: threading.Event) -> list[Entry]:
            return logbook.kept(before)

        session.worker.run(work, finished=self._take_kept, failed=self.notice.fail)

    def _build(self, session: Session) -> None:
        self.level = QComboBox()
        self.level.setAccessibleName(tr("Level"))
        for text, levels in LEVELS:
            self.level.addItem(tr(text), levels)
        self.level.currentIndexChanged.connect(self._filter)
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search"))
        self.search.setAccessibleName(tr("Search the log"))
        self.search.setClearButtonEnabled(True)
        self.shown = label(role="muted")
        self.table = table(COLUMNS, session.theme, tr("Entries of the log"))
        self.table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
        self.table.selectionModel().currentRowChanged.connect(self._show_entry)
        self.search.textChanged.connect(self._search)
        self.details = QPlainTextEdit()
        self.details.setReadOnly(True)
        self.details.setTabChangesFocus(True)
        self.details.setAccessibleName(tr("Details"))
        self.details.setPlaceholderText(tr("Choose an entry to read all of it."))
        self.notice = Notice(logged=False)
        self.copy = button(tr("Copy details"), self._copy, tip=tr("The entry with versions and traceback, without secrets."))
        where = tr("The log is kept in {file}.", file=words.printable(str(logbook.file())))
        self.file = button(tr("Show file"), self._show_file, tip=where)
        panels = QSplitter(Qt.Orientation.Vertical)
        panels.setObjectName("log")
        panels.setChildrenCollapsible(False)
        panels.setHandleWidth(GAP)
        panels.addWidget(self.table)
        panels.addWidget(self.details)
        panels.setSizes(session.settings.splitter("log") or [360, 140])
        layout = QVBoxLayout(self)
        layout.setSpacing(GAP)
        layout.addLayout(row(self.level, self.search, self.shown))
        layout.addWidget(panels, 1)
        layout.addWidget(self.notice)
        layout.addLayout(row(self.copy, self.file, None, button(tr("Close"), self.close)))

    def _remember(self) -> None:
        self._settings.remember_window("log", self.saveGeometry())
        layout_memory.remember(self._settings, "log", self)

    def _come(self) -> None:
        if not self._soon.isActive():
            self._soon.start()

    def _take(self) -> None:
        new, self._count = self._book.since(self._count)
        self._entries += new
        self.table.rows.add_rows(self._wanted(new))
        self._say_count()

    def _take_kept(self, kept: list[Entry]) -> None:
        self._entries = [*kept, *self._entries]
        self._filter()

    def _filter(self) -> None:
        self.table.rows.set_rows(self._wanted(self._entries))
        self._say_count()
        self._show_entry()

    def _search(self, typed: str) -> None:
        self.table.proxy.setFilterFixedString(typed)
        self._say_count()
        self._show_entry()

    def _wanted(self, entries: list[Entry]) -> list[Entry]:
        return [entry for entry in entries if entry.level in self.level.currentData()]

    def _say_count(self) -> None:
        self.shown.setText(tr_n("{n:,} entry", "{n:,} entries", n=self.table.proxy.rowCount()))

    def _show_entry(self) -> None:
        entry = self.table.current()
        self.details.setPlainText(words.printable(entry.body) if entry is not None else "")
        self.copy.setEnabled(entry is not None)

    def _copy(self) -> None:
        if (entry := self.table.current()) is not None:
            QGuiApplication.clipboard().setText(entry.report)
            self.notice.say(tr("The details are on the clipboard."), "good")

    def _show_file(self) -> None:
        show_folder(logbook.file().parent, self.notice)
