"""What BatchNorm layers are judged with: the engine's statistics, alone and in whole runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from desktop_ft.core.events import EpochDone, Paused, RunStatus, StepDone, Warned
from desktop_ft.engine.statistics import Statistics
from tests.engine.tiny import PLAN, Run, TinyBatches, TinyNet, same

FAR = 50.0


def seen_by(norm: nn.BatchNorm1d, count: int, chance: torch.Generator) -> list[Tensor]:
    """Batches that `norm` has passed."""
    batches = [torch.randn(8, 2, generator=chance) * 2 + 3 for _ in range(count)]
    for batch in batches:
        norm(batch)
    return batches


def mean_of(batches: list[Tensor], momentum: float, of: str) -> Tensor:
    """The mean of what the batches have, the later the heavier, as a running mean from nothing would be."""
    weights = torch.tensor([(1 - momentum) ** ago for ago in reversed(range(len(batches)))], dtype=torch.float64)
    each = torch.stack([getattr(batch.double(), of)(0) for batch in batches])
    return ((weights[:, None] * each).sum(0) / weights.sum()).float()


@settings(deadline=None)
@given(
    momentum=st.sampled_from([0.001, 0.01, 0.1, 0.9, 1.0]),
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    settles=st.booleans(),
    seed=st.integers(0, 99),
)
def test_what_was_seen_is_the_mean_of_the_epochs_batches_and_nothing_of_the_beginning(
    momentum: float, counts: list[int], settles: bool, seed: int
) -> None:
    chance = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm1d(2, momentum=momentum)
    norm.running_mean, norm.running_var = torch.full((2,), FAR), torch.full((2,), FAR)
    statistics = Statistics(norm)
    for count in counts:
        statistics.follow(begins=True)
        batches = seen_by(norm, count, chance)
        followed = norm.running_mean.clone(), norm.running_var.clone()
        with statistics.seen():
            torch.testing.assert_close(norm.running_mean, mean_of(batches, momentum, "mean"), rtol=2e-2, atol=2e-2)
            torch.testing.assert_close(norm.running_var, mean_of(batches, momentum, "var"), rtol=2e-2, atol=2e-2)
            seen = norm.running_mean.clone()
            with statistics.followed():
                assert torch.equal(norm.running_mean, followed[0]) and torch.equal(norm.running_var, followed[1])
            assert torch.equal(norm.running_mean, seen)
        assert torch.equal(norm.running_mean, followed[0]) and torch.equal(norm.running_var, followed[1])
        if settles:
            statistics.settle()


def test_what_rests_or_has_seen_nothing_stays_as_it_is() -> None:
    odd = [nn.BatchNorm1d(2, momentum=None), nn.BatchNorm1d(2, momentum=0.0), nn.BatchNorm1d(2, track_running_stats=False)]
    uncounted = nn.BatchNorm1d(2)
    uncounted.num_batches_tracked = None
    network = nn.ModuleList([nn.BatchNorm1d(2), *odd, uncounted, nn.InstanceNorm1d(2, track_running_stats=True)])
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    statistics = Statistics(network)
    statistics.follow(begins=True)
    assert statistics.learn and {name.rpartition("/")[0] for name in statistics.kept()} == {"0"}
    statistics.settle()
    network.eval()
    statistics.follow(begins=True)
    statistics.settle()
    assert not statistics.learn and not statistics.kept() and same(dict(network.state_dict()), before)


def slow(network: TinyNet) -> TinyNet:
    """`network` whose statistics hardly follow."""
    network.norm.momentum = 0.001
    return network


def moved(network: TinyNet) -> TinyNet:
    """`network` with statistics of other pictures, which hardly follow."""
    network.norm.running_mean.fill_(-FAR)  # type: ignore[operator, union-attr] # it keeps them
    network.norm.num_batches_tracked.fill_(100_000)  # type: ignore[operator, union-attr]
    return slow(network)


def run(folder: Path, **options: Any) -> Run:
    plan = PLAN.model_copy(update={"epochs": 4})
    return Run(folder, **{"plan": plan, "network": moved(TinyNet()), "batches": TinyBatches(steps=8)} | options)


def told(done: Run) -> list[str]:
    return [warned.message for warned in done.of(Warned) if "BatchNorm" in warned.message]


def test_statistics_of_other_pictures_are_given_up_and_that_is_told(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.fit().status is RunStatus.COMPLETED
    (message,) = told(done)
    assert message.startswith("From epoch ")
    assert done.network.norm.running_mean.abs().max() < 5
    usual = run(tmp_path / "usual", network=TinyNet())
    usual.fit()
    assert done.of(EpochDone)[-1].val_loss == pytest.approx(usual.of(EpochDone)[-1].val_loss, rel=0.3)


def test_statistics_that_suit_are_followed_as_ever(tmp_path: Path) -> None:
    done = run(tmp_path, network=TinyNet())
    done.fit()
    counted = done.weights["norm.num_batches_tracked"]
    assert not told(done) and int(counted) == 4 * 8


class Counted(TinyBatches):
    """Counts how often it is validated on."""

    asked = 0

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.asked += 1
        return super().validation()


@pytest.mark.parametrize("right", [True, False])
def test_it_is_validated_twice_only_where_that_can_show_something(tmp_path: Path, right: bool) -> None:
    """Whether statistics are stale is asked by another validation: not where nearly all is right with them."""
    batches = Counted(steps=8, size=50)
    done = run(tmp_path, network=TinyNet() if right else moved(TinyNet()), batches=batches)
    done.fit()
    shares = [epoch.val_accuracy for epoch in done.of(EpochDone)]
    assert (batches.asked == len(shares)) == right, shares


def test_from_scratch_nothing_is_left_of_what_they_begin_with(tmp_path: Path) -> None:
    done = run(tmp_path, pretrained=False)
    done.fit()
    assert not told(done), "nobody expects otherwise"
    assert done.network.norm.running_mean.abs().max() < 5


def goes_on(broken: Run, whole: Run, first_epoch: int) -> None:
    """Resumed as the application does, by a network that was never pre-trained, it ends as `whole` did."""
    again = run(broken.folder, pretrained=broken.pretrained, network=slow(TinyNet()))
    assert again.fit(again.store.load("last")).status is RunStatus.COMPLETED
    assert same(again.weights, whole.weights)
    assert [epoch.val_loss for epoch in again.of(EpochDone)] == [
        epoch.val_loss for epoch in whole.of(EpochDone) if epoch.epoch >= first_epoch
    ]


@pytest.mark.parametrize("saving_share", [1.0, 0.0])
@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("where", [(0, 5), (0, 7), (1, 0), (1, 3), (2, 7)])
def test_stopped_anywhere_it_goes_on_as_if_it_never_had(
    tmp_path: Path, where: tuple[int, int], pretrained: bool, saving_share: float
) -> None:
    whole = run(tmp_path / "whole", pretrained=pretrained)
    whole.fit()
    broken = run(tmp_path / "broken", pretrained=pretrained, saving_share=saving_share)

    def stop(event: object) -> None:
        if isinstance(event, StepDone) and (event.epoch, event.step) == where:
            broken.control.stop.set()

    broken.on_event = stop
    assert broken.fit().status is RunStatus.STOPPED
    goes_on(broken, whole, where[0])


class PausedInValidation(TinyBatches):
    """Asks for a pause in the `nth` validation, and for a stop as soon as it is paused."""

    def __init__(self, nth: int) -> None:
        super().__init__(steps=8)
        self.left, self.pause = nth, lambda: None

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.left -= 1
        for batch in super().validation():
            if self.left == 0:
                self.pause()
            yield batch


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("nth", range(1, 7))
def test_paused_and_stopped_in_any_validation_it_goes_on_as_if_it_never_had(tmp_path: Path, nth: int, pretrained: bool) -> None:
    whole = run(tmp_path / "whole", pretrained=pretrained)
    whole.fit()
    batches = PausedInValidation(nth)
    broken = run(tmp_path / "broken", pretrained=pretrained, batches=batches)
    batches.pause = broken.control.pause.set

    def stop(event: object) -> None:
        if isinstance(event, Paused) and event.paused:
            broken.control.stop.set()

    broken.on_event = stop
    if broken.fit().status is RunStatus.COMPLETED:
        assert batches.left > 0, "there were fewer validations"
        return
    goes_on(broken, whole, len(broken.of(EpochDone)))
