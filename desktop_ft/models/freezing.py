"""Carries out a freeze plan on a network: what learns, how fast, and what stays bit for bit as it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from desktop_ft.core.freezing import BatchNormPolicy, FreezePlan
from desktop_ft.core.layers import PARAMETER, LayerNode, NormKind, is_under

_POSITIONS = ("pos_embed", "position", "token")


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters of one layer that share a learning rate and a weight decay.

    Attributes:
        leaf: path of the layer; its rate in an epoch is `Freezer.rates(epoch)[leaf]`.
    """

    leaf: str
    parameters: tuple[nn.Parameter, ...]
    weight_decay: float


class Freezer:
    """Holds a network to its freeze plan, epoch by epoch.

    In every epoch the trainer calls `apply(epoch)`, then `train_mode(epoch)` (again after each validation), and sets the
    rate of each optimiser group to `base_lr * rates(epoch)[group.leaf]`. What is frozen has no gradient, so that no
    optimiser touches it, and is in eval mode, so that no statistics move.

    Args:
        module: the backbone with its new head.
        tree: its layer tree.
        head: path of the head inside it.
        since: the first epoch (0-based) that the plan is for; what changes over time in it counts from there.
    """

    def __init__(self, module: nn.Module, plan: FreezePlan, tree: LayerNode, head: str, since: int = 0) -> None:
        self.since, self.pretrained = since, plan.pretrained
        self._module = module
        self._plan = plan
        self._leaves = tuple(tree.leaves())
        named = dict(module.named_parameters())
        self._held = {leaf.path: {name: named[name] for name in named if is_under(name, leaf.path)} for leaf in self._leaves}
        self._owner = {id(held): path for path, parameters in self._held.items() for held in parameters.values()}
        self._rates = cache(lambda epoch: plan.rates(tree, head, max(0, epoch - since)))

    def rates(self, epoch: int) -> dict[str, float]:
        """Layer path to its multiplier of the learning rate in `epoch` (0-based); 0 means frozen."""
        return dict(self._rates(epoch))

    def apply(self, epoch: int) -> None:
        """Let exactly the parameters learn that the plan names for `epoch`; what freezes loses its gradient."""
        for path, parameters in self._held.items():
            for held in parameters.values():
                held.requires_grad_(bool(self._rates(epoch)[path]))
                if not held.requires_grad:
                    held.grad = None

    def train_mode(self, epoch: int) -> None:
        """Training mode for what learns, eval mode for what is frozen.

        A part that holds parameters, none of which learn, rests: its BatchNorm statistics, dropout and stochastic depth
        stay still. A part without parameters (such as a dropout between two layers) goes with the layer it feeds.
        """
        self._module.train()
        self._rest(self._module, {path for path, rate in self._rates(epoch).items() if rate})
        if self._plan.batch_norm is BatchNormPolicy.FROZEN:
            for part in self._module.modules():
                if isinstance(part, _NormBase):
                    part.eval()

    def groups(self, epochs: int, weight_decay: float) -> list[ParameterGroup]:
        """Everything that learns at some time in a run of `epochs`, for one optimiser, in the order of the layers.

        Norms, biases, scales, position embeddings and class tokens get no weight decay.
        """
        last = {epoch: self._rates(epoch) for epoch in (range(self.since, epochs) if self._plan.changes_over_time else range(1))}
        found = []
        for leaf in self._leaves:
            if not any(rates[leaf.path] for rates in last.values()):
                continue
            held = self._held[leaf.path]
            for decays in (True, False):
                chosen = tuple(tensor for name, tensor in held.items() if _decays(leaf, name, tensor) is decays)
                if chosen:
                    found.append(ParameterGroup(leaf.path, chosen, weight_decay if decays else 0.0))
        return found

    def _rest(self, module: nn.Module, learning: set[str]) -> None:
        owners = [self._owner[id(held)] for held in module.parameters()]
        if owners and not learning.intersection(owners):
            module.eval()
            return
        feeds_frozen = False
        for child in reversed(list(module.children())):
            first = next(child.parameters(), None)
            if first is not None:
                feeds_frozen = self._owner[id(first)] not in learning
                self._rest(child, learning)
            elif feeds_frozen:
                child.eval()


class Succession:
    """Plans that follow one another, as one: each from the epoch that it is for until the next begins.

    Args:
        freezers: of one network, each with a later `since` than the one before.
    """

    def __init__(self, freezers: Sequence[Freezer]) -> None:
        self._freezers = tuple(freezers)
        self.since, self.pretrained = freezers[0].since, freezers[0].pretrained

    def rates(self, epoch: int) -> dict[str, float]:
        """As `Freezer`."""
        return self._in(epoch).rates(epoch)

    def apply(self, epoch: int) -> None:
        """As `Freezer`."""
        self._in(epoch).apply(epoch)

    def train_mode(self, epoch: int) -> None:
        """As `Freezer`."""
        self._in(epoch).train_mode(epoch)

    def groups(self, epochs: int, weight_decay: float) -> list[ParameterGroup]:
        """As `Freezer`: what learns at some time, each parameter once."""
        ends = [*(freezer.since for freezer in self._freezers[1:]), epochs]
        found = [group for one, end in zip(self._freezers, ends, strict=True) for group in one.groups(end, weight_decay)]
        return list({(group.leaf, group.weight_decay): group for group in found}.values())

    def _in(self, epoch: int) -> Freezer:
        return next((one for one in reversed(self._freezers) if one.since <= epoch), self._freezers[0])


def _decays(leaf: LayerNode, name: str, tensor: nn.Parameter) -> bool:
    if leaf.norm is not NormKind.NONE or sum(side > 1 for side in tensor.shape) <= 1:
        return False
    return leaf.type != PARAMETER or not any(word in name.rpartition(".")[2] for word in _POSITIONS)
