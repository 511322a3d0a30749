"""The plugins' only door: what a plugin may import from Desktop FT is here, and nothing else.

A plugin is a module or package with functions marked `@hookimpl`, named after the hooks in `hookspecs`. It says which
versions of this door it knows: `DESKTOP_FT_API = ">=1,<2"` at module level.
"""

from desktop_ft.api.addresses import is_here, why_not_told
from desktop_ft.api.contributions import (
    Augmentation,
    AugmentationKind,
    Backbone,
    BatchTransform,
    EventSink,
    ExportedFile,
    Exporter,
    ExportJob,
    PanelHost,
    PictureTransform,
    SampleDataset,
    WindowPanel,
)
from desktop_ft.api.exporting import quiet, scaled, write_zip
from desktop_ft.api.hookspecs import API_VERSION, hookimpl
from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.backbone import BackboneSpec, Interpolation, ResizeRule, WeightsOrigin, WeightsSource
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import (
    CheckpointSaved,
    EpochDone,
    LayerSeen,
    LayersSeen,
    MachineUse,
    Paused,
    PlanChanged,
    PrecisionChosen,
    PrefixProgress,
    PrefixReady,
    RatesSet,
    RunEnded,
    RunStarted,
    RunStatus,
    StepDone,
    TrainEvent,
    Warned,
    WorkPlanned,
)
from desktop_ft.core.exporting import FileInput, FilePrecision
from desktop_ft.core.values import Described

__all__ = [
    "API_VERSION",
    "Augmentation",
    "AugmentationKind",
    "AugmentationSpec",
    "Backbone",
    "BackboneSpec",
    "BatchTransform",
    "Cancelled",
    "CheckpointSaved",
    "Described",
    "EpochDone",
    "EventSink",
    "ExportJob",
    "ExportedFile",
    "Exporter",
    "FileInput",
    "FilePrecision",
    "Interpolation",
    "LayerSeen",
    "LayersSeen",
    "MachineUse",
    "PanelHost",
    "Paused",
    "PictureTransform",
    "PlanChanged",
    "PrecisionChosen",
    "PrefixProgress",
    "PrefixReady",
    "RatesSet",
    "ResizeRule",
    "RunEnded",
    "RunStarted",
    "RunStatus",
    "SampleDataset",
    "StepDone",
    "TrainEvent",
    "UserError",
    "Warned",
    "WeightsOrigin",
    "WeightsSource",
    "WindowPanel",
    "WorkPlanned",
    "hookimpl",
    "is_here",
    "quiet",
    "scaled",
    "why_not_told",
    "write_zip",
]
