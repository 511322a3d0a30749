"""What is done with a run that there is: evaluate, export and try it, each in the background."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from desktop_ft import jobs
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.exporting import ExportSettings
from desktop_ft.core.language import marked, tr
from desktop_ft.core.metrics import ExportReport
from desktop_ft.gui import trash
from desktop_ft.gui.shown_run import ShownRun
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.training_job import PhaseProgress
from desktop_ft.gui.trash import Trashed
from desktop_ft.gui.worker import Report, Task, Work, Worker
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder

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
    in English; `given_up` says what is kept of one that was cancelled. It ends when the run that is shown is left.

    `bundled` tells the proof of what a .zip holds that was written. `done_elsewhere` says what became of work on a run that is
    not shown any more. `answers` are those of the model `asked` last, as they come: with each `progressed` there may be more.
    `trashed` tells which run's folder went to the trash, `returned` which one came back from there.
    """

    began = Signal(str)
    progressed = Signal(object, object)
    failed = Signal(object)
    warned = Signal(str)
    ended = Signal()
    given_up = Signal(str)
    done_elsewhere = Signal(str)
    trashed = Signal(object)
    returned = Signal(object)
    bundled = Signal(object)

    def __init__(self, state: ProjectState, worker: Worker, plugins: Plugins, shown: ShownRun) -> None:
        super().__init__(state)
        self._state = state
        self._worker = worker
        self._plugins = plugins
        self._shown = shown
        self._task: Task | None = None
        self._warnings: list[str] = []
        self.busy = ""
        self._news: list[_News] = [_NO_NEWS]  # the thread holds no Qt object
        self.asked: Path | None = None
        self.answers: list[jobs.predicting.Prediction] = []
        self._judged: Path | None = None
        self._about: Path | None = None
        self._trashed: list[Trashed] = []
        shown.left.connect(self.cancel)

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

    def trash(self, run: Path) -> Trashed | None:
        """Move `run` to where the system keeps what was deleted; None: it could not be. What another process trains stays."""
        gone = None if RunFolder(run).is_locked else trash.move(run)
        if gone and self._state.run == run:
            self._shown.leave()
        if gone:
            self._trashed.append(gone)
            self.trashed.emit(run)
        return gone

    @property
    def last_trashed(self) -> Trashed | None:
        """The run that went to the trash last, of those since this window was opened that are known to lie there."""
        return next((each for each in reversed(self._trashed) if each.lies is not None and each.lies.is_dir()), None)

    def put_back(self, trashed: Trashed) -> None:
        """Let a run lie where it lay before it went to the trash; nothing where it was put back meanwhile, in another way.

        Raises:
            UserError: as `Trashed.put_back` does.
        """
        if trashed in self._trashed:
            trashed.put_back()
            self._trashed.remove(trashed)
            self.returned.emit(trashed.was)

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

    def cancel(self) -> None:
        """Ask the work under way to end."""
        if self._task is not None:
            self._task.cancel.set()

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
            name = self._about.name if self._about is not None else ""
            self.done_elsewhere.emit(_become_of(name, value.proof if isinstance(value, _Bundled) else value))
            return
        if isinstance(value, jobs.evaluating.Judged):
            self._state.set_evaluation(value.evaluation, self._judged, value.root)
        elif isinstance(value, ExportReport):
            self._state.set_export(value)
        elif isinstance(value, _Bundled):
            self.bundled.emit(value.proof)

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


def _in(news: list[_News], report: Report) -> PhaseProgress:
    """Reports how far each part of the work is, and writes into `news` which one that is as well."""

    def tell(what: str, done: int, total: int | None) -> None:
        news[0] = what, done, total
        report(done, total)

    return tell


def _become_of(run: str, value: jobs.evaluating.Judged | ExportReport) -> str:
    """What was done with `run`, which is not shown any more, in a sentence."""
    if isinstance(value, jobs.evaluating.Judged):
        return tr("The run {name} is evaluated.", name=run)
    if value.unverified:
        return tr("The run {name} is exported, and could not be proven: {file}.", name=run, file=value.file)
    if value.accepted:
        return tr("The run {name} is exported and proven: {file}.", name=run, file=value.file)
    return tr("The export of the run {name} was refused: it answers otherwise.", name=run)


@dataclass(frozen=True, slots=True)
class _Bundled:
    """The proof of what is in a .zip, which is no export of the run that is kept."""

    proof: ExportReport
