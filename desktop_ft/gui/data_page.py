"""The page Data: choose pictures, see classes, counts, thumbnails and problems."""

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLabel, QSpinBox, QTabWidget, QVBoxLayout, QWidget

from desktop_ft import places
from desktop_ft.core.dataset import DatasetManifest, Problem, Sample, Severity, Subset
from desktop_ft.data.health import verdict
from desktop_ft.gui import words
from desktop_ft.gui.help_card import HelpButton, explained
from desktop_ft.gui.picker import choose_folder, choose_zip
from desktop_ft.gui.session import Session
from desktop_ft.gui.table import Column, table
from desktop_ft.gui.thumbnails import Thumb, Wall, tip
from desktop_ft.gui.widgets import Empty, Notice, Page, Progress, button, filling, label, row, splitter
from desktop_ft.gui.words import SUBSET_WORDS

PROBLEM_COLUMNS = (
    Column(title="File", text=lambda problem: words.printable(problem.path)),
    Column(title="Class", text=lambda problem: words.printable(problem.class_name or "–"), width=9),
    Column(title="Meaning", text=lambda problem: problem.severity.value, width=9),
    Column(title="Reason", text=lambda problem: words.printable(problem.reason)),
    Column(title="What to do", text=lambda problem: words.printable(problem.cure)),
)


class ClassRow:
    """A class and its counts."""

    def __init__(self, name: str, train: int, val: int, test: int, most: int) -> None:
        self.name = name
        self.train = train
        self.val = val
        self.test = test
        self.total = train + val + test
        self.share = self.total / max(1, most)


CLASS_COLUMNS = (
    Column(title="Class", text=lambda row: words.printable(row.name), bar=lambda row: row.share),
    Column(title="Train", text=lambda row: f"{row.train:,}", sort=lambda row: row.train, number=True, width=6),
    Column(title="Val", text=lambda row: f"{row.val:,}", sort=lambda row: row.val, number=True, width=6),
    Column(title="Test", text=lambda row: f"{row.test:,}", sort=lambda row: row.test, number=True, width=6),
)


