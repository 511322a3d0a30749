"""What waits to be trained: put in order, taken out, started and paused."""

from collections.abc import Callable, Mapping

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import GAP, MARGIN, Notice, button, enable_or_say, label, row
from desktop_ft.runs.queue import Waiting, told_apart

_NUMBER, _BEGUN = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1


def show_queue(session: Session, window: QWidget) -> None:
    """Show the queue of `window`, once."""
    dialog = window.findChild(QueueDialog) or QueueDialog(session, window)
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()


class QueueDialog(QDialog):
    """A list, and what can be done with it. It stays open beside the window."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Queue"))
        self.resize(640, 380)
        self._queue = session.queue
        self.notice = Notice()
        self.about = label(role="muted", wrap=True)
        self.list = QListWidget()
        self.list.setAccessibleName(tr("What waits to be trained"))
        self.list.setAlternatingRowColors(True)
        self.list.setWordWrap(True)
        self.list.currentItemChanged.connect(self._enable)
        self.earlier = button(tr("Earlier"), self._move_up, tip=tr("Let it come before the one above it."))
        self.later = button(tr("Later"), self._move_down, tip=tr("Let it come after the one below it."))
        self.remove = button(tr("Remove"), self._remove, tip=tr("Take it out; a run that was begun stays among your runs."))
        self.start = button("", self._start_or_pause, primary=True)
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(GAP)
        layout.addWidget(self.about)
        layout.addWidget(self.notice)
        layout.addWidget(self.list, 1)
        layout.addLayout(row(self.earlier, self.later, self.remove, None, self.start, close))
        self._queue.changed.connect(self.refresh)
        self._queue.failed.connect(self.notice.fail)
        self.refresh()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Refresh when it comes to the front: other processes may have changed the queue meanwhile."""
        super().changeEvent(event)
        if event.type() is QEvent.Type.ActivationChange and self.isActiveWindow():
            self.refresh()

    def refresh(self) -> None:
        """Show what waits now; the same one stays chosen."""
        entries, chosen = self._queue.entries(), self._chosen()
        apart = told_apart(entries)
        self.list.clear()
        for each in entries:
            lines = (each.name, _fields(apart.get(each.number, {})), self._state(each))
            item = QListWidgetItem(words.printable("\n".join(filter(None, lines))))
            item.setData(_NUMBER, each.number)
            item.setData(_BEGUN, each.begun)
            item.setToolTip(words.printable(each.data.get("dataset", {}).get("folder", "")))
            self.list.addItem(item)
            if each.number == chosen:
                self.list.setCurrentItem(item)
        if self.list.currentItem() is None and entries:
            self.list.setCurrentRow(0)
        self.about.setText(
            tr("Runs that wait are trained one after another. One that fails does not stop the others.")
            if entries
            else tr("Nothing waits. Put together a run, and press Add to the queue on the page Train.")
        )
        self.start.setText(tr("Pause the queue") if self._queue.working else tr("Start the queue"))
        self.start.setToolTip(
            tr("Let the run under way come to its end, and begin no other.")
            if self._queue.working
            else tr("Train what waits, one after another, as soon as no other run is under way.")
        )
        self._enable()

    def _state(self, each: Waiting) -> str:
        if each.error:
            return tr("failed: {error}", error=each.error)
        now = self._queue.now
        if now is not None and now.number == each.number:
            return tr("under way")
        return tr("was broken off; goes on where it was") if each.run else tr("waits")

    def _chosen(self) -> int | None:
        item = self.list.currentItem()
        return int(item.data(_NUMBER)) if item is not None else None

    def _begun(self, place: int) -> bool:
        item = self.list.item(place)
        return item is not None and bool(item.data(_BEGUN))

    def _enable(self) -> None:
        place, chosen, now = self.list.currentRow(), self._chosen(), self._queue.now
        begun = tr("What was begun comes before all that waits.")
        first, last = tr("Nothing comes before it."), tr("Nothing comes after it.")
        fixed = begun if self._begun(place) else ""
        enable_or_say(self.earlier, fixed or (first if place <= 0 else begun if self._begun(place - 1) else ""))
        enable_or_say(self.later, fixed or (last if place in (-1, self.list.count() - 1) else ""))
        self.remove.setEnabled(chosen is not None and (now is None or now.number != chosen))
        self.start.setEnabled(self._queue.working or self._queue.waits)

    def _move_up(self) -> None:
        self._move(-1)

    def _move_down(self) -> None:
        self._move(1)

    def _move(self, by: int) -> None:
        number = self._chosen()
        if number is not None:
            self._attempt(lambda: self._queue.move(number, by))

    def _remove(self) -> None:
        number = self._chosen()
        if number is not None:
            self._attempt(lambda: self._queue.remove(number))

    def _start_or_pause(self) -> None:
        self._attempt(self._queue.pause if self._queue.working else self._queue.start)

    def _attempt(self, do: Callable[[], None]) -> None:
        self.notice.clear()
        try:
            do()
        except UserError as error:
            self.notice.fail(error)
            self.refresh()


def _fields(apart: Mapping[str, object]) -> str:
    return " · ".join(f"{words.path_title(name)}: {'–' if value == '' else value}" for name, value in apart.items())
