"""Writes `facts.json`: what torchvision says of its classification networks, read from torchvision itself.

Run it after torchvision was updated: `python plugins/torchvision_backbones/collect_facts.py`. A test compares the two.
"""

import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

FACTS = Path(__file__).with_name("facts.json")
_HASH = re.compile(r"-([0-9a-f]{8,})\.pth$")
_BSD = ("BSD-3-Clause", True, "https://github.com/pytorch/vision/blob/main/LICENSE")
_SWAG = ("CC-BY-NC-4.0", False, "https://github.com/facebookresearch/SWAG/blob/main/LICENSE")
_PICTURE_CLASSES = 1000
_WITHOUT_AUXILIARIES = {name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")}


def collect() -> list[dict[str, Any]]:
    """One entry for each set of weights of each classification network; the default weights carry the plain name.

    Weights without a published ImageNet accuracy (VGG-16's features for detection, whose classifier is not a number)
    cannot classify and are left out.
    """
    from torchvision import models

    entries = []
    for model in models.list_models(module=models):
        kinds = models.get_model_weights(model)
        for weights in sorted(kinds, key=lambda one: one is not kinds.DEFAULT):
            if not math.isnan(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]):
                entries.append(_entry(model, weights, weights is kinds.DEFAULT))
    return entries


def _entry(model: str, weights: Any, default: bool) -> dict[str, Any]:
    from torchvision.models import get_model_builder

    preset, metrics = weights.transforms(), weights.meta["_metrics"]["ImageNet-1K"]
    arguments = {"image_size": weights.meta["min_size"][0]} if model.startswith("vit_") else {}
    found = _HASH.search(weights.url)
    licence, commercial, licence_url = _SWAG if "SWAG" in weights.name else _BSD
    family, head = _structure(get_model_builder(model).__module__)
    return {
        "name": model if default else f"{model}.{weights.name.lower()}",
        "model": model,
        "arguments": arguments,
        "family": family,
        "head": head,
        "parameters": _parameters(model, weights),
        "gflops": weights.meta["_ops"],
        "top1": metrics["acc@1"],
        "top5": metrics["acc@5"],
        "crop": preset.crop_size[0],
        "resize": preset.resize_size[0],
        "interpolation": preset.interpolation.value,
        "mean": preset.mean,
        "std": preset.std,
        "url": weights.url,
        "sha256_prefix": found[1] if found else "",
        "bytes": round(weights.meta["_file_size"] * 2**20),
        "licence": licence,
        "commercial_use": commercial,
        "licence_url": licence_url,
    }


def _parameters(model: str, weights: Any) -> int:
    """As published; but of networks with auxiliary heads, which are not built here, without these."""
    from torchvision import models

    if model not in _WITHOUT_AUXILIARIES:
        return int(weights.meta["num_params"])
    network = models.get_model(model, weights=None, **_WITHOUT_AUXILIARIES[model])
    return sum(parameter.numel() for parameter in network.parameters())


@cache
def _structure(module: str) -> tuple[str, str]:
    """Class name of the networks defined in `module`, and the path of their classifier.

    The classifier is the last layer with an output for each ImageNet class. The smallest network stands for all.
    """
    from torchvision import models

    names = [name for name in models.list_models(module=models) if models.get_model_builder(name).__module__ == module]
    smallest = min(names, key=lambda name: models.get_model_weights(name).DEFAULT.meta["num_params"])
    network = models.get_model(smallest, weights=None, **_WITHOUT_AUXILIARIES.get(smallest, {}))
    outputs = {path: getattr(part, "out_features", getattr(part, "out_channels", 0)) for path, part in network.named_modules()}
    return type(network).__name__, [path for path, count in outputs.items() if count == _PICTURE_CLASSES][-1]


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(entry) for entry in collect())
    FACTS.write_text(f"[\n{lines}\n]\n")
