"""What is asked of an augmentation: parameters that are described, chance from the seed alone, pictures that can be used."""

import random
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from torch import Tensor

from desktop_ft.api import Augmentation, AugmentationKind, AugmentationSpec
from desktop_ft.conformance.failure import Nonconforming, require, told
from desktop_ft.core.values import WIDEST, bounds
from desktop_ft.jobs.augmenting import transforms
from desktop_ft.plugin_manager import Plugins

Value = bool | int | float | str
Values = Mapping[str, Value]

_SIDE = 24
_SHAPES = ((_SIDE, _SIDE), (_SIDE, 2 * _SIDE), (3 * _SIDE, _SIDE))
"""Height and width of the pictures that transforms are tried on: square, wide and tall."""
_SEEDS = range(3)
_CLASSES = 3
_CLOSE = 1e-4
_NEAR = 1e-6
"""How near a number is brought to a bound that it may not reach, as in the window's forms."""


def _is_described(plugins: Plugins, one: Augmentation, folder: Path) -> None:
    require(one.title and one.description, f"The augmentation {one.name} lacks a title or a description: say what it does.")
    with told(f"The parameters of {one.name} have no value without being set", "give each field a default."):
        one.parameters()
    for field, held in one.parameters.model_fields.items():
        require(held.description, f"The parameter {field} of {one.name} lacks a description: write Field(…, description=…).")
        bounded = abs(_ends(held)[0]) < WIDEST and abs(_ends(held)[1]) < WIDEST if _is_number(held) else bool(_choices(held))
        require(
            bounded,
            f"The parameter {field} of {one.name} has no bounds: give a number ge and le, and let anything else be a bool or a "
            "StrEnum, as its form in the window is drawn from them.",
        )


