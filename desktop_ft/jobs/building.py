"""What a recipe builds before anything is trained: the network, what of it learns, its pictures and its loss."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft.api import Backbone
from desktop_ft.core.backbone import resize_rule
from desktop_ft.core.changes import Change
from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.freezing import FreezePlan, learning_share
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import Balance, Optimisation, Recipe
from desktop_ft.data.health import check_trainable, class_weights
from desktop_ft.engine.team import ALONE, Team
from desktop_ft.jobs import augmenting
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.plugin_manager import Plugins

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from desktop_ft.data.loaders import PictureBatches
    from desktop_ft.engine.device import Compute
    from desktop_ft.engine.layer_watch import Origin
    from desktop_ft.models.freezing import Freezer, Succession
    from desktop_ft.models.network import Network

_SHARE_OF_MEMORY = 4
"""Decoded pictures may take a quarter of this machine's memory; what does not fit is decoded again."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a recipe builds before anything is written.

    Attributes:
        optimisation: how the network learns where the run begins, or goes on.
        notes: for the person, in sentences.
    """

    network: Network
    learner: Freezer
    optimisation: Optimisation
    compute: Compute
    notes: tuple[str, ...]


def build(recipe: Recipe, backbone: Backbone, manifest: DatasetManifest, *, resumed_at: tuple[int, int] | None = None) -> Parts:
    """The network and what trains it; a resumed run takes its weights from the checkpoint instead.

    Args:
        resumed_at: epoch and step of the checkpoint that the run goes on from.

    Raises:
        UserError: it cannot be built, or what is planned for a later epoch cannot be followed.
    """
    from desktop_ft.engine.device import choose

    compute, resumed = choose(recipe.device, recipe.precision), resumed_at is not None
    network = untrained(recipe, backbone, len(manifest.classes), weights=not resumed)
    for change in recipe.changes:
        check_change(change, change.epoch, recipe, lambda: network.backbone, backbone)
    course = recipe.followed(*(resumed_at or (0, 0)))
    freezer, note = learner(network.backbone, course.freeze, backbone, since=course.since)
    optimisation = recipe.optimisation.model_copy(update={"lr": course.lr})
    return Parts(network, freezer, optimisation, compute, notes=(note,) if note else ())


def untrained(recipe: Recipe, backbone: Backbone, classes: int, *, weights: bool = True) -> Network:
    """The network of `recipe` with its new head, as it is before the first step. Imports torch.

    Args:
        weights: start from the weights that the recipe names; False: from chance, as others will take their place.

    Raises:
        UserError: the weights are not on this machine or do not fit, or the image size does not fit.
    """
    from desktop_ft.models.build import build_network

    return build_network(
        backbone,
        classes,
        pretrained=recipe.freeze.pretrained and weights,
        own_weights=Path(recipe.backbone.weights) if recipe.backbone.weights and weights else None,
        image_size=recipe.backbone.image_size,
        seed=recipe.seed,
    )


def origin(recipe: Recipe, backbone: Backbone, classes: int) -> Origin | None:
    """What the layers of a run's network are held against while they learn; None where they begin by chance. Imports torch."""
    from desktop_ft.engine.layer_watch import Origin

    if not recipe.freeze.pretrained:
        return None

    def tensors() -> Mapping[str, Tensor]:
        with suppress(UserError):
            return dict(untrained(recipe, backbone, classes).named_parameters())
        return {}  # the run goes on without them

    return Origin(head=backbone.spec.head, tensors=tensors)


def check_change(change: Change, epoch: int, recipe: Recipe, module: Callable[[], nn.Module], backbone: Backbone) -> None:
    """Raise where a run of `recipe` cannot make `change` from `epoch` (counted from 1) on.

    Args:
        module: gives a network of `backbone` with its new head; asked only where the change is about what learns.

    Raises:
        UserError: it has no such epoch, does not begin as the change needs it, has no such layer, or none would learn.
    """
    if epoch > (epochs := recipe.optimisation.epochs):
        raise UserError(
            tr("A change is for epoch {epoch}, and the run ends with epoch {epochs}.", epoch=epoch, epochs=epochs),
            tr("Name an earlier epoch."),
        )
    if change.freeze is None:
        return
    if change.freeze.pretrained is not recipe.freeze.pretrained:
        what = tr("Whether a run starts from pre-trained weights cannot be changed on its way.")
        raise UserError(what, tr("Train a new one; `--weights` starts it from what another run has learned."))
    learner(module(), change.freeze, backbone)


