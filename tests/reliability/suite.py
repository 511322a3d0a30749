"""Every fault there is, by the part of the application that it strikes."""

from tests.reliability import closing, folders, foreign, pictures, plugins, sharing, storage, training, unforeseen

PARTS = {
    "Runs survive": [*storage.FAULTS, *sharing.FAULTS],
    "Training survives": [*training.FAULTS],
    "The window survives": [*closing.FAULTS, *unforeseen.FAULTS],
    "Data is judged": [*pictures.FAULTS, *folders.FAULTS],
    "Nothing foreign runs": [*foreign.FAULTS],
    "Plugins are guarded": [*plugins.FAULTS],
}
FAULTS = [fault for faults in PARTS.values() for fault in faults]
