"""Makes docs/exports.md from parity.jsonl, which `bench_parity.py` adds to, so that no figure on that page is typed by hand.

parity_page.py     writes the page; a test checks that it is what the results say

The results have a file of their own: `make bench` writes results.jsonl anew each time.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.page import table
from desktop_ft.export.verify import TOLERANCE

RESULTS = Path(__file__).parent / "parity.jsonl"
PAGE = Path(__file__).parents[1] / "docs" / "exports.md"

UNTRIED = "not tried yet"

Line = dict[str, Any]

_HEAD = """# Every network, exported

Made by `make parity FOLDER=photos` from `benchmarks/parity.jsonl`. Every network that can be chosen, and of timm the smallest
of each family, got a new head that was trained on photos of {classes} classes, in a run as any other, and was exported as
`desktop-ft export` does it: to ONNX in float32, for pictures of the network's own size, loaded again in a process without
torch, and asked about every photo, those that were learned from included. What is too large for one ONNX file (2 GiB) was
exported as a PyTorch program instead, *.pt2*, and loaded again without its code.

**{passed} of {tried} that were tried were exported and answer like the trained model**, with {changed} changed
answers.{untried} The largest difference is {worst:.1e} (`{worst_name}`); {tolerance:.0e} is allowed, above that no file
is kept.

- **difference**: the largest of any logit on any photo, relative to the largest logit of all.
- **spread**: how far the file's logits for photos that were not learned from lie apart (standard deviation, mean over the
  classes), in the same unit. A difference says something only where it is small against this. The smallest here is
  {least:.3f} (`{least_name}`).
- **known**: the share of those photos that the file knows; 1 in {classes} would be chance. No score of the network: it has few
  photos, and mostly random weights.
- **weights**: where the published ones were not on the machine they were drawn at random from a fixed seed: no branch, scale or
  shift so small that nobody would miss it, and BatchNorm's statistics from a pass of photos. So every layer has its say in the
  logits. What pre-trained weights do to the last digits is seen only where they are there. *Draw 2*: with the first one
  PyTorch's own float32 was further from its float64 than any file may be from PyTorch, or all photos were answered alike, so it
  could not tell a good file; each further draw halves the scales.
- **run**: seconds of the training and its evaluation; **export**: of writing, comparing and timing the file; **memory**: of the
  process that takes most.{at_once}

Measured on {machines}; the code as of {codes}."""
_UNFIT = """## Not exported

*Does not fit*: it takes more time or memory than it was given here; nothing else is known of it.

"""
_UNTRIED = """## Not tried yet

In the order of what they compute; `make parity` goes on with them: """
_ALIKE = """## The same network with other weights

Tried once, as one network: the published sets of weights differ, and nothing else.

"""


def read() -> list[Line]:
    """The results."""
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()] if RESULTS.exists() else []


def keep(new: Sequence[Line], order: Sequence[str]) -> None:
    """Take `new` lines over into the results, in the place of what they said of those networks, and write the page anew.

    Args:
        order: of the networks.
    """
    lines = {line["backbone"]: line for line in (*read(), *new)}
    places = {name: place for place, name in enumerate(order)}
    ordered = sorted(lines.values(), key=lambda each: places.get(each["backbone"], len(places)))
    RESULTS.write_text("".join(json.dumps(each, allow_nan=False) + "\n" for each in ordered), encoding="utf-8")
    write()


def write() -> None:
    """Write the page anew."""
    PAGE.write_text(rendered(read()), encoding="utf-8")


def rendered(lines: Sequence[Line]) -> str:
    """The page that tells `lines`, the results."""
    passed = [line for line in lines if "problem" not in line]
    failed = [line for line in lines if "problem" in line]
    refused = [line for line in failed if line["problem"] != UNTRIED]
    untried = [line for line in failed if line["problem"] == UNTRIED]
    parts = [_head(passed, len(passed) + len(refused), len(untried)), *_sections(passed)] if passed else []
    if refused:
        parts.append(_UNFIT + "\n".join(f"- {_in_short(line)}: {line['problem']}" for line in refused))
    if untried:
        parts.append(_UNTRIED + ", ".join(map(_in_short, untried)) + ".")
    if alike := [line for line in lines if line["also"]]:
        parts.append(_ALIKE + "\n".join(f"- `{line['backbone']}`: {', '.join(line['also'])}" for line in alike))
    return "\n\n".join(parts) + "\n"


_NETWORK = ("network", "million parameters", "GFLOPs", "pixels")
_FOUND = ("weights", "photos", "difference", "spread", "changed", "known", "file, MB", "run, s", "export, s", "memory, GB")
_PARTS = {
    "efficientnet_lite": "EfficientNet-Lite",
    "torchvision_backbones": "torchvision",
    "timm_backbones": "timm, the smallest of each family",
}


def _head(passed: Sequence[Line], tried: int, untried: int) -> str:
    worst = max(passed, key=lambda line: line["difference"])
    least = min(passed, key=lambda line: line["spread"])
    several = max(line["at_once"] for line in passed)
    shared = f" Up to {several} networks took their turn at once, beside other work: the times are no benchmark."
    return _HEAD.format(
        classes=passed[0]["classes"],
        passed=len(passed),
        tried=tried,
        untried=f" {untried} have not been tried yet." if untried else "",
        changed=sum(line["changed"] for line in passed),
        worst=worst["difference"],
        worst_name=worst["backbone"],
        tolerance=TOLERANCE,
        least=least["spread"],
        least_name=least["backbone"],
        at_once=shared if several > 1 else "",
        machines=_tallied(line["machine"] for line in passed),
        codes=_tallied(f"commit {line['code']}" for line in passed),
    )


def _tallied(told: Iterable[str]) -> str:
    """What is told, with how often each where they differ."""
    counts = Counter(told).most_common()
    return ", ".join(what if len(counts) == 1 else f"{what} ({number})" for what, number in counts)


def _sections(passed: Sequence[Line]) -> list[str]:
    return [
        f"## {title}\n\n" + table([*_NETWORK, *_FOUND], [_row(line) for line in passed if line["plugin"] == plugin])
        for plugin, title in _PARTS.items()
        if any(line["plugin"] == plugin for line in passed)
    ]


def _row(line: Line) -> list[object]:
    return [
        *_network(line),
        line["weights"] + (f", draw {line['draws']}" if line.get("draws", 0) > 1 else ""),
        line["pictures"],
        f"{line['difference']:.1e}",
        f"{line['spread']:.3f}",
        line["changed"],
        f"{line['accuracy']:.0%}",
        f"{line['bytes'] / 1e6:.1f}",
        *(f"{line[name]:.1f}" for name in ("train_s", "export_s", "memory_gb")),
    ]


def _in_short(line: Line) -> str:
    return f"`{line['backbone']}` ({line['parameters'] / 1e6:.1f} million parameters, {line['gflops']:.1f} GFLOPs)"


def _network(line: Line) -> list[object]:
    other = f", {line['format']}" if line.get("format", ".onnx") != ".onnx" else ""
    return [f"`{line['backbone']}`{other}", f"{line['parameters'] / 1e6:.1f}", f"{line['gflops']:.2f}", line["side"]]


if __name__ == "__main__":
    write()
