"""A freeze plan as text, to be copied, kept in a note and pasted: a piece of a recipe, or options of the command line."""

import shlex
from typing import Any

import tomli_w
from pydantic import ValidationError

from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.language import marked, tr
from desktop_ft.core.values import explain, plain_toml

PLAN_OPTIONS = {"--freeze": "preset", "--backbone-rate": "backbone_rate", "--batch-norm": "batch_norm"}
"""The options of the command line that set a field of a plan."""
RATE_OPTION = "--rate"
"""Sets the multiplier of a layer: PATH=MULTIPLIER, once for each."""
_SECTION = "freeze"
_CURE = marked("Copy a plan here, in a recipe, or from a command line.")


def as_recipe(plan: FreezePlan) -> str:
    """The plan as it stands in a recipe; `plan_in` gives back an equal plan."""
    return tomli_w.dumps({_SECTION: plan.model_dump(mode="json")})


def as_options(plan: FreezePlan) -> str:
    """The plan as options of `desktop-ft train`; `plan_in` gives back an equal plan."""
    said: list[str] = []
    data = plan.model_dump(mode="json")
    for option, field in PLAN_OPTIONS.items():
        said += [option, str(data[field])]
    for path, multiplier in plan.overrides.items():
        said += [RATE_OPTION, f"{path}={multiplier!r}"]
    return shlex.join(said)


def plan_in(text: str) -> FreezePlan:
    """The plan that `text` holds: a recipe, its part on freezing, or a command line. What a text does not say is as by default.

    Raises:
        UserError: there is none in it, or a value is out of bounds.
    """
    stripped = text.strip()
    data = _from_options(stripped) if stripped.startswith(("-", "desktop-ft ")) else _from_toml(stripped)
    if not data:
        raise UserError(tr("There is no freeze plan in that text."), tr(_CURE))
    try:
        return FreezePlan.model_validate(data)
    except ValidationError as error:
        raise UserError(tr("That is no freeze plan: {error}.", error=explain(error)), tr(_CURE)) from error


def _from_toml(text: str) -> dict[str, Any]:
    try:
        data = plain_toml(text)
    except ValueError as error:
        raise UserError(tr("There is no freeze plan in that text."), tr(_CURE)) from error
    found = data.get(_SECTION, data)
    return found if isinstance(found, dict) else {}


def _from_options(text: str) -> dict[str, Any]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UserError(tr("That is no command line: {error}.", error=error), tr(_CURE)) from error
    found: dict[str, Any] = {}
    rates: dict[str, str] = {}
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if not equals:
            value = words[place + 1] if place + 1 < len(words) else ""
        if option in PLAN_OPTIONS:
            found[PLAN_OPTIONS[option]] = value
        elif option == RATE_OPTION:
            path, _, multiplier = value.rpartition("=")
            rates[path] = multiplier
    return found | ({"overrides": rates} if rates else {})
