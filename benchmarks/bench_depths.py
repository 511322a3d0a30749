"""Every freeze depth against its own floor: decode once, frozen layers once, bare steps of what learns. A line of JSON each.

    bench_depths.py FOLDER [--pictures N] [--epochs N] [--rounds N] [--backbones NAME…] [--freezes PRESET…]

Weights that are not on this machine are drawn at random: how long a network takes does not depend on what it knows.
"""

import argparse
import datetime
import json
import shutil
import sys
import tempfile
from pathlib import Path

from desktop_ft.engine import process

process.prepare()

from safetensors.torch import save_file  # noqa: E402

from benchmarks.machine import cpu  # noqa: E402
from desktop_ft.api import Backbone  # noqa: E402
from desktop_ft.core.recipe import Recipe  # noqa: E402
from desktop_ft.jobs.backbones import is_local  # noqa: E402
from desktop_ft.jobs.benchmarking import FIRST_RUN, FLOOR, NEXT_RUN, benchmark  # noqa: E402
from desktop_ft.plugin_manager import load_plugins  # noqa: E402

BACKBONES = ("efficientnet_lite0", "resnet18", "mobilenet_v3_small", "vit_b_16")
FREEZES = ("head", "last:1", "last:2", "all")


def fewer(folder: Path, pictures: int, into: Path) -> Path:
    """Copies of at most so many `pictures` of a folder of train/ and val/, evenly over its classes and parts."""
    classes = sorted(path for part in ("train", "val") for path in (folder / part).iterdir() if path.is_dir())
    for each in classes:
        place = into / each.parent.name / each.name
        place.mkdir(parents=True)
        for picture in sorted(each.iterdir())[: pictures // len(classes)]:
            shutil.copy2(picture, place)  # links that leave a folder are not followed
    return into


def weights_of(backbone: Backbone, place: Path) -> str:
    """A file of random weights, where the published ones are not on this machine; else "", which stands for those."""
    if is_local(backbone):
        return ""
    path = place / f"{backbone.spec.name}.safetensors"
    if not path.exists():
        save_file({name: tensor.contiguous() for name, tensor in backbone.build().state_dict().items()}, path)
    return str(path)


def main() -> None:
    """Measure each network at each depth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backbones", nargs="*", default=BACKBONES)
    parser.add_argument("--freezes", nargs="*", default=FREEZES)
    asked = parser.parse_args()
    plugins = load_plugins()
    with tempfile.TemporaryDirectory() as place:
        folder = fewer(asked.folder, asked.pictures, Path(place) / "pictures")
        for name in asked.backbones:
            weights = weights_of(plugins.backbones.get(name), Path(place))
            rows = {}
            for freeze in asked.freezes:
                recipe = Recipe.from_data(
                    {
                        "dataset": {"folder": str(folder)},
                        "backbone": {"name": name, "weights": weights},
                        "freeze": {"preset": freeze},
                        "optimisation": {"epochs": asked.epochs},
                    },
                    "The benchmark",
                )
                done = benchmark(recipe, plugins, rounds=asked.rounds, whole_network=False)
                floor = done.of(FLOOR)
                rows[freeze] = {
                    "floor_s": round(floor.median, 2),
                    **{f"{part}_s": round(seconds, 2) for part, seconds in done.floor_parts},
                    "first_run_s": round(done.of(FIRST_RUN).median, 2),
                    "next_run_s": round(done.of(NEXT_RUN).median, 2),
                    "first_run_over_floor": round(done.of(FIRST_RUN).over(floor), 2),
                    "of_bare_speed": done.of_bare_speed and round(done.of_bare_speed, 2),
                    "steps_in": done.precision,
                }
                print(f"{name} {freeze}: {rows[freeze]}", file=sys.stderr)
            facts = {"backbone": name, "pictures": done.pictures, "epochs": asked.epochs, "rounds": asked.rounds}
            facts |= {"cpu": cpu(), "day": datetime.date.today().isoformat(), "device": done.device}
            print(json.dumps({"benchmark": "depths", **facts, "depths": rows}), flush=True)


if __name__ == "__main__":
    main()
