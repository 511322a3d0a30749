"""The queue for the night: what waits is trained one after another; one that fails does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.training import Emit, PhaseProgress, new_run_path, resume, train
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.queue import Queue
from desktop_ft.runs.run_folder import RunFolder

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


def next_run(queue: Queue, plugins: Plugins) -> QueuedRun | None:
    """What is to be trained next; None where nothing waits. What cannot be trained at all is marked so, and left out.

    A run that broke off with its process goes on from its last checkpoint.
    """
    while (waiting := queue.next) is not None:
        try:
            recipe = waiting.recipe
            path = Path(waiting.run) if waiting.run else new_run_path(recipe)
            begun = (path / "recipe.toml").is_file()
            ended = RunFolder.open(path).history().ended if begun else None
        except UserError as error:
            queue.mark(waiting.number, error=str(error))
            continue
        if ended is not None:  # but its process could not settle it any more
            settle(queue, waiting.number, ended)
            continue
        queue.mark(waiting.number, run=str(path))
        return QueuedRun(waiting.number, waiting.name, recipe, path, _fit(recipe, path, plugins, begun=begun))
    return None


def _fit(recipe: Recipe, path: Path, plugins: Plugins, *, begun: bool) -> Fit:
    def fit(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
        if begun:
            return resume(path, plugins, emit, control, progress=progress)
        return train(recipe, path, plugins, emit, control, progress=progress)

    return fit


def settle(queue: Queue, number: int, ended: RunEnded) -> None:
    """Its run has ended so: it waits no more; or stays in the list, with the reason, where it failed."""
    if all(waiting.number != number for waiting in queue.entries()):
        return  # taken out meanwhile
    if ended.status is RunStatus.FAILED:
        queue.mark(number, error=ended.error.strip().splitlines()[-1] if ended.error.strip() else "It did not say why.")
    else:
        queue.remove(number)
