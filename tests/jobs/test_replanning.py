"""Another plan for a run that is under way, through its folder: asked for by whoever may write there."""

from pathlib import Path

import pytest

from desktop_ft.api import TrainEvent
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import EpochDone, PlanChanged, RunStatus, StepDone, Warned
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.replanning import replan
from desktop_ft.jobs.running import open_run
from desktop_ft.jobs.training import resume, train
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder
from tests.e2e.conftest import shapes

DEEPER = FreezePlan(preset="last:2")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(
        dataset=DatasetChoice(folder=str(shapes(tmp_path / "photos", pictures=8))),
        backbone=BackboneChoice(image_size=32),
        optimisation=Optimisation(epochs=3, batch_size=8),
    )


def test_other_layers_learn_from_the_next_epoch_on(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    run, events = tmp_path / "run", list[TrainEvent]()

    def hear(event: TrainEvent) -> None:
        events.append(event)
        if isinstance(event, StepDone) and (event.epoch, event.step) == (0, 0):
            assert replan(run, DEEPER, plugins) is True

    assert train(recipe, run, plugins, hear, RunControl()).status is RunStatus.COMPLETED
    (change,) = [event for event in events if isinstance(event, PlanChanged)]
    assert (change.epoch, change.before, change.plan) == (1, "head", "last:2")
    assert 0.1 < change.learning_share < 1
    folder = RunFolder.open(run)
    assert folder.recipe == recipe.model_copy(update={"freeze": DEEPER}) and folder.asked_plan is None
    history = folder.history()
    assert history.learning_share == change.learning_share and len(history.epochs) == 3
    report = folder.report.read_text()
    assert "It began with head" in report and "from epoch 2 on last:2" in report


def test_a_run_that_was_stopped_takes_it_up_when_it_is_resumed(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    run, control = tmp_path / "run", RunControl()
    train(recipe, run, plugins, lambda event: control.stop.set() if isinstance(event, EpochDone) else None, control)
    assert replan(run, FreezePlan(preset="last:1"), plugins) is False
    assert replan(run, DEEPER, plugins) is False  # what was asked for last counts
    events: list[TrainEvent] = []
    assert resume(run, plugins, events.append, RunControl()).status is RunStatus.COMPLETED
    assert [(e.epoch, e.plan) for e in events if isinstance(e, PlanChanged)] == [(1, "last:2")]
    with pytest.raises(UserError, match="is complete"):
        replan(run, DEEPER, plugins)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (FreezePlan(overrides={"no.such.layer": 1.0}), "no layer 'no.such.layer'"),
        (FreezePlan(overrides={"classifier": 0.0}), "No layer may learn"),
        (FreezePlan(preset="scratch"), "pre-trained weights cannot be changed"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused_at_once(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, plan: FreezePlan, words: str
) -> None:
    run, control = tmp_path / "run", RunControl()
    train(recipe, run, plugins, lambda event: control.stop.set() if isinstance(event, EpochDone) else None, control)
    with pytest.raises(UserError, match=words):
        replan(run, plan, plugins)
    assert RunFolder.open(run).asked_plan is None


@pytest.mark.parametrize("content", [b"{", FreezePlan(overrides={"gone": 1.0}).model_dump_json().encode()])
def test_what_was_asked_for_and_cannot_be_read_or_followed_is_told_and_the_run_goes_on(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, content: bytes
) -> None:
    run, events = tmp_path / "run", list[TrainEvent]()

    def hear(event: TrainEvent) -> None:
        events.append(event)
        if isinstance(event, EpochDone) and event.epoch == 0:
            (run / "asked_plan.json").write_bytes(content)

    assert train(recipe, run, plugins, hear, RunControl()).status is RunStatus.COMPLETED
    (told,) = [event.message for event in events if isinstance(event, Warned) and "asked for" in event.message]
    assert told.startswith("The plan that was asked for cannot be followed: ")
    assert open_run(run, plugins).recipe == recipe and not (run / "asked_plan.json").exists()
