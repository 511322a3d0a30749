"""How a run begins: a new one, one that goes on, and one that ends at the best it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft import jobs
from desktop_ft.core.events import RunEnded
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.gui.replanning import Replanning
from desktop_ft.gui.training_job import Emit, Fit, PhaseProgress, Training
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from desktop_ft.jobs.training import Verbs


class Starting:
    """Begins runs, one at a time, each in a thread of its own.

    Args:
        isolates: whether a run that begins now is to be trained in a process of its own.
    """

    def __init__(self, plugins: Plugins, live: Training, replanning: Replanning, isolates: Callable[[], bool]) -> None:
        self._plugins = plugins
        self._live = live
        self._replanning = replanning
        self._isolates = isolates

    @property
    def verbs(self) -> Verbs:
        """What trains a run that begins now: this process, or one of its own."""
        return jobs.isolated if self._isolates() else jobs.training

    def start(self, recipe: Recipe, run: Path | None) -> None:
        """Train as `recipe` says, into `run` or a new folder among the runs."""
        plugins, verbs, path = self._plugins, self.verbs, (run or jobs.training.new_run_path(recipe)).absolute()

        def fit(emit: Emit, control: RunControl, progress: PhaseProgress) -> RunEnded:
            return verbs.train(recipe, path, plugins, emit, control, progress=progress)

        self.begin(recipe, path, fit)

    def begin(self, recipe: Recipe, run: Path, fit: Fit) -> None:
        """Let `fit` train in the folder `run`, which may hold a run that `recipe` belongs to and was broken off."""
        if (run / "recipe.toml").is_file():
            before = RunFolder.open(run)
            self._replanning.follow(before.recipe, before.asked_change())
            self._live.start(run, fit, before.history)
        else:
            self._replanning.follow(recipe)
            self._live.start(run, fit)

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
