"""Reads the layer tree of a network: types, parameters, and the shapes that one forward pass gives."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _NormBase

from desktop_ft.api import Backbone
from desktop_ft.core.backbone import resize_rule
from desktop_ft.core.layers import PARAMETER, LayerNode, NormKind
from desktop_ft.models.modes import eval_mode

Shapes = dict[str, tuple[int, ...]]
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_OTHER_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, nn.RMSNorm)


def layers_of(backbone: Backbone, image_size: int = 0, classes: int | None = None) -> LayerNode:
    """The layer tree of `backbone` without loading weights, or memory for them.

    Args:
        image_size: side of the input in pixels; 0: the size the backbone was trained at.
        classes: outputs of the new head; None: the published head.

    Raises:
        UserError: the network cannot take pictures of that size.
    """
    from desktop_ft.models.build import outline

    return layer_tree(outline(backbone, classes, image_size), resize_rule(backbone.spec, image_size).crop)


def layer_tree(module: nn.Module, image_size: int | None = None) -> LayerNode:
    """The tree of `module`; with an image size, its shapes are those of an input (1, 3, image_size, image_size).

    That pass runs on the meta device: no arithmetic is done, and `module` is left as it was. It takes half a second and more all
    the same, for what only a person wants to know.
    """
    return _node("", module, {} if image_size is None else output_shapes(module, image_size))


def output_shapes(module: nn.Module, image_size: int) -> Shapes:
    """Module path to the shape of its (first) output tensor, without the batch axis, in eval mode.

    Raises:
        Exception: whatever the network raises on an input of this size.
    """
    shapes: Shapes = {}

    def note(path: str) -> Any:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            tensor = output[0] if isinstance(output, tuple) and output else output
            if isinstance(tensor, Tensor):
                shapes.setdefault(path, tuple(tensor.shape[1:]))

        return hook

    hooks = [part.register_forward_hook(note(path)) for path, part in module.named_modules()]
    weightless = {name: tensor.detach().to("meta") for name, tensor in (*module.named_parameters(), *module.named_buffers())}
    try:
        with eval_mode(module), torch.no_grad():
            functional_call(module, weightless, (torch.empty(1, 3, image_size, image_size, device="meta"),))
    finally:
        for handle in hooks:
            handle.remove()
    return shapes


def _node(path: str, module: nn.Module, shapes: Shapes) -> LayerNode:
    own = dict(module.named_parameters(recurse=False))
    whole = any(True for child in module.children() for _ in child.parameters())
    # A module that holds all its parameters itself learns or rests as one, whatever activation lies inside it.
    children: tuple[LayerNode, ...] = ()
    if whole or not own:
        children = (
            *(LayerNode(path=_join(path, name), type=PARAMETER, parameters=held.numel()) for name, held in own.items()),
            *(_node(_join(path, name), child, shapes) for name, child in module.named_children()),
        )
    return LayerNode(
        path=path,
        type=type(module).__name__,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        output_shape=shapes.get(path),
        container=isinstance(module, _CONTAINERS),
        norm=_norm(module),
        children=children,
    )


def _norm(module: nn.Module) -> NormKind:
    if isinstance(module, _NormBase):
        return NormKind.BATCH if module.track_running_stats else NormKind.OTHER
    return NormKind.OTHER if isinstance(module, _OTHER_NORMS) else NormKind.NONE


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
