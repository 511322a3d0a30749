"""The programs of a bundle, run as whoever gets it runs them: each answers like Desktop FT does."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.bundling import bundle_run
from desktop_ft.jobs.predicting import predict
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import load_plugins
from tests.programs.prepared import cpp, javascript

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT.parent / "shared" / "data" / "hymenoptera"
NEAR = 0.1
"""Each language decodes JPEG with a library of its own."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a network that learned from real photos, unpacked."""
    if not PHOTOS.is_dir():
        pytest.skip("the real photos are not here")
    folder = tmp_path_factory.mktemp("bundle")
    plugins = load_plugins(safe_mode=True)
    recipe = Recipe(
        dataset=DatasetChoice(folder=str(PHOTOS)),
        backbone=BackboneChoice(image_size=128),
        optimisation=Optimisation(epochs=2),
    )
    train(recipe, folder / "run", plugins, lambda event: None, RunControl())
    bundle_run(folder / "run", folder / "model.zip", plugins)
    with ZipFile(folder / "model.zip") as packed:
        packed.extractall(folder / "unpacked")
    return folder / "unpacked"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Photos of the person, one turned by its camera, one a PNG, some partly transparent."""
    from PIL import Image

    some = sorted((PHOTOS / "val").rglob("*.jpg"))[::6]
    folder = tmp_path_factory.mktemp("photos")
    with Image.open(some[0]) as image:
        for turn in (3, 6, 8, 5):
            exif = Image.Exif()
            exif[0x0112] = turn
            image.save(folder / f"turned {turn}.jpg", exif=exif, quality=95)
        image.save(folder / "photo.png")
        image.quantize(64).save(folder / "clear palette.png", transparency=bytes(range(0, 256, 4)))
        for mode in ("L", "RGB"):
            (clear := image.convert(mode)).putalpha(Image.linear_gradient("L").resize(image.size))
            clear.save(folder / f"clear {mode}.png")
    return [*some, *sorted(folder.iterdir())]


def agree(command: list[str], bundle: Path, photos: list[Path], **environment: str) -> None:
    done = subprocess.run(
        [*command, *map(str, photos)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said = [line.split("\t") for line in done.stdout.splitlines()]
    ours = list(predict(bundle / "model.onnx", photos))
    assert [line[2] for line in said] == [str(photo) for photo in photos]
    assert [line[0] for line in said] == [answer.label for answer in ours]
    assert max(abs(float(line[1]) - answer.confidence) for line, answer in zip(said, ours, strict=True)) < NEAR
    assert len({answer.label for answer in ours}) == 2, "a model that always says the same would prove little"


def test_python_answers_alike(bundle: Path, photos: list[Path]) -> None:
    agree([sys.executable, str(bundle / "python" / "predict.py")], bundle, photos)


def test_javascript_answers_alike(bundle: Path, photos: list[Path]) -> None:
    agree(javascript(bundle), bundle, photos)


def test_cpp_answers_alike(bundle: Path, photos: list[Path], tmp_path: Path) -> None:
    agree(cpp(bundle, tmp_path), bundle, photos)
