"""What a network looked at in one picture, as values, as a picture and in words. No torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from desktop_ft.core.language import marked, tr

Pixels = NDArray[np.uint8]
Grid = NDArray[np.float32]

ALIKE = 0.7
"""A map that stays this much alike (rank correlation) when layers forget what they learned explains nothing."""

LIMITS = marked(
    "The map is coarse, and shows where the network found what speaks for the class, not why, nor whether it would answer "
    "otherwise without it. It is no proof that the answer is right or fair."
)

# Dark violet to light yellow in steps that look equal (matplotlib's "plasma"): the brightness alone tells how much.
_HEAT = np.array(
    [(13, 8, 135), (84, 2, 163), (139, 10, 165), (185, 50, 137), (219, 92, 104), (244, 136, 73), (254, 188, 43), (240, 249, 33)],
    np.float32,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """How alike the maps stay with `what` randomised: mean rank correlation over a few draws, a value for each class shown."""

    what: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """Where in one picture the network found what speaks for some classes.

    Attributes:
        picture: as the network sees it, uint8 (S, S, 3).
        classes, probabilities: the model's.
        shown: the classes that there is a map for: the predicted one first.
        place: the layer behind which was looked; "" where none has a spatial extent, and there is no map.
        grids: for each class shown, float32 (rows, columns), not negative.
    """

    picture: Pixels
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    shown: tuple[int, ...]
    place: str
    grids: tuple[Grid, ...]

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The most likely classes with their probabilities."""
        order = sorted(range(len(self.classes)), key=lambda index: -self.probabilities[index])
        return [(self.classes[index], self.probabilities[index]) for index in order[:count]]


def heat(grid: Grid, size: int) -> Grid:
    """`grid` as large as the picture, (size, size), its largest value 1; all 0 where it is level at 0."""
    peak = float(grid.max())
    if not peak > 0:
        return np.zeros((size, size), np.float32)
    return np.asarray(Image.fromarray(grid / peak, "F").resize((size, size), Image.Resampling.BILINEAR), np.float32).clip(0, 1)


def colours(share: Grid) -> Grid:
    """The colour of each share, 0 (little speaks for the class) to 1 (much), one axis more: red, green and blue, 0 to 255."""
    places = share * (len(_HEAT) - 1)
    below = np.minimum(places.astype(int), len(_HEAT) - 2)
    return np.asarray(_HEAT[below] + (places - below)[..., None] * (_HEAT[below + 1] - _HEAT[below]), np.float32)


def overlay(picture: Pixels, grid: Grid, opacity: float) -> Pixels:
    """`picture` (S, S, 3) with `grid` laid over it: the more speaks for the class, the more is covered, up to `opacity`.

    What shines through has lost as much of its own colours, which would else be taken for those of the map.
    """
    share = heat(grid, len(picture))
    if not share.any():
        return picture
    grey = picture.mean(axis=-1, keepdims=True)
    faded = picture + opacity * (grey - picture)
    cover = (opacity * np.sqrt(share))[..., None]
    covered: Pixels = np.rint(faded * (1 - cover) + colours(share) * cover).astype(np.uint8)
    return covered


def nothing_to_show(explanation: Explanation, number: int) -> str:
    """Why there is no map for the class shown `number`th; "" where there is one."""
    if not explanation.place:
        return tr("No layer of this network tells the answer where in the picture things are, so there is no map.")
    if not explanation.grids[number].any():
        return tr(
            "Nothing in the picture speaks for {name} there, so the map is empty.",
            name=explanation.classes[explanation.shown[number]],
        )
    return ""


def explains(similarities: tuple[Similarity, ...], number: int) -> bool:
    """Whether the map of the class shown `number`th changes as it must where the network forgets what it learned."""
    return max(each.values[number] for each in similarities) < ALIKE


def verdict(similarities: tuple[Similarity, ...], number: int) -> str:
    """What the sanity check says of the map of the class shown `number`th."""
    values = ", ".join(f"{round(each.values[number], 2) + 0.0:.2f} ({tr(each.what)})" for each in similarities)
    if explains(similarities, number):
        said = tr("The map changes when the network forgets what it learned, as it must.")
    else:
        said = tr("This map explains nothing: it hardly changes when the network forgets what it learned.")
    return f"{said} {tr('Likeness with random weights, 1 is the same: {values}.', values=values)}"
