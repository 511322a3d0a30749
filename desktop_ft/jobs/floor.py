"""The work of a recipe done once and plainly: what the engine is measured against. Imports torch.

Decode every picture once, let the frozen layers answer once, then make the bare steps of what learns, on tensors that are in
memory already, in whole batches with all threads in each. Nothing of the engine is in it but the cut itself, the folding of
resting batch norms, and the choice of precision.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from desktop_ft.api import Backbone
from desktop_ft.core.backbone import resize_rule
from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.recipe import Precision, Recipe
from desktop_ft.data.decode import network_input
from desktop_ft.engine.device import Compute
from desktop_ft.engine.process import memory_kept
from desktop_ft.jobs.building import build
from desktop_ft.models.cutting import Cut, Uncuttable, cut
from desktop_ft.models.folding import folded
from desktop_ft.models.modes import eval_mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What it took.

    Attributes:
        decoding: seconds to decode all pictures. passing: seconds of one pass through the frozen layers.
        stepping: seconds of the bare steps of all epochs, in each of which what lies behind the cut judges once, too.
        speed: samples a second that the bare steps learn from.
    """

    decoding: float
    passing: float
    stepping: float
    speed: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.decoding + self.passing + self.stepping


def floor(recipe: Recipe, backbone: Backbone, manifest: DatasetManifest, precision: Precision) -> Floor:
    """Measure it for `recipe`, without augmentation. One epoch's steps are made, and count as often as there are epochs.

    Args:
        precision: of the steps.
    """
    parts = build(recipe, backbone, manifest)
    rule = resize_rule(backbone.spec, recipe.backbone.image_size)
    training, validation = manifest.of(Subset.TRAIN), manifest.of(Subset.VAL)
    paths = [Path(manifest.root) / sample.path for sample in (*training, *validation)]
    labels = torch.tensor([sample.label for sample in training])
    network, compute, size = parts.network, parts.compute.computing_in(precision), recipe.optimisation.batch_size
    timed = partial(_timed, compute)
    with memory_kept():
        pictures, decoding = timed(lambda: _decoded(paths, lambda path: network_input(path, rule)))
        network.to(compute.device)
        if compute.channels_last:
            network.to(memory_format=torch.channels_last)
        parts.learner.apply(0)
        network.train()
        parts.learner.train_mode(0)
        made = _cut(network, pictures[:2].to(compute.device))
        inputs, passing = pictures, 0.0
        if made is not None:
            frozen = folded(made.prefix)
            inputs, passing = timed(lambda: _answers(frozen, pictures, size, compute, compute.frozen_autocast))
        behind = made.learning if made is not None else network
        optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-4, fused=True)

        def step(rows: Tensor, targets: Tensor) -> None:
            with torch.autocast(compute.device.type, compute.autocast, enabled=compute.autocast is not None):
                logits = behind(_typed(rows, compute.device, compute.autocast))
            loss = cross_entropy(logits.float(), targets.to(compute.device))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()

        def epoch() -> None:
            for rows, targets in zip(torch.split(inputs[: len(training)], size), torch.split(labels, size), strict=True):
                step(rows, targets)

        step(inputs[: len(labels)][:size], labels[:size])  # warms up
        _, training_epoch = timed(epoch)
        judging = made.judging if made is not None else network
        with eval_mode(network):
            _, validating = timed(lambda: _answers(judging, inputs[len(training) :], size, compute, compute.autocast))
    stepping = recipe.optimisation.epochs * (training_epoch + validating)
    return Floor(decoding=decoding, passing=passing, stepping=stepping, speed=len(labels) / training_epoch)


def _decoded(paths: list[Path], decode: Callable[[Path], np.ndarray]) -> Tensor:
    """uint8 (N, 3, S, S), with channels last in memory as decoders give them."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return torch.from_numpy(np.stack(list(pool.map(decode, paths)))).permute(0, 3, 1, 2)


@torch.no_grad()
def _answers(
    module: Callable[[Tensor], Tensor], inputs: Tensor, size: int, compute: Compute, autocast: torch.dtype | None
) -> Tensor:
    """What `module` says of all `inputs`, in batches of `size`."""
    with torch.autocast(compute.device.type, autocast, enabled=autocast is not None):
        return torch.cat([module(_typed(rows, compute.device, autocast)) for rows in torch.split(inputs, size)])


def _typed(rows: Tensor, device: torch.device, autocast: torch.dtype | None) -> Tensor:
    """On the device; answers in fp32, where what lies behind computes in that alone."""
    rows = rows.to(device)
    return rows.float() if rows.is_floating_point() and autocast is None else rows


def _cut(network: torch.nn.Module, inputs: Tensor) -> Cut | None:
    try:
        return cut(network, inputs)
    except Uncuttable:  # as the run itself, which then goes through the whole network
        return None


def _timed(compute: Compute, work: Callable[[], Tensor | None]) -> tuple[Tensor, float]:
    """What `work` makes, and its seconds: on accelerators until all is done that it has asked for."""
    began = _now(compute)
    made = work()
    return made if made is not None else torch.empty(0), _now(compute) - began


def _now(compute: Compute) -> float:
    if compute.device.type != "cpu":
        torch.get_device_module(compute.device).synchronize()
    return time.perf_counter()
