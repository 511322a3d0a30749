"""Every benchmark, one after the other; keeps what they tell in results.jsonl and makes docs/benchmarks.md from it.

run_all.py FOLDER [--rounds N]     FOLDER holds train/ and val/ of class folders; takes more than an hour on two cores
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks import page
from benchmarks.machine import cpu

HERE = Path(__file__).parent


def documents(text: str) -> list[object]:
    """The JSON documents that follow each other in `text`."""
    decoder, found = json.JSONDecoder(), list[object]()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def main() -> None:
    """Run them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    if not (asked.folder / "train").is_dir():
        raise SystemExit(f"{asked.folder} has no train/ and val/. Name a folder of photos: make bench FOLDER=photos")
    rounds, folder = ["--rounds", str(asked.rounds)], str(asked.folder)
    small = ["--rounds", "3", "--pictures", "64", "--epochs", "2", "--backbones", "vit_b_16"]
    three = ["--backbones", "efficientnet_lite0", "mobilenet_v3_small", "resnet18"]
    quick = ["--peers", "tutorial", "lightning_peer", "hugging_face"]
    commands = [
        ["-m", "desktop_ft", "bench", folder, *rounds, "--json"],
        ["benchmarks/bench_peers.py", folder, *rounds, *quick],
        ["benchmarks/bench_peers.py", folder, "--rounds", "3", "--augmented", "--views", "4"],
        ["benchmarks/bench_peers.py", folder, "--rounds", "3", "--augmented", "--full", "--epochs", "4", *quick],
        ["benchmarks/bench_depths.py", folder, *rounds, "--pictures", "200", "--epochs", "4", *three],
        ["benchmarks/bench_depths.py", folder, *small],
        ["benchmarks/bench_advisor.py", folder],
        ["benchmarks/bench_ranking.py", folder],
        ["benchmarks/bench_growth.py"],
        ["benchmarks/bench_drift.py", folder],
        ["benchmarks/bench_eta.py", folder],
        ["benchmarks/bench_compare.py", folder, "--epochs", "5"],
        ["benchmarks/bench_worth.py"],
        ["benchmarks/bench_checkup.py", folder],
        ["benchmarks/bench_lesson.py"],
        ["benchmarks/bench_window.py", "gaps", folder],
        ["benchmarks/bench_window.py", "paint"],
        ["benchmarks/bench_window.py", "points"],
        ["benchmarks/bench_window.py", "pace", folder],
        ["benchmarks/bench_window.py", "cycles"],
        ["benchmarks/bench_wall.py"],
    ]
    if torch.cuda.is_available():
        commands.append(["benchmarks/bench_gpu.py", folder])
    machine = {
        "benchmark": "machine",
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "system": platform.system(),
        "torch": torch.__version__,
        "day": datetime.date.today().isoformat(),
    }
    lines = [json.dumps(machine)]
    for command in commands:
        print(" ".join(command), file=sys.stderr)
        done = subprocess.run([sys.executable, *command], check=True, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
        lines += map(json.dumps, documents(done.stdout))
        page.RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
        page.write()


if __name__ == "__main__":
    main()
