"""Faults of training: what it computes with, and the process that computes, fail."""

import itertools
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from desktop_ft.core.events import CheckpointSaved, RunStatus, StepDone, Warned
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import load_plugins
from desktop_ft.runs.run_folder import RunFolder
from tests.e2e.conftest import shapes
from tests.engine.test_passes import Short, all_finite
from tests.engine.tiny import PLAN, STEPS, Run, TinyNet
from tests.reliability.the_window import opened, pause, until, window
from tests.reliability.trial import Faults, Trial

FAULTS = Faults()
_DEATHS = ("SIGKILL", "SIGSEGV", "SIGABRT", "SIGBUS", "hang")
_EPOCHS, _STRUCK_BY = 60, 120
"""The run is struck within so many steps: its end, and what follows it, is far."""
_OFFERED_WITHIN_S = 2.0
_ENDED_WITHIN_S = 4.0
_GOES_ON = 5
"""One death in so many is followed to the end of the run: that any can be is shown by those that are killed."""


@FAULTS.fault(
    "The process that trains dies, or hangs (*Train in a process of its own*)",
    seen="The window stays, says within two seconds what ended it, and offers to go on, to keep the best, or to throw it away. "
    "One that hangs is ended by *Cancel* within four.",
    tried="in the real window the process is struck at random moments by SIGKILL, SIGSEGV, SIGABRT, SIGBUS, or stopped for good; "
    "one in five goes on, and ends with the weights of a run that nothing struck",
)
def the_trainer_dies(trial: Trial) -> None:
    unharmed = trial.shared.get(_unharmed)
    with _isolating(unharmed.recipe) as made:
        for number in range(trial.count(50, 1)):
            how = _DEATHS[number % len(_DEATHS)]
            with trial.attempt(f"{number}, {how}"):
                run = trial.folder / str(number)
                _struck(made, unharmed.recipe, run, how, trial)
                if number % _GOES_ON == 0:
                    made.interrupted.go_on.click()
                    until(lambda: not made.session.training.running)
                    assert _weights(run) == unharmed.weights


@dataclass(frozen=True)
class _Unharmed:
    """A run that nothing strikes, trained in the window's own process, and what it learned."""

    recipe: Recipe
    weights: bytes


@contextmanager
def _unharmed() -> Iterator[_Unharmed]:
    with tempfile.TemporaryDirectory() as place:
        recipe = Recipe(
            dataset=DatasetChoice(folder=str(shapes(Path(place, "photos"), pictures=10))),
            backbone=BackboneChoice(image_size=32),
            optimisation=Optimisation(epochs=_EPOCHS, batch_size=4),
        )
        run = Path(place, "run")
        train(recipe, run, load_plugins(safe_mode=True), lambda event: None, RunControl())
        yield _Unharmed(recipe, _weights(run))


@contextmanager
def _isolating(recipe: Recipe) -> Iterator[MainWindow]:
    with window() as made:
        made.session.settings.isolate = True
        opened(made, recipe)
        yield made


def _weights(run: Path) -> bytes:
    ended = RunFolder.open(run).history().ended
    assert ended is not None and ended.status is RunStatus.COMPLETED, ended
    return (run / ended.checkpoint).read_bytes()


def _struck(made: MainWindow, recipe: Recipe, run: Path, how: str, trial: Trial) -> None:
    """Start a run, and strike its process after some steps have been told, or a little later."""
    training = made.session.training
    training.cancel()  # what a try that failed has left
    until(lambda: not training.running)
    made.session.starting.start(recipe, run)
    trainer = _trainer(made, trial.chance.randrange(_STRUCK_BY))
    trainer.send_signal(signal.SIGSTOP if how == "hang" else getattr(signal, how))
    began = time.monotonic()
    if how == "hang":
        made.strip.cancel.click()
        until(lambda: not training.running, seconds=30)
        assert time.monotonic() - began < _ENDED_WITHIN_S * trial.patience
        assert training.end is not None and training.end.status is RunStatus.CANCELLED, training.end
    else:
        until(made.interrupted.isVisible, seconds=30)
        assert time.monotonic() - began < _OFFERED_WITHIN_S * trial.patience
        assert training.end is not None and training.end.status is RunStatus.FAILED and how in training.end.error, training.end
        assert run.name in made.interrupted.notice.text
        assert made.interrupted.go_on.isEnabled() and made.interrupted.discard.isEnabled()
    assert not RunFolder.open(run).is_locked


