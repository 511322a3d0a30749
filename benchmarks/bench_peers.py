"""Desktop FT and its peers at the same job, in turns, each in a process of its own: same weights, photos, epochs, augmentation.

Each peer as its guide shows it, with the flags that make it fast. Prints one line of JSON: medians, the ratio to Desktop FT of
each round, and the accuracy over the seeds (a round is a seed). The time is the training's own: no import, no scan.

    bench_peers.py FOLDER [--full] [--augmented] [--views N] [--rounds N] [--epochs N] [--peers NAME…]

FOLDER holds train/ and val/. The peers live in an environment of their own; `make bench` installs it.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import cpu

HERE = Path(__file__).parent
PEERS = ("tutorial", "lightning_peer", "hugging_face", "fastai_peer")


def turn(python: Path, script: Path, *arguments: str) -> dict[str, Any]:
    """Run one contender; returns what it told on its last line."""
    environment = os.environ | {"PYTHONWARNINGS": "ignore", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run([python, script, *arguments], check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{script.name} failed: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def interval(values: list[float]) -> tuple[float, float]:
    """95 % interval of the mean of shares of 1, by Student's t."""
    if len(values) < 2:
        return values[0], values[0]
    factor = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}.get(len(values), 2.57)
    middle, half = statistics.mean(values), factor * statistics.stdev(values) / len(values) ** 0.5
    return round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def main() -> None:
    """Let all take turns, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--augmented", action="store_true")
    parser.add_argument("--views", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--peer-python", type=Path, default=HERE.parent / ".venv-bench" / "bin" / "python")
    asked = parser.parse_args()
    flags = [flag for flag, wanted in (("--full", asked.full), ("--augmented", asked.augmented)) if wanted]
    told: dict[str, list[dict[str, Any]]] = {}
    for seed in range(asked.rounds):
        same = [str(asked.folder), "--epochs", str(asked.epochs), "--seed", str(seed), *flags]
        turns = [turn(Path(sys.executable), HERE / "ours.py", *same, "--views", str(asked.views))]
        turns += [turn(asked.peer_python, HERE / "peers" / f"{name}.py", *same) for name in asked.peers]
        for each in turns:
            told.setdefault(each["name"], []).append(each)
            print(f"seed {seed}: {each}", file=sys.stderr)
    ours = told["Desktop FT"]
    rows = {
        name: {
            "seconds": statistics.median(turn["seconds"] for turn in turns),
            "times_ours": round(statistics.median(t["seconds"] / o["seconds"] for t, o in zip(turns, ours, strict=True)), 2),
            "accuracy": round(statistics.mean(turn["accuracy"] for turn in turns), 4),
            "accuracy_interval": interval([turn["accuracy"] for turn in turns]),
        }
        for name, turns in told.items()
    }
    job: dict[str, object] = {key: getattr(asked, key) for key in ("full", "augmented", "views", "epochs", "rounds")}
    job |= {"cpu": cpu(), "day": datetime.date.today().isoformat()}
    print(json.dumps({"benchmark": "peers", "data": asked.folder.name, **job, "contenders": rows}))


if __name__ == "__main__":
    main()
