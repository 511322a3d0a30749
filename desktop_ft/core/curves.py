"""The curves of a run as a table for other programs."""

import csv
import io

from desktop_ft.core.events import MachineUse, StepDone
from desktop_ft.core.metrics import MetricHistory

_COLUMNS = ("kind", "epoch", "step", "loss", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "best", "seconds")
_NONE: tuple[StepDone | None, float | None] = (None, None)
_MORE = ("pictures_per_second", "cpu", "memory_bytes", "gpu", "gpu_memory_bytes", "gpu_celsius")


def curves_csv(history: MetricHistory) -> str:
    """A line for every step and every epoch, each counted from 1, in the order in which they came; then one for each look at the
    machine.

    Steps have the loss of their batch, the head's learning rate, and that of each other group of layers in a column of its own;
    epochs their means, and `best` where none was better before. Accuracies and use are shares of 1; seconds are working time
    since the last start, and those of the machine its time since the first.
    """
    text = io.StringIO()
    groups = dict.fromkeys(f"lr {name}" for told in history.rates for name, _ in told.groups)
    table = csv.DictWriter(text, (*_COLUMNS, *_MORE, *groups), restval="", lineterminator="\n")
    table.writeheader()
    steps = iter(zip(history.steps, history.speeds(), strict=True))
    step, speed = next(steps, _NONE)
    for epoch in history.epochs:
        while step is not None and step.epoch <= epoch.epoch:
            table.writerow(_step(step, speed, history))
            step, speed = next(steps, _NONE)
        table.writerow(
            {
                "kind": "epoch",
                "epoch": epoch.epoch + 1,
                "train_loss": epoch.train_loss,
                "train_accuracy": epoch.train_accuracy,
                "val_loss": epoch.val_loss,
                "val_accuracy": epoch.val_accuracy,
                "best": "yes" if epoch.best else "",
                "seconds": epoch.seconds,
            }
        )
    while step is not None:
        table.writerow(_step(step, speed, history))
        step, speed = next(steps, _NONE)
    table.writerows(_look(seconds, use) for seconds, use in history.machine)
    return text.getvalue()


def _step(step: StepDone, speed: float | None, history: MetricHistory) -> dict[str, object]:
    row: dict[str, object] = {
        "kind": "step",
        "epoch": step.epoch + 1,
        "step": step.step + 1,
        "loss": step.loss,
        "lr": step.lr,
        "seconds": step.seconds,
        "pictures_per_second": speed,
    }
    if history.rates:
        row |= {f"lr {name}": step.lr * share for name, share in history.rates_in(step.epoch)}
    return row


def _look(seconds: float, use: MachineUse) -> dict[str, object]:
    return {
        "kind": "machine",
        "seconds": seconds,
        "cpu": use.cpu,
        "memory_bytes": use.memory,
        "gpu": use.gpu,
        "gpu_memory_bytes": use.gpu_memory,
        "gpu_celsius": use.gpu_celsius,
    }
