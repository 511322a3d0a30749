"""Every classification network of torchvision, one backbone for each set of weights, with its published facts.

The facts lie in `facts.json` (see `collect_facts.py`), so that torchvision and torch are imported on building only.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_ft.api import Backbone, BackboneSpec, Interpolation, ResizeRule, WeightsOrigin, WeightsSource, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

DESKTOP_FT_API = ">=1,<2"

_SOURCE = "https://docs.pytorch.org/vision/stable/models.html"
_FAMILIES = {"Inception3": "Inception v3", "MaxVit": "MaxViT", "SwinTransformer": "Swin", "VisionTransformer": "ViT"}
# Networks whose published weights expect other input statistics inside, and bring heads for training from nothing.
_WITH_AUXILIARIES = ("googlenet", "inception_v3")
_AUXILIARY = re.compile(r"(aux1|aux2|AuxLogits)\.")
# Names in older files: DenseNet's `norm.1`, the transformers' `linear_1`.
_DENSE = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
_MLP = re.compile(r"(\.mlp)\.linear_([12])\.")


@hookimpl
def register_backbones(register: Callable[[Backbone], None]) -> None:
    """Bring them all."""
    for facts in json.loads(Path(__file__).with_name("facts.json").read_text()):
        build = partial(_build, facts["model"], facts["arguments"])
        register(Backbone(spec=_spec(facts), build=build, adapt=_renamed))


def _spec(facts: dict[str, Any]) -> BackboneSpec:
    return BackboneSpec(
        name=facts["name"],
        family=_FAMILIES.get(facts["family"], facts["family"]),
        parameters=facts["parameters"],
        gflops=facts["gflops"],
        top1=facts["top1"],
        top5=facts["top5"],
        resize=ResizeRule(crop=facts["crop"], resize=facts["resize"], interpolation=Interpolation(facts["interpolation"])),
        mean=tuple(facts["mean"]),
        std=tuple(facts["std"]),
        head=facts["head"],
        weights=WeightsSource(
            origin=WeightsOrigin.DOWNLOAD,
            licence=facts["licence"],
            commercial_use=facts["commercial_use"],
            licence_url=facts["licence_url"],
            url=facts["url"],
            sha256_prefix=facts["sha256_prefix"],
            bytes=facts["bytes"],
        ),
        source=_SOURCE,
    )


def _build(model: str, arguments: dict[str, Any]) -> "nn.Module":
    from torchvision import models

    if model in _WITH_AUXILIARIES:
        arguments = arguments | {"aux_logits": False, "transform_input": True, "init_weights": True}
    network: nn.Module = models.get_model(model, weights=None, **arguments)
    return network


def _renamed(published: "Mapping[str, Tensor]", model: "nn.Module") -> "Mapping[str, Tensor]":
    """The published tensors under today's names, without the auxiliary heads, which we do not build."""
    tensors = {}
    for name, tensor in published.items():
        if not _AUXILIARY.match(name):
            name = _DENSE.sub(r"\1\2", name)
            tensors[_MLP.sub(lambda found: f"{found[1]}.{3 * int(found[2]) - 3}.", name)] = tensor
    return tensors
