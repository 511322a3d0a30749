"""How long a recipe will take here, measured on a few of its own pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.errors import Cancelled
from desktop_ft.core.forecast import USUAL_BATCH_SIZE, Forecast
from desktop_ft.core.recipe import Recipe
from desktop_ft.data.health import check_trainable
from desktop_ft.jobs import augmenting, distributed
from desktop_ft.jobs.building import batches, build, loss
from desktop_ft.jobs.kept import measurements
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.plugin_manager import Plugins


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
    from desktop_ft.engine.rehearsal import Rehearsal

    def heed() -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled

    augmenting.check(plugins, recipe.augmentation)
    if manifest is None:
        manifest = scan_dataset(Path(recipe.dataset.folder), recipe.dataset.val, progress=progress, cancel=cancel)
    check_trainable(manifest, recipe.optimisation.batch_size)
    backbone = plugins.backbones.get(recipe.backbone.name)
    processes = distributed.processes(recipe, manifest)
    parts = build(recipe, backbone, manifest)
    # With one view, and without what mixes whole batches, the pictures have keys, so that what comes once and what comes anew
    # can both be tried; and never in larger batches than the usual: whether those fit is the question.
    size = min(recipe.optimisation.batch_size, USUAL_BATCH_SIZE)
    recurring = recipe.optimisation.model_copy(update={"views": 1, "batch_size": size})
    single = tuple(spec for spec in recipe.augmentation if augmenting.changes_one_picture(plugins, spec))
    once = recipe.model_copy(update={"optimisation": recurring, "augmentation": single})
    with batches(once, backbone, manifest, plugins) as shown:
        costs = Rehearsal(
            network=parts.network,
            learner=parts.learner,
            batches=shown,
            optimisation=recipe.optimisation,
            compute=parts.compute,
            loss=loss(recipe, manifest),
            measurements=measurements() if processes == 1 else None,  # as in the run
            heed=heed,
        ).costs()
    return Forecast(
        training=len(manifest.of(Subset.TRAIN)),
        validation=len(manifest.of(Subset.VAL)),
        augmented=bool(recipe.augmentation),
        mixed=len(single) < len(recipe.augmentation),
        processes=processes,
        precision=costs.precision,
        stages=costs.stages,
        batch_size=recipe.optimisation.batch_size,
        memory=costs.memory,
        by_batch_size=costs.by_batch_size,
    )


def with_fastest_batches(recipe: Recipe, plugins: Plugins) -> Recipe:
    """`recipe` with the batch size whose steps are measured to be the fastest here, and which fits into memory.

    Raises:
        UserError: as training would.
    """
    return with_batch_size(recipe, forecast(with_batch_size(recipe, USUAL_BATCH_SIZE), plugins).fastest_batch_size)


def with_batch_size(recipe: Recipe, size: int) -> Recipe:
    """`recipe` with another batch size."""
    return recipe.model_copy(update={"optimisation": recipe.optimisation.model_copy(update={"batch_size": size})})
