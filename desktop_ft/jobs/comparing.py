"""What fine-tuning buys on a person's own pictures: strategies trained one after another, each as an ordinary run in one folder.

The folder holds `plan.json` (what is compared, and how many epochs the budget gives each), `runs/`, and, from the first complete
run on, `comparison.json` and `report.html`. What is complete is not trained again; what was broken off goes on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from desktop_ft import places
from desktop_ft.core.comparing import ALL, MOST_EPOCHS, Compared, Comparison, PlannedRun, RunFigures
from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.forecast import Forecast
from desktop_ft.core.language import marked, tr
from desktop_ft.core.metrics import Evaluation, MetricHistory
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.values import explain, from_json, to_json
from desktop_ft.data.health import check_trainable
from desktop_ft.engine.control import RunControl
from desktop_ft.evaluation.run_times import RunTimes, seconds_an_answer
from desktop_ft.jobs import training
from desktop_ft.jobs.forecasting import forecast
from desktop_ft.jobs.kept import kept_in
from desktop_ft.jobs.queueing import Fit, check_startable, fitting
from desktop_ft.jobs.running import Warn, silent
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.jobs.training import Emit, PhaseProgress
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs import atomic, lock
from desktop_ft.runs.run_folder import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotted:
    """How many epochs the budget gives a strategy with a number of pictures, and how long they were expected to take."""

    strategy: str
    images: int
    epochs: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a folder of a comparison is about.

    Attributes:
        asked: as it was asked for; `comparison`: without numbers of pictures that no class has.
        allotted: empty where each run has the epochs of the recipe.
    """

    asked: Comparison
    comparison: Comparison
    allotted: tuple[Allotted, ...] = ()

    def runs(self) -> tuple[PlannedRun, ...]:
        """Its runs, in order."""
        return self.comparison.runs({(each.strategy, each.images): each.epochs for each in self.allotted})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a comparison is.

    Attributes:
        now: what is trained; None: nothing any more.
        left: seconds that the rest takes; None before that can be told.
    """

    done: int
    planned: int
    now: PlannedRun | None
    left: float | None


_WORKED = marked("Process {pid} on {host} works at this comparison, since {since}.")
Tell = Callable[[Standing], None]


@dataclass(frozen=True, slots=True)
class ComparisonFolder:
    """The folder of a comparison."""

    path: Path

    @property
    def plan(self) -> Plan | None:
        """What it is about; None while nothing was planned in it. Raises UserError where that is damaged."""
        return from_json(Plan, atomic.read(self._plan), str(self._plan)) if self._plan.is_file() else None

    def write_plan(self, plan: Plan) -> None:
        """Keep what it is about."""
        atomic.make_folder(self.path)
        atomic.write(self._plan, to_json(plan))

    @property
    def _plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def result(self) -> Path:
        """The data behind the report."""
        return self.path / "comparison.json"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    @property
    def kept(self) -> Path:
        """What frozen layers have answered, while the comparison is under way: it starts from nothing, so that times are fair."""
        return self.path / "kept"

    def run(self, planned: PlannedRun) -> Path:
        """The folder of one run."""
        return self.path / "runs" / planned.folder

    @contextmanager
    def worked(self) -> Iterator[None]:
        """Let no other process work at it meanwhile.

        Raises:
            UserError: on entry, when another process does.
        """
        locked = self.path / "comparison.lock"
        new, untouched = not self.path.exists(), not locked.exists()
        atomic.make_folder(self.path)
        with lock.held(locked, _WORKED):
            try:
                yield
            finally:
                if untouched and not self._plan.is_file():  # nothing came of it: refused, or given up before it began
                    self._leave_nothing(locked, folder=new)

    def _leave_nothing(self, locked: Path, *, folder: bool) -> None:
        with suppress(OSError):
            locked.unlink(missing_ok=True)
            if folder:
                self.drop_kept()
                self.path.rmdir()

    def drop_kept(self) -> None:
        """The comparison is complete: what was kept for its next run is of no more use."""
        shutil.rmtree(self.kept, ignore_errors=True)


def planned(
    asked: Comparison | None,
    folder: ComparisonFolder,
    plugins: Plugins,
    *,
    warn: Warn = silent,
    progress: PhaseProgress | None = None,
    control: RunControl | None = None,
) -> Plan:
    """What is compared in `folder`: what stands there already, or else `asked`, with its budget measured and divided.

    Args:
        warn: told what cannot be shown however the runs end, before they begin.

    Raises:
        UserError: the folder is about something else, or nothing; or it cannot be trained. Cancelled: as asked.
    """
    control = control or RunControl()
    if (plan := folder.plan) is not None:
        if asked is not None and asked != plan.asked:
            raise UserError(
                tr("{path} holds another comparison.", path=folder.path),
                tr("Name another folder; or leave the pictures and all options out to go on with that one."),
            )
        return plan
    if asked is None:
        raise UserError(tr("{path} holds no comparison.", path=folder.path), tr("Name the pictures to compare with."))
    if folder.path.is_dir() and any(each.name != "comparison.lock" and each.name != "kept" for each in folder.path.iterdir()):
        raise UserError(tr("{path} is not empty.", path=folder.path), tr("Name a folder that is new or empty."))
    manifest = _look_at(asked, plugins, progress, control)
    comparison = within(asked, manifest)
    if too_few := limits(asked, manifest):
        warn(too_few)
    plan = Plan(asked=asked, comparison=comparison)
    if asked.seconds:
        with kept_in(folder.kept):
            plan = replace(plan, allotted=tuple(_allotted(comparison, plugins, manifest, progress, control)))
    folder.write_plan(plan)
    return plan


def _look_at(asked: Comparison, plugins: Plugins, progress: PhaseProgress | None, control: RunControl) -> DatasetManifest:
    """All pictures of `asked`, of which nothing is kept; once each of its ways is known to be able to begin.

    Raises:
        UserError: one is not. Cancelled: as asked.
    """

    def scanning(done: int, total: int | None) -> None:
        if control.stop.is_set():
            raise Cancelled
        if progress:
            progress(tr("Looking at the pictures"), done, total)

    whole = asked.base.dataset.model_copy(update={"images_per_class": 0})
    manifest = scan_dataset(whole, progress=scanning, cancel=control.stop)
    check_trainable(manifest, asked.base.optimisation.batch_size)
    for name in asked.strategies:
        check_startable(asked.recipe(name, ALL, 0), manifest, plugins)
    return manifest


def limits(asked: Comparison, manifest: DatasetManifest) -> str:
    """What `asked` cannot show on the pictures of `manifest` because they are too few, in a sentence; "": it may show all."""
    return within(asked, manifest).cannot_show(len(manifest.of(manifest.held_out_subset)))


def within(asked: Comparison, manifest: DatasetManifest) -> Comparison:
    """`asked` without numbers of pictures that no class of `manifest` has."""
    return asked.within(max(manifest.counts(Subset.TRAIN).values(), default=0))


def _allotted(
    comparison: Comparison, plugins: Plugins, manifest: DatasetManifest, progress: PhaseProgress | None, control: RunControl
) -> Iterator[Allotted]:
    """The epochs that are expected to fit into the seconds of the budget, or else those of the recipe; and how long they take,
    measured on a few steps of each strategy.
    """
    counts = manifest.counts(Subset.TRAIN).values()
    for number, name in enumerate(comparison.strategies):
        if control.stop.is_set():
            raise Cancelled
        if progress:
            progress(tr("Measuring how long an epoch takes"), number, len(comparison.strategies))
        recipe = comparison.recipe(name, ALL, 0)
        told = forecast(recipe, plugins, manifest, cancel=control.stop)
        for images in comparison.images:
            fewer = replace(told, training=sum(counts if images == ALL else (min(images, count) for count in counts)))
            epochs = _fitting(fewer, recipe, comparison.seconds) if comparison.seconds else recipe.optimisation.epochs
            yield Allotted(strategy=name, images=images, epochs=epochs, seconds=_expected(fewer, recipe, epochs))


def _fitting(told: Forecast, recipe: Recipe, seconds: float) -> int:
    """The most epochs that are expected to fit into so many seconds; one, where not even that does."""
    return max((epochs for epochs in range(1, MOST_EPOCHS + 1) if _expected(told, recipe, epochs) <= seconds), default=1)


def expected_seconds(
    asked: Comparison,
    plugins: Plugins,
    manifest: DatasetManifest | None = None,
    *,
    progress: PhaseProgress | None = None,
    control: RunControl | None = None,
) -> float:
    """How long all runs of `asked` will train here, measured on a few steps of each way; nothing is kept of them.

    Args:
        manifest: of all its pictures; None: they are looked at.

    Raises:
        UserError: it cannot be trained. Cancelled: as asked.
    """
    control = control or RunControl()
    manifest = manifest or _look_at(asked, plugins, progress, control)
    return asked.seeds * sum(each.seconds for each in _allotted(within(asked, manifest), plugins, manifest, progress, control))


def _expected(told: Forecast, recipe: Recipe, epochs: int) -> float:
    """Seconds that so many epochs of a run take whose layers learn alike in all of them."""
    stages = tuple(replace(stage, epochs=epochs) for stage in told.stages)
    return replace(told, stages=stages).seconds(recipe.optimisation.views)


def compare(
    folder: ComparisonFolder,
    plan: Plan,
    plugins: Plugins,
    emit: Emit,
    control: RunControl,
    *,
    tell: Tell = lambda standing: None,
    progress: PhaseProgress | None = None,
) -> Compared:
    """Make all runs of `plan` that are not complete, one after another; one whose training fails does not stop the rest.

    The report is written anew after every run.

    Args:
        emit: called with the events of every run, each from its RunStarted to its RunEnded.
        tell: told when a run begins, and at the end.

    Raises:
        UserError: a run cannot begin, the pictures have changed meanwhile, or no run could be completed.
        Cancelled: asked to stop; the run under way is kept, and the same call goes on with it.
    """
    shelf, took = Shelf(folder, plan), dict[tuple[str, int], float]()
    for run in shelf.lacking:
        tell(Standing(done=shelf.done, planned=len(shelf.runs), now=run, left=left_of(plan, shelf.lacking, took)))
        if control.stop.is_set() or control.cancel.is_set():
            raise Cancelled
        began = time.monotonic()
        status = fit_of(folder, plan, run, plugins)(emit, control, progress or _unseen).status
        if status in (RunStatus.STOPPED, RunStatus.CANCELLED):
            raise Cancelled
        took[run.strategy, run.images] = time.monotonic() - began
        shelf.look(run)
        if shelf.ran:
            shelf.sum_up()
    found = shelf.sum_up()
    tell(Standing(done=shelf.done, planned=len(shelf.runs), now=None, left=0.0))
    return found


def plan_seconds(plan: Plan) -> Mapping[tuple[str, int], tuple[int, float]]:
    """By strategy and number of pictures: the epochs that the budget gave, and how long they were expected to take."""
    return {(each.strategy, each.images): (each.epochs, each.seconds) for each in plan.allotted}


def fit_of(folder: ComparisonFolder, plan: Plan, run: PlannedRun, plugins: Plugins) -> Fit:
    """What trains `run`, goes on with it, or judges it where that alone is missing; in the thread that calls it."""
    path = folder.run(run)

    def fit(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
        begun = (path / "recipe.toml").is_file()
        if not begun:
            shutil.rmtree(path, ignore_errors=True)  # left by a process that died before it was a run
        before = RunFolder.open(path).ended if begun else None
        with kept_in(folder.kept):
            ended = fitting(run.recipe, path, plugins, before, training, begun=begun)(emit, control, progress)
        if ended.status is RunStatus.COMPLETED and (run.images != ALL or run.seed != plan.comparison.base.seed):
            _drop_weights(path)
        return ended

    return fit


def _drop_weights(path: Path) -> None:
    """Keep the figures of a run, not its weights: those of dozens would fill the disk, and its recipe gives them again."""
    for file in RunFolder.open(path).checkpoints.iterdir():
        file.unlink(missing_ok=True)


def _unseen(what: str, done: int, total: int | None) -> None:
    """For callers with nobody to tell."""


def left_of(plan: Plan, runs: Sequence[PlannedRun], took: Mapping[tuple[str, int], float]) -> float | None:
    """What `runs` will take: as long as the like took, else the mean of all; the budget where none is known yet."""
    usual = sum(took.values()) / len(took) if took else plan.comparison.seconds
    return sum(took.get((run.strategy, run.images), usual) for run in runs) if usual else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    """A complete run with all that is read from its folder, once."""

    planned: PlannedRun
    evaluation: Evaluation
    training: int
    device: str
    times: RunTimes


class Shelf:
    """The runs of a comparison as they stand in its folder, each read once."""

    def __init__(self, folder: ComparisonFolder, plan: Plan) -> None:
        self._folder, self._plan = folder, plan
        self.runs = plan.runs()
        self.ran: dict[str, _Ran] = {}
        self._failed: dict[str, tuple[str, str]] = {}
        for run in self.runs:
            self.look(run)
        self._failed.clear()  # what failed before is tried once more: there may be room on the disk by now

    @property
    def lacking(self) -> list[PlannedRun]:
        """What is to be trained, or gone on with; not what has failed since this was opened."""
        return [run for run in self.runs if run.folder not in self.ran and run.folder not in self._failed]

    @property
    def done(self) -> int:
        """How many runs are complete, or failed."""
        return len(self.ran) + len(self._failed)

    def look(self, run: PlannedRun) -> None:
        """See how `run` stands."""
        path = self._folder.run(run)
        if not (path / "recipe.toml").is_file():
            return
        opened = RunFolder.open(path)
        events = opened.events()
        history = MetricHistory.of(events)
        status = history.ended.status if history.ended is not None else None
        if history.ended is not None and status is RunStatus.FAILED:
            self._failed[run.folder] = (run.words, history.ended.error)
        elif status is RunStatus.COMPLETED and (evaluation := opened.evaluation) is not None:
            self.ran[run.folder] = _Ran(
                planned=run,
                evaluation=evaluation,
                training=len(opened.manifest.of(Subset.TRAIN)),
                device=history.started.device if history.started is not None else "",
                times=RunTimes.of(events),
            )

    def sum_up(self) -> Compared:
        """What the complete runs tell, written into the folder: the data and the page.

        Raises:
            UserError: no run is complete, or they were judged on different pictures.
        """
        from desktop_ft.evaluation.comparison_page import page

        found = self._compared()
        atomic.write(self._folder.result, to_json(found))
        atomic.write(self._folder.report, page(found, plan_seconds(self._plan)).encode())
        if not self.lacking:
            self._folder.drop_kept()
        return found

    def _compared(self) -> Compared:
        from desktop_ft.evaluation.comparing import Judged, compared

        ran, failed = list(self.ran.values()), list(self._failed.values())
        if not ran:
            cure = tr("The first that failed says: {error}", error=failed[0][1]) if failed else tr("Go on with it.")
            raise UserError(tr("No run of the comparison is complete."), cure)
        if len({tuple((answer.path, answer.label) for answer in each.evaluation.answers) for each in ran}) > 1:
            raise UserError(
                tr("The pictures have changed since the comparison in {path} began.", path=self._folder.path),
                tr("Compare anew, in another folder."),
            )
        first = ran[0].evaluation
        judged = Judged(
            device=ran[0].device,
            dataset=first.dataset,
            classes=first.classes,
            subset=first.subset,
            pictures=tuple(answer.path for answer in first.answers),
            commonest=max(score.support for score in first.per_class) / len(first.answers),
        )
        return compared(self._plan.comparison, judged, _figures(ran), failed, planned=len(self.runs))


def _figures(ran: Sequence[_Ran]) -> list[RunFigures]:
    """The figures of each run, with the pass through the frozen layers counted in full, whichever run made it.

    What an answer takes is measured where the strategy's own runs gave some; where others of the same frozen layers had given all
    of them, on all runs.
    """
    of_all, answer = seconds_an_answer([each.times for each in ran]), dict[str, float]()
    for name in {each.planned.strategy for each in ran}:
        own = [each.times for each in ran if each.planned.strategy == name]
        answer[name] = seconds_an_answer(own) if any(times.fresh for times in own) else of_all
    figures = []
    for each in ran:
        run, times = each.planned, each.times
        curve = times.curve(answer[run.strategy])
        figures.append(
            RunFigures(
                run=run.folder,
                strategy=run.strategy,
                images=run.images,
                seed=run.seed,
                training=each.training,
                epochs=len(curve),
                accuracy=each.evaluation.accuracy.value,
                wrong=tuple(n for n, said in enumerate(each.evaluation.answers) if said.predicted != said.label),
                seconds=curve[-1].seconds,
                preparation=times.asked * answer[run.strategy],
                reused=1 - min(1.0, times.fresh / times.asked) if times.asked else 0.0,
                curve=curve,
            )
        )
    return figures


def asked_for(base: Recipe, **options: object) -> Comparison:
    """The comparison that starts from `base`, with what `options` name set.

    Raises:
        UserError: one is out of bounds.
    """
    named = {name: value for name, value in options.items() if value is not None}
    try:
        return Comparison.model_validate({"base": base, **named})
    except ValidationError as error:
        raise UserError(tr("That cannot be compared: {error}.", error=explain(error)), tr("Correct it and try again.")) from error


def new_comparison_path(recipe: Recipe) -> Path:
    """A folder for a new comparison that does not exist yet, named as a run of `recipe` would be."""
    return places.data() / "comparisons" / training.new_run_path(recipe).name


def images_from(text: str) -> tuple[int, ...]:
    """The numbers of pictures that `text`, such as `5,20,all`, lists.

    Raises:
        UserError: something in it is no number of pictures.
    """
    numbers = []
    for each in (part.strip() for part in text.split(",")):
        if each != "all" and not (each.isascii() and each.isdecimal() and int(each)):
            raise UserError(
                tr("'{text}' is no number of pictures.", text=each), tr("Write numbers with commas between, such as 5,20,all.")
            )
        numbers.append(ALL if each == "all" else int(each))
    return tuple(numbers)
