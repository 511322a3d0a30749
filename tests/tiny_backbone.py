"""A plugin as anybody's would be: a network of a hundred numbers, whose runs take a moment."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from desktop_ft.api import Backbone, BackboneSpec, Interpolation, ResizeRule, WeightsOrigin, WeightsSource, hookimpl

if TYPE_CHECKING:
    from torch import nn

DESKTOP_FT_API = ">=1,<2"


@hookimpl
def register_backbones(register: Callable[[Backbone], None]) -> None:
    spec = BackboneSpec(
        name="tiny",
        family="Tiny",
        parameters=5124,
        gflops=None,
        top1=None,
        resize=ResizeRule(crop=32, resize=32, interpolation=Interpolation.BILINEAR),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        head="4",
        weights=WeightsSource(origin=WeightsOrigin.NONE, licence="Apache-2.0"),
        source="tests",
    )
    register(Backbone(spec=spec, build=_build))


def _build() -> "nn.Module":
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1000)
    )
