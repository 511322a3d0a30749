"""Writes `facts.json`: what timm says of its networks, and what their layers say, counted without memory for their weights.

Run it from a checkout after timm was updated: `python -m plugins.timm_backbones.collect_facts`. It takes some minutes, fetches
nothing, and ends with what was left out, and why.

`accuracy.csv` holds figures of timm's own table (results/results-imagenet.csv in its repository): top-1 and top-5 in percent on
ImageNet-1K's validation pictures, with the side of the pictures that were judged. Where a network was judged on larger pictures
than it is built for here, its accuracy is left open.
"""

import csv
import json
import math
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

FACTS = Path(__file__).with_name("facts.json")
ACCURACY = Path(__file__).with_name("accuracy.csv")
COLUMNS = (
    "name", "family", "head", "outputs", "classes", "parameters", "gflops", "top1", "top5", "side", "resize", "interpolation",
    "mean", "std", "licence", "trained_on", "page", "url", "sha256_prefix",
)  # fmt: skip
_OUTPUTS = 1000
"""Of a network that is published without a classifier."""
_PUBLISHED_CLASSES = (1000, 11221, 11821, 21841, 21842, 21843)
"""Other numbers of outputs are projections, as of CLIP."""
_HASH = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")
_FAMILIES = {"MaxxVit": "MaxViT", "SwinTransformer": "Swin", "SwinTransformerV2": "Swin v2", "VisionTransformer": "ViT"}
_DATA = {
    "bamboo": "Bamboo", "cc12m": "CC-12M", "datacomp1b": "DataComp-1B", "datacompxl": "DataComp-XL", "dfn2b": "DFN-2B",
    "dfn5b": "DFN-5B", "dfndr2b": "DFNDR-2B", "ig1b": "IG-1B", "in12k": "ImageNet-12K", "in1k": "ImageNet-1K",
    "in21k": "ImageNet-21K", "in22k": "ImageNet-22K", "jft": "JFT-300M", "laion2b": "LAION-2B", "laion400m": "LAION-400M",
    "laiona": "LAION-A", "lvd142m": "LVD-142M", "lvd1689m": "LVD-1689M", "m30m": "Merged-30M", "m38m": "Merged-38M",
    "merged2b": "Merged-2B", "metaclip": "MetaCLIP", "metaclip2": "MetaCLIP 2", "openai": "OpenAI WIT-400M", "sa1b": "SA-1B",
    "sat493m": "SAT-493M", "swag": "IG-3.6B", "webli": "WebLI", "yfcc100m": "YFCC-100M", "yfcc15m": "YFCC-15M",
}  # fmt: skip
"""Words in the names of weights, and the data that they stand for."""


def collect() -> tuple[list[list[Any]], dict[str, str]]:
    """A row of `COLUMNS` for each network on each set of its weights, and why others were left out, by name.

    Networks that no weights are published for come under their plain name.
    """
    import timm

    published = timm.list_models(pretrained=True)
    names = [*published, *sorted({*timm.list_models()} - {name.partition(".")[0] for name in published})]
    accuracy = _accuracy()
    with ProcessPoolExecutor() as pool:
        looked_at = dict(zip(names, pool.map(_looked_at, names), strict=True))
    left_out = {name: found for name, found in looked_at.items() if isinstance(found, str)}
    rows = [_row(name, found, accuracy) for name, found in looked_at.items() if not isinstance(found, str)]
    return rows, left_out


def _row(name: str, layers: dict[str, Any], accuracy: dict[str, tuple[float, float, int]]) -> list[Any]:
    known = _known(name)
    side, url = known.input_size[1], known.url or ""
    top1, top5, judged_at = accuracy.get(name, (None, None, side))
    page = f"https://huggingface.co/{known.hf_hub_id}" if known.hf_hub_id else url
    found = _HASH.search(url) if url.startswith("https://") else None
    facts = layers | {
        "name": name,
        "outputs": known.num_classes or _OUTPUTS,
        "classes": known.num_classes if "." in name and known.num_classes in _PUBLISHED_CLASSES else 0,
        "top1": top1 if judged_at == side else None,
        "top5": top5 if judged_at == side else None,
        "side": side,
        "resize": math.floor(side / min(1, known.crop_pct)),
        "interpolation": known.interpolation,
        "mean": known.mean,
        "std": known.std,
        "licence": known.license or "",
        "trained_on": ", ".join(_DATA[word] for word in re.split("[._]", name.partition(".")[2]) if word in _DATA),
        "page": page,
        "url": url if found else page,
        "sha256_prefix": found[1] if found else "",
    }
    return [facts[column] for column in COLUMNS]


def _known(name: str) -> Any:
    import timm

    return timm.get_pretrained_cfg(name) or timm.models.PretrainedCfg()


def _looked_at(name: str) -> dict[str, Any] | str:
    """Family, head, parameters and work of a network; or why it is no classifier of square pictures."""
    try:
        return _counted(name)
    except Exception as error:  # what a network raises is its own affair
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _counted(name: str) -> dict[str, Any]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from plugins.timm_backbones.network import OneHead, built

    known = _known(name)
    outputs, (_, side, width) = known.num_classes or _OUTPUTS, known.input_size
    if side != width:
        raise ValueError(f"its pictures are not square, but {width} x {side}")
    with torch.device("meta"):
        model, head = built(name, outputs)
        model.eval().requires_grad_(False)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            answer = model(torch.empty(1, 3, side, side))
    if tuple(answer.shape) != (1, outputs):
        raise ValueError(f"it answers {tuple(answer.shape)}")
    family = type(model.body if isinstance(model, OneHead) else model).__name__
    return {
        "family": _FAMILIES.get(family, family),
        "head": head,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "gflops": round(counter.get_total_flops() / 2e9, 3) or None,
    }


def _accuracy() -> dict[str, tuple[float, float, int]]:
    with ACCURACY.open(newline="") as lines:
        return {row["model"]: (float(row["top1"]), float(row["top5"]), int(row["side"])) for row in csv.DictReader(lines)}


def main() -> None:
    """Write the file."""
    rows, left_out = collect()
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in (COLUMNS, *rows))
    FACTS.write_text(f"[\n{lines}\n]\n")
    for name, why in left_out.items():
        print(f"left out: {name} ({why})")  # noqa: T201
    print(f"{len(rows)} networks, {len(left_out)} left out")  # noqa: T201


if __name__ == "__main__":
    main()
