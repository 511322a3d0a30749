"""A file that was exported comes back: what it is, what it answers, what it gets right and wrong, and the run it came from."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLayout, QTabWidget, QVBoxLayout, QWidget

from desktop_ft import jobs
from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import FileInput
from desktop_ft.core.freezing import one_after_another
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.gui import words
from desktop_ft.gui.confusion import Confusion
from desktop_ft.gui.drops import local_paths
from desktop_ft.gui.facts import Facts
from desktop_ft.gui.picker import choose_folder
from desktop_ft.gui.session import Session
from desktop_ft.gui.table import Column, table
from desktop_ft.gui.trying import TryIt
from desktop_ft.gui.widgets import GAP, MARGIN, Notice, Progress, button, enable_or_say, label, row
from desktop_ft.gui.worker import Report, Task, Work
from desktop_ft.jobs.evaluating import Judged
from desktop_ft.jobs.exported_file import FileCard

_SIZE = (820, 600)
_READING, _JUDGING = marked("Opening the file"), marked("Judging the file")
_NO_RUN = marked("It comes from none of your runs: it was trained elsewhere, or its run is gone. It answers all the same.")

_MISTAKES = (
    Column(title=marked("File"), text=lambda mistake: words.printable(mistake[0].path)),
    Column(title=marked("Is"), text=lambda mistake: words.printable(mistake[1][mistake[0].label]), width=14),
    Column(title=marked("Was called"), text=lambda mistake: words.printable(mistake[1][mistake[0].predicted]), width=14),
    Column(
        title=marked("Confidence"),
        text=lambda mistake: words.percent(mistake[0].confidence),
        sort=lambda mistake: mistake[0].confidence,
        number=True,
        width=11,
    ),
)
"""Of an answer and the names of the classes."""


class ExportedModelDialog(QDialog):
    """Opens the file at once, in a process of its own first; nothing of it is believed before."""

    def __init__(self, session: Session, file: Path, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(words.printable(file.name))
        self.setAcceptDrops(True)
        self.resize(*_SIZE)
        self._session, self._file = session, file
        self._card: FileCard | None = None
        self._run: Path | None = None
        self._task: Task | None = None
        self.notice = Notice()
        self.progress = Progress(tr("photos"))
        self.progress.cancelled.connect(self._cancel)
        self.facts = Facts()
        self.whence = label(role="muted", wrap=True)
        self.show_run = button(tr("Show its run"), self._show_run)
        self.go_on = button(
            tr("Train on from its run"), self._go_on, tip=tr("Takes the run's recipe, and starts from what it has learned.")
        )
        self.trying = TryIt(session, self._answering, tr("The file is not open."))
        self.judge = button(tr("Choose a folder…"), self._choose)
        self.verdict = label(role="heading", wrap=True)
        self.confusion = Confusion(session.theme)
        self.mistakes = table(_MISTAKES, session.theme, tr("Mistakes"))
        self._arrange()
        self.finished.connect(self._end)
        for signal in session.can_open_changed:
            signal.connect(self._enable)
        self._enable()
        self._begin(tr(_READING), lambda report, cancel: _read(file, cancel), self._opened)

    def judge_on(self, folder: Path) -> None:
        """Ask the file about every photo in `folder`, a folder or .zip, and show what it gets right and wrong."""
        file, said = self._file, list[str]()

        def work(report: Report, cancel: threading.Event) -> tuple[Judged, list[str]]:
            return jobs.exported_file.evaluate_file(file, folder, warn=said.append, progress=report, cancel=cancel), said

        if self._task is None:
            self.verdict.setText("")  # what is shown is of other photos
        self._begin(tr(_JUDGING), work, self._judged)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 - Qt's name
        """Take local files and folders, once the file is open; nothing else."""
        if self._card is not None and local_paths(event.mimeData()):
            event.acceptProposedAction()
        else:
            event.ignore()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 - Qt's name
        """Judge the file on what was dropped, where that is looked at; else ask it."""
        paths = local_paths(event.mimeData())
        if not paths or self._card is None:
            event.ignore()
            return
        event.acceptProposedAction()
        if self.tabs.currentWidget() is self.judging:
            self.judge_on(paths[0])
        else:
            self.tabs.setCurrentWidget(self.trying)
            self.trying.try_on(paths)

    def _arrange(self) -> None:
        self.tabs = QTabWidget()
        self.tabs.addTab(_tab(self.facts, self.whence, row(self.show_run, self.go_on, None)), tr("What it is"))
        self.tabs.addTab(self.trying, tr("Try it"))
        about = label(
            tr("Choose or drop photos in a folder for each class, or in any other layout that can be trained on."),
            "muted",
            wrap=True,
        )
        found = (self.verdict, self.confusion, self.mistakes)
        self.judging = _tab(row(self.judge, about), *found, filled=self.mistakes)
        self.tabs.addTab(self.judging, tr("Judge it"))
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(GAP)
        for widget in (self.notice, self.progress):
            layout.addWidget(widget)
        layout.addWidget(self.tabs, 1)
        layout.addStretch(0)
        layout.addWidget(close)

    def _answering(self) -> Path | None:
        return self._file if self._card is not None else None

    def _begin(self, what: str, work: Work, finished: Callable[[Any], None]) -> None:
        if self._task is not None:
            return

        def done(value: Any) -> None:
            if self._over():
                finished(value)
                self._enable()

        self.notice.clear()
        self.progress.begin(what)
        self._task = self._session.worker.run(
            work, finished=done, failed=self._fail, progressed=self.progress.advance, cancelled=self._given_up
        )
        self._enable()

    def _opened(self, found: tuple[FileCard, Path | None]) -> None:
        self._card, self._run = found
        self.facts.show_facts(_facts(self._card))
        run = self._run
        self.whence.setText(tr(_NO_RUN) if run is None else tr("It comes from your run {name}.", name=words.printable(run.name)))
        self.trying.show_model()

    def _judged(self, found: tuple[Judged, list[str]]) -> None:
        judged, said = found
        evaluation = judged.evaluation
        self.verdict.setText(
            tr_n(
                "{n:,} photo of {name}: {accuracy} right.",
                "{n:,} photos of {name}: {accuracy} right.",
                n=len(evaluation.answers),
                name=words.printable(evaluation.dataset),
                accuracy=words.interval(evaluation.accuracy),
            )
        )
        self.confusion.show_evaluation(evaluation)
        self.mistakes.rows.set_rows([(mistake, evaluation.classes) for mistake in evaluation.mistakes])
        if said:
            self.notice.say("\n".join(said), "warn")

    def _choose(self) -> None:
        if folder := choose_folder(self, self._session.settings, tr("Choose a folder of photos")):
            self.judge_on(folder)

    def _show_run(self) -> None:
        if self._run is not None:
            try:
                self._session.shown.open(self._run)
            except UserError as error:
                self.notice.fail(error)
            else:
                self._session.state.go("results")
                self.accept()

    def _go_on(self) -> None:
        run, plugins = self._run, self._session.plugins

        def taken(recipe: Any) -> None:
            try:
                self._session.opening.take_recipe(recipe)
            except UserError as error:  # something has begun meanwhile
                self.notice.fail(error)
            else:
                self._session.state.go("train")
                self.accept()

        if run is not None:
            self._begin(tr("Reading the run"), lambda report, cancel: jobs.exported_file.going_on(run, plugins), taken)

    def _enable(self) -> None:
        known = self._card is not None and self._task is None
        self.judge.setEnabled(known)
        for way in (self.show_run, self.go_on):
            way.setVisible(self._run is not None)
            enable_or_say(way, self._session.obstacle)
            way.setEnabled(known and way.isEnabled())
        for thing in (self.verdict, self.confusion, self.mistakes):
            thing.setVisible(bool(self.verdict.text()))

    def _fail(self, error: BaseException) -> None:
        if self._over():
            self.notice.fail(error)
            self.tabs.setVisible(self._card is not None)  # of a file that is none there is nothing to show
            self._enable()

    def _given_up(self) -> None:
        if not self._over():
            return
        if self._card is None:  # there is nothing to show
            self.reject()
        else:
            self._enable()

    def _over(self) -> bool:
        """The work has ended; returns whether anybody still wants to know what came of it."""
        if self._task is None:
            return False
        self._task = None
        self.progress.end()
        return True

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel.set()

    def _end(self) -> None:
        self.finished.disconnect(self._end)  # Qt may tell of one end twice: as accepted, and as closed
        self._cancel()
        self._task = None
        if self._session.runs.asked == self._file:
            self._session.runs.cancel()
        self.trying.stop()


def _tab(*things: QWidget | QLayout, filled: QWidget | None = None) -> QWidget:
    """`things` below each other, from the top on; `filled` takes what room is left where it is shown."""
    tab = QWidget()
    layout = QVBoxLayout(tab)
    layout.setContentsMargins(0, 8, 0, 0)
    layout.setSpacing(GAP)
    for thing in things:
        if isinstance(thing, QLayout):
            layout.addLayout(thing)
        else:
            layout.addWidget(thing, int(thing is filled))
    layout.addStretch(0)
    return tab


def _read(file: Path, cancel: threading.Event) -> tuple[FileCard, Path | None]:
    card = jobs.exported_file.file_card(file, cancel)
    return card, jobs.exported_file.run_of_file(card)


def _facts(card: FileCard) -> list[tuple[str, str]]:
    said = tr("not told")
    whole = card.input == FileInput.PICTURE
    takes = marked("a whole picture, resized inside to {side} px") if whole else marked("a prepared picture of {side} px")
    facts = [
        (tr("Classes"), ", ".join(card.classes)),
        (tr("Backbone"), card.backbone or said),
        (tr("Licence of the weights"), card.licence or said),
        (tr("Input"), tr(takes, side=card.side)),
        (tr("Precision"), card.precision),
        (tr("Threshold"), words.percent(card.threshold) if card.threshold else tr("none: it always answers")),
        (tr("Size"), words.size(card.bytes)),
        (tr("Written by"), f"Desktop FT {card.version}"),
        (tr("Recipe (SHA-256)"), card.recipe_sha256 or said),
    ]
    if card.recipe is not None:
        recipe = card.recipe
        facts += [
            (tr("Photos"), recipe.dataset.folder),
            (tr("What learned"), one_after_another(recipe.plans)),
            (tr("Epochs"), str(recipe.optimisation.epochs)),
            (tr("Learning rate"), words.rate(recipe.optimisation.lr)),
        ]
    return facts
