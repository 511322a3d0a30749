"""Desktop FT at the same job as the peers, in a process of its own: prints the same line of JSON."""

from desktop_ft.engine import process

process.prepare()  # as the command line does, before torch is there

import argparse  # noqa: E402
import json  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

from desktop_ft.core.events import EpochDone, RunEnded, RunStarted, RunStatus, TrainEvent  # noqa: E402
from desktop_ft.core.recipe import Recipe  # noqa: E402
from desktop_ft.engine.control import RunControl  # noqa: E402
from desktop_ft.jobs.kept import kept_in  # noqa: E402
from desktop_ft.jobs.training import train  # noqa: E402
from desktop_ft.plugin_manager import load_plugins  # noqa: E402

CROPS_AND_FLIPS = [
    {"transform": "random_resized_crop", "parameters": {"scale_min": 0.08, "scale_max": 1.0}},
    {"transform": "horizontal_flip", "parameters": {"probability": 0.5}},
]


def main() -> None:
    """Train once, and print the training's own time and its best validation accuracy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--augmented", action="store_true")
    parser.add_argument("--views", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    recipe = Recipe.from_data(
        {
            "dataset": {"folder": str(asked.data.absolute())},
            "freeze": {"preset": "all" if asked.full else "head"},
            "augmentation": CROPS_AND_FLIPS if asked.augmented else [],
            "optimisation": {"epochs": asked.epochs, "views": asked.views},
            "seed": asked.seed,
        },
        "The benchmark",
    )
    at: dict[type, float] = {}
    accuracy: list[float] = []

    def hear(event: TrainEvent) -> None:
        at[type(event)] = time.perf_counter()
        if isinstance(event, EpochDone):
            accuracy.append(event.val_accuracy)

    with tempfile.TemporaryDirectory() as place, kept_in(Path(place) / "kept"):
        ended = train(recipe, Path(place) / "run", load_plugins(), hear, RunControl())
    if ended.status is not RunStatus.COMPLETED:
        raise SystemExit(f"the run did not complete: {ended.error or ended.status}")
    seconds = at[RunEnded] - at[RunStarted]
    print(json.dumps({"name": "Desktop FT", "seconds": round(seconds, 3), "accuracy": round(max(accuracy), 4)}))


if __name__ == "__main__":
    main()
