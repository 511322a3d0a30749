"""How right the time left is that a run tells at the end of each epoch. A line of JSON each folder.

    bench_eta.py FOLDER… [--epochs N] [--rounds N] [--backbone NAME]

Each plan is trained; what was told at the end of an epoch is compared with what it then took to the end of the last one.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from desktop_ft.engine import process

process.prepare()

from desktop_ft.core.events import EpochDone, TrainEvent  # noqa: E402
from desktop_ft.core.metrics import MetricHistory  # noqa: E402
from desktop_ft.core.recipe import Recipe  # noqa: E402
from desktop_ft.engine.control import RunControl  # noqa: E402
from desktop_ft.jobs.augmenting import presets  # noqa: E402
from desktop_ft.jobs.training import train  # noqa: E402
from desktop_ft.plugin_manager import Plugins, load_plugins  # noqa: E402

PLANS = {"last:2": "none", "last:2, augmented": "standard", "all": "none", "gradual": "none"}
"""What learns, and the augmentation. The head alone learns in less time than can be told."""


def off_by(recipe: Recipe, plugins: Plugins) -> list[float]:
    """The share by which what was told after each epoch but the last was more (or less, below 0) than it took."""
    history, told = MetricHistory(), list[tuple[float, float]]()

    def hear(event: TrainEvent) -> None:
        history.add(event)
        if isinstance(event, EpochDone) and history.eta_seconds is not None:
            told.append((time.perf_counter(), history.eta_seconds))

    with tempfile.TemporaryDirectory() as place:
        train(recipe, Path(place) / "run", plugins, hear, RunControl())
    over = told[-1][0]
    return [eta / (over - at) - 1 for at, eta in told[:-1]]


def main() -> None:
    """Train each plan on each folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    asked = parser.parse_args()
    plugins = load_plugins()
    for folder in asked.folders:
        plans = {}
        for name, augmentation in PLANS.items():
            data = {
                "dataset": {"folder": str(folder)},
                "backbone": {"name": asked.backbone},
                "freeze": {"preset": name.partition(",")[0]},
            }
            recipe = Recipe.from_data(data, "The benchmark").with_optimisation(epochs=asked.epochs)
            recipe = recipe.model_copy(update={"augmentation": presets()[augmentation].specs})
            rounds = [off_by(recipe, plugins) for _ in range(asked.rounds)]
            plans[name] = {
                "after_the_first": statistics.median(abs(each[0]) for each in rounds),
                "most_after_the_first": max(abs(each[0]) for each in rounds),
                "after_any": statistics.median(abs(share) for each in rounds for share in each),
            }
        facts = {"folder": folder.name, "epochs": asked.epochs, "rounds": asked.rounds, "backbone": asked.backbone}
        print(json.dumps({"benchmark": "eta", **facts, "plans": plans}), flush=True)


if __name__ == "__main__":
    main()
