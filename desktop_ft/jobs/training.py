"""A recipe becomes a run: scan, build, train, then see what it gets right and wrong."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from desktop_ft import places
from desktop_ft.api import TrainEvent
from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import CheckpointSaved, Paused, RunEnded, RunStarted, RunStatus, Warned
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import Recipe
from desktop_ft.data.health import check_trainable
from desktop_ft.engine.control import RunControl
from desktop_ft.engine.team import Team, gathered
from desktop_ft.jobs import augmenting, distributed
from desktop_ft.jobs.building import Parts, batches, build, loss, origin
from desktop_ft.jobs.children import Emit as Emit
from desktop_ft.jobs.evaluating import evaluate_run
from desktop_ft.jobs.replanning import Replanning
from desktop_ft.jobs.run_list import remember
from desktop_ft.jobs.running import OpenRun, open_run
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.jobs.sinks import Sinks
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from desktop_ft.models.checkpoint import Checkpoint, CheckpointStore

PhaseProgress = Callable[[str, int, int | None], None]


_MOST_LETTERS = 48
"""Of the pictures' folder in a run's name: with time and network, it must be a name that every disk takes."""


class Verbs(Protocol):
    """What this module and `isolated` both are: they train here, or in a process of its own."""

    train: Callable[..., RunEnded]
    resume: Callable[..., RunEnded]
    keep_best: Callable[..., RunEnded]
    judge: Callable[..., RunEnded]


def new_run_path(recipe: Recipe) -> Path:
    """A folder for a new run that does not exist yet: dataset, backbone and time in its name."""
    name = recipe.portable().dataset.folder.removesuffix(".zip") or "dataset"
    name = name[:_MOST_LETTERS]
    stamp = datetime.datetime.now().strftime("%Y-%m-%d %H.%M.%S")
    first = places.runs() / f"{stamp} {name} {recipe.backbone.name}"
    others = (first.with_name(f"{first.name} {number}") for number in itertools.count(2))
    return next(path for path in itertools.chain((first,), others) if not path.exists())


def train(
    recipe: Recipe,
    run: Path,
    plugins: Plugins,
    emit: Emit,
    control: RunControl,
    *,
    progress: PhaseProgress | None = None,
    cut: bool = True,
) -> RunEnded:
    """Do all that `recipe` says, in the new run folder `run`; then evaluate the best checkpoint and write the report.

    Args:
        emit: called with every event, from this thread; the last one is RunEnded, but for what the evaluation warns of.
        control: asks for a pause, a stop or a cancellation.
        progress: told of the phases around the training itself: what, how much done, of how much.
        cut: let frozen layers answer once; False: every step goes through the whole network, to compare with.

    Raises:
        UserError: the recipe cannot be run; nothing was trained and no event emitted.
        Cancelled: asked to cancel or to stop before training began; there is nothing to keep.
    """
    with gathered(recipe.device) as team, team.together():
        again = team.restarts and (run / "recipe.toml").is_file() and _begins_like(RunFolder.open(run).recipe, recipe)
        if again and (told := RunFolder.open(run).ended) is not None:
            return told  # what starting anew cannot mend
        new = _new_work(recipe, run, plugins, control, progress) if team.is_first and not again else None
        team.meet()  # from here on the folder is a run
        work = new or _work(open_run(run, plugins))
        ended = _learn(work, plugins, emit, control, team, cut=cut)
    return _judged(work.run, ended, plugins, emit, control, progress, team)


def resume(run: Path, plugins: Plugins, emit: Emit, control: RunControl, *, progress: PhaseProgress | None = None) -> RunEnded:
    """Go on with a run from its last checkpoint, exactly as if it had never stopped; from its start if it ended before one.

    Raises:
        UserError: not a run, it was completed already, or its checkpoints are lost.
    """
    opened = open_run(run, plugins)
    ended = opened.folder.ended
    if ended is not None and ended.status is RunStatus.COMPLETED:
        raise UserError(
            tr("The run '{name}' is complete.", name=opened.folder.name), tr("Evaluate or export it, or train a new one.")
        )
    with gathered(opened.recipe.device) as team, team.together():
        ended = _learn(_work(opened), plugins, emit, control, team)
    return _judged(opened, ended, plugins, emit, control, progress, team)


def keep_best(run: Path, plugins: Plugins, emit: Emit, control: RunControl, *, progress: PhaseProgress | None = None) -> RunEnded:
    """Let a run that was broken off end as if it had been stopped in that moment: keep the best it has, and evaluate it.

    Raises:
        As `resume`.
    """
    control.stop.set()
    return resume(run, plugins, emit, control, progress=progress)


def judge(run: Path, plugins: Plugins, emit: Emit, control: RunControl, *, progress: PhaseProgress | None = None) -> RunEnded:
    """Evaluate a run that has ended, and whose evaluation is missing; gives how it had ended. `emit` hears warnings alone.

    Raises:
        UserError: as `evaluate_run`, or the run has not ended. Cancelled: asked to cancel or to stop, where the run is complete.
    """
    ended = ended_before(run)
    _judge(run, ended, plugins, emit, control, progress)
    return ended


def ended_before(run: Path) -> RunEnded:
    """How a run has ended.

    Raises:
        UserError: it has not, or it is no run.
    """
    folder = RunFolder.open(run)
    if (ended := folder.ended) is None:
        raise UserError(tr("The run '{name}' has not ended.", name=folder.name), tr("Go on with it first."))
    return ended


def take_part(run: OpenRun, plugins: Plugins, control: RunControl, *, cut: bool) -> RunEnded:
    """Be one of the processes that train `run`, from its last checkpoint or its start. Who started them evaluates it."""
    with gathered(run.recipe.device) as team, team.together():
        return _learn(_work(run), plugins, _nowhere, control, team, cut=cut)


def _begins_like(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes are the same but for what changes on the way."""
    return one.model_copy(update={"changes": ()}) == other.model_copy(update={"changes": ()})


