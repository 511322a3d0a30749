"""Optimisers, and how the learning rate moves over a run: pure functions of the step, so that a resumed run needs no state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from inspect import unwrap
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import Optimisation, Optimizer, Schedule

if TYPE_CHECKING:
    from desktop_ft.models.freezing import ParameterGroup

_ONE_CYCLE_START = 1 / 25
_ONE_CYCLE_END = 1 / 250_000


class _Eager(torch.optim.Optimizer):
    """torch wraps these for torch.compile, and the wrappers load the compiler: 2.3 s and 156 MB, though nothing is compiled."""

    add_param_group = unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = unwrap(torch.optim.Optimizer.zero_grad)


class _AdamW(_Eager, torch.optim.AdamW):
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class _SGD(_Eager, torch.optim.SGD):
    step = torch.no_grad()(unwrap(torch.optim.SGD.step))


def build_optimizer(optimisation: Optimisation, groups: Sequence[ParameterGroup]) -> torch.optim.Optimizer:
    """The optimiser of `optimisation` over `groups`, in torch's fused form. `group_by_rate` says how fast each of them learns.

    Raises:
        UserError: there is no parameter that learns.
    """
    if not groups:
        raise UserError(tr("No layer may learn."), tr("Tick at least one layer, or take another preset."))
    given = [{"params": list(group.parameters), "weight_decay": group.weight_decay} for group in groups]
    match optimisation.optimizer:
        case Optimizer.ADAMW:
            return _AdamW(given, lr=optimisation.lr, fused=True)
        case Optimizer.SGD:
            sgd = _SGD(given, lr=optimisation.lr, momentum=optimisation.momentum, fused=True)
            if optimisation.momentum:  # torch cannot step what has momentum and what has none yet as one
                for parameter in (parameter for group in groups for parameter in group.parameters):
                    sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter, requires_grad=False)
            return sgd


def group_by_rate(optimizer: torch.optim.Optimizer, groups: Sequence[ParameterGroup], rates: Mapping[str, float]) -> None:
    """Let each of `groups`, those that `optimizer` was built for, learn at its layer's multiplier of the rate from now on.

    Those that learn alike are stepped as one: a fused step takes as long to launch for one tensor as for a hundred.
    """
    alike: dict[tuple[float, float], list[nn.Parameter]] = {}
    for group in groups:
        alike.setdefault((rates[group.leaf], group.weight_decay), []).extend(group.parameters)
    shared = optimizer.param_groups[0]
    optimizer.param_groups = [
        {**shared, "params": parameters, "multiplier": multiplier, "weight_decay": weight_decay}
        for (multiplier, weight_decay), parameters in alike.items()
    ]


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group the rate `lr` times its multiplier."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["multiplier"]


def factor(schedule: Schedule, step: int, total_steps: int, warmup: float) -> float:
    """What the learning rate is multiplied with at `step` (0-based, of `total_steps`): above 0, at most 1.

    Args:
        warmup: share of the run over which the rate rises. COSINE and CONSTANT rise in a straight line (Goyal et al. 2017);
            COSINE then falls along a half cosine (Loshchilov & Hutter 2017). ONE_CYCLE rises from 1/25 and falls to 1/250,000
            along half cosines (Smith & Topin 2018, in the form of torch's OneCycleLR, with its rate only).
    """
    rising = round(warmup * total_steps)
    if step < rising:
        if schedule is Schedule.ONE_CYCLE:
            return _half_cosine(_ONE_CYCLE_START, 1.0, step / rising)
        return (step + 1) / (rising + 1)
    if schedule is Schedule.CONSTANT:
        return 1.0
    falling = total_steps - rising
    if schedule is Schedule.ONE_CYCLE:
        return _half_cosine(1.0, _ONE_CYCLE_END, (step - rising) / max(1, falling - 1))
    return _half_cosine(1.0, 0.0, (step - rising) / falling)


def optimizer_tensors(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """The optimiser's state by `PARAMETER/KEY`; the tensors themselves, not copies."""
    return {
        f"{name}/{key}": tensor
        for name, parameter in network.named_parameters()
        if parameter in optimizer.state
        for key, tensor in optimizer.state[parameter].items()
        if isinstance(tensor, Tensor)
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give the optimiser the state that `optimizer_tensors` told of, laid out in memory as its parameters are.

    What is told of parameters that it does not step is left out: they learned under another plan.
    """
    stepped = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    parameters = dict(network.named_parameters())
    for name, tensor in tensors.items():
        path, _, key = name.rpartition("/")
        parameter = parameters[path]
        if parameter not in stepped:
            continue
        # Fused steps walk parameter and state in memory order, so both must have the same layout.
        own = torch.empty_like(tensor if key == "step" else parameter, device=parameter.device, requires_grad=False)
        optimizer.state[parameter][key] = own.copy_(tensor)


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
