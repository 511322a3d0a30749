"""Cuts a network in two behind what is frozen: what never changes gives the same answer in every epoch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _NormBase

from desktop_ft.core.language import tr
from desktop_ft.models.modes import eval_mode, full_precision

_CHANCE = ("drop", "rand", "bernoulli", "stochastic", "multinomial")
_CLOSE = 1e-4
_tracing = threading.Lock()


class Uncuttable(Exception):
    """There is no such cut; the reason is a sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A network in two parts that share its parameters and buffers: `suffix(prefix(inputs))` is what it would answer.

    Attributes:
        prefix: inputs (N, …) to the one tensor (N, …) that crosses the cut; it learns nothing and draws nothing by chance.
        learning: the rest, as the network is in training mode.
        judging: the rest, as it is in eval mode.
        after: path of the last layer in front of the cut.
        answers: what the whole network gave for the samples it was cut by, in eval mode.
    """

    prefix: fx.GraphModule
    learning: fx.GraphModule
    judging: fx.GraphModule
    after: str
    answers: Tensor

    def suffix(self, training: bool) -> fx.GraphModule:
        """The part behind the cut."""
        return self.learning if training else self.judging


def cut(module: nn.Module, inputs: Tensor) -> Cut | None:
    """Cut `module` at the last place before anything learns, or is drawn by chance, where exactly one tensor is alive.

    What learns is read off the module as it is: parameters that ask for gradients, and parts in training mode that act
    otherwise than in eval mode. Networks are traced symbolically (torch.fx, Reed et al. 2022), as torchvision's feature
    extraction does; modules without children and modules that cannot be traced are taken whole.

    Args:
        inputs: a few samples (N, …), N above 1, to see what each step gives. Nothing is learned from them.

    Returns:
        None where there is no such place: the first layers learn already.

    Raises:
        Uncuttable: the network cannot be traced, or its parts do not answer as the whole does.
    """
    try:
        with full_precision():
            return _cut(module, inputs)
    except Uncuttable:
        raise
    except Exception as error:  # a network's own code runs here in ways that its makers may not have thought of
        raise Uncuttable(
            tr("Where to cut this network cannot be found out ({error}).", error=f"{type(error).__name__}: {error}")
        ) from error


def _cut(module: nn.Module, inputs: Tensor) -> Cut | None:
    learning = _traced(module)
    place = _last_place(module, learning, inputs)
    if place is None:
        return None
    last, seen = place
    with eval_mode(module):
        judging = _traced(module)
    twin = _same_place(learning, judging, last)
    prefix, judging_rest = _part(module, _until(judging, twin), "Prefix"), _part(module, _behind(judging, twin), "Suffix")
    answers = _proven(module, prefix, judging_rest, inputs, seen)
    return Cut(prefix, _part(module, _behind(learning, last), "Suffix"), judging_rest, _path_before(last), answers)


class _Tracer(fx.Tracer):
    """Takes modules whole that have no children, that torch itself brings, or that cannot be traced.

    fx patches `nn.Module` for all threads while it traces; calls from any other thread are let through.
    """

    proxy_buffer_attributes = True

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether `m` becomes one node. (timm's batch norms have children, and count their batches in place.)"""
        whole = isinstance(m, _NormBase) or next(m.children(), None) is None
        return whole or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `m` gives for proxies."""
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        known = set(self.graph.nodes)
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:  # a network's own code may fail on proxies in any way
            for node in reversed([node for node in self.graph.nodes if node not in known]):
                self.graph.erase_node(node)
            return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)

    def create_arg(self, a: Any) -> Any:
        """How a value appears in the graph. fx would store tensors made on the way as attributes of the network itself."""
        if isinstance(a, Tensor) and not isinstance(a, nn.Parameter) and all(a is not buffer for buffer in self.root.buffers()):
            raise TypeError("it works with a tensor that it makes itself")
        return super().create_arg(a)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """An attribute of a module, as a proxy where it is a parameter."""
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def _traced(module: nn.Module) -> fx.Graph:
    try:
        with _tracing:
            graph = _Tracer().trace(module)
    except Exception as error:  # as above
        raise Uncuttable(tr("This network cannot be traced ({error}).", error=f"{type(error).__name__}: {error}")) from error
    if sum(node.op == "placeholder" for node in graph.nodes) != 1:
        raise Uncuttable(tr("This network takes more than one input."))
    for node in graph.nodes:
        name = getattr(node.target, "__name__", str(node.target))
        if node.op in ("call_method", "call_function") and not node.users and name.endswith("_") and not name.endswith("__"):
            raise Uncuttable(tr("This network changes something on its way ({name}).", name=name))
    return _pruned(module, graph)


def _last_place(module: nn.Module, graph: fx.Graph, inputs: Tensor) -> tuple[fx.Node, Tensor] | None:
    """The node whose answer crosses the last cut, if there is one, and that answer."""
    place = {node: number for number, node in enumerate(graph.nodes)}
    last_use = {node: max((place[user] for user in node.users), default=-1) for node in graph.nodes}
    seer, alive, holds = _Seer(module, graph, inputs), set[fx.Node](), False
    found: tuple[fx.Node, Tensor] | None = None
    for node in graph.nodes:
        if node.op == "output" or _changes(module, node):
            break
        seer.see(node)
        if node.op != "get_attr":  # a parameter is there on both sides
            alive.add(node)
        alive = {one for one in alive if last_use[one] > place[node]}
        holds = holds or bool(_parameters(module, node))
        if holds and len(alive) == 1 and seer.gave_samples(one := next(iter(alive))):
            found = one, seer.env[one].clone()  # what comes after may change it in place
    return found


class _Seer(fx.Interpreter):
    """Runs a graph node by node, on samples, for as long as nothing in it changes."""

    def __init__(self, module: nn.Module, graph: fx.Graph, inputs: Tensor) -> None:
        super().__init__(module, graph=graph)
        self.args_iter = iter((inputs,))
        self._samples = len(inputs)

    @torch.no_grad()
    def see(self, node: fx.Node) -> None:
        """Run `node`."""
        self.env[node] = self.run_node(node)

    def gave_samples(self, node: fx.Node) -> bool:
        """Whether `node` gave one tensor whose rows are the samples."""
        value = self.env[node]
        return isinstance(value, Tensor) and value.ndim > 1 and len(value) == self._samples


def _changes(module: nn.Module, node: fx.Node) -> bool:
    """Whether what `node` gives can differ from epoch to epoch for one input: it learns, keeps statistics or draws by chance."""
    if any(parameter.requires_grad for parameter in _parameters(module, node)):
        return True
    if node.op == "call_module":
        return any(part.training and _heeds_mode(part) for part in module.get_submodule(str(node.target)).modules())
    if node.op in ("call_function", "call_method"):
        name = getattr(node.target, "__name__", str(node.target))
        switches = [value for value in (*node.args, *node.kwargs.values()) if isinstance(value, bool)]
        return node.kwargs.get("training") is True or (any(word in name for word in _CHANCE) and (any(switches) or not switches))
    return False


def _heeds_mode(part: nn.Module) -> bool:
    """Whether a module looks at its mode: dropout, stochastic depth, batch normalisation and the like."""
    code = getattr(type(part).forward, "__code__", None)
    return code is None or "training" in code.co_names


def _parameters(module: nn.Module, node: fx.Node) -> list[nn.Parameter]:
    """The parameters that `node` uses itself."""
    if node.op == "call_module":
        return list(module.get_submodule(str(node.target)).parameters())
    used = [source for source in node.all_input_nodes if source.op == "get_attr"]
    found = [_attribute(module, str(source.target)) for source in used]
    return [value for value in found if isinstance(value, nn.Parameter)]


def _attribute(module: nn.Module, path: str) -> object:
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name)


def _same_place(graph: fx.Graph, other: fx.Graph, last: fx.Node) -> fx.Node:
    """The node of `other` that does what `last` does in `graph`; both must be alike up to there."""
    pairs: Iterator[tuple[fx.Node, fx.Node]] = zip(graph.nodes, other.nodes, strict=False)
    for one, two in pairs:
        if (one.op, str(one.target), one.name) != (two.op, str(two.target), two.name):
            break
        if one is last:
            return two
    raise Uncuttable(tr("What is frozen in this network goes another way in training mode."))


def _until(graph: fx.Graph, last: fx.Node) -> fx.Graph:
    """The steps up to `last`, which gives what they answer."""
    front, there = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in graph.nodes:
        there[node] = front.node_copy(node, there.__getitem__)
        if node is last:
            break
    front.output(there[last])
    return front


def _behind(graph: fx.Graph, last: fx.Node) -> fx.Graph:
    """The steps after `last`, from what it gives on; parameters that they use are fetched anew."""
    rest, here, front = fx.Graph(), dict[fx.Node, fx.Node](), True
    for node in graph.nodes:
        if node is last:
            here[node], front = rest.placeholder("features"), False
        elif node.op == "get_attr" or not front:
            here[node] = rest.node_copy(node, here.__getitem__)
    return rest


def _part(module: nn.Module, steps: fx.Graph, name: str) -> fx.GraphModule:
    """`steps` at work with the modules and parameters of `module` themselves."""
    return fx.GraphModule(module, _pruned(module, steps), name)


def _pruned(module: nn.Module, graph: fx.Graph) -> fx.Graph:
    """`graph` of parts of `module`, without steps that nothing asks for."""
    graph.owning_module = cast(fx.GraphModule, module)  # all that is asked of it are its parts
    graph.eliminate_dead_code()
    return graph


def _path_before(last: fx.Node) -> str:
    node = last
    while node.op != "call_module" and node.all_input_nodes:
        before = [one for one in node.all_input_nodes if one.op != "get_attr"]
        node = (before or node.all_input_nodes)[0]
    return str(node.target)


def _proven(module: nn.Module, prefix: fx.GraphModule, rest: fx.GraphModule, inputs: Tensor, seen: Tensor) -> Tensor:
    """What the whole answers; raises where the parts do not answer so, or the prefix not as it did in training mode."""
    with torch.no_grad(), eval_mode(module):
        whole: Tensor = module(inputs)
        features = prefix(inputs)
        scale = whole.abs().max().clamp_min(1e-12)
        if not torch.equal(features, seen) or (rest(features) - whole).abs().max() > _CLOSE * scale:
            raise Uncuttable(tr("The parts of this network do not answer as the whole does."))
    return whole
