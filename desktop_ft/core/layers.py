"""The module tree of a network as a plain value, and its division into blocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

PARAMETER = "Parameter"


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


def blocks(tree: LayerNode, head: str) -> tuple[tuple[str, ...], ...]:
    """The network without its head, cut into blocks from input to output; each block is a tuple of leaf paths.

    A block is what a network's paper calls one: a residual block, an inverted bottleneck, a transformer layer. Plain
    containers, and modules that hold most of the network, are opened; a lone norm or parameter joins the block before it,
    or the first block where there is none before.
    """
    parts = [part for part in _parts(tree, tree.parameters) if not is_under(part.path, head)]
    found: list[list[str]] = []
    for part in parts:
        leaves = [leaf.path for leaf in part.leaves() if not is_under(leaf.path, head)]
        joins = bool(found) and (part.norm is not NormKind.NONE or part.type == PARAMETER)
        if joins:
            found[-1] += leaves
        elif leaves:
            found.append(leaves)
    return tuple(tuple(block) for block in found)


def _parts(node: LayerNode, whole: int) -> Iterator[LayerNode]:
    for child in node.children:
        if child.children and (child.container or 2 * child.parameters > whole):
            yield from _parts(child, whole)
        elif child.parameters:
            yield child
