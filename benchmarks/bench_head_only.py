"""Head-only training, against its physical floor and against the plain loop that goes through the whole network every epoch.

The floor decodes every picture once and runs one forward pass over it, in the precision that the run takes for frozen layers.
All take turns in one process, so that a busy machine slows all of them. Prints one line of JSON; the ratios are the point.

    bench_head_only.py [FOLDER] [--rounds N] [--epochs N]      the sample that ships, where no folder is named
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from desktop_ft.core.backbone import ResizeRule
from desktop_ft.core.dataset import Subset
from desktop_ft.core.events import EpochDone, PrefixReady, RunEnded, RunStarted, TrainEvent
from desktop_ft.core.recipe import DatasetChoice, Optimisation, Recipe
from desktop_ft.data.decode import network_input
from desktop_ft.engine.control import RunControl
from desktop_ft.engine.device import choose
from desktop_ft.jobs.kept import kept_features
from desktop_ft.jobs.running import open_run, trained_network
from desktop_ft.jobs.scanning import write_sample
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import Plugins, load_plugins

BATCH = 32


@dataclass
class Timed:
    """One run: seconds of its training alone (scan and evaluation aside), its best accuracy, its layers' precision."""

    seconds: float
    accuracy: float
    precision: str


def timed(recipe: Recipe, run: Path, plugins: Plugins, *, cut: bool) -> Timed:
    """Train, and take the time between the events that begin and end the training."""
    at: dict[type, float] = {}
    accuracy, precision = 0.0, "fp32"

    def hear(event: TrainEvent) -> None:
        nonlocal accuracy, precision
        at[type(event)] = time.perf_counter()
        if isinstance(event, EpochDone):
            accuracy = max(accuracy, event.val_accuracy)
        if isinstance(event, PrefixReady):
            precision = event.precision

    train(recipe, run, plugins, hear, RunControl(), cut=cut)
    return Timed(at[RunEnded] - at[RunStarted], accuracy, precision)


def floor(network: torch.nn.Module, paths: list[Path], rule: ResizeRule, precision: str) -> float:
    """Seconds to decode every picture once, and then to run one forward pass over all of them."""
    began = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pictures = list(pool.map(lambda path: network_input(path, rule), paths))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        for start in range(0, len(pictures), BATCH):
            batch = torch.from_numpy(np.stack(pictures[start : start + BATCH])).permute(0, 3, 1, 2)
            network(batch.contiguous(memory_format=torch.channels_last))
    return time.perf_counter() - began


def main() -> None:
    """Measure in turns, and print the medians with their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    asked = parser.parse_args()
    plugins = load_plugins()
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        os.environ["DESKTOP_FT_HOME"] = str(work / "home")
        folder = asked.folder or write_sample(plugins, "digits", work / "digits")
        recipe = Recipe(dataset=DatasetChoice(folder=str(folder)), optimisation=Optimisation(epochs=asked.epochs))
        seconds: dict[str, list[float]] = {"floor": [], "first_run": [], "next_run": [], "plain_loop": []}
        accuracy: dict[str, float] = {}
        precision = "fp32"
        for number in range(asked.rounds):
            kept_features().clear()
            for name, cut in (("first_run", True), ("next_run", True), ("plain_loop", False)):
                done = timed(recipe, work / f"{name}{number}", plugins, cut=cut)
                seconds[name].append(done.seconds)
                accuracy[name] = done.accuracy
                if cut:
                    precision = done.precision
            opened = open_run(work / f"first_run{number}", plugins)
            samples = (*opened.manifest.of(Subset.TRAIN), *opened.manifest.of(Subset.VAL))
            network = trained_network(opened).to(memory_format=torch.channels_last)
            paths = [Path(opened.manifest.root) / sample.path for sample in samples]
            seconds["floor"].append(floor(network, paths, opened.rule, precision))
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        print(
            json.dumps(
                {
                    "benchmark": "head_only",
                    "data": folder.name,
                    "pictures": len(samples),
                    "epochs": asked.epochs,
                    "rounds": asked.rounds,
                    "device": choose().words,
                    "frozen_layers_in": precision,
                    "seconds": {name: round(value, 2) for name, value in medians.items()},
                    "first_run_over_floor": round(medians["first_run"] / medians["floor"], 2),
                    "plain_loop_over_first_run": round(medians["plain_loop"] / medians["first_run"], 1),
                    "plain_loop_over_next_run": round(medians["plain_loop"] / medians["next_run"], 1),
                    "best_validation_accuracy": {name: round(value, 4) for name, value in accuracy.items()},
                }
            )
        )


if __name__ == "__main__":
    main()
