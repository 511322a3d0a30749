"""What is asked of an event sink: it takes whatever a run tells, and lets go of everything where the run ends."""

import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from desktop_ft.api import (
    CheckpointSaved,
    EpochDone,
    EventSink,
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
from desktop_ft.api.catalog import Catalog
from desktop_ft.conformance.failure import Nonconforming, require
from desktop_ft.core.changes import Change
from desktop_ft.jobs.sinks import Sinks
from desktop_ft.plugin_manager import Plugins

_STARTED = RunStarted(
    epochs=2, steps_per_epoch=3, first_epoch=0, first_step=0, device="CPU", precision="fp32", learning_share=0.1, time=1.7e9
)
EVENTS: tuple[TrainEvent, ...] = (
    _STARTED,
    WorkPlanned(epoch=0, steps=(1e9, 2e9)),
    RatesSet(epoch=0, groups=(("head", 1.0),)),
    LayersSeen(epoch=0, layers=(LayerSeen(path="head", gradient=0.5, update=0.01, drift=None),)),
    PrefixProgress(done=4, total=8, seconds=0.5),
    PrefixReady(after="layer4", kept=8, reused=0, bytes=4096, precision="fp32", seconds=1.0),
    PrecisionChosen(precision="bf16", milliseconds=(("fp32", 2.0), ("bf16", 1.0)), remembered=False, seconds=1.0),
    StepDone(epoch=0, step=0, loss=1.1, lr=0.001, seconds=1.5),
    MachineUse(seconds=2.0, cpu=0.9, memory=1 << 30),
    MachineUse(seconds=3.0, cpu=0.9, memory=1 << 30, gpu=0.5, gpu_memory=1 << 30, gpu_celsius=60.0),
    EpochDone(epoch=0, train_loss=1.0, train_accuracy=0.5, val_loss=1.0, val_accuracy=0.5, seconds=4.0, best=True),
    CheckpointSaved(path="checkpoints/best", epoch=0, step=3, best=True),
    Paused(paused=True),
    Paused(paused=False),
    PlanChanged(epoch=1, change=Change(lr=0.01), learning_share=0.1),
    Warned(message='One of a kind: é, 猫, "quoted".'),
)
"""Every event that a run can tell before it ends."""


def _names_itself(plugins: Plugins, sink: EventSink, folder: Path) -> None:
    require(sink.title, f"The event sink {sink.name} lacks a title: say what it does with events.")


def _takes_every_event(plugins: Plugins, sink: EventSink, folder: Path) -> None:
    for status in RunStatus:  # the same run each time: one that stopped is resumed
        error = "It broke off." if status is RunStatus.FAILED else ""
        _heard(sink, folder, (*EVENTS, RunEnded(status=status, checkpoint="checkpoints/best", error=error)))


def _lets_go(plugins: Plugins, sink: EventSink, folder: Path) -> None:
    threads, files = set(threading.enumerate()), _open_files()
    heard = _heard(sink, folder, (*EVENTS, RunEnded(status=RunStatus.COMPLETED, checkpoint="checkpoints/best")))
    left = sorted(Path(path).name for path in _open_files() - files)
    require(not left, f"The event sink {sink.name} keeps {', '.join(left)} open after RunEnded, the last event: close it there.")
    running = sorted(thread.name for thread in threading.enumerate() if thread not in threads)
    require(
        not running,
        f"The event sink {sink.name} keeps {', '.join(running)} running after RunEnded, the last event: end it there.",
    )
    del heard


def _heard(sink: EventSink, run: Path, events: tuple[TrainEvent, ...]) -> Sinks:
    """Let `sink` hear `events`, as a run lets it. While what hears is held, nothing of it is closed by chance."""
    catalog: Catalog[EventSink] = Catalog("event sink", "", lambda each: each.name)
    catalog.add(sink, "tested")
    sinks = Sinks(catalog, run)
    for event in events:
        for warned in sinks.pass_on(event):
            raise Nonconforming(f"At {type(event).__name__}: {warned.message} Let it pass over what it does not need.")
    return sinks


def _open_files() -> set[str]:
    return {file.path for file in psutil.Process().open_files()}


CHECKS: dict[str, Callable[[Plugins, EventSink, Path], None]] = {
    "names itself": _names_itself,
    "takes every event": _takes_every_event,
    "lets go at the end": _lets_go,
}
