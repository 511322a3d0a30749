"""How a run looks on the command line, and how Ctrl-C asks it to stop."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.progress import BarColumn, Progress, TextColumn

from desktop_ft.api import TrainEvent
from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.events import (
    EpochDone,
    PlanChanged,
    PrecisionChosen,
    PrefixProgress,
    PrefixReady,
    RunEnded,
    RunStarted,
    StepDone,
    Warned,
)
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.core.words import count, duration, percent, size
from desktop_ft.engine.control import RunControl

Emit = Callable[[TrainEvent], None]
PhaseProgress = Callable[[str, int, int | None], None]
_REFRESH_S = 0.1
_FROZEN = "Frozen layers, once for all epochs"
_STOPPING = (
    "Stopping after this step; the best epoch so far, if there is one, is kept. Once more ends it without what is not saved."
)


@contextmanager
def ask_to_stop_on_signals(terminal: Terminal) -> Iterator[RunControl]:
    """A control that the first Ctrl-C (or SIGTERM) asks to stop and keep what there is, and the second to cancel."""
    control = RunControl()

    def ask(number: int, frame: FrameType | None) -> None:
        if control.stop.is_set():
            control.cancel.set()
        else:
            control.stop.set()
            # Not from here: a signal may come while the terminal is written to.
            threading.Thread(target=terminal.note, args=(_STOPPING,), name="stopping").start()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield control
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def watch(terminal: Terminal) -> Iterator[tuple[Emit, PhaseProgress]]:
    """What to call with a run's events and phases: a live bar with the time left on a terminal, a line an epoch elsewhere."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns, console=terminal.err, disable=not terminal.err.is_terminal) as bars:
        view = _View(terminal, bars)
        yield view.take, view.phase


class _View:
    def __init__(self, terminal: Terminal, bars: Progress) -> None:
        self._terminal = terminal
        self._bars = bars
        self._history = MetricHistory()
        self._tasks = {"Training": bars.add_task("Training", total=1.0, visible=False, told="")}
        self._drawn = 0.0

    def phase(self, what: str, done: int, total: int | None) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total, told="")
        told = f"{done} of {total}" if total is not None else f"{done}"
        self._bars.update(self._tasks[what], completed=done, total=total, told=told)

    def take(self, event: TrainEvent) -> None:
        self._history.add(event)
        match event:
            case RunStarted():
                self._terminal.note(
                    f"Training on {event.device} in {event.precision}: {count(event.epochs, 'epoch')} of "
                    f"{count(event.steps_per_epoch, 'step')}; "
                    f"{percent(event.learning_share)} of the parameters learn."
                )
            case PrefixProgress():
                self.phase(_FROZEN, event.done, event.total)
            case PrefixReady() if event.kept:
                self._terminal.note(prefix_line(event))
            case PlanChanged():
                self._terminal.note(plan_line(event))
            case PrecisionChosen():
                self._terminal.note(precision_line(event))
            case StepDone() if time.monotonic() - self._drawn > _REFRESH_S:
                self._drawn = time.monotonic()
                self._draw(event)
            case RunEnded() if self._drawn:
                self._bars.update(self._tasks["Training"], completed=self._history.progress, told=event.status.value)
            case EpochDone():
                self._terminal.note(epoch_line(event, self._history))
            case Warned():
                self._terminal.note(f"Note: {event.message}")
            case _:
                return

    def _draw(self, step: StepDone) -> None:
        left = left_words(self._history)
        told = f"epoch {step.epoch + 1}, loss {step.loss:.3f}{left}"
        self._bars.update(self._tasks["Training"], completed=self._history.progress, told=told, visible=True)


def left_words(history: MetricHistory) -> str:
    """The time left, after a comma; "" before it can be told."""
    if history.eta_seconds is None:
        return ""
    return f", {'' if history.eta_is_whole else 'at least '}{duration(history.eta_seconds)} left"


def prefix_line(event: PrefixReady) -> str:
    """What became of the frozen layers, in one line."""
    earlier = f", {event.reused} of them by an earlier run" if event.reused else ""
    exact = "" if event.precision == "fp32" else " (the evaluation at the end is in fp32, so it may differ by a few pictures)"
    return (
        f"The frozen layers (to {event.after}) have answered once for all epochs, in {event.precision}{exact}: "
        f"{event.kept} inputs{earlier}, {size(event.bytes)}, after {duration(event.seconds)}."
    )


def precision_line(event: PrecisionChosen) -> str:
    """What the steps compute in and why, in one line."""
    if not event.milliseconds:
        return f"Steps compute in {event.precision} from here on."
    measured = ", ".join(f"{took:.3g} ms in {name}" for name, took in event.milliseconds)
    when = "measured by an earlier run" if event.remembered else "measured just now"
    return f"Steps compute in {event.precision}: a picture takes {measured} ({when})."


def plan_line(event: PlanChanged) -> str:
    """What is otherwise from now on, in one line."""
    learns = f"; {percent(event.learning_share)} of the parameters learn" if event.change.freeze is not None else ""
    return f"From epoch {event.epoch + 1} on: {event.change.words}{learns}."


def epoch_line(event: EpochDone, history: MetricHistory) -> str:
    """One epoch in one line, with the time left."""
    epochs = history.started.epochs if history.started else event.epoch + 1
    left = left_words(history) if event.epoch + 1 < epochs else ""
    best = ", best so far" if event.best else ""
    return (
        f"Epoch {event.epoch + 1}/{epochs}: loss {event.train_loss:.3f}, validation loss {event.val_loss:.3f}, "
        f"validation accuracy {event.val_accuracy:.1%}{best}{left}"
    )
