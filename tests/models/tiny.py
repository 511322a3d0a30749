"""A backbone small enough for tests, brought as any plugin would bring it."""

from pathlib import Path

import torch
from torch import nn

from desktop_ft.api import Backbone, BackboneSpec, Interpolation, ResizeRule, WeightsOrigin, WeightsSource


def tiny_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 8, 3, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


def tiny_backbone(packaged: Path | None = None, *, url: str = "", prefix: str = "", size: int = 0, package: str = "") -> Backbone:
    origin = WeightsOrigin.DOWNLOAD if url else WeightsOrigin.PACKAGE
    weights = WeightsSource(
        origin=origin, licence="Apache-2.0", url=url, sha256_prefix=prefix, bytes=size, package=package or "tiny-weights"
    )
    spec = BackboneSpec(
        name="tiny",
        family="Tiny",
        parameters=sum(p.numel() for p in tiny_network().parameters()),
        gflops=None,
        top1=None,
        resize=ResizeRule(crop=32, resize=36, interpolation=Interpolation.BILINEAR),
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.3, 0.4),
        head="6",
        weights=weights,
        source="tests",
    )
    return Backbone(spec=spec, build=tiny_network, packaged_weights=lambda: packaged)


def save_safetensors(tensors: dict[str, torch.Tensor], path: Path) -> Path:
    from safetensors.torch import save_file

    save_file(tensors, path)
    return path
