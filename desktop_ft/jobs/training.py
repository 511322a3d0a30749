"""A recipe becomes a run: scan, build, train, then see what it gets right and wrong."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft import places
from desktop_ft.api import Backbone, TrainEvent
from desktop_ft.core.backbone import resize_rule
from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunEnded, RunStatus, Warned
from desktop_ft.core.recipe import Balance, Recipe
from desktop_ft.data.health import check_trainable, class_weights
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs import augmenting
from desktop_ft.jobs.evaluating import evaluate_run
from desktop_ft.jobs.running import OpenRun, open_run
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from torch import Tensor

    from desktop_ft.data.loaders import PictureBatches
    from desktop_ft.engine.device import Compute
    from desktop_ft.models.checkpoint import Checkpoint
    from desktop_ft.models.freezing import Freezer
    from desktop_ft.models.network import Network

Emit = Callable[[TrainEvent], None]
PhaseProgress = Callable[[str, int, int | None], None]


def new_run_path(recipe: Recipe) -> Path:
    """A folder for a new run that does not exist yet: dataset, backbone and time in its name."""
    name = recipe.portable().dataset.folder.removesuffix(".zip") or "dataset"
    stamp = datetime.datetime.now().strftime("%Y-%m-%d %H.%M.%S")
    return places.runs() / f"{stamp} {name} {recipe.backbone.name}"


def train(
    recipe: Recipe,
    run: Path,
    plugins: Plugins,
    emit: Emit,
    control: RunControl,
    *,
    progress: PhaseProgress | None = None,
) -> RunEnded:
    """Do all that `recipe` says, in the new run folder `run`; then evaluate the best checkpoint and write the report.

    Args:
        emit: called with every event, from this thread; the last one is RunEnded.
        control: asks for a pause, a stop or a cancellation.
        progress: told of the phases around the training itself: what, how much done, of how much.

    Raises:
        UserError: the recipe cannot be run; nothing was trained and no event emitted. Cancelled: before training began.
    """
    backbone = plugins.backbones.get(recipe.backbone.name)
    if recipe.backbone.weights and not recipe.freeze.pretrained:
        raise UserError("From scratch means without weights, yet a weights file is named.", "Leave out one of the two.")
    augmenting.check(plugins, recipe.augmentation)
    scanning = (lambda done, total: progress("Looking at the pictures", done, total)) if progress else None
    manifest = scan_dataset(Path(recipe.dataset.folder), recipe.dataset.val, progress=scanning, cancel=control.cancel)
    warnings = check_trainable(manifest, recipe.optimisation.batch_size)
    parts = _build(recipe, backbone, manifest)
    folder = RunFolder.create(run)
    folder.write_recipe(recipe)
    folder.write_manifest(manifest)
    opened = OpenRun(folder=folder, recipe=recipe, manifest=manifest, backbone=backbone)
    return _fit(opened, parts, plugins, emit, control, progress, warnings=warnings)


def resume(run: Path, plugins: Plugins, emit: Emit, control: RunControl, *, progress: PhaseProgress | None = None) -> RunEnded:
    """Go on with a run from its last checkpoint, exactly as if it had never stopped.

    Raises:
        UserError: not a run, or it was completed already.
    """
    opened = open_run(run, plugins)
    ended = opened.folder.history().ended
    if ended is not None and ended.status is RunStatus.COMPLETED:
        raise UserError(f"The run {opened.folder.name} is complete.", "Evaluate or export it, or train a new one.")
    checkpoint = opened.store().load("last")
    parts = _build(opened.recipe, opened.backbone, opened.manifest, resumed=True)
    return _fit(opened, parts, plugins, emit, control, progress, checkpoint=checkpoint)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a recipe builds before anything is written."""

    network: Network
    learner: Freezer
    compute: Compute


def _build(recipe: Recipe, backbone: Backbone, manifest: DatasetManifest, *, resumed: bool = False) -> _Parts:
    """The network and what trains it; a resumed run takes its weights from the checkpoint instead."""
    from desktop_ft.engine.device import choose
    from desktop_ft.models.build import build_network
    from desktop_ft.models.freezing import Freezer
    from desktop_ft.models.layer_tree import layer_tree

    compute = choose(recipe.device, recipe.precision)
    network = build_network(
        backbone,
        len(manifest.classes),
        pretrained=recipe.freeze.pretrained and not resumed,
        own_weights=Path(recipe.backbone.weights) if recipe.backbone.weights and not resumed else None,
        image_size=recipe.backbone.image_size,
        seed=recipe.seed,
    )
    tree = layer_tree(network.backbone, resize_rule(backbone.spec, recipe.backbone.image_size).crop)
    if unknown := recipe.freeze.unknown_overrides(tree):
        raise UserError(f"The network has no layer '{unknown[0]}'.", "`desktop-ft layers NAME` shows the paths of its layers.")
    return _Parts(network, Freezer(network.backbone, recipe.freeze, tree, backbone.spec.head), compute)


def _fit(
    run: OpenRun,
    parts: _Parts,
    plugins: Plugins,
    emit: Emit,
    control: RunControl,
    progress: PhaseProgress | None,
    *,
    warnings: tuple[str, ...] = (),
    checkpoint: Checkpoint | None = None,
) -> RunEnded:
    from desktop_ft.engine.trainer import Trainer

    with contextlib.ExitStack() as stack:
        stack.enter_context(run.folder.lock())
        log = stack.enter_context(run.folder.log())
        sinks = [sink.open(run.folder.path) for sink in plugins.sinks]

        def tell(event: TrainEvent) -> None:
            for listener in (log.append, *sinks, emit):
                listener(event)

        for message in warnings:
            tell(Warned(message=message))
        trainer = Trainer(
            network=parts.network,
            learner=parts.learner,
            batches=stack.enter_context(_batches(run, plugins)),
            optimisation=run.recipe.optimisation,
            compute=parts.compute,
            store=run.store(),
            seed=run.recipe.seed,
            loss=_loss(run),
        )
        ended = trainer.fit(tell, control, checkpoint)
    if ended.status in (RunStatus.COMPLETED, RunStatus.STOPPED) and ended.checkpoint:
        evaluating = (lambda done, total: progress("Evaluating", done, total)) if progress else None
        evaluate_run(run.folder.path, plugins, progress=evaluating)
    return ended


def _batches(run: OpenRun, plugins: Plugins) -> PictureBatches:
    from desktop_ft.data.loaders import PictureBatches

    transforms = augmenting.transforms(plugins, run.recipe.augmentation)
    return PictureBatches(
        run.manifest,
        run.rule,
        batch_size=run.recipe.optimisation.batch_size,
        seed=run.recipe.seed,
        transforms=transforms.picture,
        batch_transforms=transforms.batch,
        balance=run.recipe.optimisation.balance,
    )


def _loss(run: OpenRun) -> Callable[[Tensor, Tensor], Tensor]:
    """Cross-entropy with the recipe's label smoothing and, where it asks for them, class weights."""
    import torch
    from torch.nn.functional import cross_entropy

    smoothing = run.recipe.optimisation.label_smoothing
    weighted = run.recipe.optimisation.balance is Balance.CLASS_WEIGHTS
    weights = torch.from_numpy(class_weights(run.manifest)) if weighted else None

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        weight = weights.to(logits.device) if weights is not None else None
        return cross_entropy(logits.float(), targets, weight=weight, label_smoothing=smoothing)

    return loss
