"""The queue for the night: what waits is trained one after another; one that fails does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import DeviceChoice, Precision, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs import building, distributed, training
from desktop_ft.jobs.training import Emit, PhaseProgress, Verbs, new_run_path
from desktop_ft.models import weights
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.queue import Queue
from desktop_ft.runs.run_folder import RunFolder

_MOST_TRIES = 3

Fit = Callable[[Emit, RunControl, PhaseProgress], RunEnded]


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """What the queue trains now.

    Attributes:
        fit: does it, in the calling thread.
    """

    number: int
    name: str
    recipe: Recipe
    path: Path
    fit: Fit


def look_ahead(recipe: Recipe, plugins: Plugins, progress: Callable[[int, int | None], None] | None = None) -> None:
    """Say now what a run of `recipe` would say at night, when nobody is there.

    Imports torch where the recipe asks for what the network, or this machine, may not have.

    Args:
        progress: told the pictures looked at, and how many there are once that is known.

    Raises:
        UserError: the recipe cannot be run, or its weights are not there, cannot be read or do not fit.
    """
    check_startable(recipe, training.look_at(recipe, plugins, progress=progress), plugins)


def check_startable(recipe: Recipe, manifest: DatasetManifest, plugins: Plugins) -> None:
    """See that a run of `recipe` on the pictures of `manifest` gets its network. Imports torch as `look_ahead`.

    Raises:
        UserError: its weights are not there, cannot be read or do not fit, or this machine has not what it asks for.
    """
    backbone = plugins.backbones.get(recipe.backbone.name)
    if _only_building_tells(recipe):
        distributed.processes(recipe, manifest)
        building.build(recipe, backbone, manifest)
    elif recipe.freeze.pretrained:
        weights.verified_file(backbone)


def _only_building_tells(recipe: Recipe) -> bool:
    """Whether what the recipe asks for must be tried to know that it fits: layers, a file or a size, or this machine."""
    machine = (recipe.device, recipe.precision) != (DeviceChoice.AUTO, Precision.AUTO) or recipe.processes
    return bool(recipe.backbone.weights or recipe.backbone.image_size or recipe.freeze.overrides or recipe.changes or machine)


def next_run(queue: Queue, plugins: Plugins, verbs: Verbs = training) -> QueuedRun | None:
    """What is to be trained next; None where nothing waits. What cannot be trained at all is marked so, and left out.

    A run that broke off with its process, or was ended by a signal to it, goes on from its last checkpoint. One that takes its
    process with it every time must not keep the others from their turn for ever.

    Args:
        verbs: who trains it: `training` or `isolated`.
    """
    while (waiting := queue.next) is not None:
        try:
            recipe = waiting.recipe
            begun = RunFolder.open(Path(waiting.run)) if waiting.run and (Path(waiting.run) / "recipe.toml").is_file() else None
            ended = begun.ended if begun is not None else None
            judged = begun is not None and begun.evaluation is not None
        except Exception as error:  # whatever it is, the others are still to be trained
            queue.mark(waiting.number, error=_words(error))
            continue
        if ended is not None and (ended.status is RunStatus.FAILED or (ended.status is RunStatus.COMPLETED and judged)):
            settle(queue, waiting.number, ended)  # its process could not any more
            continue
        broken_off = waiting.broken_off + 1 if waiting.run and ended is None else 0
        if broken_off >= _MOST_TRIES:
            why = tr("Its process has died {count} times in a row. See the run's log, then add it again.", count=broken_off)
            queue.mark(waiting.number, error=why)
            continue
        path = begun.path if begun is not None else new_run_path(recipe)
        queue.mark(waiting.number, run=str(path), broken_off=broken_off)
        fit = fitting(recipe, path, plugins, ended, verbs, begun=begun is not None)
        return QueuedRun(waiting.number, waiting.name, recipe, path, fit)
    return None


def fitting(recipe: Recipe, path: Path, plugins: Plugins, ended: RunEnded | None, verbs: Verbs, *, begun: bool) -> Fit:
    """What trains the run in `path`, goes on with it where it was `begun`, or judges it where that alone is missing."""

    def fit(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
        if ended is not None and ended.status is RunStatus.COMPLETED:
            emit(ended)  # whatever becomes of its evaluation, the run itself is complete
            return verbs.judge(path, plugins, emit, control, progress=progress)
        if begun:
            return verbs.resume(path, plugins, emit, control, progress=progress)
        return verbs.train(recipe, path, plugins, emit, control, progress=progress)

    return fit


def failed(error: Exception) -> RunEnded:
    """How a run ended that raised `error`."""
    return RunEnded(status=RunStatus.FAILED, error=_words(error))


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def settle(queue: Queue, number: int, ended: RunEnded) -> None:
    """Its run has ended so: it waits no more; or stays in the list, with the reason, where it failed.

    One that a signal to its process ended is not to be settled: so it goes on when the queue is worked at again.
    """
    if all(waiting.number != number for waiting in queue.entries()):
        return  # taken out meanwhile
    if ended.status is RunStatus.FAILED:
        queue.mark(number, error=ended.error.strip().splitlines()[-1] if ended.error.strip() else tr("It did not say why."))
    else:
        queue.remove(number)