def _trainer(made: MainWindow, after_steps: int) -> psutil.Process:
    """The process that trains, once it has told of so many steps."""
    until(lambda: len(made.session.training.history.steps) > after_steps)
    (trainer,) = (each for each in psutil.Process().children() if any("isolated_child" in word for word in each.cmdline()))
    return trainer


@FAULTS.fault(
    "The machine sleeps while it trains",
    seen="Nothing: it goes on.",
    tried="the process that trains is stopped for five seconds at a random step, then let go on; the run ends with the weights "
    "of one that nothing struck, and no time left was ever below zero",
)
def it_sleeps(trial: Trial) -> None:
    unharmed = trial.shared.get(_unharmed)
    with _isolating(unharmed.recipe) as made:
        training, left = made.session.training, list[float]()
        training.updated.connect(lambda: left.append(training.history.eta_seconds or 0.0))
        for number in range(trial.count(5, 1)):
            run, after = trial.folder / str(number), trial.chance.randrange(_STRUCK_BY)
            with trial.attempt(f"asleep after step {after}"):
                made.session.starting.start(unharmed.recipe, run)
                trainer = _trainer(made, after)
                trainer.suspend()
                pause(5.0 if trial.whole else 0.5)
                trainer.resume()
                until(lambda: not training.running)
                assert _weights(run) == unharmed.weights
                assert min(left) >= 0


_SPOILT: dict[str, Callable[[Run, int, int], None]] = {
    "a pixel that is no number": lambda run, epoch, step: run.batches.spoil.update({(epoch, step): float("nan")}),
    "an endless pixel": lambda run, epoch, step: run.batches.spoil.update({(epoch, step): float("inf")}),
    "a pixel too large to square": lambda run, epoch, step: run.batches.spoil.update({(epoch, step): 1e38}),
}


@FAULTS.fault(
    "The loss becomes no number",
    seen="The run ends with a sentence: at which epoch and batch, at which learning rate, what is kept, and what to try.",
    tried="each of three kinds of pixel is planted in each batch of a run in turn; what is saved is finite",
)
def the_loss_is_no_number(trial: Trial) -> None:
    places = list(itertools.product(_SPOILT, range(PLAN.epochs), range(STEPS)))
    for number, (kind, epoch, step) in enumerate(trial.some(places, 6)):
        with trial.attempt(f"{kind} in epoch {epoch + 1}, batch {step + 1}"):
            run = Run(trial.folder / str(number), save_every_s=0)
            _SPOILT[kind](run, epoch, step)
            ended = run.fit()
            assert ended.status is RunStatus.FAILED, ended
            assert f"epoch {epoch + 1}, batch {step + 1}" in ended.error and "learning rate" in ended.error, ended.error
            assert not run.of(CheckpointSaved) or all_finite(run)


@FAULTS.fault(
    "Memory runs out",
    seen="The run says so and computes each batch in parts from then on, with the same samples; where not even one fits, it ends "
    "with a sentence that says what to choose.",
    tried="torch's own error is raised going forward, going backward and in validation, from each call on, with room for any "
    "number of samples; no GPU",
)
def memory_runs_out(trial: Trial) -> None:
    cases = list(itertools.product(("forward", "backward", "validation"), range(6), range(4)))
    for number, (where, room, from_call) in enumerate(trial.some(cases, 8)):
        with trial.attempt(f"{where}, room for {room}, from call {from_call}"):
            run = Run(trial.folder / str(number), network=Short(TinyNet(), where, room=room, from_call=from_call))
            ended = run.fit()
            if room == 0:
                assert ended.status is RunStatus.FAILED
                assert ended.error.startswith("Memory ran out even with one sample at a time."), ended.error
                continue
            assert ended.status is RunStatus.COMPLETED, ended
            assert run.of(Warned)
            assert len(run.of(StepDone)) == PLAN.epochs * STEPS
            assert run.batches.given == list(itertools.product(range(PLAN.epochs), range(STEPS)))
