"""The hooks: each hands the plugin a `register` callable to be called once for every thing it brings.

What is registered is a description and a factory. Nothing heavy (torch above all) may be imported before a factory runs.
"""

from collections.abc import Callable

import pluggy

from desktop_ft.api.contributions import Augmentation, Backbone, EventSink, Exporter, SampleDataset, WindowPanel

API_VERSION = "1.0"
PROJECT = "desktop_ft"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_backbones(register: Callable[[Backbone], None]) -> None:
    """Bring pre-trained networks: call `register` with each `Backbone`."""


@hookspec
def register_augmentations(register: Callable[[Augmentation], None]) -> None:
    """Bring changes to training pictures: call `register` with each `Augmentation`."""


@hookspec
def register_exporters(register: Callable[[Exporter], None]) -> None:
    """Bring file formats for trained models: call `register` with each `Exporter`."""


@hookspec
def register_sample_datasets(register: Callable[[SampleDataset], None]) -> None:
    """Bring small datasets to try the application with: call `register` with each `SampleDataset`."""


@hookspec
def register_event_sinks(register: Callable[[EventSink], None]) -> None:
    """Bring listeners to the events of runs: call `register` with each `EventSink`."""


@hookspec
def register_window_panels(register: Callable[[WindowPanel], None]) -> None:
    """Bring panels that are shown beside the window: call `register` with each `WindowPanel`."""
