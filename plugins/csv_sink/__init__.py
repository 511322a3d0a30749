"""Every run's steps and epochs as a table, log.csv in the run's folder, written while it trains."""

import csv
from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import EpochDone, EventSink, Paused, RunEnded, StepDone, TrainEvent, hookimpl

DESKTOP_FT_API = ">=1,<2"
COLUMNS = ("kind", "epoch", "step", "loss", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")


@hookimpl
def register_event_sinks(register: Callable[[EventSink], None]) -> None:
    """Bring the listener."""
    register(EventSink(name="csv", title="log.csv in the run's folder", open=listen))


def listen(run: Path) -> Callable[[TrainEvent], None]:
    """Add a row for each step and epoch, each counted from 1. Rows are written an epoch at a time; a resumed run repeats those
    after its last checkpoint."""
    file, rows = run / "log.csv", list[dict[str, object]]()

    def write() -> None:
        is_new = not file.exists()
        with file.open("a", newline="", encoding="utf-8") as table:
            writer = csv.DictWriter(table, COLUMNS, restval="", lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerows(rows)
        rows.clear()

    def told(event: TrainEvent) -> None:
        if isinstance(event, StepDone | EpochDone):
            kind = "step" if isinstance(event, StepDone) else "epoch"
            row: dict[str, object] = {name: getattr(event, name) for name in COLUMNS if hasattr(event, name)}
            row |= {"kind": kind, "epoch": event.epoch + 1}
            rows.append(row | ({"step": event.step + 1} if isinstance(event, StepDone) else {}))
        if isinstance(event, EpochDone | Paused | RunEnded):
            write()

    return told
