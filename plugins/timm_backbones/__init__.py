"""Every image classifier of timm (PyTorch Image Models), over 1,900 sets of weights: needs the package timm.

The facts lie in `facts.json` (see `collect_facts.py`), so that timm and torch are imported on building only.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_ft.api import (
    Backbone,
    BackboneSpec,
    Interpolation,
    ResizeRule,
    WeightsOrigin,
    WeightsSource,
    hookimpl,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

DESKTOP_FT_API = ">=1,<2"
DESKTOP_FT_NEEDS = {"timm": "desktop-ft[timm]"}

PREFIX = "timm/"
"""Before timm's own names: several of them are also those of torchvision's networks, which are others."""
_SOURCE = "https://github.com/huggingface/pytorch-image-models"
_FREE = {
    "apache-2.0", "apple-ascl", "bsd-3-clause", "cc-by-4.0", "cvnets-license", "dinov3-license", "fastvit-license", "gemma",
    "mit", "mobileone-license", "nvidia-open-model-license",
}  # fmt: skip
"""Licences that allow business use, some of them on conditions. What states no licence allows nothing."""
_SHOWN = {
    "apache-2.0": "Apache-2.0",
    "bsd-3-clause": "BSD-3-Clause",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "mit": "MIT",
}


@hookimpl
def register_backbones(register: Callable[[Backbone], None]) -> None:
    """Bring them all."""
    columns, *rows = json.loads(Path(__file__).with_name("facts.json").read_text())
    for row in rows:
        facts = dict(zip(columns, row, strict=True))
        register(
            Backbone(
                spec=_spec(facts),
                build=partial(_build, facts["name"], facts["outputs"]),
                adapt=partial(_adapted, facts["name"], facts["head"]),
            )
        )


def _spec(facts: dict[str, Any]) -> BackboneSpec:
    return BackboneSpec(
        name=PREFIX + facts["name"],
        family=facts["family"],
        parameters=facts["parameters"],
        gflops=facts["gflops"],
        top1=facts["top1"],
        top5=facts["top5"],
        classes=facts["classes"],
        trained_on=facts["trained_on"],
        resize=ResizeRule(crop=facts["side"], resize=facts["resize"], interpolation=Interpolation(facts["interpolation"])),
        mean=tuple(facts["mean"]),
        std=tuple(facts["std"]),
        head=facts["head"],
        weights=_weights(facts),
        source=facts["page"] or _SOURCE,
    )


def _weights(facts: dict[str, Any]) -> WeightsSource:
    if "." not in facts["name"]:
        return WeightsSource(origin=WeightsOrigin.NONE, licence="none: its weights are random")
    licence = facts["licence"]
    return WeightsSource(
        origin=WeightsOrigin.DOWNLOAD if facts["sha256_prefix"] else WeightsOrigin.BY_HAND,
        licence=_SHOWN.get(licence, licence) or "not stated",
        commercial_use=licence in _FREE,
        licence_url=facts["page"],
        url=facts["url"],
        sha256_prefix=facts["sha256_prefix"],
    )


def _build(name: str, outputs: int) -> "nn.Module":
    from .network import built

    return built(name, outputs)[0]


def _adapted(name: str, head: str, published: "Mapping[str, Tensor]", model: "nn.Module") -> "Mapping[str, Tensor]":
    from .network import adapted

    return adapted(name, head, published, model)
