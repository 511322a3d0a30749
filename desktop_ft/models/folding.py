"""Folds batch normalisation that rests into the convolution before it: the same answers for less work."""

import copy

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(frozen: fx.GraphModule) -> fx.GraphModule:
    """`frozen` with every batch normalisation in eval mode folded into the layer before it (Jacob et al. 2018, section 3.2).

    Layers that change are copies; whatever `frozen` shares with other networks stays as it is. Answers differ by rounding.
    """
    graph = copy.deepcopy(frozen.graph)
    made = fx.GraphModule(frozen, graph)
    for node in list(made.graph.nodes):
        if node.op == "call_module" and len(node.all_input_nodes) == 1:
            layer = _foldable(made, node.all_input_nodes[0], node)
            if layer is not None:
                _replace(made, node.all_input_nodes[0], layer)
                node.replace_all_uses_with(node.all_input_nodes[0])
                made.graph.erase_node(node)
    made.delete_all_unused_submodules()
    made.recompile()
    return made


def _foldable(module: fx.GraphModule, before: fx.Node, node: fx.Node) -> nn.Module | None:
    """The layer that does what `before` and `node`, a normalisation, do together; None where there is none."""
    norm = module.get_submodule(str(node.target))
    # Exactly these types: what a subclass does besides, such as an activation, would be lost.
    if type(norm) is not nn.BatchNorm2d or norm.training or norm.running_mean is None or norm.running_var is None:
        return None
    if before.op != "call_module" or len(before.users) > 1:
        return None
    layer = module.get_submodule(str(before.target))
    if type(layer) is not nn.Conv2d:
        return None
    return fuse_conv_bn_eval(copy.copy(layer).eval(), norm)  # a convolution's mode says nothing, but is asked for


def _replace(module: fx.GraphModule, node: fx.Node, layer: nn.Module) -> None:
    """Let `node` call `layer`, under a new name: what holds the old one may be shared."""
    name = f"folded_{node.name}"
    module.add_submodule(name, layer)
    node.target = name
