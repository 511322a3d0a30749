"""Whether the marks on layers tell a plan that forgets from one that does not. A line of JSON each.

    bench_drift.py FOLDER… [--epochs N] [--backbone NAME]

Everything learns: once with the backbone at the share of the rate that is usual, once as fast as the head, and once so fast that
nothing is left of what it knew.
"""

import argparse
import json
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from desktop_ft.engine import process

process.prepare()

from desktop_ft.core.layer_learning import states  # noqa: E402
from desktop_ft.core.recipe import Recipe  # noqa: E402
from desktop_ft.engine.control import RunControl  # noqa: E402
from desktop_ft.jobs.training import train  # noqa: E402
from desktop_ft.plugin_manager import load_plugins  # noqa: E402
from desktop_ft.runs.run_folder import RunFolder  # noqa: E402

PLANS: dict[str, dict[str, Any]] = {
    "head": {"preset": "head"},
    "all": {"preset": "all"},
    "all, as fast as the head": {"preset": "all", "backbone_rate": 1.0},
    "all, ten times as fast": {"preset": "all", "backbone_rate": 1.0, "lr": 10.0},
}
"""What learns; `lr` is a multiple of the usual rate."""


def main() -> None:
    """Train each plan on each folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    asked = parser.parse_args()
    plugins = load_plugins()
    for folder in asked.folders:
        plans = {}
        for name, plan in PLANS.items():
            freeze = {key: value for key, value in plan.items() if key != "lr"}
            data = {"dataset": {"folder": str(folder)}, "backbone": {"name": asked.backbone}, "freeze": freeze}
            recipe = Recipe.from_data(data, "The benchmark")
            lr = recipe.optimisation.lr * plan.get("lr", 1.0)
            with tempfile.TemporaryDirectory() as place:
                run = Path(place) / "run"
                train(recipe.with_optimisation(epochs=asked.epochs, lr=lr), run, plugins, lambda event: None, RunControl())
                history = RunFolder.open(run).history()
            found = states(history.layers)
            drifts = [state.drift for state in found.values() if state.drift is not None]
            plans[name] = {
                "accuracy": max(epoch.val_accuracy for epoch in history.epochs),
                "drift_median": statistics.median(drifts) if drifts else None,
                "drift_most": max(drifts, default=None),
                "layers": len(found),
                "marked": Counter(state.sign.value for state in found.values() if state.sign is not None),
            }
        facts = {"folder": folder.name, "epochs": asked.epochs, "backbone": asked.backbone}
        print(json.dumps({"benchmark": "drift", **facts, "plans": plans}), flush=True)


if __name__ == "__main__":
    main()
