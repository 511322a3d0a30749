"""What is asked of a plugin as a whole: its module, its imports and its hooks."""

import ast
import difflib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from desktop_ft import places
from desktop_ft.api import API_VERSION
from desktop_ft.conformance.failure import Nonconforming, require, told
from desktop_ft.plugin_manager import Plugins, PluginState

_DOOR = "desktop_ft.api"
_HEAVY = ("torch", "torchvision", "PySide6")
_LOADED_WITHIN_S = 60
_LOADED_ALONE = """
import sys
from desktop_ft.plugin_manager import load_module
load_module(sys.argv[1])
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""
_MARK = "desktop_ft_impl"
"""The attribute that `@hookimpl` leaves on a function."""


def _says_its_api(plugin: ModuleType, plugins: Plugins, folder: Path) -> None:
    record = plugins.records[-1]
    require(
        record.state is not PluginState.INCOMPATIBLE,
        f"The plugin is not loaded, because {record.reason}: write DESKTOP_FT_API = '>={API_VERSION.partition('.')[0]}' below "
        f"its imports, for the plugin API {API_VERSION}.",
    )


def _loads(plugin: ModuleType, plugins: Plugins, folder: Path) -> None:
    record = plugins.records[-1]
    if record.state is PluginState.FAILED:
        raise Nonconforming(f"The plugin fails while it is loaded ({record.reason}): mend this first.\n{record.traceback}")
    require(
        record.state is not PluginState.LOADED or any(each.brought_by(record.name) for each in plugins.hooks().values()),
        f"The plugin brings nothing: mark a function with @hookimpl, name it after a hook ({', '.join(plugins.hooks())}), and "
        "call the `register` that it is given.",
    )


def _spells_its_hooks(plugin: ModuleType, plugins: Plugins, folder: Path) -> None:
    hooks = list(plugins.hooks())
    for name, held in vars(plugin).items():
        marked = hasattr(held, _MARK)
        if marked and name not in hooks:
            near = difflib.get_close_matches(name, hooks, n=1) or hooks
            raise Nonconforming(f"There is no hook {name}: name the function {' or '.join(near)}.")
        if callable(held) and not marked and (near := difflib.get_close_matches(name, hooks, n=1, cutoff=0.9)):
            raise Nonconforming(f"The function {name} is never called: mark it with @hookimpl, as {near[0]}.")


def _imports_only_the_door(plugin: ModuleType, plugins: Plugins, folder: Path) -> None:
    for source in _sources(plugin):
        for line, name in _imported_from_us(source):
            require(
                name in (_DOOR, f"{_DOOR}.testing"),
                f"{source.name}, line {line}, imports {name}: import from {_DOOR} only, as all else may change at any time.",
            )


def _sources(plugin: ModuleType) -> list[Path]:
    source = Path(str(plugin.__file__))
    return sorted(source.parent.rglob("*.py")) if source.name == "__init__.py" else [source]


def _imported_from_us(source: Path) -> Iterator[tuple[int, str]]:
    """Line and name of each module of Desktop FT that `source` imports."""
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            top = node.module == "desktop_ft"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if top else [str(node.module)]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.partition(".")[0] == "desktop_ft")


def _imports_no_torch(plugin: ModuleType, plugins: Plugins, folder: Path) -> None:
    path = os.pathsep.join(filter(None, (places.environment()["PYTHONPATH"], *sys.path)))
    with told("The plugin cannot be loaded in a process of its own", "let its import and its hooks come to an end."):
        done = subprocess.run(  # noqa: S603 (our own code, no shell)
            [sys.executable, "-c", _LOADED_ALONE, plugin.__name__, *_HEAVY],
            env=places.environment() | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=_LOADED_WITHIN_S,
            check=True,
        )
    heavy = done.stdout.split()
    require(
        not heavy,
        f"Loading the plugin imports {' and '.join(heavy)}: import that inside the functions that need it, as the window is "
        "painted before it is there.",
    )


CHECKS: dict[str, Callable[[ModuleType, Plugins, Path], None]] = {
    "says its API": _says_its_api,
    "spells its hooks": _spells_its_hooks,
    "loads": _loads,
    "imports only the door": _imports_only_the_door,
    "imports no torch": _imports_no_torch,
}
