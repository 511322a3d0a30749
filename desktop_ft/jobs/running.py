"""What the verbs on a run share: the run opened with its backbone, its network and its pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft.api import Backbone
from desktop_ft.core.backbone import ResizeRule, resize_rule
from desktop_ft.core.dataset import DatasetManifest, Sample, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import Recipe
from desktop_ft.data.picture_file import UnreadablePicture, is_unchanged
from desktop_ft.jobs.run_list import remember
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs import atomic
from desktop_ft.runs.run_folder import RunFolder

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    import numpy as np
    import torch

    from desktop_ft.models.checkpoint import CheckpointStore
    from desktop_ft.models.network import Network
    from desktop_ft.models.tensor_file import Write

Warn = Callable[[str], None]


def silent(sentence: str) -> None:
    """For callers with nobody to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """A run folder, and what it holds of its own; that needs no plugin."""

    folder: RunFolder
    recipe: Recipe
    manifest: DatasetManifest


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun(RecordedRun):
    """A run folder with all it refers to."""

    backbone: Backbone

    @property
    def rule(self) -> ResizeRule:
        """How this run's pictures become the network's input."""
        return resize_rule(self.backbone.spec, self.recipe.backbone.image_size)

    @property
    def held_out(self) -> tuple[Sample, ...]:
        """The pictures that training never saw: the test subset where there is one, else validation."""
        return self.manifest.of(self.held_out_subset)

    @property
    def held_out_subset(self) -> Subset:
        """Which subset the run is judged on."""
        return self.manifest.held_out_subset

    def store(self, write: Write = atomic.write) -> CheckpointStore:
        """The run's checkpoints, written by `write`. Imports torch."""
        from desktop_ft.models.checkpoint import CheckpointStore

        return CheckpointStore(self.folder.checkpoints, write)


def recorded_run(path: Path) -> RecordedRun:
    """What the run in `path` holds.

    Raises:
        UserError: not a run, or damaged.
    """
    folder = RunFolder.open(path)
    recipe = folder.recipe
    remember(path)
    return RecordedRun(folder=folder, recipe=recipe, manifest=folder.manifest)


def open_run(path: Path, plugins: Plugins) -> OpenRun:
    """The run in `path`.

    Raises:
        UserError: not a run, damaged, or made with a backbone that no plugin here brings.
    """
    run = recorded_run(path)
    backbone = plugins.backbones.get(run.recipe.backbone.name)
    return OpenRun(folder=run.folder, recipe=run.recipe, manifest=run.manifest, backbone=backbone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A run's network with what it has learned.

    Attributes:
        network: on the CPU, in eval mode.
        checkpoint: the file that its weights were loaded from, as `FOLDER/FILE`: the best one, or what stands in for it.
    """

    network: Network
    checkpoint: str


def trained(run: OpenRun, warn: Warn = silent) -> Trained:
    """The run's network with its best weights. Imports torch.

    Args:
        warn: told in a sentence where the best checkpoint is damaged and another one stands in for it.
    """
    from desktop_ft.models.build import build_network

    checkpoint = run.store().load("best")
    if checkpoint.note:
        warn(checkpoint.note)
    network = build_network(
        run.backbone, len(run.manifest.classes), pretrained=False, image_size=run.recipe.backbone.image_size, seed=run.recipe.seed
    )
    checkpoint.fill(network)
    return Trained(network=network.eval(), checkpoint=checkpoint.file)


def device_of(run: OpenRun) -> torch.device:
    """The run's own device, or the fastest there is where the run came from another machine. Imports torch."""
    from desktop_ft.engine.device import choose

    try:
        return choose(run.recipe.device).device
    except UserError:
        return choose().device


def still_there(root: Path, samples: Sequence[Sample], warn: Warn = silent) -> tuple[Sample, ...]:
    """Those of `samples` whose pictures are what they were when the run began; `warn` is told of the others.

    Raises:
        UserError: none is.
    """
    kept = tuple(sample for sample in samples if _is_there(root / sample.path, sample))
    if not kept:
        raise UserError(
            tr("None of the run's pictures is in {root} as it was.", root=root), tr("Bring the folder back to its place.")
        )
    there = {sample.path for sample in kept}
    if lost := [sample.path for sample in samples if sample.path not in there]:
        warn(
            tr(
                "{lost} of {all} pictures are gone or have changed since, such as {first}; they are left out.",
                lost=len(lost),
                all=len(samples),
                first=lost[0],
            )
        )
    return kept


def _is_there(path: Path, sample: Sample) -> bool:
    try:
        return is_unchanged(path, sample)
    except UnreadablePicture:
        return False


def logits_of(
    network: Network,
    paths: Sequence[Path],
    rule: ResizeRule,
    *,
    device: torch.device | None = None,
    draft: bool = True,
    progress: Callable[[int, int | None], None] | None = None,
    cancel: threading.Event | None = None,
) -> np.ndarray:
    """The network's logits, float32 (N, classes), of the pictures at `paths`, in order. Imports torch.

    Args:
        device: where to compute; None: where the network is.
        draft: as `decode.load`.
    """
    from desktop_ft.data.loaders import pictures
    from desktop_ft.engine.device import pass_size
    from desktop_ft.engine.inference import logits

    size = pass_size(device or next(network.parameters()).device, 3 * rule.crop * rule.crop)
    batches = pictures(paths, rule, batch_size=size, draft=draft)
    return logits(network, batches, device=device, progress=progress, total=len(paths), cancel=cancel)
