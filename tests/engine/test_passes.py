"""One batch at a time: numbers that are not finite, memory that runs out, gradients that are too long."""

import math
import re
import threading

import pytest
import torch
from torch import nn

from desktop_ft.core.errors import UserError
from desktop_ft.core.events import CheckpointSaved, EpochDone, RunStatus, StepDone, Warned
from desktop_ft.core.recipe import DeviceChoice, Precision
from desktop_ft.engine.device import choose
from desktop_ft.engine.passes import Diverged, Passes
from tests.engine.tiny import PLAN, Run, TinyBatches, TinyNet, loss, same


def all_finite(run: Run) -> bool:
    kept = [run.store.load(name) for name in ("last", "best")]
    return all(t.isfinite().all() for c in kept for t in (*c.model.values(), *c.optimizer.values()))


@pytest.mark.parametrize(("value", "word"), [(math.nan, "NaN"), (math.inf, "NaN")])
def test_a_loss_that_is_not_finite_stops_the_run_before_the_step(tmp_path, value, word):
    run = Run(tmp_path, batches=TinyBatches(spoil={(1, 2): value}), plan=PLAN.model_copy(update={"lr": 0.1}), save_every_s=0)
    before = {}

    def hear(event):
        if isinstance(event, StepDone) and (event.epoch, event.step) == (1, 1):
            before.update({name: p.clone() for name, p in run.network.named_parameters()})

    run.on_event = hear
    ended = run.fit()
    assert ended.status is RunStatus.FAILED and ended.checkpoint == run.store.best
    assert ended.error == (
        f"Loss became {word} at epoch 2, batch 3 (learning rate 0.1). The best so far (epoch 1) is kept. "
        "Try a rate ten times smaller."
    )
    assert same(before, {name: p.detach() for name, p in run.network.named_parameters()})
    assert run.store.load("best").progress.best_epoch == 0 and all_finite(run)


def test_in_the_first_epoch_there_is_no_best_to_promise(tmp_path):
    ended = Run(tmp_path, batches=TinyBatches(spoil={(0, 0): math.nan})).fit()
    assert "at epoch 1, batch 1" in ended.error and "No epoch was finished yet." in ended.error
    assert ended.checkpoint == ""


def test_no_weight_that_is_not_finite_is_ever_saved(tmp_path):
    run = Run(tmp_path, save_every_s=0)

    def spoil(event):
        if isinstance(event, StepDone) and (event.epoch, event.step) == (1, 1):
            with torch.no_grad():
                run.network.fc.weight[0, 0] = math.inf

    run.on_event = spoil
    ended = run.fit()
    assert ended.status is RunStatus.FAILED and "The weights became infinite (model/" not in ended.error
    assert re.match(r"The weights became infinite \(fc\.weight\) at epoch 2, batch 3", ended.error)
    assert all_finite(run)


def test_an_endless_learning_rate_ends_in_a_sentence_not_in_a_broken_checkpoint(tmp_path):
    class Unbounded(TinyNet):
        def forward(self, pictures):
            return super().forward(pictures).pow(3)

    run = Run(
        tmp_path,
        network=Unbounded(),
        plan=PLAN.model_copy(update={"lr": 10.0, "optimizer": "sgd", "clip_norm": 0.0, "epochs": 30}),
    )
    ended = run.fit()
    assert ended.status is RunStatus.FAILED and "learning rate 10" in ended.error
    assert len(run.of(CheckpointSaved)) == len(run.of(EpochDone))
    assert not run.of(CheckpointSaved) or all_finite(run)


def test_a_gradient_that_is_not_finite_is_found_although_the_loss_is():
    network = nn.Linear(2, 2)
    passes = Passes(network, lambda logits, targets: (logits - logits.detach()).abs().sqrt().sum(), cpu(), print)
    with pytest.raises(Diverged, match="gradient"):
        passes.learn(torch.ones(1, 2), torch.zeros(1, dtype=torch.int64), torch.optim.SGD(network.parameters(), lr=1), 1.0, 0)


class Short(nn.Module):
    """Runs out of memory with more than `room` samples at a time, going forward or backward, once training is on."""

    def __init__(self, inner: nn.Module, where: str, room: int, from_call: int = 0) -> None:
        super().__init__()
        self.inner = inner
        self.where = where
        self.room = room
        self.calls = -from_call
        self.seen = []

    def forward(self, pictures):
        self.calls += 1
        short = self.calls > 0 and len(pictures) > self.room and self.training is (self.where != "validation")
        if short and self.where != "backward":
            raise torch.OutOfMemoryError("planted")
        logits = self.inner(pictures)
        if short:
            logits.register_hook(self._fail)
        return logits

    def _fail(self, gradient):
        raise torch.OutOfMemoryError("planted")

    def get_submodule(self, target):
        return self.inner.get_submodule(target)


@pytest.mark.parametrize("from_call", [0, 2])
@pytest.mark.parametrize("where", ["forward", "backward", "validation"])
def test_when_memory_runs_out_it_goes_on_in_parts_with_the_same_samples(tmp_path, where, from_call):
    run = Run(tmp_path, network=Short(TinyNet(), where, room=2, from_call=from_call))
    assert run.fit().status is RunStatus.COMPLETED
    assert [event.message.split(".")[1] for event in run.of(Warned)] == [
        f" Each batch is now computed in {parts} parts; it goes on with the same samples" for parts in (2, 4)
    ]
    assert run.batches.given == [(epoch, step) for epoch in range(3) for step in range(run.batches.steps)]
    assert len(run.of(StepDone)) == 12
    assert run.store.load("last").progress.parts == 4


