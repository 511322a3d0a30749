"""How fast a recipe trains on this machine, in turns with its bare work, done once and plainly."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.dataset import Subset
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import RunEnded, RunStarted, RunStatus, TrainEvent
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.core.recipe import Precision, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.kept import kept_in
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import Plugins

FLOOR, FIRST_RUN, NEXT_RUN, WHOLE_NETWORK = "floor", "first run", "next run", "whole network"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What one contender took, a value a round.

    Attributes:
        seconds: of the training alone: no import, no scan, no evaluation.
        accuracy: the best validation accuracy of each round; empty for the floor.
    """

    name: str
    seconds: tuple[float, ...]
    accuracy: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        """Median of the seconds."""
        return statistics.median(self.seconds)

    def over(self, other: Timing) -> float:
        """How many times as long as `other`: the median of the rounds, in each of which both took their turn."""
        return statistics.median(mine / its for mine, its in zip(self.seconds, other.seconds, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """How long a recipe took, round by round, in turns.

    Attributes:
        precision: of the steps. frozen_precision: of the frozen layers; "" where there are none.
        floor_parts: medians of the floor's seconds: decoding, passing, stepping.
        of_bare_speed: how many samples a second the first run learns from, as a share of what the floor's bare steps do; the
            median of the rounds. All that lies between the first step and the last counts but the validations. None where there
            is but one step.
    """

    pictures: int
    device: str
    precision: str
    frozen_precision: str
    floor_parts: tuple[tuple[str, float], ...]
    of_bare_speed: float | None
    timings: tuple[Timing, ...]

    def of(self, name: str) -> Timing:
        """The timing of the contender `name`."""
        return next(timing for timing in self.timings if timing.name == name)


def benchmark(
    recipe: Recipe,
    plugins: Plugins,
    *,
    rounds: int,
    whole_network: bool = True,
    progress: Callable[[str], None] = lambda what: None,
    control: RunControl | None = None,
) -> Benchmark:
    """Train as `recipe` says, `rounds` times, in turns with its floor; nothing of it is kept. Imports torch.

    Args:
        whole_network: also train the ordinary way, every step through the whole network.
        progress: told what begins.

    Raises:
        UserError: the recipe cannot be benchmarked, or a run did not come to its end. Cancelled: as asked.
    """
    from desktop_ft.jobs.floor import Floor, floor

    _check_has_floor(recipe)
    recipe = recipe.model_copy(update={"processes": 1})  # the floor is one process's, and others would not keep elsewhere
    control = control or RunControl()
    manifest = scan_dataset(recipe.dataset, cancel=control.cancel)
    turns = [(FIRST_RUN, True), (NEXT_RUN, True), *([(WHOLE_NETWORK, False)] if whole_network else [])]
    runs: dict[str, list[_Run]] = {name: [] for name, _ in turns}
    floors: list[Floor] = []
    with tempfile.TemporaryDirectory(prefix="desktop-ft-bench-") as place:
        for number in range(rounds):
            for name, cut in turns:
                progress(f"round {number + 1} of {rounds}: {name}")
                path, kept = Path(place) / f"{name} {number}", Path(place) / f"kept {number}"
                runs[name].append(_timed(recipe, path, plugins, control, cut=cut, kept=kept))
            progress(f"round {number + 1} of {rounds}: {FLOOR}")
            precision = Precision(runs[FIRST_RUN][-1].history.precision)
            floors.append(floor(recipe, plugins.backbones.get(recipe.backbone.name), manifest, precision))
    history = runs[FIRST_RUN][-1].history
    training = len(manifest.of(Subset.TRAIN))
    speeds = [
        speed / bare.speed
        for run, bare in zip(runs[FIRST_RUN], floors, strict=True)
        if (speed := _speed(run.history, training)) is not None
    ]
    parts = {name: [getattr(each, name) for each in floors] for name in ("decoding", "passing", "stepping")}
    return Benchmark(
        pictures=len(manifest.samples),
        device=history.started.device if history.started else "",
        precision=history.precision,
        frozen_precision=history.ready.precision if history.ready else "",
        floor_parts=tuple((name, statistics.median(seconds)) for name, seconds in parts.items()),
        of_bare_speed=statistics.median(speeds) if speeds else None,
        timings=(Timing(name=FLOOR, seconds=tuple(each.total for each in floors)), *map(_timing, runs.items())),
    )


def _check_has_floor(recipe: Recipe) -> None:
    """Refuse what would be compared with the floor of other work."""
    if recipe.augmentation:
        raise UserError("The floor knows no augmentation.", "Leave --augment out.")
    if recipe.optimisation.early_stopping:
        raise UserError("The floor counts every epoch, early stopping does not.", "Leave --early-stopping out.")
    if recipe.freeze.changes_over_time or recipe.changes:
        raise UserError("The floor knows no plan that changes while it trains.", "Take another --freeze than gradual.")


@dataclass(frozen=True, slots=True)
class _Run:
    seconds: float
    history: MetricHistory


def _timed(recipe: Recipe, run: Path, plugins: Plugins, control: RunControl, *, cut: bool, kept: Path) -> _Run:
    """Train, and take the time from the event that begins the training to the one that ends it."""
    history, at = MetricHistory(), dict[type, float]()

    def hear(event: TrainEvent) -> None:
        at[type(event)] = time.perf_counter()
        history.add(event)

    with kept_in(kept):
        ended = train(recipe, run, plugins, hear, control, cut=cut)
    if ended.status is RunStatus.FAILED:
        raise UserError(f"A run failed: {ended.error}", "Try `desktop-ft train` first.")
    if ended.status is not RunStatus.COMPLETED:
        raise Cancelled
    return _Run(at[RunEnded] - at[RunStarted], history)


def _speed(history: MetricHistory, samples: int) -> float | None:
    """Samples a second that a run learned from after its first step, which chooses and loads what the others use."""
    first = min(samples, history.started.batch_size) if history.started else 0
    seconds = sum(history.took[1:])
    return (len(history.epochs) * samples - first) / seconds if seconds else None


def _timing(of: tuple[str, Sequence[_Run]]) -> Timing:
    name, runs = of
    best = tuple(run.history.best.val_accuracy for run in runs if run.history.best is not None)
    return Timing(name=name, seconds=tuple(run.seconds for run in runs), accuracy=best)
