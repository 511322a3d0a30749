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
        when="Nearly always, for photos. Raise the smallest part when what matters fills the picture, so that it "
        "is not cut away.",
        cost="It costs nothing more than showing the whole picture. Very small parts may leave out what the label "
        "names, and such runs need more epochs.",
    ),
    Augmentation(
        name="horizontal_flip",
        title="Mirror left and right",
        description="Not for things where left and right differ, such as text.",
        make=_later("geometry", "HorizontalFlip"),
        parameters=chosen.Chance,
        when="For animals, plants, products and most other things. Not for writing, traffic signs, or whatever "
        "has a left and a right.",
        cost="Hardly any time.",
    ),
    Augmentation(
        name="vertical_flip",
        title="Mirror top and bottom",
        description="For pictures without an up and down, such as those from a microscope or from the air.",
        make=_later("geometry", "VerticalFlip"),
        parameters=chosen.Chance,
        when="For pictures from a microscope, from the air, or of things that lie in any direction.",
        cost="Hardly any time. For ordinary photos it shows what never happens, and learning gets harder.",
    ),
    Augmentation(
        name="rotation",
        title="Turn",
        description="Turns the picture about its middle by a random angle.",
        make=_later("geometry", "RandomRotation"),
        parameters=chosen.Rotation,
        when="When the camera is not held level, or things lie about. Take 180 degrees where there is no up at all.",
        cost="A little time. The corners that are left bare are not part of any real picture.",
    ),
    Augmentation(
        name="perspective",
        title="Perspective",
        description="Shows the picture as if seen from the side.",
        make=_later("geometry", "RandomPerspective"),
        parameters=chosen.Perspective,
        when="When the same thing is photographed from different sides, such as packages and signs.",
        cost="A little time. Strong distortion bends shapes that may tell the classes apart.",
    ),
    Augmentation(
        name="colour",
        title="Colour",
        description="Changes brightness, contrast, saturation and hue, as other light and other cameras would.",
        make=_later("appearance", "ColourJitter"),
        parameters=chosen.Colour,
        when="When light and cameras differ from picture to picture. Set hue to 0 where the colour itself tells "
        "the classes apart, as with ripe and unripe fruit.",
        cost="A little time.",
    ),
    Augmentation(
        name="grayscale",
        title="Grey",
        description="Takes the colours away, so that shape must do.",
        make=_later("appearance", "Grayscale"),
        parameters=chosen.Chance,
        when="When a model relies on colours that will not hold, or when some of the pictures to come will be without colour.",
        cost="Hardly any time. Where colour tells the classes apart, accuracy falls.",
    ),
    Augmentation(
        name="blur",
        title="Blur",
        description="Puts the picture a little out of focus.",
        make=_later("appearance", "GaussianBlur"),
        parameters=chosen.Blur,
        when="When pictures to come may be out of focus or shaken.",
        cost="A little time, more for strong blur. Fine detail is lost, which hurts where detail matters.",
    ),
    Augmentation(
        name="erasing",
        title="Hide a part",
        description="Covers a rectangle, so that no single detail decides.",
        make=_later("appearance", "RandomErasing"),
        parameters=chosen.Erasing,
        when="When the model relies on one detail, or when things are often partly hidden.",
        cost="Hardly any time. A large hidden part may cover what the label names, and such runs need more epochs.",
    ),
    Augmentation(
        name="rand_augment",
        title="RandAugment",
        description="Some changes out of fourteen, all of the strength you set.",
        make=_later("automatic", "RandAugment"),
        parameters=chosen.RandAugment,
        when="When more than the head learns and there is time for many epochs. Magnitude 9 is usual; raise it "
        "while validation gets better.",
        cost="Some time for each picture, and more epochs. Leave out other strong changes beside it.",
    ),
    Augmentation(
        name="trivial_augment",
        title="TrivialAugment",
        description="One change out of fourteen, of random strength. Strong, and nothing to tune.",
        make=_later("automatic", "TrivialAugment"),
        parameters=chosen.TrivialAugment,
        when="When you want strong augmentation without choosing anything. It suits networks that learn as a whole.",
        cost="Some time for each picture, and more epochs.",
    ),
)
BATCH = (
    Augmentation(
        name="mixup",
        title="MixUp",
        description="Blends two pictures and their labels, most faintly where alpha is small. Tempers overconfidence; wants more "
        "epochs.",
        make=_later("mixing", "MixUp"),
        kind=AugmentationKind.BATCH,
        parameters=chosen.Mixing,
        when="When the model is too sure of wrong answers, in long runs that let much of the network learn.",
        cost="Training accuracy looks low, since the labels are mixed as well. It needs more epochs, and frozen "
        "layers cannot keep their answers.",
    ),
    Augmentation(
        name="cutmix",
        title="CutMix",
        description="Pastes a part of one picture into another and shares the labels by area. Wants more epochs.",
        make=_later("mixing", "CutMix"),
        kind=AugmentationKind.BATCH,
        parameters=chosen.Cutting,
        when="When the model relies on one detail, in long runs that let much of the network learn.",
        cost="Training accuracy looks low, since the labels are mixed as well. It needs more epochs, and frozen "
        "layers cannot keep their answers.",
    ),
)


@hookimpl
def register_augmentations(register: Callable[[Augmentation], None]) -> None:
    """Bring the eleven picture transforms and the two that mix a batch."""
    for augmentation in PICTURE + BATCH:
        register(augmentation)
