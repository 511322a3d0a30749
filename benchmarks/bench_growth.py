"""How time, memory and disk grow with pictures, classes, picture size and epochs; each point in a process of its own.

    bench_growth.py [--most N] [--memory MB]

The pictures are drawn (JPEG, 64 pixels a side), the network is MobileNetV3-S with random weights at 64 pixels. Memory is the
process's own at its highest (anonymous pages), over what it had when all was imported and the network built. Prints one line of
JSON: the points, and for each axis the exponent fitted to log(time) over log(size).
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
POINT = """
import json, sys, time
from desktop_ft.engine import process
process.prepare()
from pathlib import Path
import psutil
from desktop_ft.core.events import EpochDone, PrefixReady, RunEnded, RunStarted
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs import kept
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import load_plugins

folder, run, size, epochs, memory = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
recipe = Recipe.from_data({
    "dataset": {"folder": folder}, "backbone": {"name": "mobilenet_v3_small", "weights": sys.argv[6], "image_size": size},
    "freeze": {"preset": "head"}, "optimisation": {"epochs": epochs, "batch_size": 64}, "precision": "fp32"}, "The benchmark")
usual = kept.feature_store
def small(processes=1):
    store = usual(processes)
    store.memory_bytes = int(memory)
    return store
kept.feature_store = small
at = {}
began = time.perf_counter()
def hear(event):
    at[type(event)] = time.perf_counter()
    if isinstance(event, RunStarted):
        print("begun", flush=True)
    if isinstance(event, PrefixReady):
        at["kept"] = event.bytes
with kept.kept_in(run.parent / "kept"):
    ended = train(recipe, run, load_plugins(), hear, RunControl())
if ended.status != "completed":
    raise SystemExit(ended.error)
print(json.dumps({"scan_s": at[RunStarted] - began, "pass_s": at[PrefixReady] - at[RunStarted],
    "epochs_s": at[RunEnded] - at[PrefixReady], "evaluation_s": time.perf_counter() - at[RunEnded], "kept_mb": at["kept"] / 1e6}))
"""


def drawn(folder: Path, pictures: int, classes: int, side: int) -> Path:
    """`pictures` JPEGs of noise with a coloured ground, in folders of classes."""
    chance = np.random.default_rng(0)
    for number in range(pictures):
        place = folder / f"class{number % classes:04d}"
        place.mkdir(parents=True, exist_ok=True)
        ground = chance.integers(0, 200, 3)
        pixels = (ground + chance.integers(0, 56, (side, side, 3))).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.jpg", quality=80)
    return folder


def anonymous(pid: int) -> float:
    """Megabytes of memory that are the process's own."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Anonymous:")), 0.0)


def point(folder: Path, place: Path, weights: Path, *, size: int, epochs: int, memory: float) -> dict[str, float]:
    """Train once in a process of its own; what it told, and the most memory it had over what it began with."""
    arguments = [str(folder), str(place / "run"), str(size), str(epochs), str(memory), str(weights)]
    process = subprocess.Popen([sys.executable, "-c", POINT, *arguments], stdout=subprocess.PIPE, text=True)
    if process.stdout is None:
        raise SystemExit("no pipe")
    over, base, most = threading.Event(), 0.0, 0.0

    def watch() -> None:
        nonlocal most
        while not over.wait(0.1):
            most = max(most, anonymous(process.pid))

    watching = threading.Thread(target=watch)
    last = ""
    for line in process.stdout:
        if line.strip() == "begun":
            base = anonymous(process.pid)
            watching.start()
        last = line
    over.set()
    if process.wait():
        raise SystemExit("a run failed")
    watching.join()
    told: dict[str, float] = json.loads(last)
    disk = sum(file.stat().st_size for file in (place / "kept").rglob("*") if file.is_file())
    return {name: round(value, 2) for name, value in (told | {"memory_mb": most - base, "disk_mb": disk / 1e6}).items()}


def exponent(points: list[dict[str, Any]], what: str) -> float:
    """The slope of log(what) over log(size)."""
    sizes = [math.log(each["at"]) for each in points]
    values = [math.log(max(each[what], 1e-3)) for each in points]
    return round(float(np.polyfit(sizes, values, 1)[0]), 2)


def main() -> None:
    """Measure along each axis."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=10_000, help="pictures at the end of that axis")
    parser.add_argument("--memory", type=float, default=16, help="megabytes of answers that a run may hold")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["DESKTOP_FT_HOME"] = home
        from safetensors.torch import save_file

        from desktop_ft.plugin_manager import load_plugins

        weights = Path(home) / "weights.safetensors"
        network = load_plugins().backbones.get("mobilenet_v3_small").build()
        save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, weights)
        usual = {"pictures": 1000, "classes": 10, "size": 64, "epochs": 10}
        axes = {
            "pictures": [10**power for power in range(2, round(math.log10(asked.most)) + 1)],
            "classes": [2, 10, 100, 1000],
            "size": [32, 64, 128, 224],
            "epochs": [1, 10, 100, 1000],
        }
        found: dict[str, Any] = {}
        for axis, values in axes.items():
            points = []
            for value in values:
                at = usual | {axis: value}
                if axis == "classes":
                    at["pictures"] = 4000
                with tempfile.TemporaryDirectory() as name:
                    folder = drawn(Path(name) / "pictures", at["pictures"], at["classes"], 64)
                    told = point(folder, Path(name), weights, size=at["size"], epochs=at["epochs"], memory=asked.memory * 1e6)
                points.append({"at": value} | told)
                print(f"{axis} {points[-1]}", file=sys.stderr)
            measured = ("scan_s", "pass_s", "epochs_s", "evaluation_s", "disk_mb")
            found[axis] = {"points": points, "exponents": {what: exponent(points, what) for what in measured}}
        print(json.dumps({"benchmark": "growth", "usual": usual, "memory_budget_mb": asked.memory, "axes": found}))


if __name__ == "__main__":
    main()
