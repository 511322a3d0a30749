"""What frozen layers have answered, kept on this machine for the next run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from desktop_ft import places
from desktop_ft.runs.kept import KeptFolder

if TYPE_CHECKING:
    from desktop_ft.engine.feature_store import FeatureStore

_SHARE_OF_MEMORY = 4
_DISK_BYTES = 20 * 10**9


def kept_features() -> KeptFolder:
    """All that is kept: at most 20 GB. Imports no torch."""
    return KeptFolder(places.cache() / "features", _DISK_BYTES)


def feature_store(processes: int = 1) -> FeatureStore:
    """What a run keeps its answers in; its `processes` here may hold a quarter of this machine's memory. Imports torch."""
    from desktop_ft.engine.feature_store import FeatureStore

    return FeatureStore(kept_features(), memory_bytes=psutil.virtual_memory().total // _SHARE_OF_MEMORY // processes)
