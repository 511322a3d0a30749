"""Which learning rate suits a recipe, tried on its own pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable

from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.rate_sweep import RateSweep
from desktop_ft.core.recipe import Recipe
from desktop_ft.jobs.building import batches, build, heeding, looked_at, loss
from desktop_ft.jobs.kept import feature_store
from desktop_ft.plugin_manager import Plugins


def find_rate(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest | None = None,
    *,
    told: Callable[[RateSweep], None] | None = None,
    cancel: threading.Event | None = None,
) -> RateSweep:
    """Train as `recipe` says at a rate that rises from step to step, with a network that is thrown away. Imports torch.

    Where the pictures are so few that each is seen several times, what frozen layers answered is kept for the run that follows.

    Args:
        manifest: of the recipe's folder; None: it is scanned.
        told: given what was tried so far, after every step.

    Raises:
        UserError: as training would. Cancelled: as asked.
    """
    from desktop_ft.engine.device import give_memory_back
    from desktop_ft.engine.rate_finder import sweep_rates

    manifest = looked_at(recipe, plugins, manifest, None, cancel)
    backbone = plugins.backbones.get(recipe.backbone.name)
    parts = build(recipe, backbone, manifest)
    device = parts.compute.device
    try:
        with batches(recipe, backbone, manifest, plugins, device) as shown:
            return sweep_rates(
                network=parts.network,
                learner=parts.learner,
                batches=shown,
                optimisation=recipe.optimisation,
                compute=parts.compute,
                loss=loss(recipe, manifest),
                features=feature_store(),
                told=told or _nobody,
                heed=heeding(cancel),
            )
    finally:
        del parts
        give_memory_back(device)


def _nobody(tried: RateSweep) -> None:
    return
