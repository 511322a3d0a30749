"""Another plan or rate for a run that is under way, through its folder: asked for by whoever may write there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from desktop_ft.api import TrainEvent
from desktop_ft.core.changes import Change, PlannedChange
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import EpochDone, PlanChanged, RunEnded, RunStatus, StepDone, Warned
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.engine.optim import build_optimizer
from desktop_ft.jobs.replanning import current, replan
from desktop_ft.jobs.running import open_run
from desktop_ft.jobs.training import resume, train
from desktop_ft.models.checkpoint import Checkpoint
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder

DEEPER = Change(freeze=FreezePlan(preset="last:2"))
SLOWER = Change(lr=1e-4)
BOTH = Change(lr=1e-4, freeze=FreezePlan(preset="last:2"))


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
        self.asks: dict[tuple[int, int], Change] = {}
        """What is asked for once a step is done, by epoch and step."""
        self.stop_in: int | None = None

    def _hear(self, event: TrainEvent) -> None:
        self.events.append(event)
        if isinstance(event, StepDone) and (change := self.asks.get((event.epoch, event.step))):
            assert replan(self.path, change, self.plugins) is True
        if isinstance(event, EpochDone) and event.epoch == self.stop_in:
            self.control.stop.set()

    def train(self, recipe: Recipe) -> RunEnded:
        return train(recipe, self.path, self.plugins, self._hear, self.control)

    def resume(self) -> RunEnded:
        self.events, self.control, self.stop_in = [], RunControl(), None
        return resume(self.path, self.plugins, self._hear, self.control)

    @property
    def changes(self) -> list[tuple[int, Change]]:
        return [(event.epoch, event.change) for event in self.events if isinstance(event, PlanChanged)]

    @property
    def warned(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned) and "change was asked" in event.message]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return dict(open_run(self.path, self.plugins).store().load("last").model)


@pytest.fixture
def run(tmp_path: Path, plugins: Plugins) -> Run:
    return Run(tmp_path / "run", plugins)


def same(one: Run, other: Run) -> bool:
    weights, others = one.weights, other.weights  # each time they are asked for they are loaded
    return all(torch.equal(tensor, others[name]) for name, tensor in weights.items())


def test_other_layers_learn_from_the_next_epoch_on(recipe: Recipe, run: Run) -> None:
    run.asks[0, 0] = DEEPER
    assert run.train(recipe).status is RunStatus.COMPLETED
    assert run.changes == [(1, DEEPER)]
    folder = RunFolder.open(run.path)
    assert folder.asked_change() is None and current(folder).freeze == DEEPER.freeze
    assert folder.recipe == recipe.with_change(1, DEEPER)
    history = folder.history()
    assert 0.1 < history.learning_share < 1 and len(history.epochs) == 3
    assert "from epoch 2 on last:2" in folder.report.read_text()


@pytest.mark.slow
def test_a_run_that_was_stopped_takes_it_up_when_it_is_resumed(recipe: Recipe, run: Run, plugins: Plugins) -> None:
    run.stop_in = 0
    run.train(recipe)
    assert replan(run.path, Change(freeze=FreezePlan(preset="last:1")), plugins) is False
    assert replan(run.path, DEEPER, plugins) is False  # what was asked for last counts
    assert run.resume().status is RunStatus.COMPLETED
    assert run.changes == [(1, DEEPER)]
    with pytest.raises(UserError, match="is complete"):
        replan(run.path, DEEPER, plugins)


@pytest.mark.slow
def test_what_is_asked_for_while_another_change_is_made_is_not_lost(
    recipe: Recipe, run: Run, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.asks[0, 0] = DEEPER
    forget, other = RunFolder.forget_taken, Change(freeze=FreezePlan(preset="last:3"))

    def late(self: RunFolder) -> None:
        if len(run.changes) == 0:
            replan(run.path, other, plugins)
        forget(self)

    monkeypatch.setattr(RunFolder, "forget_taken", late)
    run.train(recipe)
    assert run.changes == [(1, DEEPER), (2, other)]


@pytest.mark.slow
def test_what_is_asked_for_one_after_the_other_is_done_together(recipe: Recipe, run: Run) -> None:
    run.asks[0, 0], run.asks[0, 1] = DEEPER, SLOWER
    run.train(recipe)
    assert run.changes == [(1, BOTH)]


@pytest.mark.slow
@pytest.mark.parametrize("change", [SLOWER, DEEPER, BOTH], ids=["rate", "layers", "both"])
def test_the_recipe_of_a_run_gives_the_same_run_again(
    recipe: Recipe, run: Run, plugins: Plugins, tmp_path: Path, change: Change
) -> None:
    run.asks[0, 0] = change
    run.train(recipe)
    kept = Recipe.from_toml((run.path / "recipe.toml").read_text(), "the recipe")
    assert kept.changes == (PlannedChange(epoch=2, lr=change.lr, freeze=change.freeze),)
    again, plain = Run(tmp_path / "again", plugins), Run(tmp_path / "plain", plugins)
    again.train(kept)
    plain.train(recipe)
    assert again.changes == run.changes == [(1, change)]
    assert same(again, run) and not same(plain, run)
    assert RunFolder.open(again.path).recipe == kept


def test_what_is_planned_can_be_changed_while_it_goes_on(recipe: Recipe, run: Run, plugins: Plugins, tmp_path: Path) -> None:
    planned = recipe.with_change(1, SLOWER).with_change(2, DEEPER)
    faster = Change(lr=recipe.optimisation.lr)  # as in the first epoch
    run.asks[0, 0] = faster
    run.train(planned)
    assert run.changes == [(1, faster), (2, DEEPER)]
    again = Run(tmp_path / "again", plugins)
    again.train(RunFolder.open(run.path).recipe)
    assert same(again, run)


def test_what_is_planned_and_cannot_be_followed_is_refused_before_the_run_begins(recipe: Recipe, run: Run) -> None:
    gone, scratch = FreezePlan(overrides={"gone": 1.0}), FreezePlan(preset="scratch")
    for epoch, change, words in [
        (2, Change(freeze=gone), "no layer 'gone'"),
        (2, Change(freeze=scratch), "pre-trained weights cannot be changed"),
        (3, SLOWER, "A change is for epoch 4, and the run ends with epoch 3"),
    ]:
        with pytest.raises(UserError, match=words):
            run.train(recipe.with_change(epoch, change))
        assert not run.path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["taken", "in the recipe", "built", "told", "later"])
def test_wherever_it_breaks_off_it_goes_on_as_if_it_had_not(
    recipe: Recipe, run: Run, plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    whole = Run(tmp_path / "whole", plugins)
    for each in (whole, run):
        each.asks[0, 0] = BOTH
    whole.train(recipe)
    hear = run._hear

    def killed(event: TrainEvent) -> None:
        hear(event)
        at = (event.epoch, event.step) if isinstance(event, StepDone) else None
        if where == "later" and at == (1, 0):
            raise Killed
        if where == "told" and isinstance(event, PlanChanged):
            raise Killed

    if where == "taken":
        monkeypatch.setattr(RunFolder, "write_recipe", _fails_the_second_time(RunFolder.write_recipe))
    if where == "in the recipe":
        monkeypatch.setattr(RunFolder, "forget_taken", _fails_the_second_time(RunFolder.forget_taken, after=0))
    if where == "built":
        monkeypatch.setattr("desktop_ft.engine.loop.build_optimizer", _fails_the_second_time(build_optimizer))
    monkeypatch.setattr(run, "_hear", killed)
    with pytest.raises(Killed):
        run.train(recipe)
    monkeypatch.undo()
    run.asks = {}
    assert run.resume().status is RunStatus.COMPLETED
    assert same(run, whole)
    history = RunFolder.open(run.path).history()
    assert [(told.epoch, told.change) for told in history.replanned] == [(1, BOTH)]
    assert RunFolder.open(run.path).recipe == recipe.with_change(1, BOTH)
    assert RunFolder.open(run.path).asked_change() is None


def _fails_the_second_time(do: Callable[..., Any], after: int = 1) -> Callable[..., Any]:
    calls: list[None] = []

    def once(*arguments: Any) -> Any:
        calls.append(None)
        if len(calls) > after:
            raise Killed
        return do(*arguments)

    return once


@pytest.mark.slow
def test_a_run_that_goes_on_from_before_a_change_makes_it_again_in_its_epoch(
    recipe: Recipe, run: Run, plugins: Plugins, tmp_path: Path
) -> None:
    recipe = lasting(recipe, 5)
    whole = Run(tmp_path / "whole", plugins)
    for each in (whole, run):
        each.asks[1, 0] = DEEPER
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
        replan(run.path, Change(freeze=plan), plugins)
    assert RunFolder.open(run.path).asked_change() is None


def test_a_run_of_several_processes_is_not_promised_it(
    recipe: Recipe, run: Run, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.stop_in = 0
    run.train(recipe)
    monkeypatch.setattr("desktop_ft.jobs.distributed.processes", lambda recipe, manifest: 2)
    with pytest.raises(UserError, match="Several processes"):
        replan(run.path, DEEPER, plugins)


@pytest.mark.parametrize("change", [DEEPER, SLOWER])
def test_what_comes_too_late_is_refused(recipe: Recipe, run: Run, plugins: Plugins, change: Change) -> None:
    refused: list[str] = []
    hear = run._hear

    def ask_late(event: TrainEvent) -> None:
        hear(event)
        if isinstance(event, StepDone) and event.epoch == 2:
            with pytest.raises(UserError, match="too late") as error:
                replan(run.path, change, plugins)
            refused.append(str(error.value))

    run._hear = ask_late  # type: ignore[method-assign]
    assert run.train(recipe).status is RunStatus.COMPLETED
    assert refused and run.changes == [] and run.warned == []
    assert RunFolder.open(run.path).asked_change() is None


def test_a_run_that_stopped_in_its_last_epoch_has_none_to_begin(recipe: Recipe, run: Run, plugins: Plugins) -> None:
    hear = run._hear

    def stop(event: TrainEvent) -> None:
        hear(event)
        if isinstance(event, StepDone) and event.epoch == 2:
            run.control.stop.set()

    run._hear = stop  # type: ignore[method-assign]
    assert run.train(recipe).status is RunStatus.STOPPED
    with pytest.raises(UserError, match="too late"):
        replan(run.path, SLOWER, plugins)
    assert RunFolder.open(run.path).asked_change() is None


def test_what_an_early_stop_leaves_no_epoch_for_is_told(recipe: Recipe, run: Run) -> None:
    run.asks[1, 0] = SLOWER
    never_better = lasting(recipe, 9).with_optimisation(early_stopping=1, lr=1e-9)
    assert run.train(never_better).status is RunStatus.COMPLETED
    assert run.changes == []
    assert run.warned == ["A change was asked for too late: the run had no epoch left to make it in."]
    assert isinstance(run.events[-1], RunEnded) and RunFolder.open(run.path).asked_change() is None


@pytest.mark.parametrize("content", [b"{", Change(freeze=FreezePlan(overrides={"gone": 1.0})).model_dump_json().encode()])
def test_what_was_asked_for_and_cannot_be_read_or_followed_is_told_and_the_run_goes_on(
    recipe: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    hear = run._hear

    def spoil(event: TrainEvent) -> None:
        hear(event)
        if isinstance(event, EpochDone) and event.epoch == 0:
            (run.path / "asked_change.json").write_bytes(content)

    monkeypatch.setattr(run, "_hear", spoil)
    assert run.train(recipe).status is RunStatus.COMPLETED
    told = [event.message for event in run.events if isinstance(event, Warned) and "asked for" in event.message]
    assert len(told) == 1 and told[0].startswith("The change that was asked for cannot be made: ")
    assert not (run.path / "asked_change.json").exists() and not (run.path / "taken_change.json").exists()


@pytest.mark.slow
def test_one_more_block_each_epoch_counts_from_the_change(recipe: Recipe, run: Run) -> None:
    recipe = lasting(recipe, 4)
    run.asks[1, 0] = Change(freeze=FreezePlan(preset="gradual"))
    assert run.train(recipe).status is RunStatus.COMPLETED
    (change,) = [event for event in run.events if isinstance(event, PlanChanged)]
    assert change.epoch == 2 and change.learning_share < 0.01  # the head alone, to begin with


@pytest.mark.slow
def test_a_run_from_before_recipes_held_changes_goes_on_as_it_would_have(
    recipe: Recipe, run: Run, plugins: Plugins, tmp_path: Path
) -> None:
    recipe, later = lasting(recipe, 4), FreezePlan(preset="last:3")
    whole = Run(tmp_path / "whole", plugins)
    whole.asks = {(0, 0): DEEPER, (1, 0): Change(freeze=later)}
    whole.train(recipe)
    run.asks, run.stop_in = {(0, 0): DEEPER}, 1
    run.train(recipe)
    as_once_written(run.path, recipe)
    (run.path / "asked_plan.json").write_text(later.model_dump_json())
    assert current(RunFolder.open(run.path)).freeze == later
    assert [told.change for told in RunFolder.open(run.path).history().replanned] == [DEEPER]
    assert run.resume().status is RunStatus.COMPLETED
    assert same(run, whole) and run.changes == [(2, Change(freeze=later))]
    assert RunFolder.open(run.path).recipe == RunFolder.open(whole.path).recipe
    assert RunFolder.open(run.path).recipe.changes and not (run.path / "asked_plan.json").exists()


def as_once_written(path: Path, recipe: Recipe) -> None:
    """Let the run's folder hold what it held before there were changes in recipes."""
    (path / "recipe.toml").write_text(recipe.to_toml().replace("changes = []\n", ""))
    lines = [json.loads(line) for line in (path / "events.jsonl").read_text().splitlines()]
    for at, line in enumerate(lines):
        if line["type"] == "plan_changed":
            kept = {"epoch": line["epoch"], "plan": line["change"]["freeze"], "learning_share": line["learning_share"]}
            lines[at] = {**kept, "type": "plan_changed"}
    (path / "events.jsonl").write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))


