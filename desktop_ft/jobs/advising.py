"""What fine-tuning can buy on a person's own pictures, before anything is trained: where to cut, and which network to take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from desktop_ft.core.advice import Advice, BackboneScore, PlanOption, ProbeScore, Ranking, better_of, where_to_cut
from desktop_ft.core.dataset import DatasetManifest, Sample, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import preset_of_depth
from desktop_ft.core.language import tr
from desktop_ft.core.metrics import Interval
from desktop_ft.core.recipe import BackboneChoice, Recipe
from desktop_ft.jobs.backbones import is_local, known_speed, measure_speeds
from desktop_ft.jobs.building import looked_at
from desktop_ft.jobs.forecasting import forecast
from desktop_ft.jobs.running import Warn, silent
from desktop_ft.jobs.surveying import survey
from desktop_ft.jobs.trial import tried
from desktop_ft.plugin_manager import Plugins

if TYPE_CHECKING:
    import numpy as np

MOST = 2000
"""Training pictures that are looked at; of more a part is drawn, as evenly over the classes as they are."""
Told = Callable[[str, int, int | None], None]


def advise(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest | None = None,
    *,
    told: Told | None = None,
    warn: Warn = silent,
    cancel: threading.Event | None = None,
) -> Advice:
    """Where to cut the network of `recipe` for its pictures: a probe at each depth, and measured costs. Imports torch.

    Where the probe says that the last blocks should learn anew, that plan and the head alone are both tried, and the better is
    recommended: how far what learns comes is a matter of the recipe, which no probe knows.

    Only training pictures are looked at, so that what validation says later is as honest as ever.

    Args:
        manifest: of the recipe's folder; None: it is scanned.
        told: told what is being done, how much of it, of how much.

    Raises:
        UserError: as training would; or the weights are not on this machine. Cancelled: as asked.
    """
    tell = told or _nobody
    manifest = looked_at(recipe, plugins, manifest, lambda *done: tell(tr("Looking at the pictures"), *done), cancel)
    samples = drawn(manifest, recipe.seed)
    seen = survey(
        recipe, plugins, manifest, samples, warn=warn, progress=lambda *done: tell(tr("Asking the network"), *done), cancel=cancel
    )
    scores = tuple(
        ProbeScore(depth=depth, accuracy=_accuracy(features, samples, recipe.seed))
        for depth, features in zip(seen.depths, seen.features, strict=True)
    )
    depths = sorted({seen.blocks, where_to_cut(scores, len(samples))}, reverse=True)
    options = []
    for number, depth in enumerate(depths):
        tell(tr("Measuring what it takes"), number, len(depths))
        preset = preset_of_depth(depth, seen.blocks)
        options.append(_option(recipe, plugins, manifest, preset, depth, scores[-1].accuracy, cancel))
    if len(options) > 1:
        options = [_judged(recipe, plugins, manifest, samples, option, tell, cancel) for option in options]
    return Advice(
        backbone=recipe.backbone.name,
        blocks=seen.blocks,
        pictures=len(samples),
        training=len(manifest.of(Subset.TRAIN)),
        scores=scores,
        options=tuple(options),
        recommended=better_of(options).preset,
    )


def rank_backbones(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest | None = None,
    *,
    told: Told | None = None,
    warn: Warn = silent,
    cancel: threading.Event | None = None,
) -> Ranking:
    """What each network whose weights are on this machine makes of the pictures of `recipe`, and how fast. Imports torch.

    The networks are asked at the recipe's picture size; one that cannot take it is left out, with the reason. Only training
    pictures are looked at.

    Args, Raises:
        As `advise`; also a UserError where no weights are on this machine, or none of the networks can be asked.
    """
    from desktop_ft.evaluation.probing import logme

    tell = told or _nobody
    here = [backbone for backbone in plugins.backbones if is_local(backbone)]
    if not here:
        raise UserError(
            tr("The weights of no network are on this machine."), tr("Fetch some: `desktop-ft backbones --download NAME`.")
        )
    manifest = looked_at(recipe, plugins, manifest, lambda *done: tell(tr("Looking at the pictures"), *done), cancel)
    samples = drawn(manifest, recipe.seed)
    labels = [sample.label for sample in samples]
    found, left_out = [], list[UserError]()
    for number, backbone in enumerate(here):
        tell(tr("Asking the networks"), number, len(here))
        choice = BackboneChoice(name=backbone.spec.name, image_size=recipe.backbone.image_size)
        own = recipe.model_copy(update={"backbone": choice})
        try:
            features = survey(own, plugins, manifest, samples, warn=warn, cancel=cancel).last
        except UserError as error:
            left_out.append(error)
            continue
        accuracy = _accuracy(features, samples, recipe.seed)
        speed = known_speed(backbone) or measure_speeds([backbone], cancel=cancel)[backbone.spec.name]
        found.append(BackboneScore(name=backbone.spec.name, accuracy=accuracy, logme=logme(features, labels), speed=speed))
    tell(tr("Asking the networks"), len(here), len(here))
    if not found:
        raise left_out[0]
    best_first = sorted(found, key=lambda score: (score.accuracy.value, score.logme), reverse=True)
    return Ranking(scores=tuple(best_first), pictures=len(samples), left_out=tuple(map(str, left_out)))


def drawn(manifest: DatasetManifest, seed: int) -> tuple[Sample, ...]:
    """The training pictures of `manifest`, at most `MOST`: of more, the same ones for the same `seed`, in their order."""
    from desktop_ft.evaluation.probing import stratified

    training = manifest.of(Subset.TRAIN)
    parts = -(-len(training) // MOST)
    part = stratified([sample.label for sample in training], parts, seed)
    return tuple(sample for sample, own in zip(training, part, strict=True) if own == 0)


def _accuracy(features: np.ndarray, samples: tuple[Sample, ...], seed: int) -> Interval:
    from desktop_ft.evaluation.probing import probe

    return probe(features, [sample.label for sample in samples], seed=seed).accuracy


def _option(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest,
    preset: str,
    depth: int,
    accuracy: Interval,
    cancel: threading.Event | None,
) -> PlanOption:
    """What the plan `preset` costs; exceptions that the recipe's own plan has are none of it."""
    told = forecast(_planned(recipe, preset), plugins, manifest, cancel=cancel)
    seconds, memory = told.seconds(recipe.optimisation.views), told.memory.of(recipe.optimisation.batch_size)
    return PlanOption(preset=preset, depth=depth, accuracy=accuracy, seconds=seconds, memory=memory)


def _judged(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest,
    samples: tuple[Sample, ...],
    option: PlanOption,
    tell: Told,
    cancel: threading.Event | None,
) -> PlanOption:
    """`option` with the accuracy that it reached when it was tried."""

    def progress(done: int, total: int | None) -> None:
        tell(tr("Trying {plan}", plan=option.preset), done, total)

    planned = _planned(recipe, option.preset)
    return replace(option, accuracy=tried(planned, plugins, manifest, samples, progress=progress, cancel=cancel))


def _planned(recipe: Recipe, preset: str) -> Recipe:
    return recipe.model_copy(update={"freeze": recipe.freeze.with_preset(preset), "changes": ()})


def _nobody(what: str, done: int, total: int | None) -> None:
    return
