"""Faults of the window while it runs: an exception that nobody foresaw, and more news than it can draw."""

import contextlib
import io
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from desktop_ft.core.events import RunEnded, RunStarted, RunStatus, StepDone
from desktop_ft.engine.control import RunControl
from desktop_ft.gui.commands import Commands
from desktop_ft.gui.faults import FaultDialog
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.menus import ACTIONS
from tests.reliability.the_window import until, window
from tests.reliability.trial import Faults, Trial

FAULTS = Faults()
_LAG_S = 0.25
_ROOM_BYTES = 20_000_000


class Planted(Exception):
    """What nobody foresaw."""


@contextmanager
def _raising() -> Iterator[None]:
    """Every handler of an action raises in this block."""
    kept = {spec.handler: getattr(Commands, spec.handler) for spec in ACTIONS}

    def raising(name: str) -> Callable[..., None]:
        def handler(self: Commands, *given: object) -> None:
            raise Planted(name)

        return handler

    for name in kept:
        setattr(Commands, name, raising(name))
    try:
        yield
    finally:
        for name, handler in kept.items():
            setattr(Commands, name, handler)


@FAULTS.fault(
    "What an action does raises what nobody foresaw",
    seen="One dialog that says so, with details to copy; the window goes on.",
    tried="the handler of every action raises, and each is triggered twice: it is shown and kept once, and the next one works",
)
def an_action_raises(trial: Trial) -> None:
    with _raising(), window() as made, contextlib.redirect_stderr(io.StringIO()):
        faults = made.session.faults
        for spec in trial.some(list(ACTIONS), 8):
            with trial.attempt(spec.id):
                for _ in range(2):
                    made.actions_[spec.id].setEnabled(True)
                    made.actions_[spec.id].trigger()
                until(lambda: bool(_shown()), seconds=10)
                assert [spec.handler in told for told in faults.seen] == [True], faults.seen
                assert len(_shown()) == 1
                _shown()[0].reject()
                until(lambda: not _shown(), seconds=10)
                assert made.isVisible() and made.isEnabled()
                faults.seen.clear()


def _shown() -> list[FaultDialog]:
    return [each for each in QApplication.topLevelWidgets() if isinstance(each, FaultDialog) and each.isVisible()]


@FAULTS.fault(
    "More news than can be drawn",
    seen="The window answers as ever, and draws as often as it can.",
    tried="a run tells of steps, and in turn of how far it is, as fast as Python can; no answer of the window takes longer than "
    "a quarter of a second, and news that replace each other take less than 20 MB",
)
def news_come_as_a_flood(trial: Trial) -> None:
    seconds = 20.0 if trial.whole else 1.0
    with window() as made:
        made.page("train")
        for name, flood in {"steps": _steps, "progress": _progress}.items():
            with trial.attempt(name):
                lag, told, grown = _flooded(made, flood, seconds)
                assert told > 10_000 * seconds, told
                assert lag < _LAG_S * trial.patience, lag
                assert name == "steps" or grown < _ROOM_BYTES, grown


def _flooded(made: MainWindow, flood: Callable[..., int], seconds: float) -> tuple[float, int, int]:
    """The longest that the window did not answer, how much it was told, and by how many bytes it has grown."""
    told, turns = list[int](), [time.monotonic()]

    def fit(emit: Callable[..., None], control: RunControl, progress: Callable[..., None]) -> RunEnded:
        emit(
            RunStarted(
                epochs=1,
                steps_per_epoch=10**9,
                first_epoch=0,
                first_step=0,
                device="",
                precision="",
                learning_share=1.0,
                time=0.0,
            )
        )
        told.append(flood(emit, progress, time.monotonic() + seconds))
        return RunEnded(status=RunStatus.COMPLETED)

    timer = QTimer()
    timer.timeout.connect(lambda: turns.append(time.monotonic()))
    process = psutil.Process()
    before = process.memory_info().rss
    timer.start(10)
    made.session.training.start(Path("nowhere"), fit)
    until(lambda: not made.session.training.running, seconds=5 * seconds + 60)
    timer.stop()
    gaps = [later - earlier for earlier, later in itertools.pairwise(turns)]
    grown = process.memory_info().rss - before
    made.session.training.forget()
    return max(gaps), told[0], grown


def _steps(emit: Callable[..., None], progress: Callable[..., None], until: float) -> int:
    for step in range(10**9):
        emit(StepDone(epoch=0, step=step, loss=1.0, lr=0.1, seconds=step / 1e4))
        if time.monotonic() > until:
            return step
    return 0


def _progress(emit: Callable[..., None], progress: Callable[..., None], until: float) -> int:
    for step in range(10**9):
        progress("Looking at the pictures", step, None)
        if time.monotonic() > until:
            return step
    return 0
