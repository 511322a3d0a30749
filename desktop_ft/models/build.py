"""Builds a network for a new task: pre-trained layers and a fresh head."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from desktop_ft.api import Backbone
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.models import checkpoint, weights
from desktop_ft.models.chance import chance_put_back
from desktop_ft.models.layer_tree import output_shapes
from desktop_ft.models.modes import eval_mode
from desktop_ft.models.network import Network

_ALLOCATORS = (torch.empty, torch.zeros, torch.ones)
_HEAD_STD = 0.01
_SHOWN = 3
_PREFIXES = ("module.", "backbone.")


class _Weightless(TorchFunctionMode):
    """While entered, new parameters and buffers get no memory. (`torch.device("meta")` would stop networks that compute
    their widths with small tensors, such as RegNet.) It holds for this thread only.
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in _ALLOCATORS and kwargs.get("device") is None:
            kwargs = kwargs | {"device": "meta"}
        return function(*args, **kwargs)


def build_network(
    backbone: Backbone,
    classes: int,
    *,
    pretrained: bool,
    own_weights: Path | None = None,
    image_size: int = 0,
    seed: int = 0,
) -> Network:
    """The network with a new head for `classes`, on the CPU.

    All chance comes from `seed`; the global random state is left as it was.

    Args:
        pretrained: start from the published weights; else from random ones.
        own_weights: a weights file to start from instead. Its head is taken over where it has as many classes.
        image_size: side of the input in pixels; 0: the size the backbone was trained at.

    Raises:
        UserError: the weights are not on this machine, were changed or do not fit; or the image size does not fit.
    """
    with chance_put_back():
        # The CPU alone: `torch.manual_seed` would seed accelerators too, which nothing restores.
        torch.default_generator.manual_seed(seed)
        module = backbone.build()
    name = backbone.spec.name
    if own_weights is not None:
        tensors = _unprefixed(weights.load_tensors(own_weights))
        new_head = replace_head(module, backbone.spec.head, classes, seed)
        _fill(
            module, dict(backbone.adapt(tensors, module)), tr("The file {file}", file=own_weights.name), name, optional=new_head
        )
    else:
        if pretrained:
            published = backbone.adapt(weights.load_tensors(weights.verified_file(backbone)), module)
            _fill(module, dict(published), tr("The weights file"), name)
        replace_head(module, backbone.spec.head, classes, seed)
    _fit_image_size(module, backbone, image_size)
    return Network(module, backbone.spec.head, backbone.spec.mean, backbone.spec.std)


def outline(backbone: Backbone, classes: int | None, image_size: int = 0) -> nn.Module:
    """The network's layers without weights, or memory for them: for looking at.

    Raises:
        UserError: the image size does not fit.
    """
    with _Weightless():
        module = backbone.build()
        if classes is not None:
            replace_head(module, backbone.spec.head, classes, seed=None)
    _fit_image_size(module, backbone, image_size)
    return module


def replace_head(module: nn.Module, path: str, classes: int, seed: int | None) -> frozenset[str]:
    """Put a fresh classifier for `classes` at `path`: small random weights, zero bias. Returns the names of its tensors.

    Args:
        seed: of a private generator; None: the head gets no memory.
    """
    old = module.get_submodule(path)
    new: nn.Linear | nn.Conv2d
    with chance_put_back():
        device = "meta" if seed is None else "cpu"
        if isinstance(old, nn.Linear):
            new = nn.Linear(old.in_features, classes, device=device)
        elif isinstance(old, nn.Conv2d) and old.kernel_size == (1, 1):
            new = nn.Conv2d(old.in_channels, classes, kernel_size=1, device=device)
        else:
            raise TypeError(f"the head at '{path}' is a {type(old).__name__}, not a Linear or a 1x1 Conv2d")
    if seed is not None:
        nn.init.trunc_normal_(new.weight, std=_HEAD_STD, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            new.get_parameter("bias").zero_()
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, new)
    return frozenset(f"{path}.{tensor}" for tensor in new.state_dict())


def _unprefixed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the backbone's own names: our checkpoints and wrapped networks put a prefix before them."""
    tensors = checkpoint.model_tensors(tensors)
    for prefix in _PREFIXES:
        inner = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if inner and not {*tensors} - {prefix + name for name in inner} - {"mean", "std"}:
            return inner
    return dict(tensors)


