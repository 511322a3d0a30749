"""The curves of a run as a table for other programs."""

import csv
import io

from desktop_ft.core.events import StepDone
from desktop_ft.core.metrics import MetricHistory

_COLUMNS = ("kind", "epoch", "step", "loss", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "best", "seconds")


def curves_csv(history: MetricHistory) -> str:
    """A line for every step and every epoch, each counted from 1, in the order in which they came.

    Steps have the loss of their batch and the head's learning rate; epochs their means, and `best` where none was better before.
    Accuracies are shares of 1; seconds are working time since the last start.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    steps = iter(history.steps)
    step = next(steps, None)
    for epoch in history.epochs:
        while step is not None and step.epoch <= epoch.epoch:
            table.writerow(_step(step))
            step = next(steps, None)
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
        table.writerow(_step(step))
        step = next(steps, None)
    return text.getvalue()


def _step(step: StepDone) -> dict[str, object]:
    return {
        "kind": "step",
        "epoch": step.epoch + 1,
        "step": step.step + 1,
        "loss": step.loss,
        "lr": step.lr,
        "seconds": step.seconds,
    }
