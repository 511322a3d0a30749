"""From augmentation as data to transforms, and to pictures that show what they do."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from desktop_ft import __version__, places
from desktop_ft.api import AugmentationKind, BatchTransform, PictureTransform
from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.backbone import ResizeRule
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.values import explain
from desktop_ft.plugin_manager import Plugins

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationPreset:
    """A ready-made list of transforms."""

    name: str
    title: str
    description: str
    specs: tuple[AugmentationSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transforms:
    """What a list of specs comes to: callables by what they work on, in order."""

    picture: tuple[PictureTransform, ...]
    batch: tuple[BatchTransform, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture that a preview shows, and its size in pixels."""

    path: Path
    width: int
    height: int


@cache
def presets() -> dict[str, AugmentationPreset]:
    """The presets by name, in English, from resources/presets/augmentation.toml.

    Read once: the window asks at every change which of them is chosen.
    """
    data = tomllib.loads((places.shipped("resources") / "presets" / "augmentation.toml").read_text(encoding="utf-8"))
    return {
        name: AugmentationPreset(
            name=name,
            title=preset["title"],
            description=preset["description"],
            specs=tuple(AugmentationSpec.model_validate(spec) for spec in preset["transforms"]),
        )
        for name, preset in data.items()
    }


def preset_of(specs: Sequence[AugmentationSpec]) -> str:
    """The name of the preset that equals `specs`, or "" where none does."""
    return next((preset.name for preset in presets().values() if preset.specs == tuple(specs)), "")


def check(plugins: Plugins, specs: Iterable[AugmentationSpec]) -> None:
    """Raise UserError where a transform is unknown or a parameter is out of bounds. Imports no torch."""
    for spec in specs:
        _parameters(plugins, spec)


def transforms(plugins: Plugins, specs: Iterable[AugmentationSpec]) -> Transforms:
    """The callables that `specs` describe. Imports torch."""
    made = [(plugins.augmentations.get(spec.transform), _parameters(plugins, spec)) for spec in specs]
    return Transforms(
        picture=tuple(cast(PictureTransform, a.make(p)) for a, p in made if a.kind is AugmentationKind.PICTURE),
        batch=tuple(cast(BatchTransform, a.make(p)) for a, p in made if a.kind is AugmentationKind.BATCH),
    )


def changes_one_picture(plugins: Plugins, spec: AugmentationSpec) -> bool:
    """Whether what `spec` names works on a picture alone, and not on a whole batch."""
    return plugins.augmentations.get(spec.transform).kind is AugmentationKind.PICTURE


def identity(plugins: Plugins, specs: Sequence[AugmentationSpec]) -> str:
    """A text that differs whenever `specs` may change a picture in another way: their values, and who carries them out."""
    authors = {plugins.augmentations.author(spec.transform) for spec in specs}
    return f"{__version__} {plugins.identity(authors)} {[spec.model_dump_json() for spec in specs]}"


def preview(
    plugins: Plugins, specs: Sequence[AugmentationSpec], pictures: Sequence[Path], rule: ResizeRule, seed: int
) -> "list[np.ndarray]":
    """What training would show of `pictures`, were they a batch: uint8 (S, S, 3) each. Imports torch.

    Raises:
        UserError: one cannot be read.
    """
    from desktop_ft.data.loaders import preview as one
    from desktop_ft.data.loaders import preview_mixed

    made = transforms(plugins, specs)
    shown = [one(path, rule, made.picture, seed + number) for number, path in enumerate(pictures)]
    return preview_mixed(shown, made.batch, seed) if made.batch and shown else shown


def side_by_side(
    plugins: Plugins, specs: Sequence[AugmentationSpec], pictures: Sequence[Shown], at: int, rule: ResizeRule, seed: int
) -> "tuple[np.ndarray, np.ndarray]":
    """The picture `at` as it is, uint8 (H, W, 3), no larger than twice the network's input needs; and what a `preview` of all
    `pictures` shows of it, uint8 (S, S, 3). Imports torch.

    Raises:
        UserError: it, or one that it is mixed with, cannot be read.
    """
    from desktop_ft.data import decode
    from desktop_ft.data.source import read_picture

    shown = pictures[at]
    side = min(shown.width, shown.height, 2 * rule.crop)
    original = read_picture(shown.path, lambda where: decode.load(where, side, rule.interpolation))
    if all(changes_one_picture(plugins, spec) for spec in specs):
        return original, preview(plugins, specs, [shown.path], rule, seed + at)[0]
    return original, preview(plugins, specs, [each.path for each in pictures], rule, seed)[at]


def _parameters(plugins: Plugins, spec: AugmentationSpec) -> object:
    augmentation = plugins.augmentations.get(spec.transform)
    try:
        return augmentation.parameters.model_validate(dict(spec.parameters))
    except ValidationError as error:
        raise UserError(
            tr("The augmentation {name} is not valid: {error}.", name=spec.transform, error=explain(error)),
            tr("Correct that value and try again."),
        ) from error
