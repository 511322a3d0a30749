"""The help: a card for every control, a text for every page, and the words of the field. All of it is in resources/help."""

import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from desktop_ft import places
from desktop_ft.api import Augmentation
from desktop_ft.core.help import HelpCard, PageHelp
from desktop_ft.core.language import tr
from desktop_ft.core.lesson import Lesson
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.values import Described

_NOT_SET_BY_HAND = ("version",)
NAMES = ("page", "words", "sample", "settings")
"""What holds names, not texts: of pages, of words in the glossary, of a sample, of a recipe's fields and their values."""


@cache
def cards() -> dict[str, HelpCard]:
    """The cards by dotted name: those of settings by their name in a recipe, those of other controls as `page.control`."""
    return dict(_cards(_read("settings"))) | dict(_cards(_read("controls")))


@cache
def pages() -> dict[str, PageHelp]:
    """What is said about each page, by its name."""
    return TypeAdapter(dict[str, PageHelp]).validate_python(_read("pages"))


@cache
def glossary() -> dict[str, str]:
    """The words of the field, in English, as the cards name them; each with what it means."""
    return TypeAdapter(dict[str, str]).validate_python(_read("words"))


@cache
def lesson() -> Lesson:
    """The lesson."""
    return Lesson.model_validate(_read("lesson"))


@cache
def settings() -> tuple[str, ...]:
    """The dotted name of everything in a recipe that a person sets, in the recipe's order."""
    return tuple(_settings(Recipe, ""))


def setting(kind: type[Described], field: str) -> str:
    """The dotted name of `field` of `kind`, a section of the recipe or the recipe itself; "" where it is neither."""
    sections = {section.annotation: f"{name}." for name, section in Recipe.model_fields.items()} | {Recipe: ""}
    return f"{sections[kind]}{field}" if kind in sections else ""


def transform_card(augmentation: Augmentation, field: str = "") -> HelpCard:
    """The card of a transform, as its plugin tells it; with `field`, of that parameter of it."""
    title, what = tr(augmentation.title), tr(augmentation.description)
    if field:
        title = f"{title}: {tr(field.replace('_', ' '))}"
        what = f"{tr(augmentation.parameters.model_fields[field].description or '')}\n{what}"
    return HelpCard(
        title=title, what=what.strip(), when=tr(augmentation.when), cost=tr(augmentation.cost), words=("augmentation",)
    )


def _settings(kind: type[Described], above: str) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Described):
            yield from _settings(field.annotation, f"{above}{name}.")
        elif name not in _NOT_SET_BY_HAND:
            yield f"{above}{name}"


def _cards(data: dict[str, Any], above: str = "") -> Iterator[tuple[str, HelpCard]]:
    for name, value in data.items():
        if "title" in value:
            yield f"{above}{name}", HelpCard.model_validate(value)
        else:
            yield from _cards(value, f"{above}{name}.")


def _read(name: str) -> dict[str, Any]:
    data = tomllib.loads((places.shipped("resources") / "help" / f"{name}.toml").read_text(encoding="utf-8"))
    return {key: _looked_up(value, key) for key, value in data.items()}


def _looked_up(value: Any, key: str) -> Any:
    """`value`, which stands under `key`, with its texts in the person's language."""
    if key in NAMES or not isinstance(value, dict | list | str):
        return value
    if isinstance(value, dict):
        return {name: _looked_up(each, name) for name, each in value.items()}
    return [_looked_up(each, key) for each in value] if isinstance(value, list) else tr(value)
