"""Plans tried for real: trained on most of the training pictures, judged by those left, and thrown away."""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from desktop_ft.core.dataset import DatasetManifest, Sample, Subset
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import EpochDone, RunStatus, TrainEvent
from desktop_ft.core.language import tr
from desktop_ft.core.metrics import Interval
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.building import batches, build, loss
from desktop_ft.jobs.kept import feature_store, measurements
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs import atomic

MOST_EPOCHS = 10
ENOUGH = 200
"""Pictures to judge by: with half of them two plans that differ by several points change places by chance."""


@dataclass(slots=True)
class _Runner:
    """A recipe in the race: how many pictures judged it, and how many of them it told."""

    recipe: Recipe
    judged: int = 0
    right: int = 0


def tried(
    recipes: Sequence[Recipe],
    plugins: Plugins,
    manifest: DatasetManifest,
    samples: tuple[Sample, ...],
    groups: Sequence[Sequence[int]],
    *,
    progress: Callable[[Recipe, int, int | None], None],
    cancel: threading.Event | None = None,
) -> tuple[tuple[Interval, ...], int]:
    """How accurate networks of `recipes` are on a fifth of `samples` when they have learned from the others. Imports torch.

    They learn for `MOST_EPOCHS` at most. Where a fifth is less than `ENOUGH`, other fifths are held out in their turn; after each
    a recipe that is clearly behind is left out (Maron and Moore 1994, "Hoeffding races"), and one that is alone has won. What
    frozen layers answer is kept for the run that follows.

    Args:
        recipes: that differ in what learns, the cheapest first.
        samples: training pictures of `manifest`.
        groups: those that are one picture, by their numbers: none is judged by what has learned from another.
        progress: told of which recipe how many epochs are done, of how many.

    Returns:
        The accuracy of each, on the pictures that it came to; and which has won: of equal ones the first.

    Raises:
        UserError: as training would. Cancelled: as asked.
    """
    import numpy as np

    from desktop_ft.evaluation.intervals import wilson
    from desktop_ft.evaluation.ridge import FOLDS, folds_of

    fold = folds_of([sample.label for sample in samples], groups, FOLDS, np.random.default_rng(recipes[0].seed))
    turns = min(FOLDS, -(-ENOUGH * FOLDS // len(samples)))
    runners = [_Runner(each.with_optimisation(epochs=min(MOST_EPOCHS, each.optimisation.epochs))) for each in recipes]
    running = runners
    for turn in range(turns):
        shown = manifest.with_samples(
            replace(sample, subset=Subset.VAL if own == turn else Subset.TRAIN) for sample, own in zip(samples, fold, strict=True)
        )
        held_out = len(shown.of(Subset.VAL))
        for each in running if 0 < held_out < len(samples) else ():
            each.right += round(
                held_out * _reached(each.recipe, plugins, shown, _told(each.recipe, turn, turns, progress), cancel)
            )
            each.judged += held_out
        running = _still_good(running)
        if len(running) == 1:
            break
    best = max(running, key=lambda each: each.right)
    return tuple(wilson(each.right, each.judged) for each in runners), runners.index(best)


def _still_good(running: list[_Runner]) -> list[_Runner]:
    """Those of `running`, which as many pictures have judged, that are not behind the best by more than the error of that."""
    best = max(each.right for each in running)

    def error(each: _Runner) -> float:
        return math.sqrt(sum(right * (1 - right / max(1, each.judged)) for right in (best, each.right)) + 1)

    return [each for each in running if best - each.right <= error(each)]


def _told(recipe: Recipe, turn: int, turns: int, progress: Callable[[Recipe, int, int | None], None]) -> Callable[[], None]:
    epochs = recipe.optimisation.epochs
    done = count(turn * epochs + 1)
    return lambda: progress(recipe, next(done), turns * epochs)


def _reached(
    recipe: Recipe, plugins: Plugins, shown: DatasetManifest, step: Callable[[], None], cancel: threading.Event | None
) -> float:
    """The accuracy of the last epoch; `step` is called after each."""
    from desktop_ft.engine.device import give_memory_back
    from desktop_ft.engine.trainer import Trainer
    from desktop_ft.models.checkpoint import CheckpointStore

    backbone = plugins.backbones.get(recipe.backbone.name)
    parts = build(recipe, backbone, shown)
    device, accuracy = parts.compute.device, [0.0]

    def hear(event: TrainEvent) -> None:
        if isinstance(event, EpochDone):
            accuracy.append(event.val_accuracy)
            step()

    try:
        with (
            tempfile.TemporaryDirectory(prefix="desktop-ft-trial-") as place,
            batches(recipe, backbone, shown, plugins, device) as pictures,
        ):
            ended = Trainer(
                network=parts.network,
                learner=parts.learner,
                batches=pictures,
                optimisation=parts.optimisation,
                compute=parts.compute,
                store=CheckpointStore(Path(place), atomic.write),
                seed=recipe.seed,
                loss=loss(recipe, shown),
                features=feature_store(),
                measurements=measurements(),
            ).fit(hear, RunControl(cancel=cancel or threading.Event()))
    finally:
        del parts
        give_memory_back(device)
    if ended.status is RunStatus.FAILED:
        raise UserError(ended.error, tr("Try `desktop-ft train` first."))
    if ended.status is not RunStatus.COMPLETED:
        raise Cancelled
    return accuracy[-1]
