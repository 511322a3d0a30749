"""What the steps compute in is measured where that pays, remembered, and changes nothing else."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from desktop_ft.core.events import Paused, PrecisionChosen, RunStarted, RunStatus, StepDone
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.core.recipe import DeviceChoice, Optimisation, Precision
from desktop_ft.engine import arithmetic
from desktop_ft.engine.device import Compute, choose
from desktop_ft.engine.passes import Passes
from desktop_ft.runs.kept import KeptMeasurements
from tests.engine.tiny import Run, same

PLAN = Optimisation(epochs=40, batch_size=6, lr=0.02)


@dataclass
class Notes:
    """What is remembered, and how often it was asked for."""

    kept: dict[str, dict[str, float]] = field(default_factory=dict)
    told: dict[str, float] | None = None

    def get(self, key: str) -> dict[str, float] | None:
        return self.told or self.kept.get(key)

    def put(self, key: str, measured: dict[str, float]) -> None:
        self.kept[key] = measured


@pytest.fixture(autouse=True)
def worth_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny network costs little: let it count as much."""
    monkeypatch.setattr(arithmetic, "_WORTH_FLOPS", 1.0)


def either() -> Compute:
    """A processor on which bf16 may be the faster one, whatever this one is."""
    return replace(choose(DeviceChoice.CPU, Precision.FP32), alternatives=(Precision.BF16,))


def made(folder: Path, notes: Notes | None, **options: Any) -> Run:
    return Run(folder, **({"plan": PLAN, "compute": either(), "measurements": notes, "saving_share": 0.05} | options))


def test_both_are_measured_and_the_next_run_remembers(tmp_path: Path) -> None:
    notes = Notes()
    first, second = made(tmp_path / "a", notes), made(tmp_path / "b", notes)
    first.fit()
    (chosen,) = first.of(PrecisionChosen)
    assert dict(chosen.milliseconds).keys() == {"fp32", "bf16"} and all(took > 0 for _, took in chosen.milliseconds)
    assert not chosen.remembered
    second.fit()
    (again,) = second.of(PrecisionChosen)
    assert again == replace(chosen, remembered=True, seconds=again.seconds)
    assert same(first.weights, second.weights)


def test_measuring_leaves_no_trace_in_what_is_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "_FASTER", 0.0)  # whatever comes out, it stays fp32
    notes = Notes()
    plain, measured = made(tmp_path / "a", None), made(tmp_path / "b", notes)
    plain.fit()
    measured.fit()
    assert plain.of(PrecisionChosen) == []
    assert len(notes.kept) == 1 and [event.precision for event in measured.of(PrecisionChosen)] == ["fp32"]
    assert same(plain.weights, measured.weights)
    assert [step.loss for step in plain.of(StepDone)] == [step.loss for step in measured.of(StepDone)]


def test_a_pause_while_it_is_measured_keeps_the_run_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "_FASTER", 0.0)
    whole = made(tmp_path / "a", None)
    whole.fit()
    paused = made(tmp_path / "b", Notes())
    rehearse = Passes.rehearse

    def asked_meanwhile(self: Passes, inputs: Tensor, targets: Tensor) -> None:
        paused.control.pause.set()
        rehearse(self, inputs, targets)

    monkeypatch.setattr(Passes, "rehearse", asked_meanwhile)
    paused.on_event = lambda event: paused.control.stop.set() if isinstance(event, Paused) and event.paused else None
    assert paused.fit().status is RunStatus.STOPPED
    monkeypatch.setattr(Passes, "rehearse", rehearse)
    again = made(tmp_path / "b", Notes())
    assert again.fit(again.store.load("last")).status is RunStatus.COMPLETED
    assert same(whole.weights, again.weights)


def test_a_resumed_run_tells_the_precision_it_has(tmp_path: Path) -> None:
    fast = Notes(told={"fp32": 10.0, "bf16": 1.0})
    broken = made(tmp_path, fast)
    broken.on_event = lambda event: broken.control.stop.set() if len(broken.of(StepDone)) == 5 else None
    broken.fit()
    again = made(tmp_path, fast)
    again.fit(again.store.load("last"))
    assert again.of(RunStarted)[0].precision == "bf16"


def test_a_stage_that_goes_back_to_the_usual_one_says_so(tmp_path: Path) -> None:
    plan = replace_epochs(PLAN, 44)
    run = made(tmp_path, Notes(told={"fp32": 10.0, "bf16": 1.0}), plan=plan, later={42: ("norm", "fc")})
    run.fit()
    assert [(event.precision, event.milliseconds != ()) for event in run.of(PrecisionChosen)] == [("bf16", True), ("fp32", False)]
    assert MetricHistory.of(run.events).precision == "fp32"


