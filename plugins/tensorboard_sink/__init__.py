"""Every run's curves for TensorBoard, in the folder tensorboard of the run. Look at all of them: tensorboard --logdir RUNS."""

from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import EpochDone, EventSink, RunEnded, RunStarted, StepDone, TrainEvent, hookimpl

DESKTOP_FT_API = ">=1,<2"
DESKTOP_FT_NEEDS = {"tensorboard": "desktop-ft[tensorboard]"}
FOLDER = "tensorboard"


@hookimpl
def register_event_sinks(register: Callable[[EventSink], None]) -> None:
    """Bring the listener."""
    register(EventSink(name="tensorboard", title="TensorBoard", open=listen))


def listen(run: Path) -> Callable[[TrainEvent], None]:
    """Write loss and rate of each step, counted from the run's start, and loss and accuracy of each epoch, counted likewise."""
    from torch.utils.tensorboard import SummaryWriter

    writer, per_epoch = SummaryWriter(str(run / FOLDER)), 0

    def told(event: TrainEvent) -> None:
        nonlocal per_epoch
        if isinstance(event, RunStarted):
            per_epoch = event.steps_per_epoch
        elif isinstance(event, StepDone):
            step = event.epoch * per_epoch + event.step + 1  # a resumed run goes on where it was
            writer.add_scalar("step/loss", event.loss, step)
            writer.add_scalar("step/learning rate", event.lr, step)
        elif isinstance(event, EpochDone):
            for subset in ("train", "val"):
                for what in ("loss", "accuracy"):
                    writer.add_scalar(f"{what}/{subset}", getattr(event, f"{subset}_{what}"), event.epoch + 1)
            writer.flush()
        elif isinstance(event, RunEnded):
            writer.close()

    return told
