"""What the last step of an epoch does to each layer: measured here by hand, on the same run."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from desktop_ft.core.events import EpochDone, LayerSeen, LayersSeen, RunStarted, RunStatus, StepDone, TrainEvent
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.engine.layer_watch import Origin
from tests.engine.test_stages import recurring
from tests.engine.tiny import PLAN, STEPS, Run, TinyNet, same

NEVER_ASKED = Origin(head="fc", tensors=lambda: pytest.fail("a new run knows what its network was"))


def origin(network: TinyNet) -> Origin:
    first = {name: held.detach().clone() for name, held in network.named_parameters()}
    return Origin(head="fc", tensors=lambda: first)


def looks(run: Run) -> list[LayersSeen]:
    return run.of(LayersSeen)


def length(tensors: list[Tensor]) -> float:
    return float(torch.cat([tensor.flatten() for tensor in tensors]).norm())


def layer(weights: dict[str, Tensor], path: str) -> list[Tensor]:
    return [weights[f"{path}.weight"], weights[f"{path}.bias"]]


def test_every_epoch_tells_what_its_last_step_did(tmp_path: Path) -> None:
    run, at = Run(tmp_path, origin=NEVER_ASKED), dict[int, dict[str, Tensor]]()
    first = run.weights

    def note(event: TrainEvent) -> None:
        if isinstance(event, StepDone):
            at[event.step] = run.weights

    run.on_event = note
    run.plan = PLAN.model_copy(update={"epochs": 1})
    assert run.fit().status is RunStatus.COMPLETED
    (look,) = looks(run)
    assert [seen.path for seen in look.layers] == ["stem", "norm", "fc"]
    before, after = at[STEPS - 2], at[STEPS - 1]
    for seen in look.layers:
        moved = [now - old for now, old in zip(layer(after, seen.path), layer(before, seen.path), strict=True)]
        assert seen.update == pytest.approx(length(moved) / length(layer(before, seen.path)), rel=1e-3)
        assert seen.gradient > 0
        drifted = [now - old for now, old in zip(layer(after, seen.path), layer(first, seen.path), strict=True)]
        expected = None if seen.path == "fc" else pytest.approx(length(drifted) / length(layer(first, seen.path)), rel=1e-3)
        assert seen.drift == expected
    kinds = [type(event) for event in run.events if isinstance(event, (LayersSeen, EpochDone))]
    assert kinds == [LayersSeen, EpochDone]


def test_looking_changes_nothing(tmp_path: Path) -> None:
    watched, other = Run(tmp_path / "a", origin=NEVER_ASKED), Run(tmp_path / "b", origin=None)
    watched.fit()
    other.fit()
    assert same(watched.weights, other.weights)
    assert {seen.drift for look in looks(other) for seen in look.layers} == {None}


def test_what_is_frozen_is_not_told_of_and_what_learns_later_is(tmp_path: Path) -> None:
    run = Run(tmp_path, learning=("fc",), later={1: ("norm", "fc")}, batches=recurring(), origin=NEVER_ASKED)
    run.fit()
    assert [{seen.path for seen in look.layers} for look in looks(run)] == [{"fc"}, {"norm", "fc"}, {"norm", "fc"}]


@pytest.mark.parametrize("kept", [True, False])
def test_a_resumed_run_measures_its_drift_from_the_same_start(tmp_path: Path, kept: bool) -> None:
    whole = Run(tmp_path / "whole", origin=NEVER_ASKED)
    whole.fit()
    begun = Run(tmp_path / "run", origin=NEVER_ASKED)
    begun.on_event = lambda event: begun.control.stop.set() if isinstance(event, EpochDone) and event.epoch == 0 else None
    assert begun.fit().status is RunStatus.STOPPED
    lost = Origin(head="fc", tensors=dict)
    resumed = Run(tmp_path / "run", origin=origin(TinyNet()) if kept else lost)
    resumed.fit(resumed.store.load("last"))
    assert [look.epoch for look in looks(resumed)] == [1, 2]
    if kept:
        assert looks(resumed) == looks(whole)[1:]
    else:
        assert {seen.drift for look in looks(resumed) for seen in look.layers} == {None}


def test_the_history_forgets_the_looks_of_epochs_that_are_repeated() -> None:
    seen = (LayerSeen(path="fc", gradient=1.0, update=0.1),)
    history = MetricHistory.of([LayersSeen(epoch=number, layers=seen) for number in range(3)])
    history.add(
        RunStarted(
            epochs=3, steps_per_epoch=1, first_epoch=1, first_step=0, device="", precision="", learning_share=1.0, time=0.0
        )
    )
    assert [look.epoch for look in history.layers] == [0]
