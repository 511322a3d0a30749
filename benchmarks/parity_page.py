"""Makes docs/exports.md from parity.jsonl, which `bench_parity.py` adds to, so that no figure on that page is typed by hand.

parity_page.py     writes the page; a test checks that it is what the results say

The results have a file of their own: `make bench` writes results.jsonl anew each time.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "parity.jsonl"
PAGE = Path(__file__).parents[1] / "docs" / "exports.md"

Line = dict[str, Any]


def read() -> list[Line]:
    """The results."""
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def rendered(lines: Sequence[Line]) -> str:
    """The page that tells `lines`."""
    return "\n".join(map(str, lines)) + "\n"


def keep(line: Line, order: Sequence[str]) -> None:
    """Take `line` over into the results, in the place of what they said of that network before, and write the page anew."""
    lines = {known["backbone"]: known for known in read()} | {line["backbone"]: line}
    places = {name: place for place, name in enumerate(order)}
    ordered = sorted(lines.values(), key=lambda each: places.get(each["backbone"], len(places)))
    RESULTS.write_text("".join(json.dumps(each) + "\n" for each in ordered), encoding="utf-8")
    PAGE.write_text(rendered(ordered), encoding="utf-8")


if __name__ == "__main__":
    PAGE.write_text(rendered(read()), encoding="utf-8")
