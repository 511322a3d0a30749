"""Head-only training, against its physical floor: decode every picture once and run one forward pass over it.

Run on the sample that ships, or on a folder named as the only argument. Prints one line of JSON; the ratio is the point.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from desktop_ft.core.dataset import Subset
from desktop_ft.core.recipe import DatasetChoice, Optimisation, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.running import logits_of, open_run, trained_network
from desktop_ft.jobs.scanning import write_sample
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import load_plugins

EPOCHS = 3
ROUNDS = 3


def main() -> None:
    """Train and measure the floor in turns, and print the medians with their ratio."""
    plugins = load_plugins()
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else write_sample(plugins, "digits", work / "digits")
        recipe = Recipe(dataset=DatasetChoice(folder=str(folder)), optimisation=Optimisation(epochs=EPOCHS))
        training, floor = [], []
        for number in range(ROUNDS):
            run = work / f"run{number}"
            began = time.perf_counter()
            ended = train(recipe, run, plugins, lambda event: None, RunControl())
            training.append(time.perf_counter() - began)
            opened = open_run(run, plugins)
            network = trained_network(opened)
            samples = (*opened.manifest.of(Subset.TRAIN), *opened.manifest.of(Subset.VAL))
            began = time.perf_counter()
            logits_of(network, [Path(opened.manifest.root) / sample.path for sample in samples], opened.rule, 32)
            floor.append(time.perf_counter() - began)
    medians = {"train_s": statistics.median(training), "floor_s": statistics.median(floor)}
    print(
        json.dumps(
            {
                "benchmark": "head_only",
                "pictures": len(samples),
                "epochs": EPOCHS,
                "rounds": ROUNDS,
                "status": ended.status.value,
                **{name: round(value, 2) for name, value in medians.items()},
                "times_the_floor": round(medians["train_s"] / medians["floor_s"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
