"""A plugin for Desktop FT: a small network, a shadow on training pictures, and ONNX files that answer by name.

This module describes what the plugin brings. Torch is imported inside the factories only: Desktop FT loads plugins before torch.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from desktop_ft.api import (
    Augmentation,
    Backbone,
    BackboneSpec,
    Described,
    Exporter,
    ExportJob,
    Interpolation,
    PictureTransform,
    ResizeRule,
    WeightsOrigin,
    WeightsSource,
    hookimpl,
)

if TYPE_CHECKING:
    from torch import nn

DESKTOP_FT_API = ">=1,<2"
__version__ = "0.1.0"


class ShadowParameters(Described):
    """What can be set on the shadow; its form in the window is drawn from these fields."""

    probability: float = Field(0.5, ge=0, le=1, description="How often it happens: 0 never, 1 for every picture.")
    width: float = Field(0.3, ge=0.05, le=0.9, description="Share of the picture's width that lies in the shadow.")
    darkness: float = Field(0.5, ge=0, le=1, description="How dark it is: 0 not at all, 1 black.")


@hookimpl
def register_backbones(register: Callable[[Backbone], None]) -> None:
    """Bring the network."""
    spec = BackboneSpec(
        name="my_plugin_net",
        family="Small convolutions",
        parameters=5_466,
        gflops=None,
        top1=None,
        resize=ResizeRule(crop=64, resize=72, interpolation=Interpolation.BILINEAR),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        head="head",
        # It has learned nothing yet: there are no weights to start from, and no accuracy was published.
        weights=WeightsSource(origin=WeightsOrigin.NONE, licence="none: its weights are random"),
        source="the plugin my_plugin",
    )
    register(Backbone(spec=spec, build=_network))


@hookimpl
def register_augmentations(register: Callable[[Augmentation], None]) -> None:
    """Bring the shadow."""
    register(
        Augmentation(
            name="my_plugin_shadow",
            title="Shadow",
            description="A shadow falls across a part of the picture.",
            parameters=ShadowParameters,
            make=_shadow,
            when="For photos from outdoors, where trees and walls throw shadows.",
            cost="Hardly any time.",
        )
    )


@hookimpl
def register_exporters(register: Callable[[Exporter], None]) -> None:
    """Bring the file format."""
    register(Exporter(name="my_plugin_onnx", title="ONNX that also answers by name", suffix=".onnx", write=_write))


def _network() -> "nn.Module":
    from .network import SmallNet

    return SmallNet()


def _shadow(parameters: ShadowParameters) -> PictureTransform:
    from .shadow import Shadow

    return Shadow(parameters.probability, parameters.width, parameters.darkness)


def _write(job: ExportJob) -> None:
    from .writer import write

    write(job)
