"""A run that waits gives memory back, and finds everything again."""

import pytest
import torch
from torch import nn

from desktop_ft.engine.rest import resting


def stepped(device: torch.device) -> tuple[nn.Module, torch.optim.Optimizer]:
    network = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.Linear(64, 8)).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    network(torch.randn(8, 64, device=device)).sum().backward()
    optimizer.step()
    return network, optimizer


def test_on_the_cpu_everything_stays_as_it_is_but_for_gradients() -> None:
    network, optimizer = stepped(torch.device("cpu"))
    before = {name: (tensor, tensor.clone()) for name, tensor in network.state_dict(keep_vars=True).items()}
    with resting(network, optimizer, torch.device("cpu"), moves=True):
        assert all(parameter.grad is None for parameter in network.parameters())
    for name, tensor in network.state_dict(keep_vars=True).items():
        assert tensor is before[name][0] and torch.equal(tensor, before[name][1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("moves", [True, False])
def test_on_a_gpu_what_it_held_can_be_had_by_others(moves: bool) -> None:
    device = torch.device("cuda")
    network, optimizer = stepped(device)
    held = [*network.parameters(), *network.buffers(), *(t for each in optimizer.state.values() for t in each.values())]
    places = [tensor.device for tensor in held]
    values = [tensor.cpu() for tensor in held]
    used = torch.cuda.memory_allocated()
    with resting(network, optimizer, device, moves=moves):
        assert torch.cuda.memory_allocated() < used
        assert all(tensor.device.type == "cpu" for tensor in held) is moves
    assert [tensor.device for tensor in held] == places
    assert all(torch.equal(tensor.cpu(), value) for tensor, value in zip(held, values, strict=True))
