"""Builds timm's networks, each with one classifier, and gives published tensors the names that they have here."""

from collections.abc import Mapping
from typing import Any

import timm
from torch import Tensor, nn

from desktop_ft.api import UserError

_BODY = "body."


class OneHead(nn.Module):
    """A network of timm's that has several classifiers (of distillation, of its branches) with one in their place.

    It takes what all of them take: the mean of DeiT's two tokens, or what CrossViT's two branches give, side by side.
    """

    def __init__(self, body: Any, outputs: int) -> None:
        super().__init__()
        width = body.head_hidden_size
        body.reset_classifier(0)
        self.body = body
        self.head = nn.Linear(width, outputs)
        if hasattr(body, "set_input_size"):
            self.set_input_size = body.set_input_size

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (N, outputs) of pictures (N, 3, H, W)."""
        features = self.body.forward_head(self.body.forward_features(pictures), pre_logits=True)
        logits: Tensor = self.head(features)
        return logits


def built(name: str, outputs: int) -> tuple[nn.Module, str]:
    """timm's network `name` with random weights and a classifier of so many outputs, and the classifier's path.

    Raises:
        UserError: the timm that is installed has no such network.
        ValueError: there is no classifier.
    """
    _insist_on(name)
    model = timm.create_model(name, pretrained=False, num_classes=outputs)
    if getattr(model, "dynamic_img_size", False):
        # The side of its pictures is known before they come. So its code does not ask for it, and what is frozen can be cut off.
        fixed = {"dynamic_img_size": False, "img_size": model.pretrained_cfg["input_size"][1]}
        model = timm.create_model(name, pretrained=False, num_classes=outputs, **fixed)
    heads = model.pretrained_cfg.get("classifier") or "head"
    if not isinstance(heads, str):
        return OneHead(model, outputs), "head"
    return model, _classifier(model, heads, outputs)


def adapted(name: str, head: str, published: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, Tensor]:
    """`published` under the names of `model`, which `built` made as `name`; with its own classifier where the file has none.

    Files older than timm's names for the layers are translated by timm itself.
    """
    ours = model.state_dict()
    own = {key: tensor for key, tensor in ours.items() if key.startswith(f"{head}.")}
    body = {key: tensor for key, tensor in ours.items() if key not in own}
    named = published
    if not _fits(_below(model, published, body), body):
        named = _translated(name, published)
    return {**own, **_below(model, named, body)}


def _below(model: nn.Module, tensors: Mapping[str, Tensor], body: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """`tensors` as they are called in `model`: without the several heads of a network that has one here."""
    if not isinstance(model, OneHead) or any(key.startswith(_BODY) for key in tensors):
        return tensors
    return {_BODY + key: tensor for key, tensor in tensors.items() if _BODY + key in body}


def _fits(tensors: Mapping[str, Tensor], body: Mapping[str, Tensor]) -> bool:
    return all(key in tensors and tensors[key].shape == tensor.shape for key, tensor in body.items())


def _translated(name: str, published: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """What timm makes of a published file of `name`; as it is where timm cannot read it, either. Nothing is fetched."""
    source = {"state_dict": dict(published), "url": None, "hf_hub_id": None}
    try:
        model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=source)
    except Exception:  # each network has a translation of its own, which may fail in any way on a file of another
        return published
    tensors: Mapping[str, Tensor] = model.state_dict()
    return tensors


def _insist_on(name: str) -> None:
    try:
        known = timm.is_model(name)
        timm.get_pretrained_cfg(name)
    except RuntimeError:  # it knows the network, but not these weights
        known = False
    if not known:
        raise UserError(f"timm {timm.__version__} has no network {name}.", "Install a newer one: pip install --upgrade timm.")


def _classifier(model: nn.Module, path: str, outputs: int) -> str:
    """The path of the last layer at `path`, or inside what is there, that gives so many outputs."""
    inside: list[str] = [
        place for place, part in model.named_modules() if _gives(part, outputs) and f"{place}.".startswith(f"{path}.")
    ]
    if not inside:
        raise ValueError(f"it has no classifier at '{path}'")
    return inside[-1]


def _gives(part: nn.Module, outputs: int) -> bool:
    return isinstance(part, nn.Linear | nn.Conv2d) and part.weight.shape[0] == outputs
