"""Plans tried for real: trained on most of the training pictures, judged by those left, and thrown away."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from math import comb
from pathlib import Path

from desktop_ft.core.advice import FEWEST_TO_TRY, Against, Evidence
from desktop_ft.core.dataset import DatasetManifest, Sample, Subset
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import EpochDone, RunEnded, RunStatus, TrainEvent
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.building import batches, build, loss
from desktop_ft.jobs.kept import feature_store, measurements
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs import atomic

MOST_EPOCHS = 10
ENOUGH = 200
"""Pictures to judge by: with half of them two plans that differ by several points change places by chance."""
CHANCE = 0.05
"""How often, at most, the test leaves out one of several plans that are equally good; only the choice of the pictures is
reckoned with, not that another training would come out otherwise. That a plan is no better than a cheaper one is not tested: of
equal ones the cheapest is to be taken anyway."""


@dataclass(slots=True)
class _Runner:
    """A recipe in the race, and whether it told each of the pictures that have judged it."""

    recipe: Recipe
    right: list[bool] = field(default_factory=list)


def tried(
    recipes: Sequence[Recipe],
    plugins: Plugins,
    manifest: DatasetManifest,
    samples: tuple[Sample, ...],
    groups: Sequence[Sequence[int]],
    *,
    progress: Callable[[Recipe, int, int | None], None],
    cancel: threading.Event | None = None,
) -> tuple[tuple[Evidence, ...], int]:
    """What networks of `recipes` tell of a fifth of `samples` when they have learned from the others. Imports torch.

    They learn for `MOST_EPOCHS` at most, and never stop early. Where a fifth is less than `ENOUGH`, other fifths are held out in
    their turn; after each a recipe that is clearly behind the best on the same pictures is left out (the exact test of McNemar
    1947, its p corrected for every turn and every pair of recipes by Bonferroni's inequality), and from `FEWEST_TO_TRY` pictures
    on one that has told no more of them than a cheaper one: it would have to catch up and get ahead, at the highest price. Of
    those that are left the cheapest that is near the best has won. What frozen layers answer is kept for the run that follows.

    Args:
        recipes: that differ in what learns alone, the cheapest first.
        samples: training pictures of `manifest`.
        groups: those that are one picture, by their numbers: none is judged by what has learned from another, and the first alone
            is judged.
        progress: told of which recipe how many epochs are done, of how many.

    Returns:
        What each told of the pictures that it came to, fewer where it was left out; and which has won.

    Raises:
        UserError: as training would. Cancelled: as asked.
    """
    import numpy as np

    from desktop_ft.evaluation.ridge import FOLDS, folds_of, one_of_each

    fold = folds_of([sample.label for sample in samples], groups, FOLDS, np.random.default_rng(recipes[0].seed))
    counts = one_of_each(len(samples), groups)
    turns = min(FOLDS, -(-ENOUGH * FOLDS // int(counts.sum())))
    looks = turns * comb(len(recipes), 2)
    epochs = min(MOST_EPOCHS, recipes[0].optimisation.epochs)
    runners = [_Runner(each.with_optimisation(epochs=epochs, early_stopping=0)) for each in recipes]
    running = runners
    for turn in range(turns):
        shown = manifest.with_samples(
            replace(sample, subset=Subset.VAL if own == turn else Subset.TRAIN)
            for sample, own, counted in zip(samples, fold, counts, strict=True)
            if counted or own != turn
        )
        for each in running if shown.of(Subset.VAL) and shown.of(Subset.TRAIN) else ():
            each.right += _told(each.recipe, plugins, shown, _steps(each.recipe, turn, turns, progress), cancel)
        running = _still_good(running, looks)
        if len(running) == 1:
            break
    best = _best(running).right
    won = next(each for each in running if Against.of(each.right, best).is_near)
    found = tuple(Evidence(right=sum(each.right), judged=len(each.right), epochs=epochs) for each in runners)
    return found, runners.index(won)


def _best(running: list[_Runner]) -> _Runner:
    return max(running, key=lambda each: sum(each.right))


def _still_good(running: list[_Runner], looks: int) -> list[_Runner]:
    """Those of `running`, all judged by the same pictures, that are not clearly behind the best, nor likely to lose to a cheaper.

    Args:
        looks: how often two of them are compared, in all turns together.
    """
    import numpy as np

    from desktop_ft.evaluation.paired import sign_flip

    best = np.array([_best(running).right])
    good = [each for each in running if sign_flip(np.array([each.right]), best) > CHANCE / looks]
    told = [sum(each.right) for each in good]
    if best.size < FEWEST_TO_TRY:
        return good
    return [each for place, each in enumerate(good) if told[place] > max(told[:place], default=-1)]


def _steps(recipe: Recipe, turn: int, turns: int, progress: Callable[[Recipe, int, int | None], None]) -> Callable[[], None]:
    epochs = recipe.optimisation.epochs
    done = count(turn * epochs + 1)
    return lambda: progress(recipe, next(done), turns * epochs)


def _told(
    recipe: Recipe, plugins: Plugins, shown: DatasetManifest, step: Callable[[], None], cancel: threading.Event | None
) -> list[bool]:
    """Whether each of the pictures held out is told after the last epoch, in their order; `step` is called after each epoch."""
    from desktop_ft.engine.batches import closed_after
    from desktop_ft.engine.device import give_memory_back
    from desktop_ft.engine.inference import logits
    from desktop_ft.engine.trainer import Trainer
    from desktop_ft.models.checkpoint import CheckpointStore

    backbone = plugins.backbones.get(recipe.backbone.name)
    parts = build(recipe, backbone, shown)
    device = parts.compute.device

    def hear(event: TrainEvent) -> None:
        if isinstance(event, EpochDone):
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
            _check(ended)
            with closed_after(pictures.validation()) as held_out:
                answers = logits(parts.network, (inputs for inputs, _ in held_out), cancel=cancel).argmax(axis=1)
    finally:
        del parts
        give_memory_back(device)
    return [bool(answer == sample.label) for answer, sample in zip(answers, shown.of(Subset.VAL), strict=True)]


def _check(ended: RunEnded) -> None:
    if ended.status is RunStatus.FAILED:
        raise UserError(ended.error, tr("Try `desktop-ft train` first."))
    if ended.status is not RunStatus.COMPLETED:
        raise Cancelled
