"""What fine-tuning gains on a folder of photos, against training from scratch: `desktop-ft compare`, as a line of JSON.

bench_compare.py FOLDER [--epochs N | --budget SECONDS] [--seeds N] [--image-size PIXELS] [--out FOLDER]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from desktop_ft.engine import process

process.prepare()

from desktop_ft.core.comparing import ALL  # noqa: E402
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe  # noqa: E402
from desktop_ft.engine.control import RunControl  # noqa: E402
from desktop_ft.jobs.comparing import ComparisonFolder, Standing, asked_for, compare, planned  # noqa: E402
from desktop_ft.plugin_manager import load_plugins  # noqa: E402


def tell(standing: Standing) -> None:
    """Say what is trained now."""
    if standing.now is not None:
        print(f"{standing.done + 1} of {standing.planned}: {standing.now.words}", file=sys.stderr)


def main() -> None:
    """Compare, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--budget", type=float, default=0.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, nargs="*", default=(5, 20, ALL), help="0: all")
    parser.add_argument("--image-size", type=int, default=0)
    parser.add_argument("--out", type=Path, help="keep it there; what is complete there is not trained again")
    asked = parser.parse_args()
    base = Recipe(
        dataset=DatasetChoice(folder=str(asked.folder.absolute())),
        backbone=BackboneChoice(image_size=asked.image_size),
        optimisation=Optimisation(epochs=asked.epochs),
    )
    comparison = asked_for(base, seeds=asked.seeds, images=tuple(asked.images), seconds=asked.budget)
    plugins = load_plugins()
    with tempfile.TemporaryDirectory() as place:
        folder = ComparisonFolder(asked.out or Path(place) / "comparison")
        with folder.worked():
            plan = planned(comparison, folder, plugins)
            found = compare(folder, plan, plugins, lambda event: None, RunControl(), tell=tell)
    scores = [
        {
            "strategy": score.strategy,
            "images": score.images,
            "accuracy": round(score.accuracy.value, 3),
            "interval": [round(score.accuracy.low, 3), round(score.accuracy.high, 3)],
            "seconds": round(score.seconds, 1),
        }
        for score in found.scores
    ]
    matches = {
        match.strategy: {
            "seconds": match.seconds and round(match.seconds, 1),
            "at_once": match.at_once,
            "images": match.images and round(match.images),
            "fewest": match.fewest,
        }
        for match in found.matches
    }
    facts = {
        "dataset": found.dataset,
        "backbone": base.backbone.name,
        "image_size": plugins.backbones.get(base.backbone.name).spec.resize.crop if not asked.image_size else asked.image_size,
        "epochs": asked.epochs,
        "budget": asked.budget,
        "seeds": asked.seeds,
        "judged": len(found.pictures),
        "device": found.device,
    }
    print(json.dumps({"benchmark": "compare", **facts, "scores": scores, "matches": matches, "verdict": found.verdict}))


if __name__ == "__main__":
    main()
