"""Looks at what one step, and all steps so far, do to each layer that learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from desktop_ft.core.events import LayerSeen
from desktop_ft.core.layers import is_under
from desktop_ft.engine.device import free_memory
from desktop_ft.models.freezing import ParameterGroup

_DIGITS = 4
_SHORTEST = 1e-12
_ROOM = 4
"""What is copied for a look must fit so many times into the memory that is left."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a network was before a run's first step, where it had learned something.

    Attributes:
        head: path of the layers that were new then: they have nothing to forget.
        tensors: gives them, by name; asked only where a run is resumed. Nothing, where they cannot be had any more.
    """

    head: str
    tensors: Callable[[], Mapping[str, Tensor]]


class LayerWatch:
    """Watches the layers that learn: `before` a step and `after` it. What they were first it keeps in the computer's memory.

    Args:
        network: as it is before the first step, or where the run goes on.
        origin: what its layers are held against; None where they began by chance.
        resumed: the run goes on: what the network is now is not what it was first.
    """

    def __init__(self, network: nn.Module, origin: Origin | None, *, resumed: bool) -> None:
        self._names = {id(held): name for name, held in network.named_parameters()}
        self._head = origin.head if origin is not None else ""
        self._keeps = origin is not None and not resumed
        self._first = dict(origin.tensors()) if origin is not None and resumed else {}
        self._layers: dict[str, list[nn.Parameter]] = {}
        self._before: dict[str, list[Tensor]] = {}

    def follow(self, groups: Iterable[ParameterGroup]) -> None:
        """Watch the layers of `groups` from now on; those that were not watched before have not learned yet."""
        self._layers = {}
        for group in groups:
            self._layers.setdefault(group.leaf, []).extend(group.parameters)
        for path, parameters in self._layers.items():
            for held in parameters if self._keeps and not is_under(path, self._head) else ():
                self._first.setdefault(self._names[id(held)], held.detach().to("cpu", copy=True))

    def before(self) -> None:
        """Remember what the layers that learn now are, before a step.

        Where that would take much of what memory is left, nothing is seen: a look must not make the step run out of it.
        """
        learning = {
            path: parameters for path, parameters in self._layers.items() if any(held.requires_grad for held in parameters)
        }
        wanted = sum(held.nbytes for parameters in learning.values() for held in parameters)
        device = next((held.device for parameters in learning.values() for held in parameters), torch.device("cpu"))
        if _ROOM * wanted <= free_memory(device):
            self._before = {path: [held.detach().clone() for held in parameters] for path, parameters in learning.items()}

    def after(self) -> tuple[LayerSeen, ...]:
        """What the step since `before` has done to each of them, from the input to the head.

        Nothing where that is not to be told in numbers: a step that overflowed, and was skipped.
        """
        before, self._before = self._before, {}
        try:
            seen = tuple(self._seen(path, old) for path, old in before.items())
        except torch.OutOfMemoryError:
            return ()
        return seen if all(math.isfinite(layer.gradient) for layer in seen) else ()

    @torch.no_grad()
    def _seen(self, path: str, old: Sequence[Tensor]) -> LayerSeen:
        now = self._layers[path]
        first = self._first_of(path)
        gradients = [held.grad for held in now if held.grad is not None]
        lengths = [_length(gradients, old[0]), _length(_apart(now, old), old[0]), _length(old, old[0])]
        if first:
            lengths += [_length(_apart(now, first), old[0]), _length(first, old[0])]
        gradient, moved, was, *drift = torch.stack(lengths).tolist()  # a device is waited for once a layer
        return LayerSeen(
            path=path,
            gradient=_rounded(gradient),
            update=_rounded(moved / max(was, _SHORTEST)),
            drift=_rounded(drift[0] / max(drift[1], _SHORTEST)) if drift else None,
        )

    def _first_of(self, path: str) -> list[Tensor]:
        """What the weights at `path` were first; nothing where that is unknown, or was chance."""
        now = self._layers[path]
        names = [self._names[id(held)] for held in now]
        if not self._first or is_under(path, self._head) or any(name not in self._first for name in names):
            return []
        return [self._first[name].to(held.device) for name, held in zip(names, now, strict=True)]


def _apart(some: Sequence[Tensor], others: Sequence[Tensor]) -> list[Tensor]:
    return [one - other for one, other in zip(some, others, strict=True)]


def _length(tensors: Sequence[Tensor], like: Tensor) -> Tensor:
    """The length of all `tensors` as one vector, float32, on the device of `like`."""
    if not tensors:
        return torch.zeros((), device=like.device)
    return nn.utils.get_total_norm(tensors).float().to(like.device)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
