"""How much a step computes, by what learns in it: from that a run that changes what learns tells how long it still takes."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from desktop_ft.engine.operations import Operations
from desktop_ft.models.modes import eval_mode


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A module that holds parameters itself, and its floating-point operations a sample, forwards, less those of such within."""

    module: nn.Module
    flops: float

    @property
    def learns(self) -> bool:
        """Whether any of its own parameters asks for a gradient."""
        return any(held.requires_grad for held in self.module.parameters(recurse=False))


class Uncountable(Exception):
    """A network's own code fails, or does what is not counted."""


class Work:
    """Counts what a sample costs in a step, in floating-point operations.

    Args:
        network: one pass goes through it, in eval mode and without gradients.
        inputs: a few of them, (N, …), on the network's device.

    Raises:
        Uncountable: see there.
    """

    def __init__(self, network: nn.Module, inputs: Tensor) -> None:
        operations, not_own = Operations(), list[int]()
        self._layers = list[_Layer]()

        def begun(*_: object) -> None:
            not_own.append(operations.total)

        def done(module: nn.Module, *_: object) -> None:
            own = operations.total - not_own.pop()
            not_own[:] = [each + own for each in not_own]  # of whatever it lies within
            self._layers.append(_Layer(module, own / len(inputs)))

        with ExitStack() as hooks:
            for module in network.modules():
                if any(True for _ in module.parameters(recurse=False)):
                    hooks.callback(module.register_forward_pre_hook(begun).remove)
                    hooks.callback(module.register_forward_hook(done).remove)
            try:
                with eval_mode(network), torch.no_grad(), operations:
                    network(inputs)
            except Exception as error:
                raise Uncountable from error
        self._forwards = operations.total / len(inputs)
        if not self._forwards:
            raise Uncountable

    def of_a_step(self, *, behind_the_cut: bool) -> float:
        """With what asks for gradients now: forwards, and backwards down to the first layer that learns.

        Backwards, a layer costs as much again for what lies in front of it, and once more where it learns itself.

        Args:
            behind_the_cut: what lies in front of the first layer that learns is not computed, as its answers are kept.
        """
        first = next((at for at, layer in enumerate(self._layers) if layer.learns), len(self._layers))
        front = sum(layer.flops for layer in self._layers[:first])
        back = sum(layer.flops * (1 + layer.learns) for layer in self._layers[first:])
        return self._forwards - behind_the_cut * front + back
