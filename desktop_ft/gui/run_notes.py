"""What a person writes about a run: edited in place, and kept without being asked."""

from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.run_note import RunNote, tags_in
from desktop_ft.gui.widgets import caption_of, row
from desktop_ft.runs.run_folder import RunFolder

_AFTER_MS = 800
_LINES = 4
_MOST = 20_000


class RunNotes(QWidget):
    """Tags and a text of one run. They are written into its folder a moment after the last key, and at once when the focus or the
    run changes; what cannot be written stays here until it can. `kept` tells the run's folder and what was written.
    """

    kept = Signal(object, object)
    failed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._run: Path | None = None
        self._written = RunNote()
        self._drafts: dict[Path, RunNote] = {}
        self.tags = QLineEdit()
        self.tags.setPlaceholderText(tr("night camera-2"))
        self.tags.setToolTip(
            tr("Short words to find the run by: type #word into the filter. Blanks or commas stand between them.")
        )
        self.tags.setAccessibleName(tr("Tags of the run"))
        self.text = QPlainTextEdit()
        self.text.setAccessibleName(tr("Note on the run"))
        self.text.setTabChangesFocus(True)
        self.text.setFixedHeight(self.fontMetrics().lineSpacing() * _LINES + 12)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_AFTER_MS)
        self._soon.timeout.connect(self.save)
        for field in (self.tags, self.text):
            field.textChanged.connect(self._soon.start)
            field.installEventFilter(self)
        caption = caption_of(self.tags, tr("&Tags"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(caption, self.tags))
        layout.addWidget(self.text)
        self.show_run(None, RunNote())

    def show_run(self, run: Path | None, written: RunNote) -> None:
        """Show what is `written` about another run, or about the same one by now; None: about none.

        What is being typed about the same run stays.
        """
        if run is not None and run == self._run and self._typed != self._written:
            return
        self.save()
        self._run, self._written = run, written
        shown = self._drafts.get(run, written) if run is not None else written
        for field in (self.tags, self.text):
            field.blockSignals(True)
            field.setEnabled(run is not None)
        if shown.tags != tags_in(self.tags.text()):
            self.tags.setText(" ".join(shown.tags))
        if shown.text != self.text.toPlainText():
            self.text.setPlainText(shown.text)
        self.text.setPlaceholderText(
            tr("What do you want to remember of this run?") if run else tr("Select one run to write about it.")
        )
        for field in (self.tags, self.text):
            field.blockSignals(False)

    def save(self) -> None:
        """Keep what was typed, if anything was."""
        self._soon.stop()
        if self._run is not None and self._is_drafted(self._run):
            self._write(self._run)

    def save_all(self) -> UserError | None:
        """Keep what was typed about every run; returns why something of it cannot be kept."""
        self._soon.stop()
        if self._run is not None:
            self._is_drafted(self._run)
        failed = [error for run in list(self._drafts) if (error := self._write(run)) is not None]
        return failed[0] if failed else None

    def _is_drafted(self, shown: Path) -> bool:
        """Whether something is typed about the run that is shown which is not kept; that waits from here on."""
        if self._typed == self._written:
            self._drafts.pop(shown, None)
            return False
        self._drafts[shown] = self._typed
        return True

    def _write(self, run: Path) -> UserError | None:
        try:
            RunFolder.open(run).write_note(self._drafts[run])
        except UserError as error:
            self.failed.emit(error)
            return error
        written = self._drafts.pop(run)
        if run == self._run:
            self._written = written
        self.kept.emit(run, written)
        return None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Save when the person goes elsewhere."""
        if event.type() is QEvent.Type.FocusOut:
            self.save()
        return super().eventFilter(watched, event)

    @property
    def _typed(self) -> RunNote:
        return RunNote(text=self.text.toPlainText()[:_MOST], tags=tags_in(self.tags.text()))
