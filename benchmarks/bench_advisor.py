"""What the advice where to cut is worth: its plan against the best one that trying them all finds. A line of JSON.

    bench_advisor.py FOLDER [FOLDER…] [--tried FILE] [--seeds N…] [--epochs N] [--sides PHOTOS DIGITS] [--plans PRESET…]
        [--only-try]

Besides the folders (of train/ and val/) it takes the shipped digits and two folders made of the ones named: the last with few
pictures, and the first blurred and recoloured. Every depth is tried, the cheapest first. What was tried is kept in FILE, and not
tried again; a folder that is made of another is known by that one's place.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from desktop_ft.engine import process

process.prepare()

import numpy as np  # noqa: E402
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError  # noqa: E402

from benchmarks.regret import behind_on_others  # noqa: E402
from desktop_ft.core.advice import Advice  # noqa: E402
from desktop_ft.core.events import RunEnded, RunStarted, RunStatus, TrainEvent  # noqa: E402
from desktop_ft.core.recipe import Recipe  # noqa: E402
from desktop_ft.engine.control import RunControl  # noqa: E402
from desktop_ft.evaluation.paired import difference_interval  # noqa: E402
from desktop_ft.jobs.advising import advise  # noqa: E402
from desktop_ft.jobs.evaluating import evaluate_run  # noqa: E402
from desktop_ft.jobs.kept import kept_in  # noqa: E402
from desktop_ft.jobs.scanning import scan_dataset, write_sample  # noqa: E402
from desktop_ft.jobs.training import train  # noqa: E402
from desktop_ft.plugin_manager import Plugins, load_plugins  # noqa: E402

PLANS = ("head", *(f"last:{blocks}" for blocks in range(1, 18)), "all")
SIDES = (128, 64)
_STORED_SIDE = 256
FEW = 8
_BLUR = 0.02


def few(folder: Path, into: Path) -> Path:
    """Copies of `folder`, of its training pictures `FEW` a class."""
    for place in sorted(path for path in folder.glob("*/*") if path.is_dir()):
        copies = into / place.relative_to(folder)
        copies.mkdir(parents=True)
        for picture in sorted(place.iterdir())[: FEW if place.parent.name == "train" else None]:
            shutil.copy2(picture, copies)  # links that leave a folder are not followed
    return into


def changed(folder: Path, into: Path) -> Path:
    """Copies of `folder` that are blurred, and negatives with their channels exchanged: far from what networks have learned."""
    for picture in sorted(folder.glob("*/*/*")):
        try:
            small = ImageOps.contain(Image.open(picture).convert("RGB"), (_STORED_SIDE, _STORED_SIDE))
        except UnidentifiedImageError:
            continue
        red, green, blue = small.split()
        blurred = Image.merge("RGB", (blue, red, green)).filter(ImageFilter.GaussianBlur(_BLUR * max(small.size)))
        place = into / picture.relative_to(folder).with_suffix(".jpg")
        place.parent.mkdir(parents=True, exist_ok=True)
        ImageOps.invert(blurred).save(place, quality=95)
    return into


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A folder to advise on.

    Attributes:
        source: the folder that it is made of, or itself; "" where it ships. side: of the network's input, in pixels.
    """

    name: str
    folder: Path
    source: str
    side: int


def folders(named: list[Path], sides: tuple[int, int], place: Path, plugins: Plugins) -> Iterator[Asked]:
    """Every folder to advise on; `sides` are those of photos and of digits."""
    photos, digits = sides
    first, last = named[0].absolute(), named[-1].absolute()
    for folder in named:
        yield Asked(name=folder.name, folder=folder.absolute(), source=str(folder.absolute()), side=photos)
    yield Asked(name=f"{last.name}, {FEW} a class", folder=few(last, place / "few"), source=str(last), side=photos)
    odd = changed(first, place / "changed")
    yield Asked(name=f"{first.name}, blurred and recoloured", folder=odd, source=str(first), side=photos)
    yield Asked(name="digits", folder=write_sample(plugins, "digits", place / "digits"), source="", side=digits)


def recipe_of(folder: Path, size: int, epochs: int, plan: str = "head", seed: int = 0) -> Recipe:
    """What is trained, and advised on."""
    data = {
        "dataset": {"folder": str(folder)},
        "backbone": {"image_size": size},
        "freeze": {"preset": plan},
        "optimisation": {"epochs": epochs},
        "seed": seed,
    }
    return Recipe.from_data(data, "The benchmark")


def tried(recipe: Recipe, place: Path, plugins: Plugins) -> dict[str, Any]:
    """Train once; the seconds that took, and those of the processor; what the model kept answers rightly (1) and wrongly (0)."""
    at: dict[type, float] = {}

    def hear(event: TrainEvent) -> None:
        at[type(event)] = time.perf_counter()

    before = time.process_time()
    ended = train(recipe, place, plugins, hear, RunControl())
    cpu = time.process_time() - before
    if ended.status is not RunStatus.COMPLETED:
        raise SystemExit(f"a run did not complete: {ended.error or ended.status}")
    answers = evaluate_run(place, plugins).evaluation.answers
    shutil.rmtree(place)
    right = "".join(str(int(answer.predicted == answer.label)) for answer in answers)
    return {"seconds": round(at[RunEnded] - at[RunStarted], 2), "cpu_s": round(cpu, 2), "right": right}


