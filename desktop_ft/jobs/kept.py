"""What is kept on this machine for the next run: what frozen layers have answered, and what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from desktop_ft import places
from desktop_ft.runs.kept import KeptFolder, KeptMeasurements

if TYPE_CHECKING:
    from desktop_ft.engine.feature_store import FeatureStore

_SHARE_OF_MEMORY = 4
_DISK_BYTES = 20 * 10**9


def kept_features() -> KeptFolder:
    """All that is kept: at most 20 GB. Imports no torch."""
    return KeptFolder(places.cache() / "features", _DISK_BYTES)


def feature_store() -> FeatureStore:
    """What a run keeps its answers in; it may hold a quarter of this machine's memory. Imports torch."""
    from desktop_ft.engine.feature_store import FeatureStore

    return FeatureStore(kept_features(), memory_bytes=psutil.virtual_memory().total // _SHARE_OF_MEMORY)


def measurements() -> KeptMeasurements:
    """What earlier runs measured of this machine."""
    return KeptMeasurements(places.cache() / "measured")