def _heed(control: RunControl) -> None:
    if control.stop.is_set() or control.cancel.is_set():
        raise Cancelled


@dataclass(frozen=True, slots=True)
class _Work:
    """A run that is ready to be trained, by so many `processes`: where that is 1, by this one."""

    run: OpenRun
    parts: Parts
    processes: int
    checkpoint: Checkpoint | None = None


def look_at(
    recipe: Recipe,
    plugins: Plugins,
    *,
    progress: Callable[[int, int | None], None] | None = None,
    cancel: threading.Event | None = None,
) -> DatasetManifest:
    """Look at the recipe's pictures, and at what it names; needs no torch.

    Args:
        progress: told the pictures looked at, and how many there are once that is known.

    Raises:
        UserError: the recipe cannot be run. Cancelled: as asked.
    """
    plugins.backbones.get(recipe.backbone.name)
    if recipe.backbone.weights and not recipe.freeze.pretrained:
        raise UserError(tr("From scratch means without weights, yet a weights file is named."), tr("Leave out one of the two."))
    augmenting.check(plugins, recipe.augmentation)
    manifest = scan_dataset(recipe.dataset, progress=progress, cancel=cancel)
    check_trainable(manifest, recipe.optimisation.batch_size)
    return manifest


def _new_work(recipe: Recipe, run: Path, plugins: Plugins, control: RunControl, progress: PhaseProgress | None) -> _Work:
    """Look at the pictures, build the network, and only then make the run's folder."""
    backbone = plugins.backbones.get(recipe.backbone.name)

    def scanning(done: int, total: int | None) -> None:
        _heed(control)
        if progress:
            progress(tr("Looking at the pictures"), done, total)

    manifest = look_at(recipe, plugins, progress=scanning, cancel=control.cancel)
    processes = distributed.processes(recipe, manifest)
    parts = build(recipe, backbone, manifest)
    _heed(control)
    folder = RunFolder.create(run)
    folder.write_manifest(manifest)
    folder.write_recipe(recipe)
    remember(run)
    return _Work(OpenRun(folder=folder, recipe=recipe, manifest=manifest, backbone=backbone), parts, processes)


def _work(run: OpenRun) -> _Work:
    """What is left to do of a run."""
    store = run.store()
    saved = any(isinstance(event, CheckpointSaved) for event in run.folder.events())
    checkpoint = store.load("last") if saved or not store.is_empty else None
    processes = distributed.processes(run.recipe, run.manifest)
    at = checkpoint.progress if checkpoint is not None else None
    parts = build(run.recipe, run.backbone, run.manifest, resumed_at=(at.epoch, at.step) if at is not None else None)
    return _Work(run, parts, processes, checkpoint)


