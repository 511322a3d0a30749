"""The curves of a run as a table."""

import csv
import io
from dataclasses import replace

from desktop_ft.core.curves import curves_csv
from desktop_ft.core.events import EpochDone, MachineUse, RatesSet, RunStarted, StepDone
from desktop_ft.core.metrics import MetricHistory


def history(epochs: int, steps: int, more: int = 0) -> MetricHistory:
    """A run of whole epochs, and `more` steps of the next."""
    started = RunStarted(
        epochs=9, steps_per_epoch=steps, first_epoch=0, first_step=0, device="CPU", precision="fp32", learning_share=1.0, time=0.0
    )
    told = MetricHistory.of([started])
    for epoch in range(epochs + bool(more)):
        for step in range(steps if epoch < epochs else more):
            at = epoch * steps + step
            told.add(StepDone(epoch=epoch, step=step, loss=1 / (1 + at), lr=0.1 * (1 + at), seconds=float(at)))
        if epoch < epochs:
            told.add(
                EpochDone(
                    epoch=epoch, train_loss=0.5, train_accuracy=0.25, val_loss=0.75, val_accuracy=1 / 3,
                    seconds=99.0, best=epoch == 0,
                )
            )  # fmt: skip
    return told


def test_every_step_and_epoch_is_a_line_in_the_order_of_the_run() -> None:
    rows = list(csv.DictReader(io.StringIO(curves_csv(history(2, 3, more=1)))))
    assert [(row["kind"], row["epoch"], row["step"]) for row in rows] == [
        *(("step", "1", str(step)) for step in (1, 2, 3)),
        ("epoch", "1", ""),
        *(("step", "2", str(step)) for step in (1, 2, 3)),
        ("epoch", "2", ""),
        ("step", "3", "1"),
    ]
    assert float(rows[1]["loss"]) == 1 / 2 and float(rows[3]["val_accuracy"]) == 1 / 3  # nothing is rounded
    assert [row["best"] for row in rows if row["kind"] == "epoch"] == ["yes", ""]


def test_a_run_that_told_nothing_is_an_empty_table() -> None:
    assert curves_csv(MetricHistory()).count("\n") == 1


def test_groups_of_layers_speed_and_the_machine_have_columns_of_their_own() -> None:
    told = history(1, 3)
    told.rates.append(RatesSet(epoch=0, groups=(("blocks.5", 0.5), ("classifier", 1.0))))
    told.started = told.started and replace(told.started, batch_size=8)
    told.add(MachineUse(seconds=2.0, cpu=0.75, memory=10, gpu=0.5, gpu_memory=20, gpu_celsius=60.0))
    rows = list(csv.DictReader(io.StringIO(curves_csv(told))))
    assert (float(rows[1]["lr blocks.5"]), float(rows[1]["lr classifier"])) == (0.1, 0.2)
    assert float(rows[1]["pictures_per_second"]) == 8.0 and rows[2]["pictures_per_second"] == ""
    seen = {key: value for key, value in rows[-1].items() if value}
    assert seen == {
        "kind": "machine", "seconds": "2.0", "cpu": "0.75", "memory_bytes": "10",
        "gpu": "0.5", "gpu_memory_bytes": "20", "gpu_celsius": "60.0",
    }  # fmt: skip
