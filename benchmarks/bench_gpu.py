"""Full fine-tuning on a GPU against its raw step: the same network's step on one batch that lies there. A line of JSON each.

    bench_gpu.py FOLDER [--epochs N] [--batch-size N] [--backbones NAME…]

The raw step is forward, backward and fused AdamW in bf16 with channels last, launched as PyTorch does and without a look at the
loss. Ours are the pictures a second of the last epoch's steps: unchanged, and cropped and mirrored. Weights that are not on this
machine are drawn at random. On a machine without a GPU it measures the CPU, and says so.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from desktop_ft.engine import process

process.prepare()

import torch  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from benchmarks.bench_depths import weights_of  # noqa: E402
from desktop_ft.core.events import MachineUse, RunStarted, StepDone, TrainEvent  # noqa: E402
from desktop_ft.core.recipe import Recipe  # noqa: E402
from desktop_ft.engine.control import RunControl  # noqa: E402
from desktop_ft.engine.device import Compute, choose  # noqa: E402
from desktop_ft.jobs.training import train  # noqa: E402
from desktop_ft.plugin_manager import Plugins, load_plugins  # noqa: E402

BACKBONES = ("efficientnet_lite0", "resnet18", "resnet50", "vit_b_16")
CROPPED = [{"transform": "random_resized_crop"}, {"transform": "horizontal_flip"}]
_WARM, _TIMED = 5, 20


def raw(network: torch.nn.Module, compute: Compute, size: int) -> float:
    """Pictures a second of the raw step, of `size` random pictures of 224 x 224 and two classes."""
    network.to(compute.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    inputs = torch.rand(size, 3, 224, 224).to(compute.device, memory_format=torch.channels_last)
    targets = torch.randint(0, 2, (size,)).to(compute.device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)

    def steps(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            with torch.autocast(compute.device.type, compute.autocast, enabled=compute.autocast is not None):
                logits = network(inputs)
            optimizer.zero_grad()
            torch.autograd.backward(cross_entropy(logits.float(), targets))
            optimizer.step()
        if compute.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    steps(_WARM)
    return _TIMED * size / steps(_TIMED)


def ours(recipe: Recipe, plugins: Plugins, run: Path) -> tuple[float, float | None, str]:
    """Pictures a second of the last epoch's steps, how busy the GPU was in it at most, and the device."""
    ends: list[float] = []
    busy: list[float] = []
    device = ""

    def hear(event: TrainEvent) -> None:
        nonlocal device
        match event:
            case RunStarted():
                device = event.device
            case StepDone() if event.epoch == recipe.optimisation.epochs - 1:
                ends.append(event.seconds)
            case MachineUse() if event.gpu is not None:
                busy.append(event.gpu)

    train(recipe, run, plugins, hear, RunControl())
    return recipe.optimisation.batch_size * (len(ends) - 1) / (ends[-1] - ends[0]), max(busy, default=None), device


def main() -> None:
    """Measure each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--backbones", nargs="*", default=BACKBONES)
    asked = parser.parse_args()
    plugins, compute = load_plugins(), choose()
    with tempfile.TemporaryDirectory() as place:
        for name in asked.backbones:
            backbone = plugins.backbones.get(name)
            row = {"benchmark": "gpu", "backbone": name, "batch_size": asked.batch_size}
            row["raw"] = round(raw(backbone.build(), compute, asked.batch_size))
            for how, augmentation in (("unchanged", []), ("cropped", CROPPED)):
                recipe = Recipe.from_data(
                    {
                        "dataset": {"folder": str(asked.folder)},
                        "backbone": {"name": name, "weights": weights_of(backbone, Path(place))},
                        "freeze": {"preset": "all"},
                        "augmentation": augmentation,
                        "optimisation": {"epochs": asked.epochs, "batch_size": asked.batch_size},
                    },
                    "The benchmark",
                )
                speed, busy, row["device"] = ours(recipe, plugins, Path(place) / f"{name} {how}")
                row |= {how: round(speed), f"{how}_over_raw": round(speed / row["raw"], 2), f"{how}_gpu_busy": busy}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
