"""What the check-up of the data finds of planted faults, and how far its forecast of more pictures is off. A line of JSON each.

    bench_checkup.py [FOLDER…] [--rounds N] [--planted N]

Each folder (and, always, the digits that ship) is copied, and `--planted` faults are put into the copy: first labels that are
wrong, then near doubles: in turn made smaller, compressed again, and cut by a tenth of each side. The forecast is made from half
of the pictures, and compared with what all of them come to.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from desktop_ft.engine import process

process.prepare()

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from desktop_ft.core.checkup import Checkup  # noqa: E402
from desktop_ft.core.recipe import DatasetChoice, Recipe  # noqa: E402
from desktop_ft.evaluation.learning_curve import learning_curve  # noqa: E402
from desktop_ft.evaluation.out_of_fold import reduced  # noqa: E402
from desktop_ft.jobs.checkup import check_up  # noqa: E402
from desktop_ft.jobs.scanning import scan_dataset, write_sample  # noqa: E402
from desktop_ft.jobs.surveying import survey  # noqa: E402
from desktop_ft.plugin_manager import Plugins, load_plugins  # noqa: E402

SHOWN = 60
_SUFFIXES = {".jpg", ".jpeg", ".png"}
_PLANTED = "_again"
_SMALL, _ENLARGED = 64, 8


def pictures(folder: Path) -> list[Path]:
    """Every picture below `folder`, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)


def wrong_labels(folder: Path, count: int, chance: random.Random) -> set[str]:
    """Move so many pictures into another class of their subset; returns their names, as seen from `folder`."""
    moved = set()
    for path in chance.sample(pictures(folder), count):
        others = sorted(each for each in path.parent.parent.iterdir() if each.is_dir() and each != path.parent)
        aim = chance.choice(others) / f"moved_{path.parent.name}_{path.name}"
        path.rename(aim)
        moved.add(aim.relative_to(folder).as_posix())
    return moved


def near_doubles(folder: Path, count: int, chance: random.Random) -> set[frozenset[str]]:
    """Write changed copies of so many pictures beside them; returns the pairs of names."""
    pairs = set()
    for number, path in enumerate(chance.sample(pictures(folder), count)):
        aim = path.with_name(f"{path.stem}{_PLANTED}{number}.jpg")
        with Image.open(path) as image:
            changed(image.convert("RGB"), number % 3, chance).save(aim, quality=50 if number % 3 == 1 else 85)
        pairs.add(frozenset({path.relative_to(folder).as_posix(), aim.relative_to(folder).as_posix()}))
    return pairs


def changed(image: Image.Image, how: int, chance: random.Random) -> Image.Image:
    """Resized (0), as it is (1), or cut by a tenth of each side somewhere (2). Tiny pictures are enlarged first: 8 pixels a side
    have no tenth."""
    if min(image.size) < _SMALL and how != 1:
        image = image.resize((image.width * _ENLARGED, image.height * _ENLARGED), Image.Resampling.BICUBIC)
    width, height = image.size
    if how == 0:
        return image.resize((round(0.6 * width), round(0.6 * height)), Image.Resampling.LANCZOS)
    if how == 1:
        return image
    left, top = (round(0.1 * side * chance.random()) for side in image.size)
    return image.crop((left, top, left + round(0.9 * width), top + round(0.9 * height)))


def checked(folder: Path, plugins: Plugins) -> tuple[Checkup, float]:
    """The check-up of `folder`, and the seconds that it took from the scan on."""
    recipe = Recipe(dataset=DatasetChoice(folder=str(folder)))
    manifest, begun = scan_dataset(recipe.dataset), time.perf_counter()
    return check_up(recipe, plugins, manifest), time.perf_counter() - begun


def pairs_in(found: Checkup) -> set[frozenset[str]]:
    """Every two pictures that were found to be one."""
    groups = ([sample.path for sample in group.samples] for group in found.doubles)
    return {frozenset({one, other}) for group in groups for one in group for other in group if one != other}


def forecast_error(folder: Path, plugins: Plugins, rounds: int) -> dict[str, float]:
    """How far the forecast from half of the pictures is off what all of them come to, in points of accuracy."""
    recipe = Recipe(dataset=DatasetChoice(folder=str(folder)))
    manifest = scan_dataset(recipe.dataset)
    rows = reduced(survey(recipe, plugins, manifest, manifest.samples).last)
    labels, classes = np.array([sample.label for sample in manifest.samples]), len(manifest.classes)
    off, within = [], []
    for number in range(rounds):
        half = np.random.default_rng(number).permutation(len(rows))[: len(rows) // 2]
        told = learning_curve(rows[half], labels[half], classes, [], number, lambda: None).coming[0].accuracy
        came = learning_curve(rows, labels, classes, [], number, lambda: None).measured[-1].accuracy
        off.append(abs(told.value - came.value))
        within.append(told.low <= came.value <= told.high)
    return {
        "rounds": rounds,
        "points_off": 100 * statistics.mean(off),
        "most_off": 100 * max(off),
        "within_interval": statistics.mean(within),
    }


def measured(source: Path, name: str, plugins: Plugins, rounds: int, planted: int, place: Path) -> dict[str, Any]:
    """What is found in copies of `source`."""
    shares, clear, right, doubles, false, seconds = [], [], [], [], [], []
    plain, _ = checked(source, plugins)
    real = pairs_in(plain)
    for number in range(rounds):
        folder = Path(shutil.copytree(source, place / f"{name} labels {number}"))
        moved = wrong_labels(folder, planted, random.Random(number))
        found, _ = checked(folder, plugins)
        shares.append(sum(each.sample.path in moved for each in found.suspects[:SHOWN]) / planted)
        told_first = [each.sample.path in moved for each in found.suspects if each.clear]
        clear.append(sum(told_first) / planted)
        right.append(statistics.mean(told_first) if told_first else 1.0)
        folder = Path(shutil.copytree(source, place / f"{name} doubles {number}"))
        pairs = near_doubles(folder, planted, random.Random(number))
        found, took = checked(folder, plugins)
        told = pairs_in(found)
        others = [pair for pair in told - pairs - real if not any(_PLANTED in path for path in pair)]
        doubles.append(len(told & pairs) / planted)
        false.append(len(others) / len(found.samples))
        seconds.append(took)
        print(f"{name} {number}: labels {shares[-1]:.2f}, doubles {doubles[-1]:.2f}, false {false[-1]:.4f}", file=sys.stderr)
    return {
        "benchmark": "checkup",
        "data": name,
        "pictures": len(plain.samples),
        "classes": len(plain.classes),
        "planted": planted,
        "rounds": rounds,
        "labels_found": shares,
        "labels_clear": clear,
        "clear_right": right,
        "doubles_found": doubles,
        "false_doubles": false,
        "doubles_there": len(plain.doubles),
        "seconds": statistics.median(seconds),
        "forecast": forecast_error(source, plugins, max(rounds, 5)),
    }


def main() -> None:
    """Measure each folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--planted", type=int, default=30)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["DESKTOP_FT_HOME"] = home
        plugins = load_plugins()
        digits = write_sample(plugins, "digits", Path(home) / "digits")
        for folder in [*asked.folders, digits]:
            line = measured(folder, folder.name, plugins, asked.rounds, asked.planted, Path(home))
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
