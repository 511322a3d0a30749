"""`make reliability`: tries every fault as often as is promised, prints the table, and writes docs/reliability.md.

python -m tests.reliability [--few] [--only PART_OF_A_NAME] [--out FILE]
"""

import argparse
import datetime
import importlib.metadata
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.reliability.suite import PARTS
from tests.reliability.trial import SEED, Outcome, Shared, attempted

_VERSIONS = ("torch", "PySide6-Essentials", "Pillow", "onnx", "onnxruntime", "safetensors")
_HEAD = """# Reliability, in figures

Made by `make reliability`, which tries each fault as often as is given here. A try that could not be made counts as failed.
Power loss is simulated, from the calls that a real run made; so is memory that runs out, by the error that torch raises. No GPU
was used. `make test` tries a few of each.

| Fault | What a person sees | How it is tried | Tried | Survived | Seconds |
|---|---|---|---:|---:|---:|"""


def main() -> int:
    """Try all; the exit status says whether all survived."""
    if not __debug__:
        sys.exit("Python must not leave out what is asserted: unset PYTHONOPTIMIZE.")
    arguments = _parser().parse_args()
    found: dict[str, list[Outcome]] = {}
    began = time.monotonic()
    with Shared() as shared, tempfile.TemporaryDirectory() as place:
        os.environ["DESKTOP_FT_HOME"] = str(Path(place, "home"))
        for part, faults in PARTS.items():
            for fault in faults:
                if arguments.only.lower() not in fault.name.lower():
                    continue
                folder = Path(place, fault.id)
                folder.mkdir()
                outcome = attempted(fault, folder, shared, whole=not arguments.few)
                found.setdefault(part, []).append(outcome)
                _tell(outcome)
    seconds = time.monotonic() - began
    if arguments.out is not None:
        arguments.out.write_text("\n".join(_page(found, seconds)) + "\n", encoding="utf-8")
    return int(any(outcome.trial.verdict for outcomes in found.values() for outcome in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", action="store_true", help="try each a few times, as the tests do")
    parser.add_argument("--only", default="", help="only faults with this in their name")
    parser.add_argument("--out", type=Path, default=None, help="write the page to this file")
    return parser


def _tell(outcome: Outcome) -> None:
    trial = outcome.trial
    line = f"{trial.survived:5,} of {trial.tried:5,} survived in {outcome.seconds:5.0f} s: {outcome.fault.name}"
    sys.stdout.write("\n    ".join([line, *trial.verdict.splitlines()]) + "\n")
    sys.stdout.flush()


def _page(found: dict[str, list[Outcome]], seconds: float) -> Iterator[str]:
    yield _HEAD
    for part, outcomes in found.items():
        yield f"| **{part}** | | | | | |"
        for each in outcomes:
            fault, trial = each.fault, each.trial
            cells = (fault.name, fault.seen, fault.tried, f"{trial.tried:,}", f"{trial.survived:,}", f"{each.seconds:.0f}")
            yield f"| {' | '.join(cells)} |"
    failed = [line for outcomes in found.values() for each in outcomes for line in _failure(each)]
    if failed:
        yield from ("", "## What failed", "", *failed)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _VERSIONS)
    yield ""
    yield (
        f"{datetime.date.today()}, seed {SEED}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"{versions}; {seconds / 60:.0f} minutes in all."
    )


def _failure(outcome: Outcome) -> list[str]:
    return [f"- {outcome.fault.name}: {line}" for line in outcome.trial.verdict.splitlines()]


if __name__ == "__main__":
    sys.exit(main())
