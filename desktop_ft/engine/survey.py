"""What a network has made of its pictures at each depth: one pass over the data, and the average of what each block hands on.

The depths are those of the freeze editor: at depth d the first d blocks have answered, and the rest of the network would have to
learn from what they hand on. Averages over places are what such surveys are made of (Alain and Bengio 2016, "Understanding
intermediate layers using linear classifier probes").
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.layers import blocks, is_under
from desktop_ft.engine.answering import answered, in_parts, name_of
from desktop_ft.engine.device import Compute, pass_size
from desktop_ft.engine.feature_store import Features, FeatureStore, NoRoom, RowKind
from desktop_ft.engine.process import memory_kept
from desktop_ft.models.layer_tree import layer_tree
from desktop_ft.models.modes import eval_mode
from desktop_ft.models.network import Network

_TRIED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What was seen of N pictures.

    Attributes:
        depths: how many blocks have answered, rising; the last is the number of all blocks, where the head comes next. A depth
            whose answers cannot be had (a block that is not called as one) is not among them.
        features: for each of `depths`, float32 (N, C), C differing from depth to depth.
        blocks: how many the network has besides its head.
    """

    depths: tuple[int, ...]
    features: tuple[np.ndarray, ...]
    blocks: int

    @property
    def last(self) -> np.ndarray:
        """What the head is given: float32 (N, C)."""
        return self.features[-1]  # `survey` sees to it that the head is among the depths


def survey(
    network: Network,
    keys: Sequence[str],
    inputs: Callable[[Sequence[str]], Tensor],
    compute: Compute,
    store: FeatureStore,
    *,
    code: str = "",
    every_depth: bool = True,
    warn: Callable[[str], None],
    progress: Callable[[int, int], None] | None = None,
    heed: Callable[[], None] | None = None,
) -> Survey:
    """Look at the inputs of `keys`, in their order; what was seen before is taken from `store`.

    Args:
        network: what it has learned so far is what is surveyed; its head does not matter.
        keys: equal ones mean equal inputs, now and in any later run.
        inputs: the inputs of some keys, (len(keys), …); called from several threads at once.
        code: what the network's own code is told by, as text: layers alike in all else may answer otherwise.
        every_depth: False: only what the head is given is looked at and kept, which takes a fraction of the room.
        warn: told in a sentence where what is kept was damaged, or cannot be kept.
        progress: told how many inputs are done, of how many.
        heed: called between batches; what it raises ends the survey, and what is done so far is kept.

    Raises:
        UserError: there is no room for what is seen, a picture is gone, or the network's head cannot be looked at.
    """
    with memory_kept(), eval_mode(network), _Surveyor(network, compute, code, every_depth=every_depth) as surveyor:
        few = inputs([keys[0]] * _TRIED)
        size = pass_size(compute.device, few[0].numel())
        surveyor.try_on(few)
        try:
            kept = store.open(surveyor.name, keys, surveyor.kind, warn)
            missing = kept.missing
            parts = [missing[start : start + size] for start in range(0, len(missing), size)]
            with answered(surveyor.rows, compute.device, parts, inputs, size) as coming:
                _take_in(kept, parts, coming, progress, heed)
        except NoRoom as error:
            raise UserError(str(error), tr("Free some room; `desktop-ft cache` shows what can go.")) from error
        by_depth = torch.split(kept.rows(keys), list(surveyor.widths), dim=1)
        return Survey(surveyor.depths, tuple(part.numpy() for part in by_depth), surveyor.blocks)


def _take_in(
    kept: Features,
    parts: Sequence[Sequence[str]],
    coming: Iterable[Tensor],
    progress: Callable[[int, int], None] | None,
    heed: Callable[[], None] | None,
) -> None:
    done, total = 0, sum(map(len, parts))
    try:
        for part, rows in zip(parts, coming, strict=True):
            if heed is not None:
                heed()
            kept.add(part, rows)
            if kept.full:
                kept.settle()
            done += len(part)
            if progress is not None:
                progress(done, total)
    finally:
        kept.settle()