@pytest.mark.parametrize(
    ("fp32", "bf16", "expected"),
    [(10.0, 8.0, "bf16"), (10.0, 9.5, "fp32"), (10.0, 30.0, "fp32"), pytest.param(10.0, 10.0, "fp32", marks=pytest.mark.slow)],
)
def test_another_one_must_be_clearly_faster(tmp_path: Path, fp32: float, bf16: float, expected: str) -> None:
    told = made(tmp_path / "a", Notes(told={"fp32": fp32, "bf16": bf16}))
    told.fit()
    assert [event.precision for event in told.of(PrecisionChosen)] == [expected]
    named = made(tmp_path / "b", None, compute=choose(DeviceChoice.CPU, Precision(expected)))
    named.fit()
    assert same(told.weights, named.weights)  # it is what the steps really compute in
    assert told.store.load("last").facts["precision"] == expected


def test_a_short_run_is_not_made_longer(tmp_path: Path) -> None:
    short = made(tmp_path, Notes(), plan=replace_epochs(PLAN, 39))
    short.fit()
    assert short.of(PrecisionChosen) == []


def test_a_head_alone_is_not_worth_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    head = made(tmp_path, Notes())
    head.fit()
    assert head.of(PrecisionChosen) == []


def test_where_the_precision_was_named_nothing_is_measured(tmp_path: Path) -> None:
    notes = Notes()
    made(tmp_path, notes, compute=choose(DeviceChoice.CPU, Precision.BF16)).fit()
    assert notes.kept == {}


@pytest.mark.parametrize("stop_at", [4, 5, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 8, 9))])
def test_a_resumed_run_goes_on_in_the_precision_it_had(tmp_path: Path, stop_at: int) -> None:
    options: dict[str, Any] = {"later": {2: ("norm", "fc")}, "plan": replace_epochs(PLAN, 45)}
    in_bf16, in_fp32 = Notes(told={"fp32": 10.0, "bf16": 1.0}), Notes(told={"fp32": 1.0, "bf16": 10.0})
    whole = made(tmp_path / "a", in_bf16, **options)
    whole.fit()
    broken = made(tmp_path / "b", in_bf16, **options)
    broken.on_event = lambda event: broken.control.stop.set() if len(broken.of(StepDone)) == stop_at else None
    assert broken.fit().status is RunStatus.STOPPED
    # Where other layers begin to learn (after two epochs of four steps) it is chosen anew; after that it is not.
    again = made(tmp_path / "b", in_fp32 if stop_at > 8 else in_bf16, **options)
    assert again.fit(again.store.load("last")).status is RunStatus.COMPLETED
    assert same(whole.weights, again.weights)


def replace_epochs(plan: Optimisation, epochs: int) -> Optimisation:
    return plan.model_copy(update={"epochs": epochs})


class _NotInHalf(nn.Module):
    """Gives NaN in bf16, as a network can."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.stem, self.norm = nn.Linear(75, 3), nn.Identity(), nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.fc(inputs.flatten(1))
        return logits / 0 * 0 if logits.dtype == torch.bfloat16 else logits


class _RefusesHalf(_NotInHalf):
    """Fails in bf16 as code does that knows no such type."""

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.fc(inputs.flatten(1))
        if logits.dtype == torch.bfloat16:
            raise TypeError("unsupported ScalarType BFloat16")
        return logits


@pytest.mark.parametrize("kind", [_NotInHalf, _RefusesHalf])
def test_what_does_not_work_is_not_chosen(tmp_path: Path, kind: type[_NotInHalf]) -> None:
    run = made(tmp_path, Notes(), network=kind(), learning=("fc",))
    assert run.fit().status is RunStatus.COMPLETED
    assert run.of(PrecisionChosen) == []


def test_measurements_are_kept_in_files(tmp_path: Path) -> None:
    notes = KeptMeasurements(tmp_path / "measured")
    assert notes.get("a") is None
    notes.put("a", {"fp32": 1.5})
    assert KeptMeasurements(tmp_path / "measured").get("a") == {"fp32": 1.5}
    (tmp_path / "measured" / "a.json").write_text('{"fp32": "fast"')
    assert notes.get("a") is None
    (tmp_path / "file").touch()
    KeptMeasurements(tmp_path / "file").put("a", {"fp32": 1.0})  # a disk that takes nothing is no reason to stop
