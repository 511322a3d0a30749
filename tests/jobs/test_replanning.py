"""Another plan for a run that is under way, through its folder: asked for by whoever may write there."""

from pathlib import Path

import pytest
import torch

from desktop_ft.api import TrainEvent
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import EpochDone, PlanChanged, RunEnded, RunStatus, StepDone, Warned
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.replanning import plan_of, replan
from desktop_ft.jobs.running import open_run
from desktop_ft.jobs.training import resume, train
from desktop_ft.models.checkpoint import Checkpoint
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder

DEEPER = FreezePlan(preset="last:2")


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def recipe(recipe: Recipe) -> Recipe:
    return lasting(recipe, 3)


def lasting(recipe: Recipe, epochs: int) -> Recipe:
    return recipe.model_copy(update={"optimisation": recipe.optimisation.model_copy(update={"epochs": epochs})})


class Run:
    """A run, and what it told since it began or was resumed."""

    def __init__(self, path: Path, plugins: Plugins) -> None:
        self.path, self.plugins = path, plugins
        self.control = RunControl()
        self.events: list[TrainEvent] = []
        self.plans: dict[tuple[int, int], FreezePlan] = {}
        """What is asked for once a step is done, by epoch and step."""
        self.stop_in: int | None = None

    def _hear(self, event: TrainEvent) -> None:
        self.events.append(event)
        if isinstance(event, StepDone) and (plan := self.plans.get((event.epoch, event.step))):
            assert replan(self.path, plan, self.plugins) is True
        if isinstance(event, EpochDone) and event.epoch == self.stop_in:
            self.control.stop.set()

    def train(self, recipe: Recipe) -> RunEnded:
        return train(recipe, self.path, self.plugins, self._hear, self.control)

    def resume(self) -> RunEnded:
        self.events, self.control, self.stop_in = [], RunControl(), None
        return resume(self.path, self.plugins, self._hear, self.control)

    @property
    def changes(self) -> list[tuple[int, FreezePlan]]:
        return [(event.epoch, event.plan) for event in self.events if isinstance(event, PlanChanged)]

    @property
    def warned(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned) and "plan was asked" in event.message]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return dict(open_run(self.path, self.plugins).store().load("last").model)


@pytest.fixture
def run(tmp_path: Path, plugins: Plugins) -> Run:
    return Run(tmp_path / "run", plugins)


def same(one: Run, other: Run) -> bool:
    return all(torch.equal(tensor, other.weights[name]) for name, tensor in one.weights.items())


def test_other_layers_learn_from_the_next_epoch_on(recipe: Recipe, run: Run) -> None:
    run.plans[0, 0] = DEEPER
    assert run.train(recipe).status is RunStatus.COMPLETED
    assert run.changes == [(1, DEEPER)]
    folder = RunFolder.open(run.path)
    assert folder.asked_plan() is None and plan_of(folder) == DEEPER
    assert folder.recipe == recipe  # it stays what was asked for at first
    history = folder.history()
    assert 0.1 < history.learning_share < 1 and len(history.epochs) == 3
    assert "from epoch 2 on last:2" in folder.report.read_text()


def test_a_run_that_was_stopped_takes_it_up_when_it_is_resumed(recipe: Recipe, run: Run, plugins: Plugins) -> None:
    run.stop_in = 0
    run.train(recipe)
    assert replan(run.path, FreezePlan(preset="last:1"), plugins) is False
    assert replan(run.path, DEEPER, plugins) is False  # what was asked for last counts
    assert run.resume().status is RunStatus.COMPLETED
    assert run.changes == [(1, DEEPER)]
    with pytest.raises(UserError, match="is complete"):
        replan(run.path, DEEPER, plugins)


