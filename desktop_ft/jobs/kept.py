"""What is kept on this machine for the next run: what frozen layers have answered, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from desktop_ft import places
from desktop_ft.runs.kept import KeptFolder, KeptMeasurements

if TYPE_CHECKING:
    from desktop_ft.engine.feature_store import FeatureStore

_SHARE_OF_MEMORY = 4
_DISK_BYTES = 20 * 10**9
_elsewhere: ContextVar[Path | None] = ContextVar("elsewhere", default=None)


def kept_features() -> KeptFolder:
    """All that frozen layers have answered: at most 20 GB. Imports no torch."""
    return KeptFolder(_place() / "features", _DISK_BYTES)


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Let what this thread does in the block keep all that in `folder`: a benchmark starts from nothing and leaves nothing."""
    token = _elsewhere.set(folder)
    try:
        yield
    finally:
        _elsewhere.reset(token)


def feature_store(processes: int = 1) -> FeatureStore:
    """What a run keeps its answers in; its `processes` here may hold a quarter of this machine's memory. Imports torch."""
    from desktop_ft.engine.feature_store import FeatureStore

    return FeatureStore(kept_features(), memory_bytes=psutil.virtual_memory().total // _SHARE_OF_MEMORY // processes)


def measurements() -> KeptMeasurements:
    """What earlier runs measured of this machine."""
    return KeptMeasurements(_place() / "measured")


def _place() -> Path:
    return _elsewhere.get() or places.cache()
