"""What was found in a dataset that a person should know: by kind, with cause, cure and, where there is one, the photo."""

from collections import Counter
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from desktop_ft.core.dataset import DatasetManifest, Problem, Severity
from desktop_ft.core.language import grouped, marked, tr, tr_n
from desktop_ft.gui import words
from desktop_ft.gui.table import Column, table
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.thumbnails import Thumb, Wall, tip
from desktop_ft.gui.widgets import Empty, Notice, button, filling, label, row

_MEANINGS = {Severity.LEFT_OUT: marked("left out"), Severity.NOTE: marked("note"), Severity.IGNORED: marked("ignored")}
COLUMNS = (
    Column(title=marked("File"), text=lambda problem: words.printable(problem.path)),
    Column(title=marked("Class"), text=lambda problem: words.printable(problem.class_name or "–"), width=9),
    Column(title=marked("Meaning"), text=lambda problem: tr(_MEANINGS[problem.severity]), width=9),
    Column(title=marked("Reason"), text=lambda problem: words.printable(problem.reason)),
    Column(title=marked("What to do"), text=lambda problem: words.printable(problem.cure)),
)


class ProblemList(QWidget):
    """A table of problems. `photo_asked` tells the path of the photo that is to be shown among the others."""

    photo_asked = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._manifest: DatasetManifest | None = None
        self._usable: frozenset[str] = frozenset()
        self.kinds = QComboBox()
        self.kinds.setAccessibleName(tr("Kind of problem shown"))
        self.kinds.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.kinds.currentIndexChanged.connect(self._filter)
        self.shown = label(role="muted")
        self.table = table(COLUMNS, theme, tr("Problems"))
        self.table.selectionModel().currentRowChanged.connect(self._show)
        self.table.activated.connect(self._ask)
        self.notice = Notice(logged=False)
        self.photo = Wall(theme, tr("Photo of the problem"), lines=0)
        size = self.photo.gridSize()
        self.photo.setFixedSize(size.width() + 6, size.height() + 6)
        self.go = button(tr("Show among the photos"), self._ask, tip=tr("Go to this photo on the wall (Return in the list)."))
        self.none = Empty(tr("No problems"), tr("Every file in the folder can be used."))
        said = QVBoxLayout()
        said.addWidget(self.notice)
        said.addLayout(row(self.go, None))
        said.addStretch(1)
        below = QHBoxLayout()
        below.addWidget(self.photo)
        below.addLayout(said, 1)
        self._some = QWidget()
        inside = QVBoxLayout(self._some)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addLayout(row(self.kinds, None, self.shown))
        inside.addWidget(self.table, 1)
        inside.addLayout(below)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.addWidget(filling(self._some, self.none))

    def show_manifest(self, manifest: DatasetManifest) -> None:
        """Show what was found in this one; the kind that is chosen stays so where it is still there."""
        self._manifest = manifest
        found = {problem.path for problem in manifest.problems}
        self._usable = frozenset(sample.path for sample in manifest.samples if sample.path in found)
        before = self.kinds.currentData()
        self.kinds.blockSignals(True)
        self.kinds.clear()
        self.kinds.addItem(tr("All kinds"), None)
        for kind, count in sorted(Counter(problem.kind for problem in manifest.problems).items()):
            self.kinds.addItem(f"{words.title(words.problem(kind))} ({grouped(count)})", kind)
        self.kinds.setCurrentIndex(max(0, self.kinds.findData(before)) if before else 0)
        self.kinds.blockSignals(False)
        self._some.setVisible(bool(manifest.problems))
        self.none.setVisible(not manifest.problems)
        self._filter()

    def stop(self) -> None:
        """Decode nothing any more; to be called before the window goes."""
        self.photo.stop()

    def _filter(self) -> None:
        kind, before = self.kinds.currentData(), self.table.current()
        problems = [p for p in self._manifest.problems if kind in (None, p.kind)] if self._manifest is not None else []
        self.table.rows.set_rows(problems)
        self.table.selectRow(0)
        if before in problems:
            self.table.select(lambda problem: problem == before)
        self.shown.setText(tr_n("{n:,} problem", "{n:,} problems", n=len(problems)))
        self._show()

    def _show(self) -> None:
        chosen = self.table.current()
        self.notice.say(f"{chosen.path}\n{chosen.reason} {chosen.cure}" if chosen else "")
        thumb = self._thumb(chosen) if chosen is not None else None
        self.photo.thumbs.set_thumbs([thumb] if thumb is not None else ())
        self.photo.setVisible(thumb is not None)
        self.go.setVisible(thumb is not None)

    def _thumb(self, problem: Problem) -> Thumb | None:
        """The photo of the problem, where it can be decoded."""
        if self._manifest is None or problem.path not in self._usable:
            return None
        return Thumb(path=Path(self._manifest.root) / problem.path, caption="", tip=tip(problem.path, problem.reason))

    def _ask(self) -> None:
        chosen = self.table.current()
        if chosen is not None and chosen.path in self._usable:
            self.photo_asked.emit(chosen.path)
