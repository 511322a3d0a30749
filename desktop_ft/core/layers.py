"""The module tree of a network as a plain value, and its division into blocks."""

import itertools
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from desktop_ft.core.language import marked

PARAMETER = "Parameter"
ALL_LAYERS = marked("all layers")


class NormKind(StrEnum):
    """Whether a layer normalises, and whether it keeps running statistics while it does."""

    NONE = ""
    BATCH = "batch"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNode:
    """One module (or one parameter held directly by a module with children) and all below it.

    Attributes:
        path: dotted, as in `named_modules()`; "" for the network itself.
        type: class name, or `Parameter` for a parameter held directly.
        parameters: count of everything below, its own included.
        output_shape: without the batch axis, measured by one forward pass; None where it never ran or gives no tensor.
        container: a plain sequence, list or dictionary of modules: it has no arithmetic of its own.
        norm: what kind of normalisation layer this is, if it is one.
    """

    path: str
    type: str
    parameters: int
    output_shape: tuple[int, ...] | None = None
    container: bool = False
    norm: NormKind = NormKind.NONE
    children: tuple["LayerNode", ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    def walk(self) -> Iterator["LayerNode"]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def leaves(self) -> Iterator["LayerNode"]:
        """The nodes without children that hold parameters: what can learn, from input to head."""
        return (node for node in self.walk() if not node.children and node.parameters)

    def find(self, path: str) -> "LayerNode | None":
        """The node at `path`, or None."""
        return next((node for node in self.walk() if node.path == path), None)

    def render(self, indent: str = "") -> str:
        """The tree as indented text: name, type, parameters, output shape; one line a node."""
        shape = "×".join(map(str, self.output_shape)) if self.output_shape else ""
        line = f"{indent}{self.name or 'network'}  {self.type}  {self.parameters:,}  {shape}".rstrip()
        return "\n".join([line, *(child.render(indent + "  ") for child in self.children)])


def is_under(path: str, ancestor: str) -> bool:
    """Whether `path` is `ancestor` or lies below it."""
    return not ancestor or path == ancestor or path.startswith(ancestor + ".")


def nearest(path: str, among: Container[str]) -> str | None:
    """The longest of the paths `among` that `path` is or lies below; None where it lies below none of them."""
    while path not in among:
        if not path:
            return None
        path = path.rpartition(".")[0]
    return path


def same_rate(rates: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """The layers of `rates` (leaf path to rate, in the network's order) that have one rate above 0, in words, and that rate.

    Layers that are all there is below some path go by that path, others by the first and the last of them, in whole paths where
    others would have the same name.
    """
    found: dict[float, list[str]] = {}
    for path, rate in rates.items():
        if rate:
            found.setdefault(rate, []).append(path)
    names = [_together(paths, rates) for paths in found.values()]
    whole = [f"{paths[0]} … {paths[-1]}" for paths in found.values()]
    unlike = (name if names.count(name) == 1 else full for name, full in zip(names, whole, strict=True))
    return tuple(zip(unlike, found, strict=True))


def _together(paths: list[str], known: Iterable[str]) -> str:
    first, last = paths[0].split("."), paths[-1].split(".")
    shared = next((place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    above = ".".join(first[:shared])
    if sum(is_under(path, above) for path in known) == len(paths):
        return above or ALL_LAYERS
    return " … ".join(dict.fromkeys(_cut_short(path, shared + 1) for path in (first, last)))


def _cut_short(path: list[str], parts: int) -> str:
    """The path's first `parts` parts, and the numbers that follow them."""
    numbers = itertools.takewhile(str.isdigit, path[parts:])
    return ".".join([*path[:parts], *numbers])


def blocks(tree: LayerNode, head: str) -> tuple[tuple[str, ...], ...]:
    """The network without its head, cut into blocks from input to output; each block is a tuple of leaf paths.

    A block is what a network's paper calls one: a residual block, an inverted bottleneck, a transformer layer. Plain
    containers, modules that hold most of the network, and stages (modules that are nothing but a list of others) are
    opened. A lone norm or parameter joins the block before it, or the next one where there is none before; a norm at the
    start of a sequence, as in DenseNet's transitions, belongs to what follows in that sequence.
    """
    found: list[list[str]] = []
    waiting: list[str] = []
    for part, leads in _parts(tree, tree.parameters, head):
        leaves = [leaf.path for leaf in part.leaves() if not is_under(leaf.path, head)]
        if leads or (not found and _lone(part)):
            waiting += leaves
        elif _lone(part) and not waiting:
            found[-1] += leaves
        elif leaves:
            found.append(waiting + leaves)
            waiting = []
    return tuple(tuple(block) for block in (*found, waiting) if block)


def _parts(node: LayerNode, whole: int, head: str) -> Iterator[tuple[LayerNode, bool]]:
    """The pieces that blocks are made of, each with whether it is a norm that leads its sequence."""
    children = [child for child in node.children if child.parameters and not is_under(child.path, head)]
    for index, child in enumerate(children):
        if child.children and (child.container or _stage(child) or 2 * child.parameters > whole):
            yield from _parts(child, whole, head)
        else:
            leads = node.container and index == 0 and child.norm is not NormKind.NONE and any(not _lone(c) for c in children)
            yield child, leads


def _lone(part: LayerNode) -> bool:
    return part.norm is not NormKind.NONE or part.type == PARAMETER


def _stage(node: LayerNode) -> bool:
    holding = [child for child in node.children if child.parameters]
    return len(holding) == 1 and holding[0].type == "ModuleList"
