"""Photos, metadata and an exporter for the tests of exporting."""

import numpy as np
import pytest
import torch
from PIL import Image

from desktop_ft.api import Exporter, ExportJob
from desktop_ft.core.backbone import BackboneSpec, Interpolation, ResizeRule, WeightsOrigin, WeightsSource
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.data.decode import network_input
from desktop_ft.export.metadata import build_metadata
from plugins import onnx_export
from tests.export.nets import trained

CLASSES = ('quote " and \\', "line\nline", "猫 café")
RULE = ResizeRule(crop=32, resize=36, interpolation=Interpolation.BICUBIC)
RECIPE = Recipe(dataset=DatasetChoice(folder="/somewhere/private/my photos"))
SPEC = BackboneSpec(
    name="tiny",
    family="Tiny",
    parameters=1,
    gflops=None,
    top1=None,
    resize=RULE,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    head="head",
    weights=WeightsSource(origin=WeightsOrigin.NONE, licence="CC0-1.0"),
    source="here",
)
CHECKPOINT = "epoch0001-step000000-0123456789abcdef.safetensors"
METADATA = build_metadata(RECIPE, CLASSES, RULE, SPEC, checkpoint=CHECKPOINT)


@pytest.fixture(scope="session")
def onnx_exporter() -> Exporter:
    found: list[Exporter] = []
    onnx_export.register_exporters(found.append)
    return found[0]


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Nineteen photos of different sizes, more than one batch of the check."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for index in range(19):
        shape = (40 + index, 90 - 2 * index, 3)
        flat = rng.integers(0, 256, (1, 1, 3)) + rng.integers(-40, 40, shape)
        Image.fromarray(flat.clip(0, 255).astype(np.uint8)).save(folder / f"{index:02} ü.png")
    return sorted(folder.iterdir())


def logits(model, paths) -> np.ndarray:
    pixels = np.stack([network_input(path, RULE) for path in paths])
    with torch.no_grad():
        return model(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255).numpy()


@pytest.fixture(scope="session")
def reference(photos):
    """What the trained model says of the photos."""
    return logits(trained(), photos)


@pytest.fixture(scope="session")
def exported(tmp_path_factory, onnx_exporter, photos, reference):
    """A proven file and its report."""
    from desktop_ft.export.verify import Trial, export_and_verify

    out = tmp_path_factory.mktemp("out") / "model.onnx"
    report = export_and_verify(
        onnx_exporter,
        ExportJob(model=trained(), rule=RULE, metadata=METADATA, path=out),
        Trial(paths=photos, reference=reference),
        plugin="tested",
    )
    return out, report