def _learn(work: _Work, plugins: Plugins, emit: Emit, control: RunControl, team: Team, *, cut: bool = True) -> RunEnded:
    """Train, here or in processes of their own; `team` is the one that this process is in."""
    from desktop_ft.engine.machine_watch import watched
    from desktop_ft.engine.trainer import Trainer
    from desktop_ft.jobs.kept import feature_store, measurements

    run, parts = work.run, work.parts
    if work.processes > 1:
        return distributed.fit(run, work.processes, emit, control, cut=cut)
    with contextlib.ExitStack() as stack:
        tell, store = stack.enter_context(_kept(run, plugins, emit)) if team.is_first else (_nowhere, run.store())
        if not run.folder.events():
            for message in (*check_trainable(run.manifest, run.recipe.optimisation.batch_size), *parts.notes, *plugins.remarks):
                tell(Warned(message=message))
        if team.restarts:
            tell(Warned(message=tr("A process that took part has died. All were started anew, from the last checkpoint.")))
        replanning = Replanning(run, parts.network, tell, asks=team.size == 1)
        trainer = Trainer(
            network=parts.network,
            learner=parts.learner,
            batches=stack.enter_context(batches(run.recipe, run.backbone, run.manifest, plugins, parts.compute.device, team)),
            optimisation=parts.optimisation,
            compute=parts.compute,
            store=store,
            seed=run.recipe.seed,
            loss=loss(run.recipe, run.manifest),
            features=feature_store(team.on_machine) if cut else None,
            measurements=measurements() if team.size == 1 else None,  # several would have to measure the same
            relearn=replanning,
            origin=origin(run.recipe, run.backbone, len(run.manifest.classes)),
            team=team,
        )

        machine = stack.enter_context(watched(parts.compute.device)) if team.is_first else None

        def hear(event: TrainEvent) -> None:
            if machine is not None and not isinstance(event, RunStarted) and (seen := machine.due()):
                tell(seen)
            if isinstance(event, RunEnded) and event.status is RunStatus.COMPLETED:
                replanning.ended()  # before the end, which is the last word
            tell(event)
            if machine is not None and isinstance(event, Paused):
                tell(machine.now())  # nothing comes while it waits

        return trainer.fit(hear, control, work.checkpoint)


@contextlib.contextmanager
def _kept(run: OpenRun, plugins: Plugins, emit: Emit) -> Iterator[tuple[Emit, CheckpointStore]]:
    """What to tell events to, and what keeps checkpoints, while this process alone may train the run.

    Its folder keeps the events, sinks and `emit` hear them.
    """
    with run.folder.lock(), run.folder.log() as log:
        sinks = Sinks(plugins.sinks, run.folder.path, plugins.failed_at("register_event_sinks"))

        def tell(event: TrainEvent) -> None:
            for each in (*sinks.pass_on(event), event):
                log.append(each)
                emit(each)

        yield tell, run.store(log.write)


def _nowhere(event: TrainEvent) -> None:
    return


def _judged(
    run: OpenRun,
    ended: RunEnded,
    plugins: Plugins,
    emit: Emit,
    control: RunControl,
    progress: PhaseProgress | None,
    team: Team,
) -> RunEnded:
    """Evaluate what was trained; before the first epoch is judged there is nothing that deserves a score."""
    told = ended.status in (RunStatus.COMPLETED, RunStatus.STOPPED)
    if team.is_first and told and run.folder.history().best is not None:
        _judge(run.folder.path, ended, plugins, emit, control, progress)
    return ended


def _judge(run: Path, ended: RunEnded, plugins: Plugins, emit: Emit, control: RunControl, progress: PhaseProgress | None) -> None:
    stopped_before = ended.status is RunStatus.STOPPED

    def warn(message: str) -> None:
        emit(Warned(message=message))

    def evaluating(done: int, total: int | None) -> None:
        # The run is kept already: asked to stop now, there is only this to give up.
        if control.stop.is_set() and not stopped_before:
            raise Cancelled
        if progress:
            progress(tr("Evaluating"), done, total)

    try:
        evaluate_run(run, plugins, warn=warn, progress=evaluating, cancel=control.cancel)
    except Cancelled:
        # A run that was stopped already ends as it did; one that was complete is told to be without its score.
        if not stopped_before:
            raise
