"""Other layers learn while a run goes on: as if it had been planned so from the start."""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from desktop_ft.core.changes import Change
from desktop_ft.core.events import CheckpointSaved, EpochDone, PlanChanged, PrefixReady, RunStatus, StepDone, WorkPlanned
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import Optimisation, Optimizer
from desktop_ft.engine.feature_store import Features, FeatureStore
from desktop_ft.engine.learner import Turn
from desktop_ft.runs.kept import KeptFolder
from tests.engine.test_stages import recurring
from tests.engine.tiny import Run, TinyLearner, TinyNet, same

CHANGED_IN = 2
EPOCHS = 5
PLANNED = FreezePlan(preset="last:1")


def run(folder: Path, learning: tuple[str, ...], *, kept: bool, optimizer: Optimizer = Optimizer.ADAMW, **options) -> Run:  # type: ignore[no-untyped-def]
    features = FeatureStore(KeptFolder(folder / "kept", 1 << 20), memory_bytes=1 << 20) if kept else None
    plan = Optimisation(epochs=EPOCHS, batch_size=6, lr=0.02, optimizer=optimizer)
    return Run(folder / "run", batches=recurring(), plan=plan, learning=learning, features=features, **options)


class Asking:
    """Asks for other layers, or for another learning rate, when a run comes to certain epochs."""

    def __init__(self, made: Run, *changes: tuple[int, tuple[str, ...] | float]) -> None:
        self.run = made
        self.changes = dict(changes)
        self.settled_in: list[int] = []

    def asked(self, epoch: int) -> Turn | None:
        change = self.changes.get(epoch)
        if isinstance(change, float):
            return Turn(Change(lr=change))
        return Turn(Change(freeze=PLANNED), TinyLearner(self.run.network, change, since=epoch)) if change else None

    def ahead(self, epoch: int) -> TinyLearner:
        later = {each: change for each, change in self.changes.items() if isinstance(change, tuple)}
        begins = max((each for each in later if each <= epoch), default=None)
        return TinyLearner(self.run.network, self.run.learning if begins is None else later[begins], later, since=epoch)

    def settled(self, turn: Turn, epoch: int) -> None:
        assert not any(isinstance(event, PlanChanged) and event.epoch == epoch for event in self.run.events)  # told afterwards
        self.settled_in.append(epoch)


def asking(made: Run, *changes: tuple[int, tuple[str, ...] | float]) -> Run:
    made.relearn = Asking(made, *changes)
    return made


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("optimizer", Optimizer)
def test_more_learns_as_if_it_had_been_planned_so(tmp_path: Path, kept: bool, optimizer: Optimizer) -> None:
    changed = asking(run(tmp_path / "a", ("fc",), kept=kept, optimizer=optimizer), (CHANGED_IN, ("norm", "fc")))
    assert changed.fit().status is RunStatus.COMPLETED
    planned = run(tmp_path / "b", ("fc",), kept=kept, optimizer=optimizer, later={CHANGED_IN: ("norm", "fc")})
    planned.fit()
    assert same(changed.weights, planned.weights)
    assert [step.loss for step in changed.of(StepDone)] == [step.loss for step in planned.of(StepDone)]
    (told,) = changed.of(PlanChanged)
    assert (told.epoch, told.change) == (CHANGED_IN, Change(freeze=PLANNED))
    share = sum(p.numel() for name in ("norm", "fc") for p in changed.network.get_submodule(name).parameters())
    assert told.learning_share == pytest.approx(share / sum(p.numel() for p in changed.network.parameters()))
    if kept:
        assert [ready.after for ready in changed.of(PrefixReady)] == ["norm", "stem"]


def test_what_is_frozen_stays_as_it_had_become(tmp_path: Path) -> None:
    at: dict[str, dict[str, torch.Tensor]] = {}
    made = asking(run(tmp_path, ("stem", "norm", "fc"), kept=True), (CHANGED_IN, ("fc",)))

    def hear(event: object) -> None:
        if isinstance(event, PlanChanged):
            at["change"] = made.weights

    made.on_event = hear
    made.fit()
    start, end = TinyNet().state_dict(), made.weights
    for name, tensor in at["change"].items():
        assert torch.equal(tensor, end[name]) is not name.startswith("fc")
        assert not torch.equal(tensor, start[name])


def test_back_and_forth(tmp_path: Path) -> None:
    made = asking(run(tmp_path, ("fc",), kept=True), (1, ("norm", "fc")), (3, ("fc",)))
    assert made.fit().status is RunStatus.COMPLETED
    assert [change.epoch for change in made.of(PlanChanged)] == [1, 3]
    assert len(made.of(EpochDone)) == EPOCHS