def _fill(module: nn.Module, tensors: dict[str, Tensor], what: str, name: str, optional: frozenset[str] = frozenset()) -> None:
    """Copy `tensors` into `module`: all of them or none.

    Args:
        optional: names (of the head) that are taken over where they fit and else keep what they have.
    """
    into = module.state_dict()
    if any(key not in tensors or tensors[key].shape != into[key].shape for key in optional):
        tensors = {key: tensor for key, tensor in tensors.items() if not _of_same_module(key, optional)}
        into = {key: tensor for key, tensor in into.items() if key not in optional}
    # Files older than this count lack it; it matters only for BatchNorm without a momentum.
    tensors = {k: v for k, v in into.items() if k.endswith("num_batches_tracked")} | tensors
    if difference := _difference(into, tensors):
        cure = tr("Choose a file that was made with this network, or another backbone; nothing was loaded.")
        raise UserError(tr("{file} does not fit {name}: {difference}.", file=what, name=name, difference=difference), cure)
    # A bound that binds nothing is infinite in the network, too.
    if bad := next((key for key, each in tensors.items() if not bool((torch.isfinite(each) | (each == into[key])).all())), None):
        raise UserError(
            tr("{file} for {name} holds values that are not numbers, in {tensor}.", file=what, name=name, tensor=bad),
            tr("Take another file."),
        )
    with torch.no_grad():
        for key, tensor in into.items():
            tensor.copy_(tensors[key])


def _of_same_module(key: str, names: frozenset[str]) -> bool:
    return key.rpartition(".")[0] in {name.rpartition(".")[0] for name in names}


def _difference(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """How two sets of tensors differ by name and shape, as a phrase; "" if they do not."""
    missing = [key for key in wanted if key not in given]
    unknown = [key for key in given if key not in wanted]
    reshaped = [
        tr("{tensor} is {shape}, not {expected}", tensor=key, shape=_shape(given[key]), expected=_shape(wanted[key]))
        for key in wanted
        if key in given and given[key].shape != wanted[key].shape
    ]
    found = [
        (missing, tr("{count} tensors missing ({names})", count=len(missing), names=_some(missing))),
        (unknown, tr("{count} tensors unknown ({names})", count=len(unknown), names=_some(unknown))),
        (reshaped, tr("{count} tensors of another shape ({names})", count=len(reshaped), names=_some(reshaped))),
    ]
    return "; ".join(said for names, said in found if names)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or tr("a number")


def _fit_image_size(module: nn.Module, backbone: Backbone, image_size: int) -> None:
    """Make `module` take pictures of `image_size`, or say that it cannot."""
    usual = backbone.spec.resize.crop
    if image_size in (0, usual):
        return
    try:
        _resize_positions(module, image_size)
        if any(parameter.is_meta for parameter in module.parameters()):
            output_shapes(module, image_size)
        else:  # a picture takes milliseconds; what it takes to compute nothing, half a second
            with eval_mode(module), torch.no_grad():
                module(torch.zeros(1, 3, image_size, image_size))
    # What a network raises on a size it cannot take is its own affair: the sentence is the same for all.
    except Exception as error:
        raise UserError(
            tr("{name} cannot take pictures of {size} pixels.", name=backbone.spec.name, size=image_size),
            tr("Leave the image size at {size}, or choose another backbone.", size=usual),
        ) from error


def _resize_positions(module: nn.Module, image_size: int) -> None:
    """Give a transformer what it has for each place of a picture, for another image size: as it does that itself where it can,
    else torchvision's position embeddings are resampled (Dosovitskiy et al. 2021, section 3.2).
    """
    from torchvision.models import VisionTransformer

    if (resize := getattr(module, "set_input_size", None)) is not None:
        resize(img_size=(image_size, image_size))
    if not isinstance(module, VisionTransformer) or image_size % module.patch_size:
        return
    held = module.encoder.pos_embedding
    side, old = image_size // module.patch_size, module.image_size // module.patch_size
    with torch.no_grad():
        token, grid = held[:, :1], held[:, 1:].transpose(1, 2).reshape(1, -1, old, old)
        grid = nn.functional.interpolate(grid, size=(side, side), mode="bicubic", align_corners=True)
        resized = torch.cat([token, grid.flatten(2).transpose(1, 2)], dim=1)
    module.encoder.pos_embedding = nn.Parameter(resized.contiguous())
    module.image_size, module.seq_length = image_size, side * side + 1
