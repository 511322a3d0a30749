"""A recorded step does what the step does, on a GPU; elsewhere, and where it cannot be recorded, steps are done as ever."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from desktop_ft.core.errors import UserError
from desktop_ft.core.recipe import Optimisation
from desktop_ft.engine.coming import Coming, stream_aside
from desktop_ft.engine.device import choose
from desktop_ft.engine.optim import build_optimizer, group_by_rate, set_rate
from desktop_ft.engine.passes import Passes
from desktop_ft.engine.recording import Recorder
from desktop_ft.models.freezing import ParameterGroup
from tests.engine.tiny import loss

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.LazyLinear(3))


def learned(made: nn.Module, steps: int = 8, short: int = 5) -> tuple[list[float], dict[str, Tensor]]:
    """The losses of some steps, one of them with a short batch, and the weights after them."""
    compute = choose()
    made(torch.zeros(2, 3, 8, 8))
    made.to(compute.device)
    groups = [ParameterGroup("", tuple(made.parameters()), 0.0)]
    optimizer = build_optimizer(Optimisation(), groups)
    group_by_rate(optimizer, groups, {"": 1.0})
    set_rate(optimizer, 0.01)
    passes, losses = Passes(made, loss, compute, print), list[float]()
    for step in range(steps):
        chance = torch.Generator().manual_seed(step)
        rows = 3 if step == short else 6
        inputs, targets = torch.randn(rows, 3, 8, 8, generator=chance), torch.randint(0, 3, (rows,), generator=chance)
        losses.append(passes.learn(inputs, targets, optimizer, 1.0, seed=step).loss)
    return losses, {name: value.detach().cpu().clone() for name, value in made.state_dict().items()}


@on_a_gpu
def test_recorded_steps_learn_what_others_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    losses, weights = learned(network())
    monkeypatch.setattr(Recorder, "run", lambda self, step, inputs, targets, key: step(inputs, targets))
    expected, others = learned(network())
    assert losses == pytest.approx(expected, rel=1e-3)
    assert all(torch.allclose(weights[name], others[name], rtol=1e-2, atol=1e-3) for name in weights)


class Hesitant(nn.Module):
    """Looks at a figure on its way, which no recording can."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, inputs: Tensor) -> Tensor:
        answer: Tensor = self.inner(inputs)
        return answer if answer.sum().item() > 0 else answer + 0


@on_a_gpu
def test_what_cannot_be_recorded_is_done_as_ever() -> None:
    losses, _ = learned(Hesitant())
    assert losses == pytest.approx(learned(network())[0], rel=1e-3)


def test_elsewhere_nothing_is_recorded() -> None:
    asked = []

    def step(inputs: Tensor, targets: Tensor) -> Tensor:
        asked.append(len(inputs))
        return inputs.sum().reshape(1)

    recorder = Recorder(network(), torch.device("cpu"), wanted=True)
    for _ in range(4):
        recorder.run(step, torch.ones(2), torch.ones(2), key=())
    assert asked == [2, 2, 2, 2]
    assert not recorder.forget()


@pytest.mark.parametrize("device", [torch.device("cpu"), pytest.param(torch.device("cuda"), marks=on_a_gpu)])
def test_batches_come_in_order_whether_made_ahead_or_not(device: torch.device) -> None:
    given = [(torch.full((2,), number, device=device), torch.zeros(2)) for number in range(5)]
    coming, taken = Coming(iter(given), stream_aside(device)), []
    while (batch := coming.take()) is not None:
        taken.append(int(batch[0][0]))
        if len(taken) % 2:
            coming.make()
    assert taken == [0, 1, 2, 3, 4]


def test_what_goes_wrong_with_the_next_batch_is_told_when_it_is_taken() -> None:
    def broken() -> Iterator[tuple[Tensor, Tensor]]:
        yield torch.zeros(1), torch.zeros(1)
        raise UserError("The picture is gone.", "Scan the folder again.")

    coming = Coming(broken(), None)
    assert coming.take() is not None
    coming.make()
    with pytest.raises(UserError, match="is gone"):
        coming.take()
