"""What is known of a pre-trained network before it is built."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Interpolation(StrEnum):
    """How pixels are resampled when a picture is resized."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeRule:
    """How a picture becomes the network's input: the shorter side to `resize`, then the middle `crop` x `crop`.

    It travels with the exported file, so that training, preview, evaluation and prediction all see the same pixels.
    """

    crop: int
    resize: int
    interpolation: Interpolation


class WeightsOrigin(StrEnum):
    """Where a backbone's pre-trained weights come from."""

    PACKAGE = "package"
    DOWNLOAD = "download"
    BY_HAND = "by hand"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSource:
    """Where the pre-trained weights are to be had, and under which licence.

    Attributes:
        package: distribution that carries the file (origin PACKAGE).
        url: https address: of the file (origin DOWNLOAD); or of the file or a page that has it, where nothing is known that it
            could be checked against, so that the person fetches it and chooses it as weights of their own (origin BY_HAND).
        sha256_prefix: the first hex digits of the SHA-256 that the publisher gives ("" where none is given).
        bytes: size of the file; 0 where not known.
        licence: the weights' own licence, which may differ from the code's.
    """

    origin: WeightsOrigin
    licence: str
    commercial_use: bool = True
    licence_url: str = ""
    package: str = ""
    url: str = ""
    sha256_prefix: str = ""
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSpec:
    """The facts of one pre-trained network, on one set of weights.

    Attributes:
        name: what recipes and the command line call it, such as `resnet50` or `vit_b_16.imagenet1k_swag_e2e_v1`.
        family: networks of one design, such as `ResNet`.
        parameters: count, its ImageNet head included.
        gflops: multiply-adds of one forward pass of one picture, in 1e9; None where not known.
        top1, top5: ImageNet-1K accuracy in percent, as published; None where not published.
        mean, std: of the channels red, green, blue, on pixels scaled to 0..1.
        head: module path of the classifier that a new task replaces, such as `fc` or `classifier.1`.
        classes: how many classes the published head tells apart; 0 where there is no such head, or it is not known.
        trained_on: the data that the weights were made from, in the order of training, such as `ImageNet-21K, ImageNet-1K`; ""
            where not known.
        plugin: who registered it; filled in by the plugin manager.
    """

    name: str
    family: str
    parameters: int
    gflops: float | None
    top1: float | None
    top5: float | None = None
    resize: ResizeRule
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    head: str
    weights: WeightsSource
    source: str
    classes: int = 0
    trained_on: str = ""
    plugin: str = ""


def resize_rule(spec: BackboneSpec, image_size: int = 0) -> ResizeRule:
    """How pictures become the input of `spec`'s network at `image_size` pixels a side (0: the size it was trained at)."""
    if not image_size or image_size == spec.resize.crop:
        return spec.resize
    return replace(spec.resize, crop=image_size, resize=round(spec.resize.resize * image_size / spec.resize.crop))


def is_found_by(spec: BackboneSpec, search: str, *also: str) -> bool:
    """Whether each word of `search` is in what people look for a network by, or in `also`.

    That is its name, family, data, licence and plugin, and the side of its pictures as `384px`.
    """
    facts = (spec.name, spec.family, spec.trained_on, spec.weights.licence, f"{spec.resize.crop}px", spec.plugin, *also)
    text = " ".join(facts).lower()
    return all(word in text for word in search.lower().split())
