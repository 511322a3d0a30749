"""Where the answers of frozen layers are kept between runs, and how much of them."""

import psutil

from desktop_ft import places
from desktop_ft.engine.feature_store import FeatureStore

_SHARE_OF_MEMORY = 4
_DISK_BYTES = 20 * 10**9


def feature_store() -> FeatureStore:
    """The store of this machine: a quarter of its memory for one run, and 20 GB of disk for all. Imports torch."""
    return FeatureStore(
        places.cache() / "features",
        memory_bytes=psutil.virtual_memory().total // _SHARE_OF_MEMORY,
        disk_bytes=_DISK_BYTES,
    )
