"""What a person keeps as right in the check-ups of the project's photos: remembered for the next one, undone as every edit is."""

from collections.abc import Collection

from PySide6.QtCore import QObject, Signal

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr, tr_n
from desktop_ft.gui.state import ProjectState
from desktop_ft.runs.checked import CheckedPictures, checked_pictures


class KeptFindings(QObject):
    """The marks of the findings that are right, by kind (`runs/checked.py`).

    `changed` tells that a person keeps more or fewer, `failed` what could not be read, or written down: this window heeds it
    nevertheless.
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(self, state: ProjectState) -> None:
        super().__init__(state)
        self._state = state
        self._checked: CheckedPictures | None = None
        self._marks: dict[str, frozenset[str]] = {}

    def recall(self, source: str) -> None:
        """Be about the photos of `source`, a folder or .zip: what was kept of them before, and what will be from now on."""
        checked = self._checked = checked_pictures(source)
        self._marks = {}
        try:
            if (aside := checked.put_damaged_aside()) is not None:
                what = tr("What was kept at earlier check-ups is damaged, and was put aside as {file}.", file=aside)
                self.failed.emit(UserError(what, tr("All findings are shown: keep what is right once more.")))
            self._marks = checked.all()
        except UserError as error:
            self.failed.emit(error)

    def of(self, kind: str) -> frozenset[str]:
        """The marks of the findings of `kind` that are kept."""
        return self._marks.get(kind, frozenset())

    def keep(self, kind: str, marks: Collection[str], photos: int) -> None:
        """Keep these, too, which are the marks of so many photos."""
        self._change(tr_n("keep {n:,} photo", "keep {n:,} photos", n=photos), kind, frozenset(marks) - self.of(kind), kept=True)

    def show_again(self, kind: str) -> None:
        """Keep none of `kind` any more."""
        self._change(tr("show kept photos again"), kind, self.of(kind), kept=False)

    def _change(self, text: str, kind: str, marks: frozenset[str], *, kept: bool) -> None:
        if (checked := self._checked) is not None and marks:
            self._state.act(
                text, lambda: self._put(checked, kind, marks, kept=kept), lambda: self._put(checked, kind, marks, kept=not kept)
            )

    def _put(self, checked: CheckedPictures, kind: str, marks: frozenset[str], *, kept: bool) -> None:
        try:
            if kept:
                checked.add(kind, marks)
            else:
                checked.forget(kind, marks)
        except UserError as error:
            self.failed.emit(error)
        if checked == self._checked:  # what is taken back may be of a folder that was checked before
            self._marks[kind] = self.of(kind) | marks if kept else self.of(kind) - marks
            self.changed.emit()