def test_what_is_asked_for_while_another_plan_is_taken_up_is_not_lost(
    recipe: Recipe, run: Run, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.plans[0, 0] = DEEPER
    forget = RunFolder.forget_asked_plan

    def late(self: RunFolder, plan: FreezePlan | None) -> None:
        if plan == DEEPER:
            replan(run.path, FreezePlan(preset="last:3"), plugins)
        forget(self, plan)

    monkeypatch.setattr(RunFolder, "forget_asked_plan", late)
    run.train(recipe)
    assert run.changes == [(1, DEEPER), (2, FreezePlan(preset="last:3"))]


@pytest.mark.parametrize("where", ["saved", "told", "later"])
def test_wherever_it_breaks_off_it_goes_on_as_if_it_had_not(
    recipe: Recipe, run: Run, plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    whole = Run(tmp_path / "whole", plugins)
    for each in (whole, run):
        each.plans[0, 0] = DEEPER
    whole.train(recipe)
    hear = run._hear

    def killed(event: TrainEvent) -> None:
        hear(event)
        at = (event.epoch, event.step) if isinstance(event, StepDone) else None
        if where == "later" and at == (1, 0):
            raise Killed
        if where == "told" and isinstance(event, PlanChanged):
            raise Killed

    if where == "saved":
        monkeypatch.setattr("desktop_ft.engine.loop.build_optimizer", _fails_the_second_time())
    monkeypatch.setattr(run, "_hear", killed)
    with pytest.raises(Killed):
        run.train(recipe)
    monkeypatch.undo()
    run.plans = {}
    assert run.resume().status is RunStatus.COMPLETED
    assert same(run, whole)
    history = RunFolder.open(run.path).history()
    assert [(change.epoch, change.plan) for change in history.replanned] == [(1, DEEPER)]
    assert RunFolder.open(run.path).asked_plan() is None


def _fails_the_second_time():  # type: ignore[no-untyped-def]
    from desktop_ft.engine.optim import build_optimizer

    calls: list[None] = []

    def build(*arguments):  # type: ignore[no-untyped-def]
        calls.append(None)
        if len(calls) > 1:
            raise Killed
        return build_optimizer(*arguments)

    return build


def test_a_run_that_goes_on_from_before_a_change_makes_it_again_in_its_epoch(
    recipe: Recipe, run: Run, plugins: Plugins, tmp_path: Path
) -> None:
    recipe = lasting(recipe, 5)
    whole = Run(tmp_path / "whole", plugins)
    for each in (whole, run):
        each.plans[1, 0] = DEEPER
    whole.train(recipe)
    run.stop_in = 2
    run.train(recipe)
    store = open_run(run.path, plugins).store()
    store.save(after_the_first_epoch(recipe, plugins, tmp_path), best=True)
    assert run.resume().status is RunStatus.COMPLETED
    assert run.changes == [(2, DEEPER)]
    assert same(run, whole)


def after_the_first_epoch(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> Checkpoint:
    """What the run was after its first epoch, before anything was asked."""
    early = Run(tmp_path / "early", plugins)
    early.stop_in = 0
    early.train(recipe)
    return open_run(early.path, plugins).store().load("last")


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (FreezePlan(overrides={"no.such.layer": 1.0}), "no layer 'no.such.layer'"),
        (FreezePlan(overrides={"classifier": 0.0}), "No layer may learn"),
        (FreezePlan(preset="scratch"), "pre-trained weights cannot be changed"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused_at_once(
    recipe: Recipe, run: Run, plugins: Plugins, plan: FreezePlan, words: str
) -> None:
    run.stop_in = 0
    run.train(recipe)
    with pytest.raises(UserError, match=words):
        replan(run.path, plan, plugins)
    assert RunFolder.open(run.path).asked_plan() is None


def test_a_run_of_several_processes_is_not_promised_it(
    recipe: Recipe, run: Run, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.stop_in = 0
    run.train(recipe)
    monkeypatch.setattr("desktop_ft.jobs.distributed.processes", lambda recipe, manifest: 2)
    with pytest.raises(UserError, match="Several processes"):
        replan(run.path, DEEPER, plugins)


def test_a_plan_that_comes_too_late_is_told(recipe: Recipe, run: Run) -> None:
    run.plans[2, 0] = DEEPER
    assert run.train(recipe).status is RunStatus.COMPLETED
    assert run.changes == []
    assert run.warned == ["A plan was asked for too late: the run had no epoch left to follow it in."]
    assert isinstance(run.events[-1], RunEnded) and RunFolder.open(run.path).asked_plan() is None


@pytest.mark.parametrize("content", [b"{", FreezePlan(overrides={"gone": 1.0}).model_dump_json().encode()])
def test_what_was_asked_for_and_cannot_be_read_or_followed_is_told_and_the_run_goes_on(
    recipe: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    hear = run._hear

    def spoil(event: TrainEvent) -> None:
        hear(event)
        if isinstance(event, EpochDone) and event.epoch == 0:
            (run.path / "asked_plan.json").write_bytes(content)

    monkeypatch.setattr(run, "_hear", spoil)
    assert run.train(recipe).status is RunStatus.COMPLETED
    told = [event.message for event in run.events if isinstance(event, Warned) and "asked for" in event.message]
    assert len(told) == 1 and told[0].startswith("The plan that was asked for cannot be followed: ")
    assert not (run.path / "asked_plan.json").exists()


def test_one_more_block_each_epoch_counts_from_the_change(recipe: Recipe, run: Run) -> None:
    recipe = lasting(recipe, 4)
    run.plans[1, 0] = FreezePlan(preset="gradual")
    assert run.train(recipe).status is RunStatus.COMPLETED
    (change,) = [event for event in run.events if isinstance(event, PlanChanged)]
    assert change.epoch == 2 and change.learning_share < 0.01  # the head alone, to begin with
