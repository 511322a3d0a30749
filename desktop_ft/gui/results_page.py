"""The page Results: what the model gets right and wrong."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from desktop_ft import places
from desktop_ft.core.dataset import Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunStatus
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.metrics import Answer, Evaluation, Threshold
from desktop_ft.evaluation.certainty import Figures, figures
from desktop_ft.evaluation.selective import Selection
from desktop_ft.gui import words
from desktop_ft.gui.class_table import CLASS_COLUMNS, figures_in_words, threshold_in_words
from desktop_ft.gui.confusion import Confusion
from desktop_ft.gui.offer import Offer, is_to_open
from desktop_ft.gui.photo_dialog import Photo, PhotoDialog
from desktop_ft.gui.photos_gone import PhotosGone
from desktop_ft.gui.picker import choose_folder
from desktop_ft.gui.readiness import UNDER_WAY
from desktop_ft.gui.run_work import EVALUATING
from desktop_ft.gui.session import Session
from desktop_ft.gui.sureness import Sureness
from desktop_ft.gui.table import table
from desktop_ft.gui.thumbnails import Thumb, Wall, tip
from desktop_ft.gui.trying import TryIt
from desktop_ft.gui.widgets import Empty, Notice, Page, Progress, button, enable_or_say, filling, label, splitter, stacked
from desktop_ft.gui.words import SUBSET_WORDS
from desktop_ft.gui.worker import Newest
from desktop_ft.jobs.starting import start_of
from desktop_ft.runs.run_folder import RunFolder

_AT_ONCE = 2_000
"""The figures of so many answers are worked out in less than a blink; those of more in the background."""


class ResultsPage(Page):
    """Accuracy with its interval, every mistake, who is taken for whom, every class, how sure it is; and a place to try it."""

    def __init__(self, session: Session) -> None:
        super().__init__(tr("Results"), _about())
        self._session = session
        self._drawn: Evaluation | None = None
        self._told: Figures | None = None
        self._newest = Newest(session.worker, self._counted, self._not_counted, self)
        self.notice = Notice()
        self.progress = Progress(tr("pictures"))
        self.progress.cancelled.connect(session.runs.cancel)
        self.open_button = button(tr("Open a run…"), self._choose_run)
        self.evaluate = button(tr("Evaluate"), self._evaluate, primary=True, tip=tr("Ask the model about every held-out photo."))
        self.resume = button(
            tr("Go on training"), self._resume, primary=True, tip=tr("From the last checkpoint, as if it had never stopped.")
        )
        self.other = button(
            tr("Evaluate on a folder…"),
            self._choose_other,
            tip=tr("Ask the model about photos of the same classes in another folder."),
        )
        self.own = button(tr("Held-out photos"), self._show_own, tip=tr("Back to the results on the run's own held-out photos."))
        for way in (self.evaluate, self.resume, self.own, self.other, self.open_button):
            self.header.addWidget(way, 0, Qt.AlignmentFlag.AlignTop)
        self.empty = Empty(tr("No results yet"), "")
        self.contents = self._contents()
        self.gone = PhotosGone(session.worker, (self.mistakes, self.cell, self.sureness.wall))
        self.body.addWidget(self.notice)
        self.body.addWidget(self.gone)
        self.body.addWidget(self.progress)
        self.body.addWidget(filling(self.empty, self.contents), 1)
        runs, state = session.runs, session.state
        runs.began.connect(self._began)
        runs.progressed.connect(self.progress.advance)
        runs.failed.connect(self._failed)
        runs.warned.connect(self._warned)
        runs.given_up.connect(self._given_up)
        runs.ended.connect(self._over)
        state.run_changed.connect(self._new_run)
        state.evaluation_changed.connect(self._draw)
        session.thresholds.kept.connect(self._threshold_kept)
        session.thresholds.failed.connect(self._threshold_failed)
        session.thresholds.warned.connect(self._threshold_warned)
        session.training.started.connect(self._draw)
        session.training.ended.connect(self._draw)
        session.broken_off.changed.connect(self._draw)
        self._draw()

    def shut_down(self) -> None:
        """Decode no more thumbnails, and count no more."""
        self._newest.stop()
        self.gone.stop()
        self.mistakes.stop()
        self.cell.stop()
        self.sureness.shut_down()
        self.trying.stop()

    def take_drop(self, paths: tuple[Path, ...]) -> bool:
        """Photos and folders dropped here are asked about, once a run is open; runs and recipes are opened as ever."""
        state, runs = self._session.state, self._session.runs
        if self._session.shown.reading:
            self.notice.say(tr("The results are being read. Wait for them, then drop it again."), "warn")
            return True
        if state.run is None or state.evaluation is None or any(is_to_open(path) for path in paths):
            return False
        if runs.busy:
            what = tr("{work} is under way. Wait for it, then drop them again.", work=tr(runs.busy))
            self.notice.say_until(runs.ended, what, "warn")
            return True
        self.tabs.setCurrentWidget(self.try_tab)
        self.trying.notice.clear()  # it was about what was dropped before
        fits = self.offer.consider(paths, state.evaluation.classes)
        if paths[0].suffix.lower() != ".zip" or not fits:
            self.trying.try_on(paths)  # of what is no photo it says what it is
        return True

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """The photos may have gone meanwhile."""
        super().showEvent(event)
        self.gone.look()

    def _contents(self) -> QWidget:
        self.accuracy = label(role="figure")
        self.figures = label(role="muted", wrap=True)
        self.classes = table(CLASS_COLUMNS, self._session.theme, tr("Classes"))
        self.confusion = Confusion(self._session.theme)
        self.confusion.picked.connect(self._show_cell)
        self.confusion.activated.connect(self._enter_cell)
        self.mistakes = Wall(self._session.theme, tr("Mistakes"), lines=2)
        self.mistakes.activated.connect(self._look_at_mistakes)
        self.cell = Wall(self._session.theme, tr("Photos of the picked cell"), lines=2)
        self.cell.activated.connect(self._look_at_cell)
        self._in_cell: tuple[Answer, ...] = ()
        self._remaining: tuple[Answer, ...] = ()
        self.sureness = Sureness(self._session)
        self.sureness.moved.connect(self._show_remaining)
        self.sureness.kept.connect(self._keep_threshold)
        self.sureness.wall.activated.connect(self._look_at_remaining)
        self.trying = TryIt(self._session, self._model, tr("Train a model or open a run first."))
        self.trying.opened.connect(self._look_at_answer)
        self.offer = Offer()
        self.offer.taken.connect(self._evaluate_on)
        self.cell_title = label(tr("Pick a cell to see its photos."), "muted", wrap=True)
        self.no_mistakes = Empty(tr("No mistakes"), tr("Every held-out photo was named rightly."))
        self.tabs = QTabWidget()
        self.tabs.addTab(_in_tab(self.mistakes, self.no_mistakes), tr("Mistakes"))
        photos = _in_tab(self.cell_title, self.cell)
        matrix = _in_tab(label(tr("Rows: what the photo is. Columns: what it was called."), "muted"), self.confusion)
        self.tabs.addTab(splitter("confusion", self._session.settings, matrix, photos, shares=(3, 2)), tr("Confusion"))
        self.tabs.addTab(_in_tab(self.classes), tr("Classes"))
        self.tabs.addTab(self.sureness, tr("How sure"))
        self.try_tab = _in_tab(self.offer, self.trying)
        self.tabs.addTab(self.try_tab, tr("Try it"))
        contents = QWidget()
        layout = QVBoxLayout(contents)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.accuracy)
        layout.addWidget(self.figures)
        layout.addWidget(self.tabs, 1)
        return contents

    def _draw(self) -> None:
        if self.puts_off(self._draw):
            return
        state, training = self._session.state, self._session.training
        run, evaluation = state.run, state.evaluation
        self.subtitle.setText(tr("Run {name}", name=words.printable(run.name)) if run else _about())
        self.contents.setVisible(evaluation is not None)
        self.empty.setVisible(evaluation is None)
        unfinished = run is not None and (
            training.history.ended is None or training.history.ended.status is not RunStatus.COMPLETED
        )
        reading = self._session.shown.reading
        free = not (training.running or self._session.runs.busy or reading)
        offered = self._session.broken_off.offered  # at the top of the window, with the same way on
        self.resume.setVisible(bool(unfinished) and training.run == run and free and (offered is None or offered.run != run))
        self.evaluate.setVisible(run is not None and evaluation is None and free)
        self.other.setVisible(run is not None)
        self.own.setVisible(state.judged is not None)
        obstacle = tr("The results are still being read.") if reading else "" if free else tr(UNDER_WAY)
        for way in (self.open_button, self.other, self.own, self.offer.button):
            enable_or_say(way, obstacle)
        if evaluation is not None and evaluation is not self._drawn:
            self._draw_evaluation(evaluation)
        self._drawn = evaluation
        self.gone.watch(state.root, [answer.path for answer in evaluation.answers] if evaluation is not None else ())
        if evaluation is None:
            self.empty.words.setText(_why_empty(run, reading=reading))

    def _draw_figures(self, evaluation: Evaluation, told: Figures, kept: Threshold | None) -> None:
        self.accuracy.setText(tr("{share} right", share=words.percent(told.accuracy.value)))
        low, high = 100 * told.accuracy.low, 100 * told.accuracy.high
        photos = tr_n("{n:,} photo", "{n:,} photos", n=len(evaluation.answers))
        parts = [
            tr("95 % sure to be between {low:.1f} and {high:.1f} %", low=low, high=high),
            f"{photos}, {self._which(evaluation)}",
            tr_n("{n:,} mistake", "{n:,} mistakes", n=len(evaluation.mistakes)),
        ]
        if while_learning := self._while_learning(evaluation, told):
            parts.append(while_learning)
        told_of = " · ".join([*parts, *figures_in_words(told), *threshold_in_words(evaluation, kept)])
        self.figures.setText("\n".join(filter(None, (told_of, self._not_surpassed(evaluation)))))

    def _draw_evaluation(self, evaluation: Evaluation) -> None:
        kept, self._told = self._kept(), None
        if len(evaluation.answers) <= _AT_ONCE:
            self._show_figures(evaluation, figures(evaluation), kept)
        else:
            self.accuracy.setText(tr("{share} right", share=words.percent(evaluation.accuracy.value)))
            self.figures.setText(tr("Working out how sure that is…"))
            self.classes.rows.set_rows(())
            self._newest.ask(lambda report, cancel: (evaluation, figures(evaluation)))
        self._remaining = ()
        self.sureness.wall.thumbs.set_thumbs(())
        self.sureness.show_evaluation(evaluation, kept)
        self.confusion.show_evaluation(evaluation)
        mistakes = evaluation.mistakes
        self.mistakes.thumbs.set_thumbs(self._thumbs(evaluation, mistakes))
        self.mistakes.setVisible(bool(mistakes))
        self.no_mistakes.setVisible(not mistakes)
        self.tabs.setTabText(0, tr("Mistakes ({n:,})", n=len(mistakes)))
        self._in_cell = ()
        self.cell.thumbs.set_thumbs(())
        self.cell_title.setText(tr("Pick a cell to see its photos."))

    def _counted(self, counted: tuple[Evaluation, Figures]) -> None:
        evaluation, told = counted
        if evaluation is self._session.state.evaluation:
            self._show_figures(evaluation, told, self._kept())

    def _not_counted(self, error: BaseException) -> None:
        self.figures.setText("")
        self.notice.fail(error)

    def _show_figures(self, evaluation: Evaluation, told: Figures, kept: Threshold | None) -> None:
        self._told = told
        self._draw_figures(evaluation, told, kept)
        self.classes.rows.set_rows(told.per_class)

    def _kept(self) -> Threshold | None:
        run = self._session.state.run
        try:
            return RunFolder.open(run).threshold if run else None
        except UserError as error:
            self.notice.fail(error)
            return None

    def _not_surpassed(self, evaluation: Evaluation) -> str:
        run = self._session.state.run
        with suppress(UserError):  # the page Runs tells of a damaged one
            if run is not None and (start := start_of(RunFolder.open(run).recipe)) is not None:
                return words.printable(start.not_surpassed(evaluation))
        return ""

    def _keep_threshold(self, threshold: Threshold | None) -> None:
        if self._session.state.run is not None:
            self._session.thresholds.keep(self._session.state.run, threshold)

    def _threshold_kept(self, run: Path) -> None:
        evaluation = self._session.state.evaluation
        if run == self._session.state.run and evaluation is not None:
            kept = self._kept()
            if self._told is not None:
                self._draw_figures(evaluation, self._told, kept)
            self.sureness.show_kept(kept)

    def _threshold_failed(self, run: Path, error: BaseException) -> None:
        if run == self._session.state.run:
            self.notice.fail(error)

    def _threshold_warned(self, run: Path, text: str) -> None:
        if run == self._session.state.run:
            self.notice.say(text, "warn")

    def _show_remaining(self, chosen: Selection) -> None:
        evaluation = self._session.state.evaluation
        if evaluation is not None and chosen.mistakes != self._remaining:
            self._remaining = chosen.mistakes
            self.sureness.wall.thumbs.set_thumbs(self._thumbs(evaluation, chosen.mistakes))

    def _while_learning(self, evaluation: Evaluation, told: Figures) -> str:
        """What the curves say of the same photos, where that is another figure; "" where it is not, or they are others."""
        state, live = self._session.state, self._session.training
        same = live.run == state.run and state.judged is None and evaluation.subset == Subset.VAL
        best = live.history.best if same else None
        share = words.percent(best.val_accuracy) if best is not None else ""
        if not share or share == words.percent(told.accuracy.value):
            return ""
        return tr("{share} in the curves, whose arithmetic is faster and less exact", share=share)

    def _which(self, evaluation: Evaluation) -> str:
        if self._session.state.judged is not None:
            return tr("all of {folder}", folder=words.printable(evaluation.dataset))
        return tr(SUBSET_WORDS.get(evaluation.subset, evaluation.subset))

    def _show_cell(self, actual: int, called: int) -> None:
        evaluation = self._session.state.evaluation
        if evaluation is None:
            return
        answers = [answer for answer in evaluation.answers if (answer.label, answer.predicted) == (actual, called)]
        self._in_cell = tuple(answers)
        names = [words.printable(name) for name in evaluation.classes]
        self.cell.thumbs.set_thumbs(self._thumbs(evaluation, answers))
        told = {"actual": names[actual], "called": names[called]}
        self.cell_title.setText(
            tr_n("{n:,} photo of {actual} called {called}", "{n:,} photos of {actual} called {called}", n=len(answers), **told)
        )

    def _enter_cell(self) -> None:
        """Enter, or a double click, goes on from a cell to its photos."""
        self.cell.setFocus(Qt.FocusReason.OtherFocusReason)
        if self._in_cell:
            self.cell.setCurrentIndex(self.cell.thumbs.index(0))

    def _look_at_mistakes(self, index: QModelIndex) -> None:
        evaluation = self._session.state.evaluation
        self._look(evaluation.mistakes if evaluation else (), index.row())

    def _look_at_cell(self, index: QModelIndex) -> None:
        self._look(self._in_cell, index.row())

    def _look_at_remaining(self, index: QModelIndex) -> None:
        self._look(self._remaining, index.row())

    def _look(self, answers: Sequence[Answer], number: int) -> None:
        root = self._root()
        self._explain([Photo(path=root / answer.path, label=answer.label) for answer in answers], number)

    def _look_at_answer(self, number: int) -> None:
        self._explain([Photo(path=answer.path) for answer in self.trying.answers], number)

    def _explain(self, photos: Sequence[Photo], number: int) -> None:
        run = self._session.state.run
        if run is not None and photos:
            PhotoDialog(self._session, run, photos, number, self).open()

    def _model(self) -> Path | None:
        return self._session.state.run

    def _thumbs(self, evaluation: Evaluation, answers: Sequence[Answer]) -> list[Thumb]:
        root = self._root()
        names = [words.printable(name) for name in evaluation.classes]
        return [
            Thumb(
                path=root / answer.path,
                caption=_caption(names[answer.label], names[answer.predicted], answer.confidence),
                tip=tip(
                    answer.path,
                    tr("It is {name}.", name=names[answer.label]),
                    tr("Called {name}, {share} sure.", name=names[answer.predicted], share=words.percent(answer.confidence)),
                ),
                level="good" if answer.predicted == answer.label else "bad",
            )
            for answer in answers
        ]

    def _root(self) -> Path:
        return self._session.state.root or Path()

    def _choose_run(self) -> None:
        places.runs().mkdir(parents=True, exist_ok=True)
        if folder := choose_folder(self, self._session.settings, tr("Open a run"), places.runs()):
            self.open_run(folder)

    def open_run(self, folder: Path) -> None:
        """Show the results of the run in `folder`."""
        self.notice.clear()
        try:
            self._session.shown.open(folder)
        except UserError as error:
            self.notice.fail(error)

    def _evaluate(self) -> None:
        self._evaluate_on(None)

    def _choose_other(self) -> None:
        if folder := choose_folder(self, self._session.settings, tr("Choose photos of the same classes")):
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
            self._session.starting.resume(run)
        except UserError as error:
            self.notice.fail(error)
            return
        self._session.state.go("train")

    def _new_run(self) -> None:
        self.notice.clear()
        self.offer.hide()
        self.trying.show_model()

    def _began(self, what: str) -> None:
        if self._ours:
            self.notice.clear()
            self.progress.begin(tr(what))
        self._draw()

    @property
    def _ours(self) -> bool:
        """Whether what is under way is shown here."""
        return self._session.runs.busy == EVALUATING

    def _failed(self, error: BaseException) -> None:
        if self._ours:
            self.notice.fail(error)

    def _warned(self, text: str) -> None:
        if self._ours:
            self.notice.say(text, "warn")

    def _given_up(self, kept: str) -> None:
        if self._ours:
            self.notice.say(kept)

    def _over(self) -> None:
        self.progress.end()
        self._draw()


def _about() -> str:
    return tr("What the model gets right and wrong on photos it never learned from.")


def _why_empty(run: Path | None, *, reading: bool) -> str:
    if run is None:
        return tr("Train a model, or open the folder of an earlier run.")
    if reading:
        return tr("Reading the results…")
    return tr("This run was not evaluated yet: ask its best model about every held-out photo, or go on training.")


def _caption(actual: str, called: str, confidence: float) -> str:
    return tr("called {called} {share}\nis {actual}", called=called, share=words.percent(confidence), actual=actual)


def _in_tab(*things: QWidget) -> QWidget:
    return stacked(*things, top=8)
