"""A plan tried for real: trained on most of the training pictures, judged by those left, and thrown away."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
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


def tried(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest,
    samples: tuple[Sample, ...],
    groups: Sequence[Sequence[int]],
    *,
    progress: Callable[[int, int | None], None],
    cancel: threading.Event | None = None,
) -> Interval:
    """How accurate a network of `recipe` is on a fifth of `samples` when it has learned from the others. Imports torch.

    It learns for `MOST_EPOCHS` at most. Where a fifth is less than `ENOUGH`, other fifths are held out in their turn. What frozen
    layers answer is kept for the run that follows.

    Args:
        samples: training pictures of `manifest`.
        groups: those that are one picture, by their numbers: none is judged by what has learned from another.
        progress: told how many epochs are done, of how many.

    Raises:
        UserError: as training would. Cancelled: as asked.
    """
    import numpy as np

    from desktop_ft.evaluation.intervals import wilson
    from desktop_ft.evaluation.ridge import FOLDS, folds_of

    fold = folds_of([sample.label for sample in samples], groups, FOLDS, np.random.default_rng(recipe.seed))
    turns = min(FOLDS, -(-ENOUGH * FOLDS // len(samples)))
    short = recipe.with_optimisation(epochs=min(MOST_EPOCHS, recipe.optimisation.epochs))
    done = right = judged = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, turns * short.optimisation.epochs)

    for turn in range(turns):
        shown = manifest.with_samples(
            replace(sample, subset=Subset.VAL if own == turn else Subset.TRAIN) for sample, own in zip(samples, fold, strict=True)
        )
        held_out = len(shown.of(Subset.VAL))
        if held_out:
            right += round(held_out * _reached(short, plugins, shown, step, cancel))
            judged += held_out
    return wilson(right, judged)


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
