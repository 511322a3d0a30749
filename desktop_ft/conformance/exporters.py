"""What is asked of an exporter: a file that answers like the network that it was written from."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from desktop_ft.api import BackboneSpec, Exporter, ExportJob, Interpolation, ResizeRule, WeightsOrigin, WeightsSource
from desktop_ft.conformance.failure import require, told
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.export.checking import ONNX_CHILD, Child, answers_of_file
from desktop_ft.export.metadata import build_metadata
from desktop_ft.export.verify import Trial, export_and_verify
from desktop_ft.jobs.running import logits_of
from desktop_ft.models.network import Network
from desktop_ft.plugin_manager import Plugins

_CLASSES = ('a "quoted" name', "two\nlines", "猫")
"""Names as people give them to folders."""
_SIDE = 32
_TELLING = 2
"""Parts of a path that tells something of a machine; `/` alone does not."""
_PARTS = 2
"""Of a suffix such as `.openvino.zip`."""
_PHOTOS = 19
"""More than a batch of the check, and the last batch is not full."""

_ONNX_CURE = (
    "write one ONNX file without external data, with float input `pictures` (batch, 3, S, S), outputs `probabilities` and "
    "`logits` (batch, classes), and the job's metadata as its metadata_props."
)
_OPENED_CURE = (
    "let what `open` returns give the job's metadata, and probabilities and logits, both (N, classes), of uint8 pictures "
    "(S, S, 3); without torch unless it says with_torch."
)


def _names_its_files(plugins: Plugins, exporter: Exporter, folder: Path) -> str | None:
    require(exporter.title, f"The exporter {exporter.name} lacks a title: say what its files are for.")
    parts = Path(f"model{exporter.suffix}").suffixes
    require(
        exporter.suffix.startswith(".") and "".join(parts) == exporter.suffix and len(parts) <= _PARTS,
        f"The suffix '{exporter.suffix}' of the exporter {exporter.name} is none: name one such as .onnx.",
    )
    return None


def _answers_like_the_network(plugins: Plugins, exporter: Exporter, folder: Path) -> str | None:
    network, rule = _trained(), ResizeRule(crop=_SIDE, resize=_SIDE + 4, interpolation=Interpolation.BICUBIC)
    photos, written = _photos(folder), folder / f"model{exporter.suffix}"
    cure = _ONNX_CURE if exporter.open is None else _OPENED_CURE
    with told(f"The file of the exporter {exporter.name} is not accepted", cure):
        export_and_verify(
            exporter,
            ExportJob(
                model=network,
                rule=rule,
                metadata=build_metadata(Recipe(dataset=DatasetChoice(folder="photos")), _CLASSES, rule, _spec(rule)),
                path=written,
            ),
            Trial(paths=photos, reference=logits_of(network, photos, rule)),
            plugin=plugins.exporters.author(exporter.name),
            ask=partial(answers_of_file, child=_child(plugins, exporter)),
        )
    content = written.read_bytes()
    for place in {Path.home(), Path.cwd(), folder, Path(torch.__file__).parent}:
        require(
            len(place.parts) < _TELLING or str(place).encode() not in content,
            f"The file of the exporter {exporter.name} names {place}: take out of it what tells of this machine.",
        )
    return exporter.unverified or None


def _child(plugins: Plugins, exporter: Exporter) -> Child:
    """Who opens the exporter's files: where it does so itself, a process that loads its plugin, turned on or not."""
    if exporter.open is None:
        return ONNX_CHILD
    module = plugins.imported[plugins.records[-1].name][0].module
    told = {"exporter": exporter.name, "module": module, "path": os.pathsep.join(filter(None, sys.path))}
    return Child(module="desktop_ft.jobs.check_child", told=told)


def _trained() -> Network:
    """A small network in eval mode, whose head and statistics are those of no fresh one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        norm, head = nn.BatchNorm2d(8), nn.Linear(8, len(_CLASSES))
        first, second = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=2)
        with torch.no_grad():
            head.weight.mul_(5)
            norm.get_buffer("running_mean").uniform_(-1, 1)
            norm.get_buffer("running_var").uniform_(0.5, 2)
    module = nn.Sequential(first, norm, nn.ReLU(), second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), head)
    return Network(module, "7", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)).eval()


def _photos(folder: Path) -> list[Path]:
    chance, paths = np.random.default_rng(0), [folder / f"{number:02} é.png" for number in range(_PHOTOS)]
    for number, path in enumerate(paths):
        shape = (_SIDE + 4 + number, 3 * _SIDE - number, 3)
        flat = chance.integers(0, 256, (1, 1, 3)) + chance.integers(-40, 40, shape)
        Image.fromarray(flat.clip(0, 255).astype(np.uint8)).save(path)
    return paths


def _spec(rule: ResizeRule) -> BackboneSpec:
    return BackboneSpec(
        name="small",
        family="Small",
        parameters=1,
        gflops=None,
        top1=None,
        resize=rule,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        head="7",
        weights=WeightsSource(origin=WeightsOrigin.NONE, licence="CC0-1.0"),
        source="made up",
    )


CHECKS: dict[str, Callable[[Plugins, Exporter, Path], str | None]] = {
    "names its files": _names_its_files,
    "answers like the network": _answers_like_the_network,
}
