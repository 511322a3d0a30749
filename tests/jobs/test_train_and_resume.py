"""Runs on a few drawn shapes: what is asked before training, what is left behind, and sinks that break."""

from collections.abc import Callable
from pathlib import Path

import pytest

from desktop_ft import places
from desktop_ft.api import EventSink, TrainEvent
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import EpochDone, RunEnded, RunStarted, RunStatus, Warned
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.run_list import interrupted
from desktop_ft.jobs.running import open_run
from desktop_ft.jobs.training import keep_best, new_run_path, resume, train
from desktop_ft.plugin_manager import Plugins


def nowhere(event: TrainEvent) -> None:
    return


@pytest.mark.parametrize("word", ["stop", "cancel"])
def test_what_is_asked_while_the_pictures_are_looked_at_leaves_nothing(
    word: str, recipe: Recipe, plugins: Plugins, tmp_path: Path
) -> None:
    control = RunControl()

    def ask(what: str, done: int, total: int | None) -> None:
        assert what == "Looking at the pictures"
        getattr(control, word).set()

    with pytest.raises(Cancelled):
        train(recipe, tmp_path / "run", plugins, nowhere, control, progress=ask)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_that_ended_before_its_first_checkpoint_resumes_from_its_start(
    recipe: Recipe, plugins: Plugins, tmp_path: Path
) -> None:
    control = RunControl()

    def cancel_at_once(event: TrainEvent) -> None:
        if isinstance(event, RunStarted):
            control.cancel.set()

    assert train(recipe, tmp_path / "run", plugins, cancel_at_once, control).status is RunStatus.CANCELLED
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    assert resume(tmp_path / "run", plugins, nowhere, RunControl()).status is RunStatus.COMPLETED
    train(recipe, tmp_path / "whole", plugins, nowhere, RunControl())
    broken, whole = (open_run(tmp_path / name, plugins) for name in ("run", "whole"))
    assert broken.store().best == whole.store().best != ""  # the name holds the digest of the file
    assert broken.folder.evaluation == whole.folder.evaluation


class Killed(BaseException):
    """The process is gone."""


def break_off(recipe: Recipe, run: Path, plugins: Plugins) -> None:
    """Leave a run as one whose process was killed in its second epoch, when the first was saved."""

    def kill(event: TrainEvent) -> None:
        if isinstance(event, EpochDone) and event.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        train(recipe, run, plugins, kill, RunControl())
    log = run / "events.jsonl"
    log.write_bytes(b"".join(line for line in log.read_bytes().splitlines(True) if b'"run_ended"' not in line))


def test_a_run_that_was_broken_off_ends_with_the_best_it_has(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    run = places.runs() / "run"
    break_off(recipe.with_optimisation(epochs=3), run, plugins)
    found = interrupted()
    assert found is not None and (found.run, found.has_best) == (run, True)
    assert (found.place, found.saved) == ("the end of epoch 2", "the end of epoch 1")
    assert keep_best(run, plugins, nowhere, RunControl()).status is RunStatus.STOPPED
    folder = open_run(run, plugins).folder
    assert folder.evaluation is not None and len(folder.history().epochs) == 1, "what was saved"
    assert interrupted() is None
    assert resume(run, plugins, nowhere, RunControl()).status is RunStatus.COMPLETED, "one can still go on with it"


def test_a_network_whose_parts_have_versions_is_judged_and_goes_on(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    """torchvision's MNASNet refuses tensors that do not say which version of it they are of."""
    backbone = BackboneChoice(name="mnasnet0_5", image_size=32)
    recipe = recipe.model_copy(update={"backbone": backbone, "freeze": FreezePlan(preset="scratch")})
    break_off(recipe.with_optimisation(epochs=3), tmp_path / "run", plugins)
    assert resume(tmp_path / "run", plugins, nowhere, RunControl()).status is RunStatus.COMPLETED
    assert open_run(tmp_path / "run", plugins).folder.evaluation is not None


def test_lost_checkpoints_are_not_mistaken_for_none_yet(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    control = RunControl()
    train(recipe, tmp_path / "run", plugins, lambda e: control.stop.set() if isinstance(e, RunStarted) else None, control)
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="no usable checkpoint"):
        resume(tmp_path / "run", plugins, nowhere, RunControl())


@pytest.mark.parametrize("preset", ["head", "gradual"])
def test_a_plan_that_lets_nothing_learn_is_refused_before_a_run_is_made(
    preset: str, recipe: Recipe, plugins: Plugins, tmp_path: Path
) -> None:
    plan = FreezePlan(preset=preset, overrides={"classifier": 0.0})
    with pytest.raises(UserError, match="No layer may learn"):
        train(recipe.model_copy(update={"freeze": plan}), tmp_path / "run", plugins, nowhere, RunControl())
    assert not (tmp_path / "run").exists()


def _breaks_on(kind: type[TrainEvent] | None, error: BaseException) -> Callable[[Path], Callable[[TrainEvent], None]]:
    def listen(event: TrainEvent) -> None:
        if kind is not None and isinstance(event, kind):
            raise error

    def opens(run: Path) -> Callable[[TrainEvent], None]:
        if kind is None:
            raise error
        return listen

    return opens


@pytest.mark.parametrize("error", [RuntimeError("no server"), SystemExit("no server")], ids=repr)
@pytest.mark.parametrize("kind", [None, EpochDone, RunEnded])
def test_a_sink_that_raises_is_named_and_ends_no_run(
    kind: type[TrainEvent] | None, error: BaseException, recipe: Recipe, plugins: Plugins, tmp_path: Path
) -> None:
    opens = _breaks_on(kind, error)
    heard: list[TrainEvent] = []
    events: list[TrainEvent] = []
    plugins.sinks.add(EventSink(name="broken", title="Broken", open=opens), "test")
    plugins.sinks.add(EventSink(name="whole", title="Whole", open=lambda run: heard.append), "test")
    assert train(recipe, tmp_path / "run", plugins, events.append, RunControl()).status is RunStatus.COMPLETED
    told = [event.message for event in events if isinstance(event, Warned) and "broken" in event.message]
    assert told == [f"The event sink broken failed and hears no more of this run: {type(error).__name__}: no server"]
    assert isinstance(events[-1], RunEnded)
    assert isinstance(heard[-1], RunEnded)
    assert open_run(tmp_path / "run", plugins).folder.events() == events


def test_a_sink_that_tells_of_something_to_put_right_hears_on(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    heard, events = list[TrainEvent](), list[TrainEvent]()

    def hear(event: TrainEvent) -> None:
        heard.append(event)
        raise UserError("No server.", "Start it.")

    plugins.sinks.add(EventSink(name="asks", title="Asks", open=lambda run: hear), "test")
    train(recipe, tmp_path / "run", plugins, events.append, RunControl())
    told = [event.message for event in events if isinstance(event, Warned) and "asks" in event.message]
    assert told == ["The event sink asks: No server. Start it."] and isinstance(heard[-1], RunEnded)


def test_runs_of_one_second_have_folders_of_their_own(home: Path) -> None:
    recipe = Recipe(dataset=DatasetChoice(folder="photos"))
    paths = []
    for _ in range(20):  # at least two of them within one second
        paths.append(new_run_path(recipe))
        paths[-1].mkdir(parents=True)
    assert len(set(paths)) == 20