def _draws_from_the_seed(plugins: Plugins, one: Augmentation, folder: Path) -> None:
    transform, given = _made(plugins, one, {}), _given(one, *_SHAPES[1])

    def results(disturb: int) -> list[Tensor]:
        """Of every seed, with the global generators of chance in another state for each `disturb`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(disturb)
            return [tensor for seed in _SEEDS for tensor in _changed(one, transform, given, seed)]

    before, numpys = random.getstate(), np.random.get_state()
    try:
        random.seed(1)
        np.random.seed(1)
        first = results(1)
        random.seed(2)
        np.random.seed(2)
        second = results(2)
    finally:
        random.setstate(before)
        np.random.set_state(numpys)
    with ThreadPoolExecutor(1) as other:
        third = other.submit(results, 3).result()
    require(
        all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(first, second, third, strict=True)),
        f"The augmentation {one.name} gives other pictures for the same seed: draw all its chance from the random.Random that it "
        "is given, and keep nothing from one picture to the next.",
    )


def _gives_usable_pictures(plugins: Plugins, one: Augmentation, folder: Path) -> None:
    for values in ({}, *_at_the_bounds(one)):
        transform, where = _made(plugins, one, values), f" with {_said(values)}" if values else ""
        for height, width in _SHAPES:
            given = _given(one, height, width)
            kept = [tensor.clone() for tensor in given]
            for seed in _SEEDS:
                changed = _changed(one, transform, given, seed, where)
                require(
                    all(map(torch.equal, given, kept)),
                    f"The augmentation {one.name}{where} changes the picture that it is given: change a copy.",
                )
                _must_be_usable(one, changed, where)


def _must_be_usable(one: Augmentation, changed: tuple[Tensor, ...], where: str) -> None:
    got, name = changed[0], f"The augmentation {one.name}{where}"
    told_as = f"{str(got.dtype).removeprefix('torch.')} {tuple(got.shape)}"
    if one.kind is AugmentationKind.PICTURE:
        require(
            got.dtype is torch.uint8 and got.ndim == 3 and len(got) == 3 and min(got.shape[1:]) >= _SIDE,
            f"{name} gives {told_as} where the network's side is {_SIDE}: give uint8 (3, H, W), with no side below that.",
        )
        return
    targets = changed[1]
    require(
        got.is_floating_point() and got.shape == (_CLASSES, 3, _SIDE, _SIDE) and 0 <= float(got.min()) <= float(got.max()) <= 1,
        f"{name} gives pictures {told_as} from {float(got.min()):g} to {float(got.max()):g}: give float (N, 3, S, S) in 0..1.",
    )
    require(
        targets.shape == (_CLASSES, _CLASSES) and bool(((targets.sum(1) - 1).abs() < _CLOSE).all()),
        f"{name} gives targets whose rows do not sum to 1: share each row out as its picture is shared.",
    )


def _made(plugins: Plugins, one: Augmentation, values: Values) -> Callable[..., object]:
    with told(f"The augmentation {one.name} cannot be made{f' with {_said(values)}' if values else ''}", "mend its `make`."):
        made = transforms(plugins, (AugmentationSpec(transform=one.name, parameters=values),))
        return made.picture[0] if made.picture else made.batch[0]


def _given(one: Augmentation, height: int, width: int) -> tuple[Tensor, ...]:
    """A picture; for a transform of batches a batch, and its targets."""
    chance = torch.Generator().manual_seed(0)
    if one.kind is AugmentationKind.PICTURE:
        return (torch.randint(256, (3, height, width), dtype=torch.uint8, generator=chance),)
    return torch.rand(_CLASSES, 3, _SIDE, _SIDE, generator=chance), torch.eye(_CLASSES)


def _changed(
    one: Augmentation, transform: Callable[..., object], given: tuple[Tensor, ...], seed: int, where: str = ""
) -> tuple[Tensor, ...]:
    chance = random.Random(seed)  # noqa: S311 (chance, not secrecy)
    with told(f"The augmentation {one.name}{where} fails on {tuple(given[0].shape)}", "let it take any picture of that kind."):
        got = transform(*given, chance, _SIDE) if one.kind is AugmentationKind.PICTURE else transform(*given, chance)
    changed = got if isinstance(got, tuple) else (got,)
    if len(changed) != len(given) or not all(isinstance(each, Tensor) for each in changed):
        wanted = "a tensor" if len(given) == 1 else "pictures and targets"
        raise Nonconforming(f"The augmentation {one.name}{where} gives {type(got).__name__}: give {wanted}.")
    return changed


def _at_the_bounds(one: Augmentation) -> Iterator[Values]:
    """Each parameter at each end, the others as they are by default; or at their own ends, where only these go with it."""
    ends = {name: _choices(field) for name, field in one.parameters.model_fields.items()}
    low, high = ({name: values[place] for name, values in ends.items() if values} for place in (0, -1))
    for name, values in ends.items():
        for value in values:
            fitting = (others | {name: value} for others in ({}, low, high) if _is_valid(one, others | {name: value}))
            yield from (chosen for chosen in [next(fitting, None)] if chosen is not None)


def _is_valid(one: Augmentation, values: Values) -> bool:
    try:
        one.parameters.model_validate(values)
    except ValidationError:
        return False
    return True


def _choices(field: FieldInfo) -> tuple[Value, ...]:
    """What a parameter can be: all of it, or of a number the ends; empty where that is not known."""
    kind = field.annotation
    if kind is bool:
        return False, True
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return tuple(option.value for option in kind)
    if _is_number(field):
        ends = _ends(field)
        return tuple(int(end) for end in ends) if kind is int else ends
    return ()


def _is_number(field: FieldInfo) -> bool:
    return field.annotation in (int, float)


def _ends(field: FieldInfo) -> tuple[float, float]:
    return bounds(field, 1 if field.annotation is int else _NEAR)


def _said(values: Values) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


CHECKS: dict[str, Callable[[Plugins, Augmentation, Path], None]] = {
    "is described": _is_described,
    "draws from the seed": _draws_from_the_seed,
    "gives usable pictures": _gives_usable_pictures,
}
