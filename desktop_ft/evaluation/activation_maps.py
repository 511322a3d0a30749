"""Where in a picture a network finds what speaks for a class: Grad-CAM (Selvaraju et al. 2017), and its sanity check."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from desktop_ft.core.language import marked
from desktop_ft.evaluation.explanation import Grid, Similarity
from desktop_ft.models.modes import eval_mode
from desktop_ft.models.network import Network

_DRAWS = 3
_STAGES = (
    (0.0, marked("the head")),
    (1 / 3, marked("the head and a third of the layers")),
    (2 / 3, marked("two thirds")),
    (1.0, marked("all layers")),
)
"""How much of the layers below the head is randomised, from the head down, and what it is called."""


@dataclass(frozen=True, slots=True)
class Maps:
    """What speaks for some classes, at one place of the network.

    Attributes:
        probabilities: one a class.
        place: the module path behind which it was looked; "" where no place has a spatial extent.
        grids: for each class asked for, float32 (rows, columns), not negative; its scale has no meaning.
    """

    probabilities: tuple[float, ...]
    place: str
    grids: tuple[Grid, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    path: str
    output: Tensor


def activation_maps(network: Network, picture: Tensor, classes: Sequence[int]) -> Maps:
    """Grad-CAM maps of `picture`, uint8 or float (3, S, S), for each of `classes`, at the last place with a spatial extent.

    That is the last layer in front of the head whose output is a grid, of channels or of tokens, through which the answer flows:
    behind a vision transformer's last attention only the class token counts, so there it is the grid in front of it.
    """
    with _passed(network, picture) as (logits, seen):
        probabilities = tuple(torch.softmax(logits.double(), 0).tolist())
        gradients = [_gradients(logits[index], [each.output for each in seen]) for index in classes]
        for number, each in reversed(list(enumerate(seen))):
            here = [by_place[number] for by_place in gradients]
            if any(gradient is not None and bool((_tokens(gradient) != 0).any()) for gradient in here):
                return Maps(probabilities, each.path, tuple(_grad_cam(each.output, gradient) for gradient in here))
    return Maps(probabilities, "", ())


def sanity_check(
    network: Network,
    picture: Tensor,
    classes: Sequence[int],
    place: str,
    grids: Sequence[Grid],
    *,
    progress: Callable[[int, int | None], None] | None = None,
    heed: Callable[[], None] = lambda: None,
) -> tuple[Similarity, ...]:
    """How alike the maps `grids`, seen at `place`, stay when layers forget what they learned, from the head down (Adebayo et al.
    2018, section 4.1).

    Layers forget by having the values of each of their parameters shuffled: what they learned is gone, the scale stays. A map
    that stays alike does not show what the network has learned.

    Args:
        heed: called between passes; raises to break off.
    """
    found: list[list[list[float]]] = [[] for _ in _STAGES]
    for draw in range(_DRAWS):
        forgetful, chance = copy.deepcopy(network), torch.Generator().manual_seed(draw)
        done = 0
        layers = _from_the_head_down(forgetful)
        for number, (share, _) in enumerate(_STAGES):
            heed()
            upto = 1 + math.ceil(share * (len(layers) - 1))
            for layer in layers[done:upto]:
                _shuffle(layer, chance)
            done = upto
            others = _at(forgetful, picture, classes, place)
            found[number].append([rank_correlation(a, b) for a, b in zip(grids, others, strict=True)])
            if progress is not None:
                progress(draw * len(_STAGES) + number + 1, _DRAWS * len(_STAGES))
    return tuple(
        Similarity(what=what, values=tuple(np.mean(values, axis=0).tolist()))
        for (_, what), values in zip(_STAGES, found, strict=True)
    )


def rank_correlation(one: Grid, other: Grid) -> float:
    """Spearman's rank correlation of two grids, -1 to 1; of a level one with another 0, and of two level ones 1."""
    first, second = _ranks(one), _ranks(other)
    spread = float(first.std() * second.std())
    if not spread:
        return float(first.std() == second.std())
    return float(((first - first.mean()) * (second - second.mean())).mean() / spread)