class Tried:
    """What was tried so far, by all that decides how it comes out; kept in a file of lines."""

    def __init__(self, file: Path, epochs: int, seeds: Sequence[int], plugins: Plugins) -> None:
        file.touch()
        self._file, self._epochs, self._seeds, self._plugins = file, epochs, seeds, plugins
        lines: list[dict[str, Any]] = [json.loads(line) for line in file.read_text().splitlines()]
        self._lines = [line for line in lines if "right" in line]  # it was not always kept

    def train(self, asked: Asked, plan: str, seed: int, place: Path) -> None:
        """Train, unless that was done before."""
        key = self._of(asked) | {"plan": plan, "seed": seed}
        if any(key.items() <= line.items() for line in self._lines):
            return
        told = tried(recipe_of(asked.folder, asked.side, self._epochs, plan, seed), place, self._plugins)
        self._lines.append(key | told)
        with self._file.open("a") as file:
            file.write(json.dumps(self._lines[-1]) + "\n")
        print(self._lines[-1], file=sys.stderr)

    def by_plan(self, asked: Asked, what: str) -> dict[str, list[Any]]:
        """What was told of `what`, a seed each, in their order, by plan: the cheapest plan first."""
        found: dict[str, list[Any]] = {}
        for line in sorted(self._lines, key=lambda line: line["seed"]):
            if self._of(asked).items() <= line.items() and line["seed"] in self._seeds:
                found.setdefault(line["plan"], []).append(line[what])
        return {plan: found[plan] for plan in sorted(found, key=_frozen)}

    def _of(self, asked: Asked) -> dict[str, Any]:
        return {"folder": asked.name, "source": asked.source, "side": asked.side, "epochs": self._epochs}


def _frozen(plan: str) -> int:
    """What orders plans: the fewer blocks learn, the earlier."""
    return {"head": 0, "all": 10_000}.get(plan) or int(plan.partition(":")[2] or 0)


def judged(asked: Asked, advice: Advice, seconds: float, known: Tried) -> dict[str, Any]:
    """How the advice, which took so many processor seconds, fares against the best of what was tried."""
    right = {
        plan: np.array([[each == "1" for each in line] for line in lines])
        for plan, lines in known.by_plan(asked, "right").items()
    }
    accuracy = {plan: float(each.mean()) for plan, each in right.items()}
    best = max(accuracy, key=accuracy.__getitem__)
    recommended = right[advice.recommended]
    between = difference_interval(right[best], recommended)
    return {
        "folder": asked.name,
        "pictures": advice.training,
        "accuracy": {plan: round(value, 4) for plan, value in accuracy.items()},
        "probe": [round(score.accuracy.value, 3) for score in advice.scores],
        "tried": {option.preset: round(option.evidence.share, 4) for option in advice.options},
        "best": best,
        "recommended": advice.recommended,
        "told": round(advice.option.evidence.share, 4),
        "reached": round(accuracy[advice.recommended], 4),
        "regret_points": round(100 * between.value, 1),
        "regret_interval": [round(100 * between.low, 1), round(100 * between.high, 1)],
        "regret_on_others": round(100 * behind_on_others(right, advice.recommended), 1),
        "advice_cpu_s": round(seconds, 1),
        "tried_cpu_s": round(sum(map(statistics.fmean, known.by_plan(asked, "cpu_s").values())), 1),
    }


def main() -> None:
    """Try every plan, then ask for advice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--tried", type=Path, help="keep here what was tried (default: nowhere)")
    parser.add_argument("--seeds", type=int, nargs="*", default=(0, 1))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--sides", type=int, nargs=2, default=SIDES, help="of the network's input, for photos and for digits")
    parser.add_argument("--plans", nargs="*", default=PLANS)
    parser.add_argument("--only-try", action="store_true", help="ask for no advice")
    asked = parser.parse_args()
    plugins = load_plugins()
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        known = Tried(asked.tried or place / "tried.jsonl", asked.epochs, asked.seeds, plugins)
        everything = list(folders(asked.folders, asked.sides, place, plugins))

        def train_all(plans: Sequence[str], each: Asked) -> None:
            with kept_in(place / f"kept {each.name}"):
                for seed, plan in product(asked.seeds, plans):
                    known.train(each, plan, seed, place / "run")

        for plan, each in product(asked.plans, everything):
            train_all([plan], each)
        found = []
        for each in everything if not asked.only_try else ():
            recipe = recipe_of(each.folder, each.side, asked.epochs)
            manifest, began = scan_dataset(recipe.dataset), time.process_time()
            with kept_in(place / "advice"):
                advice = advise(recipe, plugins, manifest)
            seconds = time.process_time() - began
            train_all([advice.recommended], each)
            found.append(judged(each, advice, seconds, known))
            print(found[-1], file=sys.stderr)
        facts = {"epochs": asked.epochs, "seeds": len(asked.seeds), "photo_size": asked.sides[0], "digit_size": asked.sides[1]}
        print(json.dumps({"benchmark": "advisor", **facts, "folders": found}))


if __name__ == "__main__":
    main()
