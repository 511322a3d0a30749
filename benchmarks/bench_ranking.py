"""Whether the ranking of networks tells which will be the best when it has learned. A line of JSON.

    bench_ranking.py FOLDER… [--epochs N] [--seeds N] [--side PIXELS] [--plan PRESET]

Every network whose weights are on this machine is ranked for each folder (of train/ and val/) and the shipped digits, then
trained on it.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from desktop_ft.engine import process

process.prepare()

import numpy as np  # noqa: E402

from benchmarks.regret import behind_on_others  # noqa: E402
from desktop_ft.core.events import RunStatus  # noqa: E402
from desktop_ft.core.recipe import Recipe  # noqa: E402
from desktop_ft.engine.control import RunControl  # noqa: E402
from desktop_ft.evaluation.paired import difference_interval  # noqa: E402
from desktop_ft.jobs.advising import rank_backbones  # noqa: E402
from desktop_ft.jobs.evaluating import evaluate_run  # noqa: E402
from desktop_ft.jobs.kept import kept_in  # noqa: E402
from desktop_ft.jobs.scanning import write_sample  # noqa: E402
from desktop_ft.jobs.training import train  # noqa: E402
from desktop_ft.plugin_manager import Plugins, load_plugins  # noqa: E402


def recipe_of(folder: Path, asked: argparse.Namespace, backbone: str, seed: int) -> Recipe:
    """What is trained, and ranked."""
    data = {
        "dataset": {"folder": str(folder)},
        "backbone": {"name": backbone, "image_size": asked.side},
        "freeze": {"preset": asked.plan},
        "optimisation": {"epochs": asked.epochs},
        "seed": seed,
    }
    return Recipe.from_data(data, "The benchmark")


def right_of(recipe: Recipe, plugins: Plugins) -> list[bool]:
    """Train, and tell which pictures held out the model kept is right about."""
    with tempfile.TemporaryDirectory() as place:
        ended = train(recipe, Path(place) / "run", plugins, lambda event: None, RunControl())
        if ended.status is not RunStatus.COMPLETED:
            raise SystemExit(f"a run did not complete: {ended.error or ended.status}")
        answers = evaluate_run(Path(place) / "run", plugins).evaluation.answers
    return [answer.predicted == answer.label for answer in answers]


def ranked(folder: Path, asked: argparse.Namespace, plugins: Plugins) -> dict[str, Any]:
    """What the ranking says of each network, and what becomes of it; how far the first is behind the best, in points."""
    ranking = rank_backbones(recipe_of(folder, asked, "efficientnet_lite0", 0), plugins)
    right, networks = {}, {}
    for score in ranking.scores:
        right[score.name] = np.array(
            [right_of(recipe_of(folder, asked, score.name, seed), plugins) for seed in range(asked.seeds)]
        )
        networks[score.name] = {
            "probe": round(score.accuracy.value, 4),
            "logme": round(score.logme, 3),
            "milliseconds": round(1000 / score.speed.pictures_per_second, 1),
            "accuracy": round(float(right[score.name].mean()), 4),
        }
        print(folder.name, score.name, networks[score.name], file=sys.stderr)
    best = max(right, key=lambda name: float(right[name].mean()))
    told: dict[str, Any] = {"folder": folder.name, "pictures": ranking.pictures, "networks": networks, "best": best}
    by_logme = max(ranking.scores, key=lambda score: score.logme)
    for how, name in (("probe", ranking.scores[0].name), ("logme", by_logme.name), ("recommended", ranking.recommended.name)):
        behind = difference_interval(right[best], right[name])
        told[how] = {
            "name": name,
            "behind": [round(100 * each, 1) for each in (behind.value, behind.low, behind.high)],
            "on_others": round(100 * behind_on_others(right, right[name]), 1),
        }
    return told


def main() -> None:
    """Rank and train for each folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--plan", default="last:1")
    asked = parser.parse_args()
    plugins = load_plugins()
    with tempfile.TemporaryDirectory() as place, kept_in(Path(place) / "kept"):
        folders = [*(folder.absolute() for folder in asked.folders), write_sample(plugins, "digits", Path(place) / "digits")]
        found = [ranked(folder, asked, plugins) for folder in folders]
    facts = {"epochs": asked.epochs, "seeds": asked.seeds, "side": asked.side, "plan": asked.plan}
    print(json.dumps({"benchmark": "ranking", **facts, "folders": found}))


if __name__ == "__main__":
    main()
