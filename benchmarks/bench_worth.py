"""Whether `desktop-ft worth` finds the transform that helps, where it is known which does. A line of JSON.

    bench_worth.py [--epochs N] [--seeds N] [--pictures N]

Three folders are made of the shipped digits, which differ in the pictures that are held out: as they are, tilted, and mirrored.
Training pictures are upright in each, so that turning helps with the second, mirroring with the third, and colour with none.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from desktop_ft.engine import process

process.prepare()

from PIL import Image, ImageOps  # noqa: E402

from desktop_ft.core.augmentation import AugmentationSpec  # noqa: E402
from desktop_ft.core.comparing import AS_IT_IS, augmentation_strategies, strategy  # noqa: E402
from desktop_ft.core.dataset import DatasetManifest  # noqa: E402
from desktop_ft.core.freezing import FreezePlan  # noqa: E402
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe  # noqa: E402
from desktop_ft.engine.control import RunControl  # noqa: E402
from desktop_ft.jobs.comparing import ComparisonFolder, asked_for, compare, planned  # noqa: E402
from desktop_ft.jobs.scanning import scan_dataset, write_sample  # noqa: E402
from desktop_ft.plugin_manager import Plugins, load_plugins  # noqa: E402

PLAN, SIDE, VIEWS = "head", 48, 4
_TILT = 35.0
_HELD_OUT = 70
PIPELINE = (
    AugmentationSpec(transform="rotation", parameters={"probability": 1.0, "degrees": _TILT}),
    AugmentationSpec(transform="horizontal_flip", parameters={"probability": 0.5}),
    AugmentationSpec(
        transform="colour",
        parameters={"probability": 0.8, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.02},
    ),
)


def tilted(picture: Image.Image, chance: random.Random) -> Image.Image:
    """`picture` turned by up to `_TILT` degrees either way, but not barely."""
    return picture.rotate(chance.choice((-1, 1)) * chance.uniform(_TILT / 2, _TILT), fillcolor=picture.getpixel((0, 0)))


def mirrored(picture: Image.Image, chance: random.Random) -> Image.Image:
    """`picture` as a mirror shows it."""
    return ImageOps.mirror(picture)


def as_it_is(picture: Image.Image, chance: random.Random) -> Image.Image:
    """`picture`."""
    return picture


CASES: dict[str, tuple[Callable[[Image.Image, random.Random], Image.Image], str]] = {
    "as they are": (as_it_is, ""),
    "tilted": (tilted, "rotation"),
    "mirrored": (mirrored, "horizontal_flip"),
}
"""What is done to the pictures held out, and the transform that helps then."""


def made(
    manifest: DatasetManifest, pictures: int, change: Callable[[Image.Image, random.Random], Image.Image], into: Path
) -> Path:
    """A folder of so many training pictures a class as they are, and others, changed, to judge by."""
    chance = random.Random(0)
    for label, name in enumerate(manifest.classes):
        own = [sample for sample in manifest.samples if sample.label == label]
        chance.shuffle(own)
        for number, sample in enumerate(own[: pictures + _HELD_OUT]):
            place = into / ("train" if number < pictures else "val") / name / Path(sample.path).with_suffix(".png").name
            place.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(Path(manifest.root) / sample.path) as picture:
                (picture if number < pictures else change(picture, chance)).save(place)
    return into


def told(folder: Path, place: Path, asked: argparse.Namespace, plugins: Plugins) -> dict[str, Any]:
    """What each transform is said to be worth: what having it gains, in points, and whether that is sure."""
    base = Recipe(
        dataset=DatasetChoice(folder=str(folder)),
        backbone=BackboneChoice(image_size=SIDE),
        freeze=FreezePlan(preset=PLAN),
        augmentation=PIPELINE,
        optimisation=Optimisation(epochs=asked.epochs, views=VIEWS),
    )
    comparison = asked_for(base, strategies=augmentation_strategies(base), seeds=asked.seeds, images=(0,))
    kept = ComparisonFolder(place)
    with kept.worked():
        found = compare(kept, planned(comparison, kept, plugins), plugins, lambda event: None, RunControl())
    gains: dict[str, Any] = {}
    for test in found.tests:
        names = [test.strategy, test.than]
        if AS_IT_IS.name in names:
            other = strategy(next(name for name in names if name != AS_IT_IS.name))
            sign = 1 if test.strategy == AS_IT_IS.name else -1
            bounds = sorted(sign * bound for bound in (test.difference.low, test.difference.high))
            gains[other.title.removeprefix("without ")] = {
                "points": round(100 * sign * test.difference.value, 1),
                "interval": [round(100 * bound, 1) for bound in bounds],
                "sure": test.is_sure,
            }
    return {"gains": gains, "judged": len(found.pictures)}


def main() -> None:
    """Make the folders, and ask about each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=100, help="of each class, to learn from")
    asked = parser.parse_args()
    plugins, cases = load_plugins(), []
    with tempfile.TemporaryDirectory() as place:
        manifest = scan_dataset(DatasetChoice(folder=str(write_sample(plugins, "digits", Path(place) / "digits"))))
        for number, (name, (change, helps)) in enumerate(CASES.items()):
            began = time.perf_counter()
            folder = made(manifest, asked.pictures, change, Path(place) / f"folder {number}")
            case = {"held_out": name, "helps": helps} | told(folder, Path(place) / f"comparison {number}", asked, plugins)
            cases.append(case | {"seconds": round(time.perf_counter() - began, 1)})
            print(cases[-1], file=sys.stderr)
    facts = {"epochs": asked.epochs, "seeds": asked.seeds, "pictures": asked.pictures, "judged": cases[0]["judged"]}
    print(json.dumps({"benchmark": "worth", "plan": PLAN, "side": SIDE, "views": VIEWS, **facts, "cases": cases}))


if __name__ == "__main__":
    main()
