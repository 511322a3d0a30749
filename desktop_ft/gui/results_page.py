"""The page Results: what the model gets right and wrong."""

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunStatus
from desktop_ft.core.metrics import Answer, Evaluation
from desktop_ft.gui import words
from desktop_ft.gui.confusion import Confusion
from desktop_ft.gui.picker import choose_folder
from desktop_ft.gui.run_work import EVALUATING
from desktop_ft.gui.session import Session
from desktop_ft.gui.table import Column, table
from desktop_ft.gui.thumbnails import Thumb, Wall, tip
from desktop_ft.gui.widgets import Empty, Notice, Page, Progress, button, filling, label, splitter
from desktop_ft.gui.words import SUBSET_WORDS
from desktop_ft.runs.run_folder import RunFolder


def _percent(share: float | None) -> str:
    return "–" if share is None else words.percent(share)


CLASS_COLUMNS = (
    Column(title="Class", text=lambda score: words.printable(score.name)),
    Column(
        title="Recall",
        text=lambda score: _percent(score.recall),
        sort=lambda score: -1.0 if score.recall is None else score.recall,
        bar=lambda score: score.recall or 0.0,
        number=True,
        width=12,
        help="Of the pictures that are of this class, the share that was called so.",
    ),
    Column(
        title="Precision",
        text=lambda score: _percent(score.precision),
        sort=lambda score: -1.0 if score.precision is None else score.precision,
        bar=lambda score: score.precision or 0.0,
        number=True,
        width=12,
        help="Of the pictures that were called this class, the share that is.",
    ),
    Column(
        title="F1",
        text=lambda score: _percent(score.f1),
        sort=lambda score: -1.0 if score.f1 is None else score.f1,
        number=True,
        width=10,
        help="Harmonic mean of precision and recall.",
    ),
    Column(title="Pictures", text=lambda score: f"{score.support:,}", sort=lambda score: score.support, number=True, width=9),
)


