"""How values are described, checked and written: shared by every type of the vocabulary."""

import json
import re
import tomllib
from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast, overload

import annotated_types
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr

T = TypeVar("T")
_WORD = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_WORD}(?:[ \t]*+\.[ \t]*+{_WORD}){{100}}")
"""A TOML key of so many parts; what is meant has five. Its reader needs memory by the square of them."""
_COMPLAINTS = 3
WIDEST = 2_000_000_000
"""A number that has no bound of its own is kept within this, to either side of zero."""


class Described(BaseModel):
    """A frozen value whose fields carry bounds and a plain-words description.

    Forms in the window, options of the command line and checks of a file are all drawn from the fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def bounds(field: FieldInfo, smallest: float) -> tuple[float, float]:
    """The least and the most that `field` may be; `smallest` is how far it keeps from a bound that it may not reach."""
    low, high = -float(WIDEST), float(WIDEST)
    for bound in field.metadata:
        match bound:
            case annotated_types.Ge(ge=value):
                low = float(value)  # type: ignore[arg-type] # the bounds of our models are numbers
            case annotated_types.Gt(gt=value):
                low = float(value) + smallest  # type: ignore[arg-type] # as above
            case annotated_types.Le(le=value):
                high = float(value)  # type: ignore[arg-type] # as above
            case annotated_types.Lt(lt=value):
                high = float(value) - smallest  # type: ignore[arg-type] # as above
    return low, high


def plain_json(text: bytes | str) -> Any:
    """What the JSON in `text` holds, as plain values.

    Raises:
        ValueError: it is not JSON, or is nested deeper than anything that was meant.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(tr("it is nested too deeply")) from error


def plain_toml(text: str) -> dict[str, Any]:
    """What the TOML in `text` holds, as plain values.

    Raises:
        ValueError: it is not TOML, or is nested deeper than anything that was meant.
    """
    if _LONG_KEY.search(text):
        raise ValueError(tr("it is nested too deeply"))
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(tr("it is nested too deeply")) from error


def to_json(value: Any) -> bytes:
    """`value` (a dataclass or `Described`) as one line of ASCII JSON.

    Python's own encoder writes it, not pydantic's, which refuses the lone surrogates of file names that are not UTF-8.
    """
    return json.dumps(_adapter(cast(Hashable, type(value))).dump_python(value, mode="json"), separators=(",", ":")).encode()


@overload
def from_json(kind: type[T], text: bytes | str, where: str) -> T: ...


@overload
def from_json(kind: Any, text: bytes | str, where: str) -> Any: ...


def from_json(kind: Any, text: bytes | str, where: str) -> Any:
    """The `kind` (a type, or a union of types) that `text` holds; `where` names the source in the error.

    Raises:
        UserError: the text is not JSON, or not such a value.
    """
    cure = tr("Restore it from a copy, or make it anew.")
    try:
        return _adapter(kind).validate_python(plain_json(text))
    except ValidationError as error:
        raise UserError(tr("{where} is not valid: {error}.", where=where, error=explain(error)), cure) from error
    except ValueError as error:
        raise UserError(tr("{where} is not valid: {error}.", where=where, error=error), cure) from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


_WORDS = {
    "greater_than": marked("must be more than {gt}"),
    "greater_than_equal": marked("must be at least {ge}"),
    "less_than": marked("must be less than {lt}"),
    "less_than_equal": marked("must be at most {le}"),
    "int_parsing": marked("is not a whole number"),
    "int_from_float": marked("is not a whole number"),
    "int_type": marked("is not a whole number"),
    "float_parsing": marked("is not a number"),
    "float_type": marked("is not a number"),
    "finite_number": marked("is not a finite number"),
    "bool_parsing": marked("is neither true nor false"),
    "string_type": marked("is not a text"),
    "enum": marked("is none of {expected}"),
    "missing": marked("is missing"),
    "extra_forbidden": marked("is not known here"),
}
"""How a person is told what pydantic finds wrong, by its name for it."""


def explain(error: ValidationError) -> str:
    """The first complaints of a validation, as a phrase: which field, what is wrong."""
    complaints = error.errors(include_url=False, include_input=False)
    said = "; ".join(_complaint(each) for each in complaints[:_COMPLAINTS])
    more = len(complaints) - _COMPLAINTS
    return tr("{error} (and {count} more)", error=said, count=more) if more > 0 else said


def _complaint(error: Any) -> str:
    field = ".".join(str(part) for part in error["loc"])
    message = tr(_WORDS[error["type"]], **error.get("ctx", {})) if error["type"] in _WORDS else error["msg"]
    message = message.removeprefix("Value error, ")
    return f"{field}: {message}" if field else message
