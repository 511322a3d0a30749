"""Every fault there is, by the part of the application that it strikes."""

from tests.reliability import plugins, sharing, storage, training

PARTS = {
    "Runs survive": [*storage.FAULTS, *sharing.FAULTS],
    "Training survives": [*training.FAULTS],
    "Plugins are guarded": [*plugins.FAULTS],
}
FAULTS = [fault for faults in PARTS.values() for fault in faults]
