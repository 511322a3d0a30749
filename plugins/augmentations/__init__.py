"""Changes to training pictures on torchvision's kernels: crop, flips, turns, colour, automatic policies, mixing."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from desktop_ft.api import Augmentation, AugmentationKind, hookimpl

from . import parameters as chosen

DESKTOP_FT_API = ">=1,<2"


def _later(module: str, name: str) -> Callable[[Any], Any]:
    """A factory that imports its module, and torch with it, when it first makes something."""

    def make(parameters: Any) -> Any:
        return getattr(import_module(f".{module}", __name__), name)(parameters)

    return make


PICTURE = (
    Augmentation(
        name="random_resized_crop",
        title="Random crop",
        description="Shows another part of the picture each time, at the network's size. The most useful change for photos.",
        make=_later("geometry", "RandomResizedCrop"),
        parameters=chosen.Crop,
    ),
    Augmentation(
        name="horizontal_flip",
        title="Mirror left and right",
        description="Not for things where left and right differ, such as text.",
        make=_later("geometry", "HorizontalFlip"),
        parameters=chosen.Chance,
    ),
    Augmentation(
        name="vertical_flip",
        title="Mirror top and bottom",
        description="For pictures without an up and down, such as those from a microscope or from the air.",
        make=_later("geometry", "VerticalFlip"),
        parameters=chosen.Chance,
    ),
    Augmentation(
        name="rotation",
        title="Turn",
        description="Turns the picture about its middle by a random angle.",
        make=_later("geometry", "RandomRotation"),
        parameters=chosen.Rotation,
    ),
    Augmentation(
        name="perspective",
        title="Perspective",
        description="Shows the picture as if seen from the side.",
        make=_later("geometry", "RandomPerspective"),
        parameters=chosen.Perspective,
    ),
    Augmentation(
        name="colour",
        title="Colour",
        description="Changes brightness, contrast, saturation and hue, as other light and other cameras would.",
        make=_later("appearance", "ColourJitter"),
        parameters=chosen.Colour,
    ),
    Augmentation(
        name="grayscale",
        title="Grey",
        description="Takes the colours away, so that shape must do.",
        make=_later("appearance", "Grayscale"),
        parameters=chosen.Chance,
    ),
    Augmentation(
        name="blur",
        title="Blur",
        description="Puts the picture a little out of focus.",
        make=_later("appearance", "GaussianBlur"),
        parameters=chosen.Blur,
    ),
    Augmentation(
        name="erasing",
        title="Hide a part",
        description="Covers a rectangle, so that no single detail decides.",
        make=_later("appearance", "RandomErasing"),
        parameters=chosen.Erasing,
    ),
    Augmentation(
        name="rand_augment",
        title="RandAugment",
        description="Some changes out of fourteen, all of the strength you set.",
        make=_later("automatic", "RandAugment"),
        parameters=chosen.RandAugment,
    ),
    Augmentation(
        name="trivial_augment",
        title="TrivialAugment",
        description="One change out of fourteen, of random strength. Strong, and nothing to tune.",
        make=_later("automatic", "TrivialAugment"),
        parameters=chosen.TrivialAugment,
    ),
)
BATCH = (
    Augmentation(
        name="mixup",
        title="MixUp",
        description="Blends two pictures and their labels. Tempers overconfidence; wants more epochs.",
        make=_later("mixing", "MixUp"),
        kind=AugmentationKind.BATCH,
        parameters=chosen.Mixing,
    ),
    Augmentation(
        name="cutmix",
        title="CutMix",
        description="Pastes a part of one picture into another and shares the labels by area. Wants more epochs.",
        make=_later("mixing", "CutMix"),
        kind=AugmentationKind.BATCH,
        parameters=chosen.Cutting,
    ),
)


@hookimpl
def register_augmentations(register: Callable[[Augmentation], None]) -> None:
    """Bring the eleven picture transforms and the two that mix a batch."""
    for augmentation in PICTURE + BATCH:
        register(augmentation)