class ResultsPage(Page):
    """Accuracy with its interval, every class, who is taken for whom, and every mistake with its photo."""

    def __init__(self, session: Session) -> None:
        super().__init__("Results", "What the model gets right and wrong on photos it never learned from.")
        self._session = session
        self.notice = Notice()
        self.progress = Progress("pictures")
        self.progress.cancelled.connect(session.runs.cancel)
        self.open_button = button("Open a run…", self._choose_run)
        self.evaluate = button("Evaluate", self._evaluate, primary=True, tip="Ask the model about every held-out photo.")
        self.resume = button(
            "Go on training", self._resume, primary=True, tip="From the last checkpoint, as if it had never stopped."
        )
        self.other = button(
            "Evaluate on a folder…", self._choose_other, tip="Ask the model about photos of the same classes in another folder."
        )
        self.own = button("Held-out photos", self._show_own, tip="Back to the results on the run's own held-out photos.")
        for way in (self.evaluate, self.resume, self.own, self.other, self.open_button):
            self.header.addWidget(way, 0, Qt.AlignmentFlag.AlignTop)
        self.empty = Empty("No results yet", "Train a model, or open the folder of an earlier run.")
        self.contents = self._contents()
        self.body.addWidget(self.notice)
        self.body.addWidget(self.progress)
        self.body.addWidget(filling(self.empty, self.contents), 1)
        runs, state = session.runs, session.state
        runs.began.connect(self._began)
        runs.progressed.connect(self.progress.advance)
        runs.failed.connect(self._failed)
        runs.warned.connect(self._warned)
        runs.ended.connect(self._over)
        state.run_changed.connect(self._new_run)
        state.evaluation_changed.connect(self._draw)
        session.training.started.connect(self._draw)
        session.training.ended.connect(self._draw)
        self._draw()

    def shut_down(self) -> None:
        """Decode no more thumbnails."""
        self.mistakes.stop()
        self.cell.stop()

    def _contents(self) -> QWidget:
        self.accuracy = label(role="figure")
        self.figures = label(role="muted", wrap=True)
        self.classes = table(CLASS_COLUMNS, self._session.theme, "Classes")
        self.confusion = Confusion(self._session.theme)
        self.confusion.picked.connect(self._show_cell)
        self.mistakes = Wall(self._session.theme, "Mistakes", lines=2)
        self.cell = Wall(self._session.theme, "Photos of the picked cell", lines=2)
        self.cell_title = label("Pick a cell to see its photos.", "muted", wrap=True)
        self.no_mistakes = Empty("No mistakes", "Every held-out photo was named rightly.")
        self.tabs = QTabWidget()
        self.tabs.addTab(_padded(self.mistakes, self.no_mistakes), "Mistakes")
        photos = _padded(self.cell_title, self.cell)
        matrix = _padded(label("Rows: what the photo is. Columns: what it was called.", "muted"), self.confusion)
        self.tabs.addTab(splitter("confusion", self._session.settings, matrix, photos, shares=(3, 2)), "Confusion")
        self.tabs.addTab(_padded(self.classes), "Classes")
        contents = QWidget()
        layout = QVBoxLayout(contents)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.accuracy)
        layout.addWidget(self.figures)
        layout.addWidget(self.tabs, 1)
        return contents

    def _draw(self) -> None:
        state, training = self._session.state, self._session.training
        run, evaluation = state.run, state.evaluation
        self.subtitle.setText(
            f"Run {words.printable(run.name)}" if run else "What the model gets right and wrong on photos it never learned from."
        )
        self.contents.setVisible(evaluation is not None)
        self.empty.setVisible(evaluation is None)
        unfinished = run is not None and (
            training.history.ended is None or training.history.ended.status is not RunStatus.COMPLETED
        )
        free = not training.running and not self._session.runs.busy
        self.resume.setVisible(bool(unfinished) and training.run == run and free)
        self.evaluate.setVisible(run is not None and evaluation is None and free)
        self.other.setVisible(run is not None)
        self.own.setVisible(state.judged is not None)
        for way in (self.open_button, self.other, self.own):
            way.setEnabled(free)
        if evaluation is not None:
            self._draw_evaluation(evaluation)
        elif run is not None:
            self.empty.words.setText(
                "This run was not evaluated yet: ask its best model about every held-out photo, or go on training."
            )

    def _draw_evaluation(self, evaluation: Evaluation) -> None:
        self.accuracy.setText(f"{words.percent(evaluation.accuracy.value)} right")
        low, high = evaluation.accuracy.low, evaluation.accuracy.high
        parts = [
            f"95 % sure to be between {100 * low:.1f} and {100 * high:.1f} %",
            f"{words.count(len(evaluation.answers), 'photo')}, {self._which(evaluation)}",
            f"{words.count(len(evaluation.mistakes), 'mistake')}",
        ]
        if evaluation.top5 is not None:
            parts.append(f"right class among the first five: {words.percent(evaluation.top5)}")
        parts.append(f"confidence off by {words.percent(evaluation.calibration_error)} on average")
        self.figures.setText(" · ".join(parts))
        self.classes.rows.set_rows(evaluation.per_class)
        self.confusion.show_evaluation(evaluation)
        mistakes = evaluation.mistakes
        self.mistakes.thumbs.set_thumbs(self._thumbs(evaluation, mistakes))
        self.mistakes.setVisible(bool(mistakes))
        self.no_mistakes.setVisible(not mistakes)
        self.tabs.setTabText(0, f"Mistakes ({len(mistakes):,})")
        self.cell.thumbs.set_thumbs(())
        self.cell_title.setText("Pick a cell to see its photos.")

    def _which(self, evaluation: Evaluation) -> str:
        if self._session.state.judged is not None:
            return f"all of {words.printable(evaluation.dataset)}"
        return SUBSET_WORDS.get(evaluation.subset, evaluation.subset)

    def _show_cell(self, actual: int, called: int) -> None:
        evaluation = self._session.state.evaluation
        if evaluation is None:
            return
        answers = [answer for answer in evaluation.answers if (answer.label, answer.predicted) == (actual, called)]
        names = [words.printable(name) for name in evaluation.classes]
        self.cell.thumbs.set_thumbs(self._thumbs(evaluation, answers))
        self.cell_title.setText(f"{words.count(len(answers), 'photo')} of {names[actual]} called {names[called]}")

    def _thumbs(self, evaluation: Evaluation, answers: Sequence[Answer]) -> list[Thumb]:
        root = self._root()
        names = [words.printable(name) for name in evaluation.classes]
        return [
            Thumb(
                path=root / answer.path,
                caption=_caption(names[answer.label], names[answer.predicted], answer.confidence),
                tip=tip(
                    answer.path,
                    f"It is {names[answer.label]}.",
                    f"Called {names[answer.predicted]}, {words.percent(answer.confidence)} sure.",
                ),
                level="good" if answer.predicted == answer.label else "bad",
            )
            for answer in answers
        ]

    def _root(self) -> Path:
        run, judged = self._session.state.run, self._session.state.judged
        if judged is not None and judged.is_dir():
            return judged
        try:
            return Path(RunFolder.open(run).manifest.root) if run else Path()
        except UserError as error:
            self.notice.fail(error)
            return Path()

    def _choose_run(self) -> None:
        places.runs().mkdir(parents=True, exist_ok=True)
        if folder := choose_folder(self, self._session.settings, "Open a run", places.runs()):
            self.open_run(folder)

    def open_run(self, folder: Path) -> None:
        """Show the results of the run in `folder`."""
        self.notice.clear()
        try:
            self._session.runs.open(folder)
        except UserError as error:
            self.notice.fail(error)

    def _evaluate(self) -> None:
        self._evaluate_on(None)

    def _choose_other(self) -> None:
        if folder := choose_folder(self, self._session.settings, "Choose photos of the same classes"):
            self._evaluate_on(folder)

    def _evaluate_on(self, folder: Path | None) -> None:
        if self._session.state.run is None:
            return
        try:
            self._session.runs.evaluate(self._session.state.run, folder)
        except UserError as error:
            self.notice.fail(error)

    def _show_own(self) -> None:
        if self._session.state.run is not None:
            self.open_run(self._session.state.run)

    def _resume(self) -> None:
        run = self._session.state.run
        if run is None:
            return
        try:
            self._session.runs.resume(run)
        except UserError as error:
            self.notice.fail(error)
            return
        self._session.state.go("train")

    def _new_run(self) -> None:
        self.notice.clear()

    def _began(self, what: str) -> None:
        if what == EVALUATING:
            self.notice.clear()
            self.progress.begin(what)
        self._draw()

    def _failed(self, error: BaseException) -> None:
        if not self.progress.isHidden():
            self.notice.fail(error)

    def _warned(self, text: str) -> None:
        if not self.progress.isHidden():
            self.notice.say(text, "warn")

    def _over(self) -> None:
        self.progress.end()
        self._draw()


def _caption(actual: str, called: str, confidence: float) -> str:
    return f"called {called} {100 * confidence:.0f} %\nis {actual}"


def _padded(*things: QWidget) -> QWidget:
    holder = QWidget()
    layout = QVBoxLayout(holder)
    layout.setContentsMargins(0, 8, 0, 0)
    for thing in things:
        layout.addWidget(thing)
    return holder