@pytest.mark.slow
def test_what_learns_already_does_not_begin_anew_where_a_change_names_it(
    recipe: Recipe, run: Run, plugins: Plugins, tmp_path: Path
) -> None:
    gradual = FreezePlan(preset="gradual:2")
    recipe = lasting(recipe.model_copy(update={"freeze": gradual}), 4).with_change(1, Change(lr=1e-3, freeze=gradual))
    whole = Run(tmp_path / "whole", plugins)
    whole.train(recipe)
    run.stop_in = 1
    run.train(recipe)
    assert run.resume().status is RunStatus.COMPLETED
    assert same(run, whole)


@pytest.mark.slow
def test_the_recipe_of_a_run_stops_as_early(recipe: Recipe, run: Run, plugins: Plugins, tmp_path: Path) -> None:
    never_better = lasting(recipe, 9).with_optimisation(early_stopping=2, lr=1e-9)
    run.asks[1, 0] = Change(lr=1e-9)  # in place of what is planned: as before
    run.train(never_better.with_change(2, Change(lr=1e-8)))
    again = Run(tmp_path / "again", plugins)
    again.train(RunFolder.open(run.path).recipe)
    assert again.changes == run.changes == [(2, Change(lr=1e-9))]
    assert same(again, run)
    # With such a rate a processor's last digits decide whether one epoch is better than the one before.
    epochs = [[type(each) for each in one.events].count(EpochDone) for one in (run, again)]
    assert epochs[0] == epochs[1] < 9
