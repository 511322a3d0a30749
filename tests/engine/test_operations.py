"""Operations are counted as torch counts them."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from desktop_ft.engine.operations import Operations


class Attention(nn.Module):
    """Each position hears all others."""

    def forward(self, inputs: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(inputs, inputs, inputs)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "convolutions": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8)), (2, 3, 9, 9)),
    "linear": (lambda: nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.LayerNorm(5), nn.Linear(5, 2, bias=False)), (4, 7, 6)),
    "attention": (lambda: nn.Sequential(nn.Linear(8, 8), Attention()), (2, 3, 5, 8)),
    "normalisation": (lambda: nn.BatchNorm2d(3), (2, 3, 4, 4)),
}


def answered(network: nn.Module, inputs: Tensor) -> Tensor:
    """What it says; and its gradients, where there are any."""
    given: Tensor = network(inputs)
    if given.requires_grad:
        given.sum().backward()
    return given


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("name", NETWORKS)
def test_they_are_counted_as_torch_counts_them(name: str, mode: Callable[[], AbstractContextManager[None]]) -> None:
    build, shape = NETWORKS[name]
    network, inputs, theirs = build().eval(), torch.randn(shape), FlopCounterMode(display=False)
    with mode(), theirs:
        expected = answered(network, inputs)
    with mode(), Operations() as operations:
        given = answered(network, inputs)
    assert torch.equal(given, expected)
    assert operations.total == theirs.get_total_flops()
    assert (operations.total > 0) == (name != "normalisation")
