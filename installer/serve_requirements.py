"""Writes requirements/serve.txt: of the application's lock, what `desktop-ft serve` needs. It resolves nothing anew.

serve_requirements.py     run by `make lock`; a test checks that the file agrees with the lock and with what `serve` imports
"""

import importlib.metadata
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
LOCK, SERVE = REQUIREMENTS / "app.txt", REQUIREMENTS / "serve.txt"
NEEDED = (
    "numpy",
    "onnx",
    "onnxruntime",
    "packaging",
    "pillow",
    "psutil",
    "platformdirs",
    "pluggy",
    "pydantic",
    "rich",
    "tomli-w",
)
"""What `serve` imports itself."""


def with_theirs(names: Iterable[str]) -> set[str]:
    """The packages `names`, and all that they need in turn, as installed here."""
    found: set[str] = set()
    coming = [canonicalize_name(name) for name in names]
    while coming:
        name = coming.pop()
        if name in found:
            continue
        found.add(name)
        needs = map(Requirement, importlib.metadata.requires(name) or ())
        coming += [canonicalize_name(need.name) for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def entries(lock: str) -> Mapping[str, str]:
    """What a lock file says, by package: one or more requirements with their hashes."""
    found: dict[str, str] = {}
    for entry in re.split(r"(?m)^(?=[A-Za-z0-9])", lock):
        if entry:
            name = canonicalize_name(entry.partition("==")[0])
            found[name] = found.get(name, "") + entry
    return found


def derived(lock: str) -> str:
    """The part of `lock` that `serve` needs."""
    wanted = with_theirs(NEEDED)
    return "".join(entry for name, entry in entries(lock).items() if name in wanted)


if __name__ == "__main__":
    SERVE.write_text(derived(LOCK.read_text(encoding="utf-8")), encoding="utf-8")
