"""Faults of the window's end: it is closed, or ended, at any moment."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from desktop_ft import places
from desktop_ft.core.events import RunStatus
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
    """How the application ended: what it printed, and how long that took from when it was asked."""

    code: int
    said: str
    seconds: float


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
    return _Ended(it.returncode, it.stdout + it.stderr, time.time() - asked)


@FAULTS.fault(
    "The window is closed while it trains",
    seen="It asks what shall become of the run, and goes once that is done.",
    tried="the application, closed at a random moment after training was asked for (half of them in a process of its own) and "
    "answered *keep* or *cancel* in turn, ends with status 0, prints nothing, and leaves a run that ended so",
)
def it_is_closed(trial: Trial) -> None:
    with _recipe(trial.folder) as recipe:
        for number in range(trial.count(50, 1)):
            how = ("keep", "cancel")[number % 2]
            run, after = trial.folder / str(number), trial.chance.uniform(0, _AFTER_S)
            with trial.attempt(f"{how} after {after:.2f} s"):
                ended = _ended(recipe, run, how, after, isolate=number % 4 > 1)
                assert (ended.code, ended.said) == (0, ""), ended
                if (run / "recipe.toml").is_file():
                    history = RunFolder.open(run).history()
                    assert history.ended is not None
                    assert history.ended.status in (RunStatus.STOPPED, RunStatus.CANCELLED), history.ended
                    assert how == "keep" or history.ended.status is RunStatus.CANCELLED
                    assert not RunFolder.open(run).is_locked


@FAULTS.fault(
    "The system ends the application, or the session",
    seen="It goes within five seconds, and asks nothing. The next start offers to go on with the run, which lost nothing.",
    tried="SIGTERM at a random moment after training was asked for (half of them in a process of its own); the application ends "
    "with status 0 and prints nothing; one run in five goes on with the step after its last",
)
def the_system_ends_it(trial: Trial) -> None:
    with _recipe(trial.folder) as recipe:
        for number in range(trial.count(25, 1)):
            run, after = trial.folder / str(number), trial.chance.uniform(0, _AFTER_S)
            with trial.attempt(f"after {after:.2f} s"):
                ended = _ended(recipe, run, "SIGTERM", after, isolate=number % 2 == 1)
                assert (ended.code, ended.said) == (0, ""), ended
                assert ended.seconds < _GONE_WITHIN_S * trial.patience, ended
                if (run / "recipe.toml").is_file():
                    folder = RunFolder.open(run)
                    history = folder.history()
                    assert history.ended is None, history.ended
                    assert history.paused or not history.steps, len(history.steps)
                    with lock.held_soon(run / "run.lock", lock.TRAINED):  # a process of its own ends a moment later
                        pass
                    if number % _GOES_ON == 0 and history.paused:
                        _goes_on(run, len(history.steps))


def _goes_on(run: Path, steps: int) -> None:
    """Resume it for an epoch; it begins with the step after the last one that was told."""
    control = RunControl()
    started = []

    def hear(event: object) -> None:
        if type(event).__name__ == "RunStarted":
            started.append(event.first_epoch * event.steps_per_epoch + event.first_step)
        if type(event).__name__ == "EpochDone":
            control.cancel.set()

    ended = resume(run, load_plugins(), hear, control)
    assert ended.status is RunStatus.CANCELLED
    assert started == [steps], (started, steps)
