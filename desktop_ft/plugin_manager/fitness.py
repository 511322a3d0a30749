"""Whether what a plugin registers can be used: of its kind, under a name that fits, every field of its type."""

import dataclasses
import re
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from desktop_ft.api import Backbone, Exporter, hookspecs
from desktop_ft.core.file_names import safe_name
from desktop_ft.core.values import explain

_NAME = re.compile(r"\w[\w:-]*(?:[./][\w:-]+)*")
"""As `resnet50`, `vit_b_16.imagenet1k_v1` or `timm/vit:tiny-1`: it stands in recipes and on the command line."""
_LONGEST = 100
_TORCHS = {"Tensor": Any, "nn": SimpleNamespace(Module=Any)}
"""What types of fields name of torch, which is not imported for that."""


def must_fit(item: object, hook: str) -> None:
    """Refuse what `hook` cannot take.

    Raises:
        ValueError: says what is wrong with it.
    """
    kind = _taken_by(hook)
    if not isinstance(item, kind):
        raise ValueError(f"what it registers is a {type(item).__name__}, and no {kind.__name__}")
    name: Any = getattr(item.spec if isinstance(item, Backbone) else item, "name", None)
    if complaint := _complaint(item, kind):
        raise ValueError(f"of its {kind.__name__} named {name!r}, {complaint}")
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise ValueError(
            f"its {kind.__name__} cannot be named {name!r}: take letters, digits and _ - : with . or / between them, "
            f"{_LONGEST} characters at most"
        )
    if isinstance(item, Exporter) and (file := f"model-{name}{item.suffix}") != safe_name(file):
        raise ValueError(f"its Exporter named {name!r} would write {file!r}, which cannot be a file's name everywhere")


def _complaint(value: Any, kind: type, where: str = "") -> str:
    """Which field of the dataclass `value` is not of its type; "" where there is none."""
    if not isinstance(value, kind):
        return f"{where} is no {kind.__name__}"
    for name, hint in _fields(kind).items():
        held, path = getattr(value, name), f"{where}.{name}".removeprefix(".")
        if dataclasses.is_dataclass(hint):
            if told := _complaint(held, hint, path):  # type: ignore[arg-type] # a type that is a dataclass
                return told
        elif held == ():
            return f"{path} is empty"
        else:
            try:
                _adapter(hint).validate_python(held, strict=True)
            except ValidationError as error:
                return f"{path}: {explain(error)}"
    return ""


@cache
def _taken_by(hook: str) -> type:
    """What the function that `hook` is given takes."""
    (taken,), _ = get_args(get_type_hints(getattr(hookspecs, hook))["register"])
    return taken  # type: ignore[no-any-return] # a Callable's annotation holds any type


@cache
def _fields(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind, localns=_TORCHS)


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)
