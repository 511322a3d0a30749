"""What a recipe's backbone makes of its pictures before anything is trained: advice and checks of the data start from it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft.core.dataset import DatasetManifest, Sample, Subset
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import Recipe
from desktop_ft.jobs.building import batches, heeding, untrained
from desktop_ft.jobs.kept import feature_store
from desktop_ft.jobs.running import Warn, silent
from desktop_ft.plugin_manager import Plugins

if TYPE_CHECKING:
    import numpy as np

    from desktop_ft.engine.survey import Survey

_NEIGHBOURS = 10


def survey(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest,
    samples: tuple[Sample, ...],
    *,
    every_depth: bool = True,
    warn: Warn = silent,
    progress: Callable[[int, int], None] | None = None,
    cancel: threading.Event | None = None,
) -> Survey:
    """What the backbone of `recipe` makes of `samples`, in their order, without augmentation. Imports torch.

    What was seen of a picture is kept beside what frozen layers answer, so that the next look takes no time.

    Args:
        samples: some of those of `manifest`, at least one, whose subsets do not matter.
        every_depth: False: only what the head is given is looked at.
        progress: told how many of the pictures not seen before are done, of how many.

    Raises:
        UserError: the weights are not on this machine or do not fit, or there is no room. Cancelled: as asked.
    """
    from desktop_ft.engine import survey as engine
    from desktop_ft.engine.device import choose, give_memory_back

    backbone = plugins.backbones.get(recipe.backbone.name)
    compute = choose(recipe.device, recipe.precision)
    plain = recipe.model_copy(update={"augmentation": (), "freeze": FreezePlan()})  # from scratch there is nothing to see yet
    network = untrained(plain, backbone, len(manifest.classes))
    looked_at = manifest.with_samples(replace(sample, subset=Subset.VAL) for sample in samples)
    try:
        with batches(plain, backbone, looked_at, plugins, compute.device) as shown:
            return engine.survey(
                network,
                shown.validation_keys,
                shown.inputs,
                compute,
                feature_store(),
                code=plugins.identity({plugins.backbones.author(backbone.spec.name)}),
                every_depth=every_depth,
                warn=warn,
                progress=progress,
                heed=heeding(cancel),
            )
    finally:
        del network
        give_memory_back(compute.device)


def one_picture(
    manifest: DatasetManifest,
    samples: tuple[Sample, ...],
    features: np.ndarray,
    cancel: threading.Event | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[int, ...]]:
    """Which of `samples` are one picture, made smaller, compressed again or cut a little: their numbers, group by group.

    Only what the network sees as very alike is decoded and compared by its pixels: a fraction of what `jobs.checkup` does, which
    is to find every one.

    Args:
        features: of each of `samples`, as `survey` gives them.
        progress: told how many of those that are very alike are decoded, of how many.

    Raises:
        UserError: one of them cannot be read any more. Cancelled: as asked.
    """
    from desktop_ft.data.looks import greys_of
    from desktop_ft.data.near_doubles import grouped, near_doubles, neighbours, unit_rows, worth_comparing

    rows, heed = unit_rows(features), heeding(cancel)
    some = worth_comparing(*neighbours(rows, _NEIGHBOURS, heed))
    if not some.size:
        return []
    greys = greys_of(Path(manifest.root), [samples[number] for number in some], progress, heed)
    nearest, _ = neighbours(rows[some], _NEIGHBOURS, heed)
    return [tuple(int(some[number]) for number in group) for group in grouped(near_doubles(nearest, greys, heed))]