def test_parts_add_up_to_the_whole_batch():
    inputs, targets = torch.randn(7, 2), torch.arange(7) % 2
    grads = []
    for parts in (1, 3):
        torch.manual_seed(0)
        network = nn.Linear(2, 2)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        sums = Passes(network, loss, cpu(), print, parts=parts).learn(inputs, targets, optimizer, 0.0, 0)
        grads.append((network.weight.grad, sums.loss, sums.correct, sums.seen))
    assert torch.allclose(grads[0][0], grads[1][0], atol=1e-6)
    assert grads[0][1] == pytest.approx(grads[1][1]) and grads[0][2:] == grads[1][2:]


def test_when_not_even_one_sample_fits_the_run_ends_with_what_to_do(tmp_path):
    ended = Run(tmp_path, network=Short(TinyNet(), "forward", room=0)).fit()
    assert ended.status is RunStatus.FAILED
    assert ended.error.startswith("Memory ran out even with one sample at a time. Choose a smaller picture size")


def test_resuming_after_memory_ran_out_is_identical_too(tmp_path):
    whole = Run(tmp_path / "whole", network=Short(TinyNet(), "forward", room=3))
    whole.fit()
    first = Run(tmp_path / "parts", network=Short(TinyNet(), "forward", room=3))
    first.on_event = lambda event: first.control.stop.set() if isinstance(event, StepDone) and event.step == 2 else None
    first.fit()
    second = Run(tmp_path / "parts", network=Short(TinyNet(), "forward", room=3))
    second.fit(second.store.load("last"))
    assert not second.of(Warned)
    assert same(second.weights, whole.weights)


@pytest.mark.parametrize(("limit", "length"), [(0.0, math.sqrt(2) * 300), (1.0, 1.0), (1000.0, math.sqrt(2) * 300)])
def test_gradients_are_no_longer_than_allowed(limit, length):
    network = nn.Linear(1, 2, bias=False)
    passes = Passes(network, lambda logits, targets: 300 * logits.sum(), cpu(), print)
    passes.learn(torch.ones(1, 1), torch.zeros(1, dtype=torch.int64), torch.optim.SGD(network.parameters(), lr=1), limit, 0)
    assert network.weight.grad.norm().item() == pytest.approx(length, rel=1e-4)


def test_mixed_labels_count_by_their_largest_share():
    network = nn.Identity()
    passes = Passes(network, loss, cpu(), print)
    logits, targets = torch.tensor([[2.0, 0, 0], [0, 2.0, 0]]), torch.tensor([[0.7, 0.3, 0], [0.6, 0.4, 0]])
    with passes.judging() as judge:
        assert judge(logits, targets).correct == 1


class Noting(nn.Module):
    """Hands on what it is given, and notes how much in which thread."""

    def __init__(self):
        super().__init__()
        self.noted = []

    def forward(self, inputs):
        self.noted.append((len(inputs), threading.current_thread().name.partition("_")[0]))
        return inputs


@pytest.mark.parametrize(
    ("pictures", "pieces"), [(3, [3]), (7, [7]), (8, [4, 4]), (9, [4, 5]), (70, [35, 35]), (200, [50, 50, 50, 50])]
)
def test_pictures_are_judged_in_pieces_as_together(pictures, pieces):
    torch.manual_seed(0)
    noting = Noting()
    network = nn.Sequential(noting, nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    inputs, targets = torch.randn(pictures, 3, 8, 8), torch.randint(0, 3, (pictures,))
    passes, threads = Passes(network, loss, cpu(), print), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with passes.judging() as judge:
            found = judge(inputs, targets)
    finally:
        torch.set_num_threads(threads)
    assert sorted(size for size, _ in noting.noted) == pieces
    assert all((thread == "judging") == (len(pieces) > 1) for _, thread in noting.noted)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("judging")]
    logits = network(inputs).detach()
    assert found.correct == int((logits.argmax(1) == targets).sum()) and found.seen == pictures
    assert found.loss == pytest.approx(pictures * loss(logits, targets).item(), rel=1e-5)


def test_a_piece_whose_loss_is_not_finite_is_told():
    passes, inputs = Passes(nn.Flatten(), loss, cpu(), print), torch.zeros(9, 1, 1, 3)
    inputs[8] = math.nan
    with passes.judging() as judge, pytest.raises(Diverged):
        judge(inputs, torch.zeros(9, dtype=torch.int64))


def test_one_value_for_a_batch_norm_is_told_with_what_to_do():
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 3))
    passes, optimizer = Passes(network, loss, cpu(), print), torch.optim.SGD(network.parameters(), lr=1)
    with pytest.raises(UserError, match=r"cannot learn from a single value.* Take a batch size of 2 or more"):
        passes.learn(torch.ones(1, 3, 4, 4), torch.zeros(1, dtype=torch.int64), optimizer, 1.0, 0)


def cpu():
    return choose(DeviceChoice.CPU, Precision.FP32)