def succession(module: nn.Module, recipe: Recipe, backbone: Backbone, *, epoch: int = 0) -> Succession:
    """What holds `module`, a network of `backbone` with its new head, to all that `recipe` plans, from `epoch` on.

    Raises:
        UserError: it cannot be followed.
    """
    from desktop_ft.models.freezing import Succession

    begins = [epoch, *(later for change in recipe.changes if (later := change.epoch - 1) > epoch)]
    courses = {course.since: course for course in map(recipe.followed, begins)}
    return Succession([learner(module, course.freeze, backbone, since=since)[0] for since, course in sorted(courses.items())])


def learner(module: nn.Module, plan: FreezePlan, backbone: Backbone, *, since: int = 0) -> tuple[Freezer, str]:
    """What holds `module`, a network of `backbone` with its new head, to `plan` from the epoch `since` on; and a note for the
    person, "" if none.

    Raises:
        UserError: there is no such layer, or none would learn.
    """
    from desktop_ft.models.freezing import Freezer
    from desktop_ft.models.layer_tree import layer_tree

    tree, head = layer_tree(module), backbone.spec.head
    if unknown := plan.unknown_overrides(tree):
        raise UserError(
            tr("The network has no layer '{path}'.", path=unknown[0]),
            tr("`desktop-ft layers NAME` shows the paths of its layers."),
        )
    # The first epoch decides: what learns later (gradual) only comes on top.
    if not learning_share(tree, plan.rates(tree, head)):
        raise UserError(tr("No layer may learn."), tr("Let at least one layer learn, or take another preset."))
    return Freezer(module, plan, tree, head, since), plan.beyond(tree, head)


def looked_at(
    recipe: Recipe,
    plugins: Plugins,
    manifest: DatasetManifest | None,
    progress: Callable[[int, int | None], None] | None,
    cancel: threading.Event | None,
) -> DatasetManifest:
    """The pictures of `recipe`, `manifest` where they were scanned already, after a look at whether it can be trained at all.

    Raises:
        UserError: it cannot. Cancelled: as asked.
    """
    augmenting.check(plugins, recipe.augmentation)
    if manifest is None:
        manifest = scan_dataset(recipe.dataset, progress=progress, cancel=cancel)
    check_trainable(manifest, recipe.optimisation.batch_size)
    return manifest


def heeding(cancel: threading.Event | None) -> Callable[[], None]:
    """What raises Cancelled once `cancel` is set."""

    def heed() -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled

    return heed


def batches(
    recipe: Recipe,
    backbone: Backbone,
    manifest: DatasetManifest,
    plugins: Plugins,
    device: torch.device,
    team: Team = ALONE,
) -> PictureBatches:
    """The pictures of `manifest` as the recipe shows them, for `device`. A context manager. Imports torch."""
    import psutil

    from desktop_ft.data.loaders import PictureBatches
    from desktop_ft.engine.device import free_memory

    transforms = augmenting.transforms(plugins, recipe.augmentation)
    return PictureBatches(
        manifest,
        resize_rule(backbone.spec, recipe.backbone.image_size),
        batch_size=recipe.optimisation.batch_size,
        seed=recipe.seed,
        transforms=transforms.picture,
        transforms_id=augmenting.identity(plugins, recipe.augmentation),
        views=recipe.optimisation.views,
        batch_transforms=transforms.batch,
        balance=recipe.optimisation.balance,
        threads=min(8, max(1, (os.cpu_count() or 1) // team.on_machine)),
        cache_bytes=psutil.virtual_memory().total // _SHARE_OF_MEMORY // team.on_machine,
        device=device,
        device_bytes=free_memory(device) // _SHARE_OF_MEMORY if device.type == "cuda" else 0,
        part=team.rank,
        parts=team.size,
    )


def loss(recipe: Recipe, manifest: DatasetManifest) -> Callable[[Tensor, Tensor], Tensor]:
    """What training makes small. Imports torch."""
    from desktop_ft.engine.losses import classification_loss

    weighted = recipe.optimisation.balance is Balance.CLASS_WEIGHTS
    return classification_loss(recipe.optimisation.label_smoothing, class_weights(manifest) if weighted else None)