def _ranks(grid: Grid) -> NDArray[np.float64]:
    """The rank of each value, equal ones sharing theirs."""
    _, which, counts = np.unique(np.nan_to_num(grid).ravel(), return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[which.ravel()]
    return ranks


@contextmanager
def _passed(network: Network, picture: Tensor, only: str = "") -> Iterator[tuple[Tensor, list[_Seen]]]:
    """`picture` gone through: its logits (classes,), and the outputs with a spatial extent up to the head, in their order.

    Args:
        only: the one module path to look behind; "" for all.
    """
    seen: list[_Seen] = []
    reached = False

    def arrive(module: nn.Module, inputs: object) -> None:
        nonlocal reached
        reached = True

    def look(path: str) -> Callable[[nn.Module, object, object], Tensor | None]:
        def hook(module: nn.Module, inputs: object, output: object) -> Tensor | None:
            if reached or not isinstance(output, Tensor) or not _has_extent(output):
                return None
            seen.append(_Seen(path, output))
            return output.clone()  # what follows may change it in place

        return hook

    given = picture.unsqueeze(0)
    given = (given if given.is_floating_point() else given.to(torch.float32) / 255).requires_grad_()
    with eval_mode(network), torch.enable_grad(), ExitStack() as hooks:
        head = network.backbone.get_submodule(network.head_path)
        hooks.callback(head.register_forward_pre_hook(arrive).remove)
        for path, module in network.backbone.named_modules():
            if path and only in ("", path):
                hooks.callback(module.register_forward_hook(look(path)).remove)
        yield network(given)[0], seen


def _has_extent(output: Tensor) -> bool:
    if output.shape[:1] != (1,) or not output.requires_grad or output.ndim not in (3, 4):
        return False
    rows, columns = _extent(output)
    return min(rows, columns) > 1


def _extent(output: Tensor) -> tuple[int, int]:
    """Rows and columns of a grid of channels (1, C, H, W), of channels last (1, H, W, C), or of tokens (1, T, C)."""
    if output.ndim == 3:
        # Tokens of the class, and registers, come in front of those of the grid, which is as large as it can be.
        side = math.isqrt(output.shape[1])
        return side, side
    if output.shape[1] == output.shape[2] != output.shape[3]:
        return int(output.shape[1]), int(output.shape[2])
    return int(output.shape[2]), int(output.shape[3])


def _tokens(output: Tensor) -> Tensor:
    """A grid as (rows, columns, C), whatever its layout."""
    rows, columns = _extent(output)
    if output.ndim == 3:
        return output[0, -rows * columns :].reshape(rows, columns, -1)
    return output[0] if output.shape[1:3] == (rows, columns) != output.shape[2:] else output[0].permute(1, 2, 0)


def _gradients(score: Tensor, outputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """Of `score` by each of `outputs`; None where it does not depend on it."""
    return torch.autograd.grad(score, tuple(outputs), retain_graph=True, allow_unused=True) if outputs else ()


def _grad_cam(output: Tensor, gradient: Tensor | None) -> Grid:
    """Equations 1 and 2 of Selvaraju et al. 2017: channels weighed by their mean gradient, summed; the negative is left out."""
    values = _tokens(output.detach())
    if gradient is None:
        return np.zeros(values.shape[:2], np.float32)
    weights = _tokens(gradient).mean(dim=(0, 1))
    grid: Grid = torch.relu((values * weights).sum(dim=2)).float().cpu().numpy()
    return grid


def _at(network: Network, picture: Tensor, classes: Sequence[int], place: str) -> tuple[Grid, ...]:
    """The maps at `place`."""
    with _passed(network, picture, only=place) as (logits, seen):
        there = seen[-1].output
        return tuple(_grad_cam(there, _gradients(logits[index], [there])[0]) for index in classes)


def _from_the_head_down(network: Network) -> list[nn.Module]:
    """The modules with parameters of their own: the head, then the others from the output to the input."""
    head = network.backbone.get_submodule(network.head_path)
    own = [module for module in network.backbone.modules() if any(True for _ in module.parameters(recurse=False))]
    return [head, *(module for module in reversed(own) if module is not head)]


def _shuffle(layer: nn.Module, chance: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in layer.parameters(recurse=False):
            order = torch.randperm(parameter.numel(), generator=chance)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
