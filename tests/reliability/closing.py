"""Faults of the window's end: it is closed, or ended, at any moment."""

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from desktop_ft import places
from desktop_ft.core.events import EpochDone, RunStarted, RunStatus, TrainEvent
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.training import resume
from desktop_ft.plugin_manager import load_plugins, set_enabled
from desktop_ft.runs import lock
from desktop_ft.runs.run_folder import RunFolder
from tests.e2e.conftest import shapes
from tests.reliability.trial import Faults, Trial

FAULTS = Faults()
_ROOT = Path(__file__).parents[2]
_TINY = _ROOT / "tests" / "tiny_backbone.py"
_GONE_WITHIN_S = 5.0
_ENDED_WITHIN_S = 60.0
_GOES_ON = 5
_AFTER_S = 8.0
"""It takes about three of them to look at the pictures, to import torch and to build the network."""


@dataclass(frozen=True)
class _Ended:
    """How the application ended, which trained `run`: what it printed, and how long that took from when it was asked."""

    run: Path
    code: int
    said: str
    seconds: float

    @property
    def is_run(self) -> bool:
        """Whether it had come so far that there is a run."""
        return (self.run / "recipe.toml").is_file()


@contextmanager
def _recipe(folder: Path) -> Iterator[Path]:
    """A run that takes minutes, of a network of a hundred numbers that a plugin brings; kept in `folder` with its pictures."""
    plugin = places.data() / "plugins" / "tiny.py"
    plugin.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(_TINY, plugin)
    set_enabled("tiny", on=True)
    try:
        photos = shapes(folder / "shapes")
        recipe = Recipe(
            dataset=DatasetChoice(folder=str(photos)),
            backbone=BackboneChoice(name="tiny"),
            optimisation=Optimisation(epochs=1000, batch_size=8),
        )
        path = folder / "recipe.toml"
        path.write_text(recipe.model_copy(update={"freeze": recipe.freeze.model_copy(update={"preset": "scratch"})}).to_toml())
        yield path
    finally:
        set_enabled("tiny", on=False)


def _ended(recipe: Path, run: Path, how: str, after: float, *, isolate: bool) -> _Ended:
    command = [sys.executable, "-m", "tests.reliability.window_run", str(recipe), str(run), how, str(after)]
    command += ["--isolate"] if isolate else []
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "QT_LOGGING_RULES": "qt.qpa.*=false"}
    it = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, env=environment, timeout=_ENDED_WITHIN_S, check=False)
    asked = (run.parent / f"{run.name}.asked").stat().st_mtime
    return _Ended(run, it.returncode, it.stdout + it.stderr, time.time() - asked)


def _end_often(trial: Trial, count: int, ways: dict[str, Callable[[_Ended, int], None]]) -> None:
    """End the application at random moments, in one of the `ways` after another, and judge by it what became of the run."""
    with _recipe(trial.folder) as recipe:
        for number, (how, judge) in zip(range(count), itertools.cycle(ways.items()), strict=False):
            run, after = trial.folder / str(number), trial.chance.uniform(0, _AFTER_S)
            with trial.attempt(f"{how} after {after:.2f} s"):
                ended = _ended(recipe, run, how, after, isolate=number // len(ways) % 2 == 1)
                assert (ended.code, ended.said) == (0, ""), ended
                judge(ended, number)


@FAULTS.fault(
    "The window is closed while it trains",
    seen="It asks what shall become of the run, and goes once that is done.",
    tried="the application, closed at a random moment after training was asked for (half of them in a process of its own) and "
    "answered *keep* or *cancel* in turn, ends with status 0, prints nothing, and leaves a run that ended so",
)
def it_is_closed(trial: Trial) -> None:
    _end_often(trial, trial.count(50, 1), {"keep": _is_kept, "cancel": _is_cancelled})


def _is_kept(ended: _Ended, number: int) -> None:
    assert _end_of(ended) in (
        None,
        RunStatus.STOPPED,
        RunStatus.CANCELLED,
    )  # asked before its first step, there is nothing to keep


def _is_cancelled(ended: _Ended, number: int) -> None:
    assert _end_of(ended) in (None, RunStatus.CANCELLED)


def _end_of(ended: _Ended) -> RunStatus | None:
    """How the run ended; None where there was none yet."""
    if not ended.is_run:
        return None
    folder = RunFolder.open(ended.run)
    told = folder.history().ended
    assert told is not None and not folder.is_locked
    return told.status


@FAULTS.fault(
    "The system ends the application, or the session",
    seen="It goes within five seconds, and asks nothing. The next start offers to go on with the run, which lost nothing.",
    tried="SIGTERM at a random moment after training was asked for (half of them in a process of its own); the application ends "
    "with status 0 and prints nothing; one run in five goes on with the step after its last",
)
def the_system_ends_it(trial: Trial) -> None:
    def waits(ended: _Ended, number: int) -> None:
        assert ended.seconds < _GONE_WITHIN_S * trial.patience, ended
        if not ended.is_run:
            return
        history = RunFolder.open(ended.run).history()
        assert history.ended is None, history.ended
        assert history.paused or not history.steps, len(history.steps)
        with lock.held_soon(ended.run / "run.lock", lock.TRAINED):  # a process of its own ends a moment later
            pass
        if number % _GOES_ON == 0 and history.paused:
            _goes_on(ended.run, len(history.steps))

    _end_often(trial, trial.count(25, 1), {"SIGTERM": waits})


def _goes_on(run: Path, steps: int) -> None:
    """Resume it for an epoch; it begins with the step after the last one that was told."""
    control = RunControl()
    started = list[int]()

    def hear(event: TrainEvent) -> None:
        if isinstance(event, RunStarted):
            started.append(event.first_epoch * event.steps_per_epoch + event.first_step)
        if isinstance(event, EpochDone):
            control.cancel.set()

    ended = resume(run, load_plugins(), hear, control)
    assert ended.status is RunStatus.CANCELLED
    assert started == [steps], (started, steps)
