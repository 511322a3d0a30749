"""A plugin to start from: a package that works, with its tests, under a person's own name."""

import importlib.util
import keyword
import os
import re
import secrets
import shutil
from pathlib import Path

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.plugin_manager.finding import BUILT_INS, OFFERED
from desktop_ft.runs import atomic

_TEMPLATE, _ITS_NAME = "plugin_template", "my_plugin"
_NAME = re.compile("[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?")
"""What is a name to Python, and to what installs packages as well."""
_TESTS = "tests"


def new_plugin(name: str, into: Path) -> Path:
    """Write a plugin called `name` into a new folder of that name in `into`: all of it or nothing. Returns the folder.

    Raises:
        UserError: it cannot be called so, the folder is there already, or it cannot be written.
    """
    _must_be_free(name)
    target = into / name
    if os.path.lexists(target):
        raise UserError(tr("There is something at {path} already.", path=target), tr("Take another name, or another folder."))
    unfinished = into / f".{name}-{secrets.token_hex(6)}"
    try:
        for source in _files():
            path = unfinished / str(source.relative_to(_template())).replace(_ITS_NAME, name)
            atomic.make_folder(path.parent)
            atomic.write(path, source.read_text(encoding="utf-8").replace(_ITS_NAME, name).encode())
        try:
            unfinished.rename(target)
        except OSError as error:
            raise atomic.cannot_write(target, 0, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _must_be_free(name: str) -> None:
    another = tr("Take another name.")
    if not _NAME.fullmatch(name):
        cure = tr("Take letters, digits and _, with a letter first, such as {example}.", example=_ITS_NAME)
        raise UserError(tr("A plugin cannot be called '{name}'.", name=name), cure)
    if keyword.iskeyword(name):
        raise UserError(tr("'{name}' is a word of Python itself.", name=name), another)
    if name in (*BUILT_INS, *OFFERED):
        raise UserError(tr("There is a built-in plugin '{name}'.", name=name), another)
    if name == _TESTS or _is_module(name):
        raise UserError(tr("There is a Python module '{name}' already, which the plugin would hide.", name=name), another)


def _is_module(name: str) -> bool:
    """Whether `import name` gives something now. A mere folder of that name does not count."""
    found = importlib.util.find_spec(name)
    return found is not None and found.origin is not None


def _template() -> Path:
    return places.shipped("resources") / _TEMPLATE


def _files() -> list[Path]:
    """What the template is made of, without what tools that looked at it left there."""
    inside = (path for path in sorted(_template().rglob("*")) if path.is_file())
    return [path for path in inside if not any(part[0] in "._" for part in path.relative_to(_template()).parts[:-1])]
