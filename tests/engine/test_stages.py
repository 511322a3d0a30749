"""What is frozen answers once, and what is learned stays what it was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from desktop_ft.core.events import PrefixProgress, PrefixReady, RunEnded, RunStatus, StepDone, Warned, WorkPlanned
from desktop_ft.core.recipe import DeviceChoice, Optimisation, Optimizer, Precision
from desktop_ft.engine.device import choose
from desktop_ft.engine.feature_store import FeatureStore
from desktop_ft.engine.prefix import Prefix
from desktop_ft.engine.work import Work
from desktop_ft.models.cutting import cut
from desktop_ft.runs.kept import KeptFolder, drop
from tests.engine.tiny import CLASSES, RecurringTiny, Run, TinyNet, same

COUNT = 21
# Not Adam: it divides by the gradient's size, and the bias before a batch normalisation has none but noise.
PLAN = Optimisation(epochs=4, batch_size=6, lr=0.05, optimizer=Optimizer.SGD)


def recurring(views: int | None = 1) -> RecurringTiny:
    chance = torch.Generator().manual_seed(5)
    targets = torch.randint(CLASSES, (COUNT,), generator=chance)
    inputs = torch.randn(COUNT, 3, 5, 5, generator=chance) + nn.functional.one_hot(targets, 3)[:, :, None, None] * 0.7
    return RecurringTiny(inputs, targets, views=views)


def store(folder: Path, memory_bytes: int = 1 << 20) -> FeatureStore:
    return FeatureStore(KeptFolder(folder, 1 << 20), memory_bytes=memory_bytes)


def run(folder: Path, features: FeatureStore | None, views: int | None = 1, **options: Any) -> Run:
    usual: dict[str, Any] = {"learning": ("fc",), "plan": PLAN}
    made = Run(folder, batches=recurring(views), features=features, **(usual | options))
    made.fit()
    return made


def close(one: Run, other: Run) -> None:
    for name, tensor in one.weights.items():
        torch.testing.assert_close(tensor, other.weights[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("learning", [("fc",), ("norm", "fc")])
@pytest.mark.parametrize("views", [1, 2, None])
@pytest.mark.parametrize("memory_bytes", [1 << 20, 0])
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_what_is_learned_is_the_same(
    tmp_path: Path, learning: tuple[str, ...], views: int | None, memory_bytes: int, precision: Precision
) -> None:
    kept = run(tmp_path / "a", store(tmp_path / "f", memory_bytes), views, learning=learning, precision=precision)
    plain = run(tmp_path / "b", None, views, learning=learning, precision=precision)
    close(kept, plain)
    assert [step.loss for step in kept.of(StepDone)] == pytest.approx([step.loss for step in plain.of(StepDone)], rel=1e-4)
    (ready,) = kept.of(PrefixReady)
    assert ready.after == ("norm" if learning == ("fc",) else "stem")
    # A validation input is one of the training inputs here, so what recurs is the training's views, or the validation alone.
    assert ready.kept == (COUNT * views if views else 7)


def test_each_input_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desktop_ft.engine.stages.pass_size", lambda device, numbers: 8)
    kept = run(tmp_path / "a", store(tmp_path / "f"))
    assert kept.batches.given == []
    asked = kept.batches.asked  # the cut looks at the first few of the validation as well
    assert {key: count for key, count in asked.items() if key not in {f"{number}-0" for number in range(7)}} == {
        f"{number}-0": 1 for number in range(7, COUNT)
    }
    assert [(p.done, p.total) for p in kept.of(PrefixProgress)] == [(8, COUNT), (16, COUNT), (COUNT, COUNT)]


def test_the_next_run_starts_at_once(tmp_path: Path) -> None:
    first = run(tmp_path / "a", store(tmp_path / "f"))
    second = run(tmp_path / "b", store(tmp_path / "f"))
    assert same(first.weights, second.weights)
    (ready,) = second.of(PrefixReady)
    assert ready.reused == ready.kept == COUNT
    assert second.of(PrefixProgress) == []


def test_views_that_come_once_are_not_kept(tmp_path: Path) -> None:
    many = run(tmp_path / "a", store(tmp_path / "f"), views=PLAN.epochs)
    assert many.of(PrefixReady)[0].kept == 7
    assert len(many.batches.given) == PLAN.epochs * many.batches.steps


def test_the_cut_moves_when_more_learns(tmp_path: Path) -> None:
    later = {2: ("norm", "fc"), 3: ("stem", "norm", "fc")}
    kept = run(tmp_path / "a", store(tmp_path / "f"), later=later)
    close(kept, run(tmp_path / "b", None, later=later))
    assert [(ready.after, ready.kept) for ready in kept.of(PrefixReady)] == [("norm", COUNT), ("stem", 0)]


def test_a_change_back_and_forth_makes_only_what_is_missing(tmp_path: Path) -> None:
    later = {1: ("norm", "fc"), 3: ("fc",)}
    made = run(tmp_path / "a", store(tmp_path / "f"), later=later, plan=Optimisation(epochs=5, batch_size=6, lr=0.02))
    assert [(ready.after, ready.kept, ready.reused) for ready in made.of(PrefixReady)] == [
        ("norm", 0, 0),  # one epoch: nothing comes again
        ("stem", COUNT, 0),
        ("norm", COUNT, 0),  # other weights in front of it by now
    ]


@pytest.mark.parametrize("cleared", [False, True])
@pytest.mark.parametrize("stop_at", [1, 3, 6, 11])
def test_a_resumed_run_is_as_if_it_had_never_stopped(tmp_path: Path, stop_at: int, cleared: bool) -> None:
    whole = run(tmp_path / "a", store(tmp_path / "f"))
    features = store(tmp_path / "g")
    broken = Run(tmp_path / "b", plan=PLAN, batches=recurring(), features=features, learning=("fc",))
    broken.on_event = lambda event: broken.control.stop.set() if len(broken.of(StepDone)) == stop_at else None
    assert broken.fit().status is RunStatus.STOPPED
    if cleared:
        drop(features.folder.path)
    again = Run(tmp_path / "b", plan=PLAN, batches=recurring(), features=features, learning=("fc",))
    assert again.fit(again.store.load("last")).status is RunStatus.COMPLETED
    assert same(whole.weights, again.weights)


@pytest.mark.parametrize(("word", "status"), [("stop", RunStatus.STOPPED), ("cancel", RunStatus.CANCELLED)])
def test_the_pass_heeds_what_is_asked(tmp_path: Path, word: str, status: RunStatus) -> None:
    made = Run(tmp_path / "a", plan=PLAN, batches=recurring(), features=store(tmp_path / "f"), learning=("fc",))
    getattr(made.control, word).set()
    assert made.fit().status is status
    assert made.of(StepDone) == []
    again = Run(tmp_path / "a", plan=PLAN, batches=recurring(), features=store(tmp_path / "f"), learning=("fc",))
    again.fit(again.store.load("last") if word == "stop" else None)
    close(again, run(tmp_path / "b", None))


class Undecided(TinyNet):
    """Cannot be traced: it goes by what it sees."""

    def forward(self, pictures: Tensor) -> Tensor:
        return super().forward(pictures if pictures.sum() > -1e9 else -pictures)


def test_a_network_that_cannot_be_cut_is_trained_all_the_same_and_the_run_says_why(tmp_path: Path) -> None:
    made = run(tmp_path / "a", store(tmp_path / "f"), network=Undecided())
    assert same(made.weights, run(tmp_path / "b", None, network=Undecided()).weights)
    (warned,) = made.of(Warned)
    assert "cannot be traced" in warned.message


def test_without_room_the_frozen_layers_answer_anew_and_the_run_says_why(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a file is no folder")
    made = run(tmp_path / "a", store(tmp_path / "f", memory_bytes=0))
    close(made, run(tmp_path / "b", None))
    (warned,) = made.of(Warned)
    assert "cannot be kept" in warned.message and "anew in every step" in warned.message


def test_out_of_memory_in_the_pass_halves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, sizes = Prefix._pass, []

    def scarce(self: Prefix, inputs: Tensor, autocast: torch.dtype | None) -> Tensor:
        sizes.append(len(inputs))
        if len(inputs) > 4:
            raise torch.OutOfMemoryError("planted")
        return answer(self, inputs, autocast)

    plain = run(tmp_path / "a", store(tmp_path / "f"))
    monkeypatch.setattr(Prefix, "_pass", scarce)
    scarcely = run(tmp_path / "b", store(tmp_path / "g"))
    close(scarcely, plain)
    assert max(sizes) == 64 and 4 in sizes


def namespaces(**changes: Any) -> Iterator[str]:
    network = changes.get("network") or TinyNet()
    network.requires_grad_(False).eval()
    network.fc.requires_grad_(True)
    network.fc.train()
    if edit := changes.get("edit"):
        edit(network)
    made = cut(network, torch.randn(3, 3, 5, 5))
    assert made is not None
    yield Prefix(network, made, choose(DeviceChoice.CPU, changes.get("precision", Precision.FP32))).namespace


def nudge(name: str) -> Any:
    def edit(network: nn.Module) -> None:
        with torch.no_grad():
            tensor = network.state_dict()[name]
            tensor.view(-1)[0] += 1e-6 if tensor.is_floating_point() else 1

    return edit


def set_eps(network: Any) -> None:
    network.norm.eps = 1e-3


def test_all_that_decides_an_answer_is_part_of_its_name() -> None:
    (plain,) = namespaces()
    assert [plain] == list(namespaces())
    assert [plain] == list(namespaces(edit=nudge("fc.weight")))  # behind the cut
    others = [*namespaces(precision=Precision.BF16), *namespaces(edit=set_eps)]
    for tensor in ("stem.weight", "stem.bias", "norm.running_mean", "norm.weight"):
        others += namespaces(edit=nudge(tensor))
    assert plain not in others
    assert len(set(others)) == len(others)


def test_stages_leave_a_run_without_a_store_alone(tmp_path: Path) -> None:
    made = run(tmp_path / "a", None)
    assert made.of(PrefixReady) == []


STEM, FC = 2 * 3 * 9 * 4 * 25, 2 * 4 * CLASSES
"""Operations of a sample, forwards: a 3 x 3 convolution of 3 to 4 channels at 5 x 5 places, and the head."""


def test_what_coming_epochs_compute_is_told_where_it_changes(tmp_path: Path) -> None:
    later = {2: ("norm", "fc"), 3: ("stem", "norm", "fc")}
    kept = run(tmp_path / "a", store(tmp_path / "f"), later=later)
    (told,) = kept.of(WorkPlanned)
    # The first two epochs compute the head alone, whose answers are kept; then every layer, and ever more of them backwards.
    assert (told.epoch, told.steps) == (0, (3 * FC, 3 * FC, STEM + 3 * FC, 3 * STEM + 3 * FC))
    whole = run(tmp_path / "b", None, later=later)
    assert whole.of(WorkPlanned)[0].steps[0] == STEM + 3 * FC
    assert same(whole.weights, run(tmp_path / "c", None, later=later).weights)
    assert not run(tmp_path / "d", None).of(WorkPlanned), "all epochs are alike"


class Nested(nn.Module):
    """A network that holds a parameter itself, beside the layers within it, as transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.first, self.head = nn.Linear(3, 4, bias=False), nn.Linear(4, CLASSES, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        answers: Tensor = self.head(self.first(inputs) * self.scale)
        return answers


def test_what_lies_within_a_layer_is_counted_once() -> None:
    network, first, head = Nested(), 2 * 3 * 4, 2 * 4 * CLASSES
    work = Work(network, torch.randn(2, 3))
    assert work.of_a_step(behind_the_cut=False) == 3 * (first + head), "all of it learns"
    for frozen in (network.scale, network.first.weight):
        frozen.requires_grad_(False)
    assert work.of_a_step(behind_the_cut=False) == first + 3 * head
    assert work.of_a_step(behind_the_cut=True) == 3 * head


def test_a_network_whose_work_cannot_be_counted_trains_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no such operation")

    monkeypatch.setattr("desktop_ft.engine.work.Operations.__torch_dispatch__", fails)
    made = run(tmp_path, None, later={2: ("norm", "fc")})
    assert made.of(RunEnded)[0].status is RunStatus.COMPLETED and not made.of(WorkPlanned)
