"""Optimisers and the shapes of the learning rate."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from desktop_ft.core.recipe import Optimisation, Optimizer, Schedule
from desktop_ft.engine.optim import build_optimizer, factor, group_by_rate, optimizer_tensors, restore_optimizer, set_rate
from desktop_ft.models.freezing import ParameterGroup

ROOT = Path(__file__).parents[2]


def curve(schedule, total, warmup):
    return [factor(schedule, step, total, warmup) for step in range(total)]


@given(st.sampled_from(list(Schedule)), st.integers(1, 300), st.floats(0, 0.5))
def test_every_schedule_rises_then_never_rises_again_and_stays_in_bounds(schedule, total, warmup):
    rates = curve(schedule, total, warmup)
    rising = round(warmup * total)
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[: rising + 1] == sorted(rates[: rising + 1])
    assert rates[rising:] == sorted(rates[rising:], reverse=True)
    assert max(rates[rising:], default=1) == 1


def test_the_schedules_have_their_shapes():
    cosine = curve(Schedule.COSINE, 100, 0.1)
    assert cosine[0] == pytest.approx(1 / 11) and cosine[10] == 1 and cosine[55] == pytest.approx(0.5) and cosine[-1] < 0.001
    cycle = curve(Schedule.ONE_CYCLE, 100, 0.3)
    assert cycle[0] == pytest.approx(1 / 25) and cycle[30] == 1 and cycle[-1] == pytest.approx(1 / 250_000)
    assert curve(Schedule.CONSTANT, 10, 0.2) == [pytest.approx(1 / 3), pytest.approx(2 / 3), *[1] * 8]


def test_one_cycle_is_that_of_torch():
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=51, pct_start=11 / 51, cycle_momentum=False)
    rates = []
    for _ in range(51):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step() if len(rates) < 51 else None
    assert curve(Schedule.ONE_CYCLE, 51, 10 / 51) == pytest.approx(rates, abs=1e-9)


@pytest.mark.parametrize("optimizer", Optimizer)
def test_weight_decay_pulls_at_weights_and_spares_the_rest(optimizer):
    weight, bias = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    groups = [ParameterGroup("fc", (weight,), 0.5), ParameterGroup("fc", (bias,), 0.0)]
    built = build_optimizer(Optimisation(optimizer=optimizer, lr=0.1), groups)
    weight.grad, bias.grad = torch.zeros(2, 2), torch.zeros(2)
    built.step()
    assert torch.allclose(weight, torch.full((2, 2), 0.95)) and torch.equal(bias, torch.ones(2))


def test_each_layer_learns_at_its_own_rate():
    head, neck, body = (nn.Parameter(torch.ones(2)) for _ in range(3))
    groups = [group("head", head), group("neck", neck), group("body", body)]
    built = build_optimizer(Optimisation(optimizer=Optimizer.SGD, momentum=0), groups)
    group_by_rate(built, groups, {"head": 1.0, "neck": 1.0, "body": 0.1})
    set_rate(built, 0.1)
    assert len(built.param_groups) == 2  # what learns alike is stepped as one
    for parameter in (head, neck, body):
        parameter.grad = torch.ones(2)
    built.step()
    assert torch.allclose(head, torch.full((2,), 0.9)) and torch.equal(head, neck)
    assert torch.allclose(body, torch.full((2,), 0.99))


def test_what_was_grouped_by_rate_keeps_its_state_when_the_rates_change():
    parameters = [nn.Parameter(torch.ones(2)) for _ in range(3)]
    groups = [group(name, parameter) for name, parameter in zip("abc", parameters, strict=True)]
    built = build_optimizer(Optimisation(), groups)
    for rates in ({"a": 1.0, "b": 1.0, "c": 0.0}, {"a": 0.5, "b": 1.0, "c": 1.0}, {"a": 1.0, "b": 1.0, "c": 1.0}):
        group_by_rate(built, groups, rates)
        set_rate(built, 0.1)
        for parameter in parameters:
            parameter.grad = torch.ones(2)
        built.step()
    assert [int(built.state[parameter]["step"]) for parameter in parameters] == [3, 3, 3]
    assert [parameter for held in built.param_groups for parameter in held["params"]] == parameters


@pytest.mark.parametrize("optimizer", Optimizer)
def test_a_restored_optimiser_steps_as_the_one_it_came_from(optimizer):
    """With channels last, where parameter and restored state could lie differently in memory."""
    networks = [nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last) for _ in range(2)]
    plan = Optimisation(optimizer=optimizer)
    built = [build_optimizer(plan, [group("", *network.parameters())]) for network in networks]
    gradients = torch.randn(3, 4, 3, 3, 3).unbind()
    step(networks[0], built[0], gradients[0])
    networks[1].load_state_dict(networks[0].state_dict())
    kept = {name: tensor.clone().contiguous() for name, tensor in optimizer_tensors(built[0], networks[0]).items()}
    assert kept
    restore_optimizer(built[1], networks[1], kept)
    for gradient in gradients[1:]:
        for network, its in zip(networks, built, strict=True):
            step(network, its, gradient)
    assert torch.equal(networks[0].weight, networks[1].weight)


def step(network, optimizer, gradient):
    network.weight.grad = gradient.contiguous(memory_format=torch.channels_last)
    network.bias.grad = gradient.sum((1, 2, 3))
    optimizer.step()


def group(leaf, *parameters):
    return ParameterGroup(leaf, parameters, 0.0)


@pytest.mark.parametrize("optimizer", Optimizer)
def test_steps_are_those_of_torchs_own(optimizer):
    plan = Optimisation(optimizer=optimizer, lr=0.05)
    mine, torchs = (nn.Parameter(torch.linspace(-1, 1, 24).reshape(4, 6)) for _ in range(2))
    own = build_optimizer(plan, [ParameterGroup("fc", (mine,), 0.1)])
    if optimizer is Optimizer.ADAMW:
        theirs: torch.optim.Optimizer = torch.optim.AdamW([torchs], lr=0.05, weight_decay=0.1, fused=True)
    else:
        theirs = torch.optim.SGD([torchs], lr=0.05, weight_decay=0.1, momentum=plan.momentum, fused=True)
    for _ in range(5):
        for stepped, parameter in ((own, mine), (theirs, torchs)):
            stepped.zero_grad()
            parameter.sin().sum().backward()
            stepped.step()
    assert torch.equal(mine, torchs)


A_RUN = """
import sys
from pathlib import Path
import torch
from desktop_ft.engine.work import Work
from tests.engine.tiny import Run, TinyNet
Run(Path(sys.argv[1])).fit()
Work(TinyNet(), torch.zeros(2, 3, 5, 5))
print(*(name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules))
"""


def test_a_run_does_not_load_the_compiler(tmp_path):
    done = subprocess.run([sys.executable, "-c", A_RUN, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
