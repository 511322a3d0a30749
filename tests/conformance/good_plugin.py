"""A plugin that brings one thing of each kind, as small as can be. Tests change a line of it and see what that is told as."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field

from desktop_ft.api import (
    Augmentation,
    AugmentationKind,
    Backbone,
    BackboneSpec,
    Described,
    EventSink,
    Exporter,
    ExportJob,
    Interpolation,
    PanelHost,
    ResizeRule,
    RunEnded,
    SampleDataset,
    TrainEvent,
    WeightsOrigin,
    WeightsSource,
    WindowPanel,
    hookimpl,
)

DESKTOP_FT_API = ">=1,<2"


class Strength(Described):
    by: int = Field(3, ge=0, le=200, description="How much brighter.")


def build() -> Any:
    import torch
    from torch import nn

    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(4)
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, inputs: Any) -> Any:
            if self.training:
                self.seen.add_(1)
            return self.norm(inputs)

    layers = [nn.Conv2d(3, 4, 3, stride=4), Norm(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)]
    return nn.Sequential(*layers)


def brighter(strength: Strength) -> Any:
    def change(picture: Any, rng: Any, size: int) -> Any:
        return (picture.int() + rng.randint(0, strength.by)).clamp(max=255).byte()

    return change


def mixed(nothing: Any) -> Any:
    def change(pictures: Any, targets: Any, rng: Any) -> Any:
        share = rng.random()
        return pictures.roll(1, 0).lerp(pictures, share), targets.roll(1, 0).lerp(targets, share)

    return change


def export(job: ExportJob) -> None:
    import onnx
    import torch

    from plugins.onnx_export.writer import write

    torch.manual_seed(0)
    write(job)
    onnx.save(onnx.load(job.path), job.path)


def two_classes(folder: Path) -> None:
    from PIL import Image

    for shade, name in enumerate(("dark", "bright")):
        (folder / name).mkdir()
        for number in range(3):
            Image.new("RGB", (40, 30), (200 * shade, 60 * number, number)).save(folder / name / f"{number}.png")


def listen(run: Path) -> Callable[[TrainEvent], None]:
    told = (run / "told.txt").open("a", encoding="utf-8")

    def hear(event: TrainEvent) -> None:
        told.write(f"{event}\n")
        if isinstance(event, RunEnded):
            told.close()

    return hear


SPEC = BackboneSpec(
    name="net",
    family="Small",
    parameters=170,
    gflops=None,
    top1=None,
    resize=ResizeRule(crop=32, resize=36, interpolation=Interpolation.BILINEAR),
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    head="4",
    weights=WeightsSource(origin=WeightsOrigin.NONE, licence="none: random"),
    source="tests",
)


@hookimpl
def register_backbones(register: Callable[[Backbone], None]) -> None:
    register(Backbone(spec=SPEC, build=build))


@hookimpl
def register_augmentations(register: Callable[[Augmentation], None]) -> None:
    register(Augmentation(name="brighter", title="Brighter", description="Brighter.", make=brighter, parameters=Strength))
    register(Augmentation(name="mixed", title="Mixed", description="Mixed.", make=mixed, kind=AugmentationKind.BATCH))


@hookimpl
def register_exporters(register: Callable[[Exporter], None]) -> None:
    register(Exporter(name="file", title="A file", suffix=".onnx", write=export))


@hookimpl
def register_sample_datasets(register: Callable[[SampleDataset], None]) -> None:
    register(SampleDataset(name="shades", title="Shades", description="Dark and bright.", licence="CC0", write=two_classes))


@hookimpl
def register_event_sinks(register: Callable[[EventSink], None]) -> None:
    register(EventSink(name="told", title="Told in a file", open=listen))


def shown(host: PanelHost) -> Any:
    from PySide6.QtWidgets import QLabel

    return QLabel()


@hookimpl
def register_window_panels(register: Callable[[WindowPanel], None]) -> None:
    register(WindowPanel(name="panel", title="A panel", description="Says nothing.", make=shown))
