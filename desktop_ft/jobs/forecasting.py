"""How long a recipe will take here, measured on a few of its own pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from desktop_ft.api import Backbone
from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.forecast import USUAL_BATCH_SIZE, Forecast, StepMemory
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.team import size_here
from desktop_ft.jobs import augmenting, distributed
from desktop_ft.jobs.building import batches, build, heeding, looked_at, loss, succession
from desktop_ft.jobs.kept import measurements
from desktop_ft.plugin_manager import Plugins

if TYPE_CHECKING:
    from desktop_ft.engine.rehearsal import Costs


def forecast(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest | None = None,
    *,
    progress: Callable[[int, int | None], None] | None = None,
    cancel: threading.Event | None = None,
) -> Forecast:
    """Take a few steps as `recipe` says, with a network that is thrown away; only a measured precision is kept. Imports torch.

    Args:
        manifest: of the recipe's folder; None: it is scanned.
        progress: told how many pictures the scan has looked at.

    Raises:
        UserError: as training would. Cancelled: as asked.
    """

    manifest = looked_at(recipe, plugins, manifest, progress, cancel)
    backbone = plugins.backbones.get(recipe.backbone.name)
    processes = distributed.processes(recipe, manifest)
    costs = _rehearsed(recipe, backbone, manifest, plugins, alone=processes == 1, heed=heeding(cancel))
    return Forecast(
        training=len(manifest.of(Subset.TRAIN)),
        validation=len(manifest.of(Subset.VAL)),
        augmented=bool(recipe.augmentation),
        mixed=any(not augmenting.changes_one_picture(plugins, spec) for spec in recipe.augmentation),
        processes=processes,
        precision=costs.precision,
        stages=costs.stages,
        batch_size=recipe.optimisation.batch_size,
        memory=_of_all(costs.memory, processes, on_cpu=costs.on_cpu),
        by_batch_size=costs.by_batch_size,
    )


def with_fastest_batches(recipe: Recipe, plugins: Plugins) -> Recipe:
    """`recipe` with batches that fit into memory, and that are larger than usual where this makes the run a tenth shorter.

    Raises:
        UserError: as training would; or several processes ask, each of which would find its own.
    """
    if size_here() > 1:
        raise UserError(tr("Processes that train together cannot each measure a batch size."), tr("Name one with --batch-size."))
    usual = recipe.with_optimisation(batch_size=USUAL_BATCH_SIZE)
    return recipe.with_optimisation(batch_size=forecast(usual, plugins).recommended_batch_size)


def _rehearsed(
    recipe: Recipe,
    backbone: Backbone,
    manifest: DatasetManifest,
    plugins: Plugins,
    *,
    alone: bool,
    heed: Callable[[], None],
) -> Costs:
    """The first steps of the run, by a network that is gone afterwards, and its memory with it."""
    from desktop_ft.engine.device import give_memory_back
    from desktop_ft.engine.rehearsal import Rehearsal

    parts = build(recipe, backbone, manifest)
    device = parts.compute.device
    # With one view, and without what mixes whole batches, the pictures have keys, so that what comes once and what comes anew
    # can both be tried; and never in larger batches than the usual: whether those fit is the question.
    size = min(recipe.optimisation.batch_size, USUAL_BATCH_SIZE)
    single = tuple(spec for spec in recipe.augmentation if augmenting.changes_one_picture(plugins, spec))
    once = recipe.with_optimisation(views=1, batch_size=size).model_copy(update={"augmentation": single})
    try:
        with batches(once, backbone, manifest, plugins, device) as shown:
            return Rehearsal(
                network=parts.network,
                learner=succession(parts.network.backbone, recipe, backbone),
                batches=shown,
                optimisation=recipe.optimisation,
                compute=parts.compute,
                loss=loss(recipe, manifest),
                measurements=measurements() if alone else None,  # as in the run
                heed=heed,
            ).costs()
    finally:
        del parts
        give_memory_back(device)


def _of_all(memory: StepMemory, processes: int, *, on_cpu: bool) -> StepMemory:
    """What all processes take: on the CPU of one memory, else each of its own device's."""
    if on_cpu:
        return replace(memory, fixed=processes * memory.fixed)
    return replace(memory, devices=processes)