@pytest.mark.parametrize("kept", [False, True])
def test_what_epochs_compute_is_told_with_what_is_planned_for_them(tmp_path: Path, kept: bool) -> None:
    made = asking(run(tmp_path, ("fc",), kept=kept), (CHANGED_IN, ("stem", "norm", "fc")))
    made.fit()
    first, again = made.of(WorkPlanned)
    assert (first.epoch, len(first.steps)) == (0, EPOCHS) and (again.epoch, again.steps) == (CHANGED_IN, first.steps[CHANGED_IN:])
    assert first.steps[0] == first.steps[1] < first.steps[2] == first.steps[4]
    assert (first.steps[2] > 10 * first.steps[0]) is kept, "a head behind answers that are kept computes next to nothing"
    kinds = [type(event) for event in made.events]
    assert kinds.index(WorkPlanned) < kinds.index(StepDone)
    alike = run(tmp_path / "alike", ("fc",), kept=kept)
    alike.fit()
    assert not alike.of(WorkPlanned)


def test_early_stopping_waits_anew(tmp_path: Path) -> None:
    def epochs(change: bool) -> int:
        made = run(tmp_path / str(change), ("fc",), kept=False)
        made.plan = made.plan.model_copy(update={"early_stopping": 2, "lr": 1e-9, "epochs": 9})  # never better
        if change:
            asking(made, (2, ("norm", "fc")))
        assert made.fit().status is RunStatus.COMPLETED
        return len(made.of(EpochDone))

    assert epochs(change=True) == epochs(change=False) + 1


def test_answers_of_the_plan_before_are_let_go_of_before_others_take_their_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = asking(run(tmp_path, ("fc",), kept=True), (CHANGED_IN, ("norm", "fc")))
    assert made.features is not None
    opened: list[weakref.ref[Features]] = []
    alive: list[int] = []
    open_ = made.features.open

    def watched(*arguments: Any) -> Features:
        gc.collect()
        alive.append(sum(ref() is not None for ref in opened))
        found = open_(*arguments)
        opened.append(weakref.ref(found))
        return found

    monkeypatch.setattr(made.features, "open", watched)
    made.fit()
    assert alive == [0, 0]


@pytest.mark.parametrize("optimizer", Optimizer)
def test_another_rate_from_an_epoch_on(tmp_path: Path, optimizer: Optimizer) -> None:
    made = asking(run(tmp_path, ("fc",), kept=True, optimizer=optimizer), (CHANGED_IN, 0.002))
    assert made.fit().status is RunStatus.COMPLETED
    before = run(tmp_path / "before", ("fc",), kept=True, optimizer=optimizer)
    before.fit()
    rates, usual = ([step.lr for step in each.of(StepDone)] for each in (made, before))
    changed = CHANGED_IN * made.batches.steps
    assert rates[:changed] == usual[:changed]
    assert rates[changed:] == pytest.approx([rate / 10 for rate in usual[changed:]])  # the schedule goes on as it was
    losses, others = ([step.loss for step in each.of(StepDone)] for each in (made, before))
    assert losses[: changed + 1] == others[: changed + 1] and losses[changed + 1 :] != others[changed + 1 :]
    (told,) = made.of(PlanChanged)
    assert (told.epoch, told.change) == (CHANGED_IN, Change(lr=0.002))
    assert len(made.of(PrefixReady)) == 1  # the cut stays where it is


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("stop_in", [CHANGED_IN, CHANGED_IN + 1])
@pytest.mark.parametrize("change", [("norm", "fc"), 0.002])
def test_a_run_that_breaks_off_after_a_change_goes_on_as_if_it_had_not(
    tmp_path: Path, stop_in: int, kept: bool, change: tuple[str, ...] | float
) -> None:
    whole = asking(run(tmp_path / "whole", ("fc",), kept=kept), (CHANGED_IN, change))
    whole.fit()
    broken = asking(run(tmp_path / "broken", ("fc",), kept=kept), (CHANGED_IN, change))
    at_last_save: list[int] = []

    def stop(event: object) -> None:
        if isinstance(event, CheckpointSaved):
            at_last_save.append(event.epoch)
        if isinstance(event, StepDone) and (event.epoch, event.step) == (stop_in, 1):
            broken.control.cancel.set()  # as a crash would: nothing is saved any more

    broken.on_event = stop
    assert broken.fit().status is RunStatus.CANCELLED
    assert at_last_save[-1] == stop_in
    if stop_in == CHANGED_IN:  # the change is made again
        again = asking(run(tmp_path / "broken", ("fc",), kept=kept), (CHANGED_IN, change))
    elif isinstance(change, float):
        again = run(tmp_path / "broken", ("fc",), kept=kept)
        again.plan = again.plan.model_copy(update={"lr": change})
    else:
        again = run(tmp_path / "broken", change, kept=kept, since=CHANGED_IN)
    assert again.fit(again.store.load("last")).status is RunStatus.COMPLETED
    assert same(again.weights, whole.weights)
