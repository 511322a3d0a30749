"""Runs: start, resume, open, evaluate, export and try one, each in the background."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import QObject, Signal

from desktop_ft import jobs
from desktop_ft.core.changes import Change, Course
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import RunEnded
from desktop_ft.core.exporting import ExportSettings
from desktop_ft.core.language import marked, tr
from desktop_ft.core.metrics import ExportReport, MetricHistory, Threshold
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.gui import trash
from desktop_ft.gui.readiness import refuse_beside
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.training_job import Emit, Fit, PhaseProgress, Training
from desktop_ft.gui.trash import Trashed
from desktop_ft.gui.worker import Newest, Report, Task, Work, Worker
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from desktop_ft.jobs.training import Verbs

_Kept = TypeVar("_Kept")
_AT_ONCE = 1_000_000
"""So many bytes of results are read in less than a blink; more of them in the background."""
_OF_A_RUN = ("results", "export")
EVALUATING = marked("Evaluating")
ASKING = marked("Asking the model")
_EXPORTING = marked("Exporting and proving")
_EVERY = marked("Exporting every format and precision")
_KEPT = {
    EVALUATING: marked("The evaluation was cancelled: nothing of it is kept, and the results from before stay."),
    ASKING: marked("Cancelled. The answers that came before are kept here."),
    _EXPORTING: marked("The export was cancelled: no file was written, and one from before stays as it was."),
    _EVERY: marked("Cancelled. The files that were proven before are kept."),
}

_News = tuple[str, int, int | None]
_NO_NEWS: _News = ("", 0, None)


class RunWork(QObject):
    """The verbs of runs. One piece of background work at a time besides the training itself: `busy` and `began` name it
        in English; `given_up` says what is kept of one that was cancelled.

    `bundled` tells the proof of what a .zip holds that was written. `done_elsewhere` says what became of work on a run that is
    not shown any more; `unread` tells what is kept of a run and cannot be shown. `answers` are those of the model `asked` last,
    as they come: with each `progressed` there may be more.
    `trashed` tells which run's folder went to the trash.
    `threshold_kept`, `threshold_failed` and `threshold_warned`, of the report that is drawn anew then, tell of which run.

        Args:
            under_way: what else, or of this, keeps a run from being opened now; "" where nothing does.
            isolates: whether a run that begins now is to be trained in a process of its own.
    """

    began = Signal(str)
    progressed = Signal(object, object)
    failed = Signal(object)
    warned = Signal(str)
    ended = Signal()
    given_up = Signal(str)
    unread = Signal(object)
    done_elsewhere = Signal(str)
    trashed = Signal(object)
    bundled = Signal(object)
    threshold_kept = Signal(object)
    threshold_failed = Signal(object, object)
    threshold_warned = Signal(object, str)
    replanned = Signal(object, bool)
    replan_failed = Signal(object, object)

    def __init__(
        self,
        state: ProjectState,
        worker: Worker,
        plugins: Plugins,
        live: Training,
        under_way: Callable[[], str],
        isolates: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(state)
        self._state = state
        self._worker = worker
        self._plugins = plugins
        self._live = live
        self._under_way_now = under_way
        self._isolates = isolates
        self._task: Task | None = None
        self._warnings: list[str] = []
        self.busy = ""
        self._news: list[_News] = [_NO_NEWS]  # the thread holds no Qt object
        self.asked: Path | None = None
        self.answers: list[jobs.predicting.Prediction] = []
        self._judged: Path | None = None
        self._about: Path | None = None
        self._to_keep: deque[tuple[Path, Threshold | None]] = deque()
        self._under_way: Recipe | None = None
        self._asking = False
        self._asked: Change | None = None
        self._told_before = 0
        self._reading: Path | None = None
        self._left: dict[Path, Path] = {}  # the run that was shown of a folder
        self._newest = Newest(worker, self._was_read, self._not_read, self)
        live.ended.connect(self._trained)

    @property
    def verbs(self) -> Verbs:
        """What trains a run that begins now: this process, or one of its own."""
        return jobs.isolated if self._isolates() else jobs.training

    @property
    def part(self) -> str:
        """Which part of the work is under way, in the person's language; "" where it has none."""
        return self._news[0][0]

    @property
    def exporting(self) -> Path | None:
        """The run that is exported just now, to whatever files; None while none is."""
        return self._about if self.busy in (_EXPORTING, _EVERY) else None

    @property
    def cancelling(self) -> bool:
        """Whether the work under way was asked to end."""
        return self._task is not None and self._task.cancel.is_set()

    @property
    def news(self) -> _News:
        """The part under way, how much of it is done, and of how much: of one moment."""
        return self._news[0]

    def start(self, recipe: Recipe, run: Path | None) -> None:
        """Train as `recipe` says, into `run` or a new folder among the runs."""
        plugins, verbs, path = self._plugins, self.verbs, run or jobs.training.new_run_path(recipe)

        def fit(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
            return verbs.train(recipe, path, plugins, emit, control, progress=progress)

        self.begin(recipe, path, fit)

    def begin(self, recipe: Recipe, run: Path, fit: Fit) -> None:
        """Let `fit` train in the folder `run`, which may hold a run that `recipe` belongs to and was broken off."""
        before = RunFolder.open(run) if (run / "recipe.toml").is_file() else None
        history = before.history() if before is not None else None
        self._under_way = before.recipe if before is not None else recipe
        self._asked = before.asked_change() if before is not None else None
        self._told_before = len(history.replanned) if history is not None else 0
        self._live.start(run, fit, history)

    def resume(self, run: Path) -> None:
        """Go on with a run that did not end."""
        plugins, verbs = self._plugins, self.verbs

        def fit(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
            return verbs.resume(run, plugins, emit, control, progress=progress)

        self.begin(RunFolder.open(run).recipe, run, fit)

    def keep_best(self, run: Path) -> None:
        """Let a run that was broken off end here: keep the best it has, and evaluate it."""
        plugins, verbs = self._plugins, self.verbs

        def fit(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
            return verbs.keep_best(run, plugins, emit, control, progress=progress)

        self.begin(RunFolder.open(run).recipe, run, fit)

    def trash(self, run: Path) -> Trashed | None:
        """Move `run` to where the system keeps what was deleted; None: it could not be. What another process trains stays."""
        gone = None if RunFolder(run).is_locked else trash.move(run)
        if gone and self._state.run == run:
            self._live.forget()
            self._state.set_run(None, None)
        if gone:
            self.trashed.emit(run)
        return gone

    @property
    def course(self) -> Course | None:
        """What the run under way follows, or will from its next epoch on as that was asked for; None where none trains."""
        recipe, live = self._under_way, self._live
        if recipe is None or not live.running or live.phase is not None or live.history.started is None:
            return None
        course = recipe.followed(0, 0)
        for told in live.history.replanned:
            course = course.altered(told.change, told.epoch)
        if self._asked is not None and len(live.history.replanned) <= self._told_before:
            course = course.altered(self._asked, 0)
        return course

    @property
    def can_change(self) -> bool:
        """Whether the run under way has an epoch left to begin, in which it could do otherwise."""
        started, epochs = self._live.history.started, self._live.history.epochs
        if self.course is None or self._asking or started is None:
            return False
        return max(started.first_epoch, epochs[-1].epoch + 1 if epochs else 0) < started.epochs - 1

    @property
    def reading(self) -> bool:
        """Whether what is kept of the run that is shown is still to come."""
        return self._reading is not None and self._reading == self._state.run

    @property
    def can_replan(self) -> bool:
        """Whether the layers that are ticked now could learn in the run under way, and are not those that do."""
        recipe, now, course = self._under_way, self._state.recipe, self.course
        if recipe is None or course is None or not self.can_change:
            return False
        same = recipe.backbone == now.backbone and recipe.freeze.pretrained is now.freeze.pretrained
        return same and course.freeze != now.freeze

    def replan(self) -> None:
        """Let the layers that are ticked now learn in the run under way, from its next epoch on."""
        if self.can_replan:
            self.change(Change(freeze=self._state.recipe.freeze))

    def change(self, change: Change) -> None:
        """Let the run under way do otherwise, from its next epoch on."""
        run, plugins = self._live.run, self._plugins
        if run is None or not self.can_change:
            return

        def work(report: Report, cancel: threading.Event) -> bool:
            return jobs.replanning.replan(run, change, plugins)

        def asked(training: bool) -> None:
            self._asking = False
            if self._live.run == run:  # else it has ended meanwhile, and another has begun
                self._replanned(change, training)

        def failed(error: BaseException) -> None:
            self._asking = False
            self.replan_failed.emit(change, error)

        self._asking = True
        self._worker.run(work, finished=asked, failed=failed)

    def open(self, run: Path) -> None:
        """Show the results of the run in the folder `run`; where these are many, they come when they are read.

        Raises:
            UserError: it is no run, or something is under way. Of what is damaged in it `unread` tells.
        """
        refuse_beside(self._under_way_now())
        self._show_results(RunFolder.open(run), with_history=True)

    def leave_others(self, folder: str) -> None:
        """Show no run any more that learned from other pictures than those in `folder`; what is under way for it ends.

        The one that was shown when `folder` was left is shown again.
        """
        run, here = self._state.run, Path(folder).resolve()
        pictures = _pictures_of(run) if run is not None else None
        if run is not None and pictures != here:
            if pictures is not None:
                self._left[pictures] = run
            self.cancel()
            self._live.forget()
            self._state.set_run(None, None)
        back = self._left.pop(here, None)
        if back is not None and self._state.run is None and not self._live.running:
            with suppress(UserError):  # it was deleted since: nothing to show
                self._show_results(RunFolder.open(back), with_history=True)

    @property
    def keeps_another_shown(self) -> bool:
        """Whether the results of another run than the one that trained last are looked at."""
        return self._state.run not in (None, self._live.run) and self._state.page in _OF_A_RUN

    def evaluate(self, run: Path, folder: Path | None = None) -> None:
        """Ask the run's model about its held-out pictures (again), or about every picture in `folder`, a folder or .zip."""
        plugins = self._plugins

        def work(report: Report, cancel: threading.Event) -> jobs.evaluating.Judged:
            return jobs.evaluating.evaluate_run(run, plugins, folder, progress=report, cancel=cancel, warn=self._warnings.append)

        self._begin(EVALUATING, work, run)
        self._judged = folder

    def export(self, run: Path, out: Path, settings: ExportSettings) -> None:
        """Write the run's model to `out` and prove it."""
        plugins, news = self._plugins, self._news

        def work(report: Report, cancel: threading.Event) -> ExportReport:
            return jobs.exporting.export_run(
                run, out, plugins, settings=settings, progress=_in(news, report), cancel=cancel, warn=self._warnings.append
            )

        self._begin(_EXPORTING, work, run)

    def export_every(self, run: Path, largest_drop: float) -> None:
        """Write the run's model in every precision of every format, and prove each; `largest_drop` in percentage points."""
        plugins, news = self._plugins, self._news

        def work(report: Report, cancel: threading.Event) -> ExportReport:
            return jobs.exporting.export_every(
                run,
                plugins,
                largest_drop=largest_drop,
                progress=_in(news, report),
                cancel=cancel,
                warn=self._warnings.append,
            )[-1]

        self._begin(_EVERY, work, run)

    def bundle(self, run: Path, out: Path, settings: ExportSettings) -> None:
        """Write the run's model to the .zip `out`, proven, with its card and programs that use it."""
        plugins, news = self._plugins, self._news

        def work(report: Report, cancel: threading.Event) -> _Bundled:
            proof = jobs.bundling.bundle_run(
                run, out, plugins, settings=settings, progress=_in(news, report), cancel=cancel, warn=self._warnings.append
            )
            return _Bundled(proof)

        self._begin(_EXPORTING, work, run)

    def predict(self, model: Path, paths: Sequence[Path]) -> None:
        """Ask a model, an exported file or a run, about pictures and folders."""
        plugins, answers = self._plugins, list[jobs.predicting.Prediction]()

        def work(report: Report, cancel: threading.Event) -> None:
            for answer in jobs.predicting.predict(model, paths, plugins, warn=self._warnings.append, cancel=cancel):
                if cancel.is_set():
                    raise Cancelled
                answers.append(answer)
                report(len(answers), None)

        if not self.busy:
            self.asked, self.answers = model, answers
        self._begin(ASKING, work)

    def keep_threshold(self, run: Path, threshold: Threshold | None) -> None:
        """Keep with `run` how sure an answer must be; None: it answers always. Its report is drawn anew.

        One after another: of two that draw a report at once, the first could be the last to write it.
        """
        self._to_keep.append((run, threshold))
        if len(self._to_keep) == 1:
            self._keep_next()

    def _keep_next(self) -> None:
        (run, threshold), plugins, warnings = self._to_keep[0], self._plugins, list[str]()

        def work(report: Report, cancel: threading.Event) -> None:
            jobs.evaluating.keep_threshold(run, plugins, threshold, warn=warnings.append)

        def over() -> None:
            self._to_keep.popleft()
            if self._to_keep:
                self._keep_next()

        def kept(nothing: object) -> None:
            over()
            self.threshold_kept.emit(run)
            if warnings:
                self.threshold_warned.emit(run, "\n".join(warnings))

        def failed(error: BaseException) -> None:
            over()
            self.threshold_failed.emit(run, error)

        self._worker.run(work, finished=kept, failed=failed)

    def cancel(self) -> None:
        """Ask the work under way to end."""
        if self._task is not None:
            self._task.cancel.set()

    def _replanned(self, change: Change, training: bool) -> None:
        waits = self._asked if len(self._live.history.replanned) <= self._told_before else None
        self._asked, self._told_before = change.after(waits), len(self._live.history.replanned)
        self.replanned.emit(change, training)

    def _begin(self, what: str, work: Work, about: Path | None = None) -> None:
        if self._task is not None:
            raise UserError(tr("{work} is still under way.", work=tr(self.busy)), tr("Wait for it, or cancel it first."))
        self.busy, self._about, self._warnings = what, about, []
        self._task = self._worker.run(
            work, finished=self._done, failed=self._fail, progressed=self.progressed.emit, cancelled=self._cancelled
        )
        self.began.emit(what)

    def _done(self, value: object) -> None:
        if self._warnings:
            self.warned.emit("\n".join(self._warnings))
        self._over()
        if isinstance(value, jobs.evaluating.Judged | ExportReport | _Bundled) and self._about != self._state.run:
            # Another run, or none, is shown meanwhile.
            self._tell_elsewhere(value.proof if isinstance(value, _Bundled) else value)
            return
        if isinstance(value, jobs.evaluating.Judged):
            self._state.set_evaluation(value.evaluation, self._judged, value.root)
        elif isinstance(value, ExportReport):
            self._state.set_export(value)
        elif isinstance(value, _Bundled):
            self.bundled.emit(value.proof)

    def _tell_elsewhere(self, value: jobs.evaluating.Judged | ExportReport) -> None:
        name = self._about.name if self._about is not None else ""
        if isinstance(value, jobs.evaluating.Judged):
            self.done_elsewhere.emit(tr("The run {name} is evaluated.", name=name))
        elif value.unverified:
            self.done_elsewhere.emit(
                tr("The run {name} is exported, and could not be proven: {file}.", name=name, file=value.file)
            )
        elif value.accepted:
            self.done_elsewhere.emit(tr("The run {name} is exported and proven: {file}.", name=name, file=value.file))
        else:
            self.done_elsewhere.emit(tr("The export of the run {name} was refused: it answers otherwise.", name=name))

    def _cancelled(self) -> None:
        some_may_be_there = self.busy == _EVERY and self._about == self._state.run
        self.given_up.emit(tr(_KEPT[self.busy]))
        self._over()
        if some_may_be_there and self._about is not None:
            self._show_last_export(self._about)

    def _show_last_export(self, run: Path) -> None:
        with suppress(UserError):  # that it is damaged is told where the run is opened
            if exports := RunFolder.open(run).export_reports:
                self._state.set_export(exports[-1])

    def _fail(self, error: BaseException) -> None:
        # Told while pages still show whose work it was.
        self.failed.emit(error)
        self._over()

    def _over(self) -> None:
        self._task = None
        self.busy, self._news[0] = "", _NO_NEWS
        self.ended.emit()

    def _trained(self, fault: BaseException | None) -> None:
        """Show the results, where the project is still about the pictures that were learned. Curves and ending are live.

        Whoever looks at another run keeps it in sight: the bottom of the window says that this one is over, and leads to it.
        """
        run, folder = self._live.run, self._state.recipe.dataset.folder
        if self.keeps_another_shown:
            return
        if run is None or not (run / "recipe.toml").is_file() or _pictures_of(run) != Path(folder).resolve():
            return
        try:
            self._show_results(RunFolder.open(run), with_history=False)
        except UserError as error:
            self.unread.emit(error)

    def _show_results(self, folder: RunFolder, *, with_history: bool) -> None:
        jobs.run_list.remember(folder.path)
        at_once = folder.result_bytes <= _AT_ONCE
        self._reading = None if at_once else folder.path
        if not at_once:
            self._state.set_run(folder.path, None)
            if with_history:
                self._live.show(folder.path, MetricHistory())
            self._newest.ask(lambda report, cancel: _read(folder, with_history))
            return
        found = _read(folder, with_history)
        judged = found.judged
        self._state.set_run(folder.path, judged.evaluation if judged else None, found.export, judged.root if judged else None)
        if found.history is not None:
            self._live.show(folder.path, found.history)
        self._tell(found)

    def _was_read(self, found: _Read) -> None:
        if found.run != self._reading:
            return  # another run was opened meanwhile
        self._reading = None
        if found.run != self._state.run:
            return  # none is shown any more
        if found.history is not None and self._live.run == found.run:
            self._live.show(found.run, found.history)
        judged = found.judged
        self._state.set_export(found.export)
        self._state.set_evaluation(judged.evaluation if judged else None, None, judged.root if judged else None)
        self._tell(found)

    def _not_read(self, error: BaseException) -> None:
        if self._reading is not None:
            self._was_read(_Read(run=self._reading))
            self.unread.emit(error)

    def _tell(self, found: _Read) -> None:
        for fault in found.faults:
            self.unread.emit(fault)


def _in(news: list[_News], report: Report) -> PhaseProgress:
    """Reports how far each part of the work is, and writes into `news` which one that is as well."""

    def tell(what: str, done: int, total: int | None) -> None:
        news[0] = what, done, total
        report(done, total)

    return tell


@dataclass(frozen=True, slots=True)
class _Bundled:
    """The proof of what is in a .zip, which is no export of the run that is kept."""

    proof: ExportReport


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What is kept of a run: the curves, where they were asked for; the evaluation and the last export, if there is one; and what
    is damaged.
    """

    run: Path
    history: MetricHistory | None = None
    judged: jobs.evaluating.Judged | None = None
    export: ExportReport | None = None
    faults: tuple[UserError, ...] = ()


def _read(folder: RunFolder, with_history: bool) -> _Read:
    """What is damaged costs nothing of the rest."""
    faults = list[UserError]()

    def whole(read: Callable[[], _Kept]) -> _Kept | None:
        try:
            return read()
        except UserError as error:
            faults.append(error)
            return None

    whole(lambda: folder.recipe)  # read where it is needed; that it is damaged is told here
    history = whole(folder.history) if with_history else None
    judged = whole(lambda: jobs.evaluating.kept(folder, faults.append))
    exports = whole(lambda: folder.export_reports)
    for report in exports or ():
        folder.exported(report)  # where a large file must be read for that, it is known from here on
    export = exports[-1] if exports else None
    return _Read(run=folder.path, history=history, judged=judged, export=export, faults=tuple(faults))


def _pictures_of(run: Path) -> Path | None:
    try:
        return Path(RunFolder.open(run).recipe.dataset.folder).resolve()
    except UserError:  # it has gone since, or is damaged
        return None
