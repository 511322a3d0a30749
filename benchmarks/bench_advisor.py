"""What the advice where to cut is worth: its plan against the best one that trying them all finds. A line of JSON.

    bench_advisor.py FOLDER [FOLDER…] [--tried FILE] [--folds N] [--epochs N] [--sides PHOTOS DIGITS] [--plans PRESET…]
        [--only-try]

Besides the folders it takes the shipped digits and two made of the ones named: the last with few pictures to learn from, and the
first blurred and recoloured. The pictures of each are dealt into N parts; each part in turn is held out, advice is asked for the
others, every plan learns from them (the cheapest first), and the part judges. So a plan is judged by every picture, which no
folder's own few of validation can replace: with 100 of these, plans that differ by 3 points change places by chance. What was
tried is kept in FILE, and not tried again; a folder that is made of another is known by that one's place.
"""

import argparse
import json
import random
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
from desktop_ft.core.recipe import DatasetChoice, Recipe  # noqa: E402
from desktop_ft.engine.control import RunControl  # noqa: E402
from desktop_ft.evaluation.paired import Right, difference_interval  # noqa: E402
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
        most: to learn from, of each class; None: all.
    """

    name: str
    folder: Path
    source: str
    side: int
    most: int | None = None

    def dealt(self, fold: int, folds: int, into: Path) -> Path:
        """Copies of its pictures: to be judged by every `folds`-th of each class, to learn from the others."""
        chance = random.Random(0)
        manifest = scan_dataset(DatasetChoice(folder=str(self.folder)))
        for label, name in enumerate(manifest.classes):
            own = [sample for sample in manifest.samples if sample.label == label]
            chance.shuffle(own)
            held_out = own[fold::folds]
            learned = [sample for sample in own if sample not in held_out][: self.most]
            for subset, samples in (("val", held_out), ("train", learned)):
                (place := into / subset / name).mkdir(parents=True)
                for sample in samples:
                    shutil.copy2(self.folder / sample.path, place / sample.path.replace("/", "-"))
        return into


def folders(named: list[Path], sides: tuple[int, int], place: Path, plugins: Plugins) -> Iterator[Asked]:
    """Every folder to advise on; `sides` are those of photos and of digits."""
    photos, digits = sides
    first, last = named[0].absolute(), named[-1].absolute()
    for folder in named:
        yield Asked(name=folder.name, folder=folder.absolute(), source=str(folder.absolute()), side=photos)
    yield Asked(name=f"{last.name}, {FEW} a class", folder=last, source=str(last), side=photos, most=FEW)
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

    def __init__(self, file: Path, epochs: int, folds: int, plugins: Plugins) -> None:
        file.touch()
        self._file, self._epochs, self._folds, self._plugins = file, epochs, folds, plugins
        self._lines: list[dict[str, Any]] = [json.loads(line) for line in file.read_text().splitlines()]

    def train(self, asked: Asked, plan: str, fold: int, folder: Path, place: Path) -> None:
        """Train in `folder`, which holds the pictures of `asked` as they are dealt for `fold`; unless that was done before."""
        key = self._of(asked) | {"plan": plan, "fold": fold}
        if any(key.items() <= line.items() for line in self._lines):
            return
        told = tried(recipe_of(folder, asked.side, self._epochs, plan, fold), place, self._plugins)
        self._lines.append(key | told)
        with self._file.open("a") as file:
            file.write(json.dumps(self._lines[-1]) + "\n")
        print(self._lines[-1], file=sys.stderr)

    def by_plan(self, asked: Asked, what: str) -> dict[str, list[Any]]:
        """What was told of `what`, a fold each, in their order, by plan: the cheapest plan first."""
        found: dict[str, list[Any]] = {}
        for line in sorted(self._lines, key=lambda line: line["fold"]):
            if self._of(asked).items() <= line.items():
                found.setdefault(line["plan"], []).append(line[what])
        return {plan: found[plan] for plan in sorted(found, key=_frozen) if len(found[plan]) == self._folds}

    def _of(self, asked: Asked) -> dict[str, Any]:
        own = {"folder": asked.name, "source": asked.source, "side": asked.side}
        return own | {"epochs": self._epochs, "folds": self._folds}


def _frozen(plan: str) -> int:
    """What orders plans: the fewer blocks learn, the earlier."""
    return {"head": 0, "all": 10_000}.get(plan) or int(plan.partition(":")[2] or 0)


@dataclass(frozen=True, slots=True)
class Advised:
    """The advice for a fold, and the seconds of the processor that it took."""

    advice: Advice
    cpu_s: float


def judged(asked: Asked, told: Sequence[Advised], known: Tried) -> dict[str, Any]:
    """How the advice, of each fold in their order, fares against the one plan that is the best of all that were tried."""
    right = known.by_plan(asked, "right")
    of_plan = {plan: _right("".join(lines)) for plan, lines in right.items()}
    accuracy = {plan: float(each.mean()) for plan, each in of_plan.items()}
    best = max(accuracy, key=accuracy.__getitem__)
    recommended = [each.advice.recommended for each in told]
    reached = _right("".join(right[plan][fold] for fold, plan in enumerate(recommended)))
    between = difference_interval(of_plan[best], reached)
    return {
        "folder": asked.name,
        "pictures": told[0].advice.training,
        "judged": reached.size,
        "accuracy": {plan: round(value, 4) for plan, value in accuracy.items()},
        "probe": [[round(score.accuracy.value, 3) for score in each.advice.scores] for each in told],
        "tried": [{option.preset: round(option.evidence.share, 4) for option in each.advice.options} for each in told],
        "best": best,
        "recommended": recommended,
        "told": round(statistics.fmean(each.advice.option.evidence.share for each in told), 4),
        "reached": round(float(reached.mean()), 4),
        "regret_points": round(100 * between.value, 1),
        "regret_interval": [round(100 * between.low, 1), round(100 * between.high, 1)],
        "regret_on_others": round(100 * behind_on_others(of_plan, reached), 1),
        "advice_cpu_s": round(statistics.fmean(each.cpu_s for each in told), 1),
        "tried_cpu_s": round(sum(map(statistics.fmean, known.by_plan(asked, "cpu_s").values())), 1),
    }


def _right(answers: str) -> Right:
    """(1, N): whether each of N pictures was told, from a 1 or a 0 each."""
    return np.array([[each == "1" for each in answers]])


def main() -> None:
    """Try every plan, then ask for advice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--tried", type=Path, help="keep here what was tried (default: nowhere)")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--sides", type=int, nargs=2, default=SIDES, help="of the network's input, for photos and for digits")
    parser.add_argument("--plans", nargs="*", default=PLANS)
    parser.add_argument("--only-try", action="store_true", help="ask for no advice")
    asked = parser.parse_args()
    plugins = load_plugins()
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        known = Tried(asked.tried or place / "tried.jsonl", asked.epochs, asked.folds, plugins)
        everything = list(folders(asked.folders, asked.sides, place, plugins))
        dealt = {
            (each, fold): each.dealt(fold, asked.folds, place / f"{each.name} {fold}")
            for each, fold in product(everything, range(asked.folds))
        }

        def train_all(plan: str, each: Asked) -> None:
            with kept_in(place / f"kept {each.name}"):
                for fold in range(asked.folds):
                    known.train(each, plan, fold, dealt[each, fold], place / "run")

        for plan, each in product(asked.plans, everything):
            train_all(plan, each)
        found = []
        for each in everything if not asked.only_try else ():
            told = []
            for fold in range(asked.folds):
                recipe = recipe_of(dealt[each, fold], each.side, asked.epochs, seed=fold)
                manifest, began = scan_dataset(recipe.dataset), time.process_time()
                with kept_in(place / f"advice {each.name} {fold}"):
                    advice = advise(recipe, plugins, manifest)
                told.append(Advised(advice, time.process_time() - began))
                train_all(advice.recommended, each)
            found.append(judged(each, told, known))
            print(found[-1], file=sys.stderr)
        facts = {"epochs": asked.epochs, "folds": asked.folds, "photo_size": asked.sides[0], "digit_size": asked.sides[1]}
        print(json.dumps({"benchmark": "advisor", **facts, "folders": found}))


if __name__ == "__main__":
    main()
