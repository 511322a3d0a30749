"""What can be set on each transform: described and bounded. No torch here: forms and checks need it before any run."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from desktop_ft.api import Described


class Fill(StrEnum):
    """What the corners that a turned picture leaves bare are filled with."""

    BLACK = "black"
    GREY = "grey"


class EraseWith(StrEnum):
    """What an erased rectangle holds."""

    BLACK = "black"
    GREY = "grey"
    NOISE = "noise"


def _probability(default: float) -> float:
    value: float = Field(default, ge=0, le=1, description="How often it happens: 0 never, 1 for every picture.")
    return value


class Crop(Described):
    """A part of the picture, as a square of the network's size."""

    scale_min: float = Field(0.35, ge=0.05, le=1, description="Smallest part of the picture's area that is kept.")
    scale_max: float = Field(1.0, ge=0.05, le=1, description="Largest part of the picture's area that is kept.")
    stretch: float = Field(
        1.333,
        ge=1,
        le=3,
        description="How much wider than high (or higher than wide) the part may be before it is made square; 1: not.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.scale_min > self.scale_max:
            raise ValueError("scale_min is larger than scale_max")
        return self


class Chance(Described):
    """A change that happens or does not."""

    probability: float = _probability(0.5)


class Rotation(Described):
    """A turn about the middle."""

    probability: float = _probability(1.0)
    degrees: float = Field(10.0, ge=0, le=180, description="Largest turn to either side, in degrees.")
    fill: Fill = Field(Fill.BLACK, description="What the bare corners are filled with.")


class Perspective(Described):
    """A view from the side."""

    probability: float = _probability(0.5)
    distortion: float = Field(
        0.3, ge=0, le=0.9, description="How far a corner may move: 1 would be to the middle of the picture."
    )
    fill: Fill = Field(Fill.BLACK, description="What the bare borders are filled with.")


class Colour(Described):
    """Other light, other camera."""

    probability: float = _probability(1.0)
    brightness: float = Field(0.2, ge=0, le=1, description="Largest change of brightness, up or down, as a share.")
    contrast: float = Field(0.2, ge=0, le=1, description="Largest change of contrast, up or down, as a share.")
    saturation: float = Field(0.2, ge=0, le=1, description="Largest change of the colours' strength, up or down, as a share.")
    hue: float = Field(
        0.02, ge=0, le=0.5, description="Largest shift round the colour wheel, as a share of a full turn; 0.5: any colour."
    )


class Blur(Described):
    """Out of focus."""

    probability: float = _probability(0.3)
    sigma_max: float = Field(1.5, ge=0.1, le=10, description="Strongest blur, as the radius (standard deviation) in pixels.")


class Erasing(Described):
    """A rectangle is hidden."""

    probability: float = _probability(0.25)
    area_min: float = Field(0.02, ge=0.005, le=0.8, description="Smallest hidden part, as a share of what the network sees.")
    area_max: float = Field(0.2, ge=0.005, le=0.8, description="Largest hidden part, as a share of what the network sees.")
    fill: EraseWith = Field(EraseWith.GREY, description="What the rectangle holds.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.area_min > self.area_max:
            raise ValueError("area_min is larger than area_max")
        return self


class RandAugment(Described):
    """Some changes from a list of fourteen, all of one strength."""

    operations: int = Field(2, ge=1, le=5, description="How many changes are made to each picture.")
    magnitude: int = Field(9, ge=0, le=30, description="Strength of the changes: 0 nearly none, 30 the strongest.")


class TrivialAugment(Described):
    """One change from a list of fourteen, of any strength."""

    probability: float = _probability(1.0)


class Mixing(Described):
    """Two pictures become one, with the labels of both."""

    probability: float = Field(1.0, ge=0, le=1, description="How often it happens: 0 never, 1 for every batch.")
    alpha: float = Field(
        0.2,
        ge=0.01,
        le=10,
        description="How evenly two pictures are mixed: small: mostly one of them; 1: any share is as likely.",
    )


class Cutting(Mixing):
    """As `Mixing`, where every share is equally likely by default (Yun et al. 2019)."""

    alpha: float = Field(
        1.0, ge=0.01, le=10, description="How evenly the area is shared: small: mostly one picture; 1: any share is as likely."
    )