class DataPage(Page):
    """Shows one of three things: where to drop a folder, how far the scan is, or what the folder holds."""

    def __init__(self, session: Session) -> None:
        super().__init__(
            "Data", "The pictures to learn from: a folder with one folder a class. It is only read, never written to."
        )
        self._session = session
        self._source = ""
        self.notice = Notice()
        self.progress = Progress("pictures")
        self.progress.cancelled.connect(session.opening.cancel)
        self.empty = Empty(
            "Drop a folder or .zip here",
            "One folder a class, or train/ and val/ with the classes inside, or pictures with a labels.csv.\n"
            "No pictures at hand? The sample is small and trains in minutes.",
            button("Choose a folder…", self._choose_folder, primary=True),
            button("Choose a .zip…", self._choose_zip),
            button("Try the sample", self._open_sample, tip="Handwritten digits, ten classes."),
            button("Take the lesson", session.lesson.start, tip="Fine-tuning explained in seven steps, on the sample."),
        )
        self.change = button("Other folder…", self._choose_folder)
        self.header.addWidget(self.change, 0, Qt.AlignmentFlag.AlignTop)
        self.contents = self._contents()
        self.health = Notice()
        for widget in (self.notice, self.progress, self.health):
            self.body.addWidget(widget)
        self.body.addWidget(filling(self.empty, self.contents), 1)
        opening = session.opening
        opening.began.connect(self._began)
        opening.progressed.connect(self.progress.advance)
        opening.failed.connect(self._failed)
        opening.ended.connect(self.refresh)
        session.state.manifest_changed.connect(self._draw)
        session.state.recipe_changed.connect(self._show_health)
        session.training.started.connect(self.refresh)
        session.training.ended.connect(self.refresh)
        session.runs.began.connect(self.refresh)
        session.runs.ended.connect(self.refresh)
        self._draw()

    def refresh(self) -> None:
        """Show what fits the moment."""
        manifest, running = self._session.state.manifest, self._session.opening.running
        self._show_health()
        self.empty.setVisible(manifest is None and not running)
        self.contents.setVisible(manifest is not None)
        self.change.setVisible(manifest is not None)
        self.change.setEnabled(self._session.can_open)
        if running and self.progress.isHidden():
            self.progress.begin(self._session.opening.what)
        if not running:
            self.progress.end()

    def _show_health(self) -> None:
        manifest = self._session.state.manifest
        batch_size = self._session.state.recipe.optimisation.batch_size
        trainable, said = verdict(manifest, batch_size) if manifest is not None else (True, ())
        self.health.say("\n".join(said), "warn" if trainable else "bad")

    def shut_down(self) -> None:
        """Decode no more thumbnails."""
        self.wall.stop()

    def _contents(self) -> QWidget:
        self.summary = label(role="heading", wrap=True)
        self.classes = table(CLASS_COLUMNS, self._session.theme, "Classes")
        self.classes.clicked.connect(self._pick_class)
        self.classes.activated.connect(self._pick_class)
        self.val = QSpinBox()
        self.val.setObjectName("val")
        self.val.setRange(5, 50)
        self.val.setSuffix(" %")
        self.val.setKeyboardTracking(False)
        self.val.setAccessibleName("Validation share")
        self.val.setToolTip("Share of each class that is held out to judge the model on pictures it never learned from.")
        self.val.valueChanged.connect(self._divide)
        self.val_note = label(role="muted", wrap=True)
        caption = QLabel("&Validation share")
        caption.setBuddy(self.val)
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.classes, 1)
        column.addLayout(row(caption, HelpButton(self.val), None, explained(self.val, "dataset.val")))
        column.addWidget(self.val_note)
        self.tabs = QTabWidget()
        self.tabs.addTab(self._photos(), "Photos")
        self.problems = table(PROBLEM_COLUMNS, self._session.theme, "Problems")
        self.problem = Notice(logged=False)
        self.problems.selectionModel().currentRowChanged.connect(self._show_problem)
        self.no_problems = Empty("No problems", "Every file in the folder can be used.")
        holder = QWidget()
        inside = QVBoxLayout(holder)
        inside.setContentsMargins(0, 8, 0, 0)
        inside.addWidget(self.problems, 1)
        inside.addWidget(self.problem)
        inside.addWidget(self.no_problems)
        self.tabs.addTab(holder, "Problems")
        contents = QWidget()
        layout = QVBoxLayout(contents)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.summary)
        layout.addWidget(splitter("data", self._session.settings, left, self.tabs, shares=(2, 5)), 1)
        return contents

    def _photos(self) -> QWidget:
        self.class_filter, self.subset_filter = QComboBox(), QComboBox()
        self.class_filter.setAccessibleName("Class shown")
        self.subset_filter.setAccessibleName("Part shown")
        self.class_filter.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        for text, data in (("All photos", None), *((f"Only {SUBSET_WORDS[s]}", s) for s in Subset)):
            self.subset_filter.addItem(text, data)
        self.subset_filter.addItem("Only with a note", Severity.NOTE)
        self.shown = label(role="muted")
        self.wall = Wall(self._session.theme, "Photos")
        self.class_filter.currentIndexChanged.connect(self._filter)
        self.subset_filter.currentIndexChanged.connect(self._filter)
        photos = QWidget()
        layout = QVBoxLayout(photos)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.addLayout(row(self.class_filter, self.subset_filter, None, self.shown))
        layout.addWidget(self.wall, 1)
        return photos

    def _draw(self) -> None:
        self.notice.clear()
        self.refresh()
        manifest = self._session.state.manifest
        if manifest is None:
            self.wall.thumbs.set_thumbs(())
            return
        self._draw_counts(manifest)
        self.problems.rows.set_rows(manifest.problems)
        self.problems.selectRow(0)
        self._show_problem()
        self.problems.setVisible(bool(manifest.problems))
        self.no_problems.setVisible(not manifest.problems)
        self.tabs.setTabText(1, f"Problems ({len(manifest.problems):,})")
        kept = self.class_filter.currentText() if manifest.source == self._source else ""
        self._source = manifest.source
        self.class_filter.blockSignals(True)
        self.class_filter.clear()
        self.class_filter.addItem("All classes", -1)
        for number, name in enumerate(manifest.classes):
            self.class_filter.addItem(words.printable(name), number)
        self.class_filter.setCurrentIndex(max(0, self.class_filter.findText(kept)))
        self.class_filter.blockSignals(False)
        self._filter()

    def _draw_counts(self, manifest: DatasetManifest) -> None:
        counts = {subset: manifest.counts(subset) for subset in Subset}
        totals = manifest.counts()
        most = max(totals.values(), default=0)
        self.classes.rows.set_rows(
            [
                ClassRow(name, counts[Subset.TRAIN][name], counts[Subset.VAL][name], counts[Subset.TEST][name], most)
                for name in manifest.classes
            ]
        )
        self.classes.setColumnHidden(3, not manifest.of(Subset.TEST))
        parts = [words.count(len(manifest.classes), "class")]
        parts += [f"{len(manifest.of(s)):,} for {SUBSET_WORDS[s]}" for s in Subset if manifest.of(s)]
        if left_out := manifest.left_out():
            parts.append(f"{words.count(len(left_out), 'file')} left out")
        self.summary.setText(f"{words.printable(manifest.source)}\n{' · '.join(parts)}")
        fixed = self._session.opening.fixed
        self.val.blockSignals(True)
        self.val.setValue(round(100 * self._session.state.recipe.dataset.val))
        self.val.blockSignals(False)
        self.val.setEnabled(not fixed)
        self.val_note.setText(
            "The dataset itself says what is held out."
            if fixed
            else "What is held out depends on the photos' content: in all but tiny classes it stays so when others are added."
        )

    def _filter(self) -> None:
        manifest = self._session.state.manifest
        if manifest is None:
            return
        label_, part = self.class_filter.currentData(), self.subset_filter.currentData()
        notes = {problem.path: problem for problem in manifest.problems if problem.severity is Severity.NOTE}
        chosen = [sample for sample in manifest.samples if _fits(sample, label_, part, notes)]
        root = Path(manifest.root)
        self.wall.thumbs.set_thumbs([_thumb(root, sample, manifest, notes.get(sample.path)) for sample in chosen])
        self.shown.setText(words.count(len(chosen), "photo"))

    def _show_problem(self) -> None:
        chosen = self.problems.current()
        self.problem.say(f"{chosen.path}\n{chosen.reason} {chosen.cure}" if chosen else "")

    def _pick_class(self) -> None:
        chosen = self.classes.current()
        if chosen is not None:
            self.class_filter.setCurrentIndex(self.class_filter.findText(words.printable(chosen.name)))
            self.tabs.setCurrentIndex(0)

    def _divide(self, percent: int) -> None:
        self._session.opening.divide(percent / 100)

    def _choose_folder(self) -> None:
        if folder := choose_folder(self, self._session.settings, "Choose a folder of pictures"):
            self._session.opening.open(folder)

    def _choose_zip(self) -> None:
        if file := choose_zip(self, self._session.settings):
            self._session.opening.open(file)

    def _open_sample(self) -> None:
        for sample in self._session.plugins.samples:
            self._session.opening.open_sample(sample.name, places.cache() / "samples" / sample.name)
            return

    def _began(self, what: str) -> None:
        self.notice.clear()
        self.progress.begin(what)
        self.refresh()

    def _failed(self, error: BaseException) -> None:
        self.refresh()
        self.notice.fail(error)


def _fits(sample: Sample, label_: int, part: object, notes: dict[str, Problem]) -> bool:
    if label_ not in (-1, sample.label):
        return False
    return sample.path in notes if part is Severity.NOTE else part in (None, sample.subset)


def _thumb(root: Path, sample: Sample, manifest: DatasetManifest, note: Problem | None) -> Thumb:
    part = SUBSET_WORDS[sample.subset] if sample.subset else "undecided"
    lines = [f"{sample.width} × {sample.height} pixels, {words.size(sample.bytes)}, {part}"]
    if note is not None:
        lines.append(f"{note.reason} {note.cure}")
    return Thumb(
        path=root / sample.path,
        caption=words.printable(manifest.classes[sample.label]),
        tip=tip(sample.path, *lines),
    )