class _Surveyor:
    """Stands at the doors of a network's blocks while inputs pass. A context manager: it goes away again.

    A door is where the next block begins, not where one ends: what a dense layer adds to what it was given is only together with
    that what the rest of the network sees.

    Attributes:
        depths, widths: of what is seen, known after `try_on`.
    """

    def __init__(self, network: Network, compute: Compute, code: str, *, every_depth: bool) -> None:
        tree = layer_tree(network.backbone)
        leaves = {leaf.path: leaf for leaf in tree.leaves()}
        found = blocks(tree, network.head_path)
        modules = dict(network.backbone.named_modules())
        self.blocks = len(found)
        self._network, self._compute, self._code = network.to(compute.device), compute, code
        if compute.channels_last:
            network.to(memory_format=torch.channels_last)
        heads = [path for path in leaves if is_under(path, network.head_path)]
        doors = [_first_module(block, list(leaves), modules) for block in (*found[1:], heads)]
        wanted = range(1 if every_depth else len(doors), len(doors) + 1)
        named = [(depth, doors[depth - 1]) for depth in wanted]
        self._doors = {depth: modules[path] for depth, path in named if path is not None}
        self.depths: tuple[int, ...] = ()
        self.widths: tuple[int, ...] = ()
        self._here = threading.local()
        self._hooks = ExitStack()

    def __enter__(self) -> _Surveyor:
        for depth, module in self._doors.items():
            self._hooks.callback(module.register_forward_pre_hook(self._standing_at(depth)).remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.close()

    @property
    def name(self) -> str:
        """What decides a row besides the input. The head does not."""
        way = f"survey {self.depths} {self.widths} {self._code}"
        return name_of(self._network, self._compute, way, besides=f"backbone.{self._network.head_path}")

    @property
    def kind(self) -> RowKind:
        """What a row is: all that is seen of one picture, one depth after the other."""
        return RowKind(shape=(sum(self.widths),), dtype=torch.float32)

    def try_on(self, inputs: Tensor) -> None:
        """Find out at which depths something is seen, and how much."""
        seen = self._seen(inputs)
        self.depths = tuple(sorted(depth for depth, tensor in seen.items() if len(tensor) == len(inputs)))
        self.widths = tuple(seen[depth].shape[1] for depth in self.depths)
        if self.blocks not in self.depths:
            raise UserError(
                tr("What the head of this network is given cannot be looked at: it is not called as a layer."),
                tr("Choose another network."),
            )

    def rows(self, inputs: Tensor) -> Tensor:
        """What is seen of `inputs` (N, …): float32 (N, widths), on the CPU."""

        def ask(part: Tensor) -> Tensor:
            seen = self._seen(part)
            return torch.cat([seen[depth] for depth in self.depths], dim=1)

        return in_parts(ask, inputs, self._compute.device)

    @torch.no_grad()
    def _seen(self, inputs: Tensor) -> dict[int, Tensor]:
        self._here.seen = seen = dict[int, Tensor]()
        autocast = self._compute.frozen_autocast
        inputs = inputs.to(self._compute.device)
        if self._compute.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._compute.device.type, autocast, enabled=autocast is not None):
            self._network(inputs)
        return seen

    def _standing_at(self, depth: int) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def hook(_module: nn.Module, given: tuple[object, ...]) -> None:
            tensors = _tensors(given)
            if tensors and depth not in self._here.seen:  # a module may be called more than once
                self._here.seen[depth] = torch.cat([averaged(tensor) for tensor in tensors], dim=1)

        return hook


def _first_module(block: Sequence[str], leaves: Sequence[str], modules: dict[str, nn.Module]) -> str | None:
    """The path of the module that `block` (leaf paths) begins with: the largest one that holds nothing else that learns."""
    inside = set(block)
    for leaf in block:
        found = None
        parts = leaf.split(".")
        for length in range(len(parts), 0, -1):
            path = ".".join(parts[:length])
            if not all(other in inside for other in leaves if is_under(other, path)):
                break
            if path in modules and not isinstance(modules[path], (nn.ModuleList, nn.ModuleDict)):
                found = path
        if found is not None:
            return found
    return None


def _tensors(given: tuple[object, ...]) -> list[Tensor]:
    """The tensors among a module's arguments, those of its first one where that is a list of them."""
    first = given[0] if given else None
    return [one for one in (first if isinstance(first, (list, tuple)) else [first]) if isinstance(one, Tensor) and one.ndim > 1]


def averaged(features: Tensor) -> Tensor:
    """The average over all places: float32 (N, C) on the CPU.

    Args:
        features: (N, C), tokens (N, S, C), or a map (N, C, H, W) or (N, H, W, C): pictures are square, so that the axis that
            differs from the two others is that of the channels.
    """
    if features.ndim == 3:
        features = features.mean(dim=1)
    elif features.ndim == 4:
        last = features.shape[1] == features.shape[2] != features.shape[3]
        features = features.mean(dim=(1, 2) if last else (2, 3))
    return features.flatten(1).float().cpu()
