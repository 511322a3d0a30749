"""Finds plugins, and reads what they say of themselves, without importing any.

They are found in this order: what is built in and always on, the person's plugin folder, installed distributions, and what ships
and is off until it is wanted: a person's own plugin comes before one of ours that has come to have its name.
"""

import ast
import dataclasses
import importlib.metadata
import importlib.util
import keyword
import os
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from packaging.requirements import Requirement

from desktop_ft import __version__, places
from desktop_ft.api import hookspecs
from desktop_ft.core.errors import UserError
from desktop_ft.core.file_names import safe_name
from desktop_ft.core.language import marked, tr
from desktop_ft.data.files import NotAFile, open_regular
from desktop_ft.plugin_manager import trust
from desktop_ft.runs import atomic

BUILT_INS = ("efficientnet_lite", "torchvision_backbones", "augmentations", "onnx_export", "handwritten_digits")
OFFERED = (
    "csv_sink", "mlflow_sink", "tensorboard_sink", "timm_backbones", "webhook_sink",
    "torch_export", "openvino_export", "ncnn_export", "coreml_export",
)  # fmt: skip
"""What ships, and is off until a person turns it on."""
NAMING = marked("Give the file or folder a name of letters, digits and underscores that does not begin with a digit.")
_INSTALLED_NAME = re.compile(r"\w+(?:[.-]\w+)*")
"""As `acme-nets` or `acme.nets`: it stands on the command line, and is a file's name while it is imported (see `trust`)."""
_BUILT_IN_PACKAGE = "desktop_ft_plugins"
_FOLDER_PACKAGE = "desktop_ft_user_plugins"
_HOOK = "register_"
_API = "DESKTOP_FT_API"
_PACKAGE = "__init__.py"
MOST_SOURCE = 128 << 10
"""Bytes of a source that is looked into; Python makes a thousand times as many of it, whenever the application starts."""
_FACTS = ("Author", "Author-email"), ("Summary",)


class Origin(StrEnum):
    """Where a plugin was found."""

    BUILT_IN = marked("built in")
    FOLDER = marked("plugin folder")
    INSTALLED = marked("installed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a plugin says of itself, in constants at the head of its source: nothing of it was run.

    Attributes:
        api: its `DESKTOP_FT_API`; None where it says none, or not as a constant.
        version, author: its `__version__` and `__author__`; "" where it says none.
        about: the first line of its docstring; "" where it has none.
        needs: its `DESKTOP_FT_NEEDS`: each module that it imports and pip must bring first, with what pip calls it.
        hooks: names of what it defines or takes over from its own modules that are called as hooks are.
        fault: what of it cannot be used, as the end of a sentence; "" where all can.
    """

    api: str | None = None
    version: str = ""
    author: str = ""
    about: str = ""
    needs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    hooks: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A plugin that was found, and nothing of it imported yet.

    Attributes:
        source: the file that is imported first; None of one that is installed, where only the import can tell.
        place: what of the plugin folder is it, and all of it; None of one that lies elsewhere.
        package: what it was installed with.
    """

    name: str
    origin: Origin
    module: str
    source: Path | None = None
    place: Path | None = None
    files: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    package: importlib.metadata.Distribution | None = None

    @property
    def always_on(self) -> bool:
        """Whether nobody needs to turn it on, and nobody can turn it off."""
        return self.origin is Origin.BUILT_IN and self.name in BUILT_INS

    def is_as(self, other: "Candidate") -> bool:
        """Whether `other` is the same plugin, and its files are the same."""
        if self.origin is Origin.BUILT_IN:
            return other.origin is self.origin
        return (self.origin, self.fingerprint) == (other.origin, other.fingerprint)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of its files, by their names; "" of one that is unfit."""
        return "" if self.unfit else trust.fingerprint(self.files)

    @cached_property
    def unfit(self) -> str:
        """Why nobody can vouch for its files; "" where one can."""
        return trust.unfit(self.files)

    @cached_property
    def said(self) -> Said:
        """What it says of itself."""
        if self.package is not None:
            facts = self.package.metadata
            author, about = (next((facts[name] for name in names if name in facts), "") for names in _FACTS)
            return Said(version=self.package.version, author=author, about=about)
        said = said_by(self.source) if self.source is not None else Said()
        if self.origin is Origin.BUILT_IN:
            return dataclasses.replace(said, version=__version__, author="Desktop FT")
        return said


def find_plugins(tell: Callable[[UserError], object] = lambda error: None) -> Iterator[Candidate]:
    """Every plugin there is, in the order in which they are loaded; imports none of them.

    Args:
        tell: told of each place that cannot be looked into, where no plugin is found then.
    """
    _mount(_BUILT_IN_PACKAGE, places.shipped("plugins"))
    yield from map(_shipped, BUILT_INS)
    _mount(_FOLDER_PACKAGE, plugin_folder())
    for place in _places(plugin_folder(), tell):
        name, source, files = place.stem, place, {place.name: place}
        if place.is_dir():
            name, source, files = place.name, place / _PACKAGE, files_below(place)
        module = f"{_FOLDER_PACKAGE}.{name}"
        yield Candidate(name=name, origin=Origin.FOLDER, module=module, source=source, place=place, files=files)
    for point in importlib.metadata.entry_points(group=hookspecs.PROJECT):
        known = (point.dist.files or []) if point.dist else []
        files = {str(file): Path(str(file.locate())) for file in known if file.suffix != ".pyc"}
        yield Candidate(name=point.name, origin=Origin.INSTALLED, module=point.value, files=files, package=point.dist)
    yield from map(_shipped, OFFERED)


def _shipped(name: str) -> Candidate:
    source = places.shipped("plugins") / name / _PACKAGE
    return Candidate(name=name, origin=Origin.BUILT_IN, module=f"{_BUILT_IN_PACKAGE}.{name}", source=source)


def plugin_folder() -> Path:
    """Where a person's plugins lie."""
    return places.data() / "plugins"


def is_part(name: str) -> bool:
    """Whether what is called `name` is the file of a package, without the folder around it."""
    return f"{name}.py" == _PACKAGE


def misnamed(name: str, origin: Origin = Origin.FOLDER) -> str:
    """Why no plugin of `origin` can be called `name`; "" where one can."""
    if origin is Origin.INSTALLED:
        if _INSTALLED_NAME.fullmatch(name) and safe_name(name) == name:
            return ""
        return tr("'{name}' cannot be a plugin's name, which is of letters, digits and _, with . or - between them.", name=name)
    if is_part(name):
        return tr("{file} is a part of a plugin, not a plugin.", file=_PACKAGE)
    if name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__"):
        return ""
    return tr("'{name}' cannot be a plugin's name.", name=name)


def said_by(source: Path) -> Said:
    """What the plugin in the file `source` says of itself."""
    try:
        tree = ast.parse(_content(source))
    except UserError as error:
        return Said(fault=error.what.rstrip(".。"))
    except (OSError, NotAFile, SyntaxError, ValueError, RecursionError, MemoryError):
        return Said()  # the import will fail, with a traceback for the person
    values = {
        target.id: statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if isinstance(target, ast.Name)
    }
    constants = {name: str(value.value) for name, value in values.items() if isinstance(value, ast.Constant)}
    declared = _constant(values.get("DESKTOP_FT_NEEDS"))  # what is no constant only its import can tell
    needs = needs_of(declared)
    unusable = declared is not None and needs is None
    return Said(
        api=constants.get(_API),
        version=constants.get("__version__", ""),
        author=constants.get("__author__", ""),
        about=(ast.get_docstring(tree) or "").partition("\n")[0],
        needs=needs or {},
        hooks=tuple(name for name in _named_by(tree.body) if name.startswith(_HOOK)),
        fault=tr("its DESKTOP_FT_NEEDS does not say each module with what pip calls it") if unusable else "",
    )


def fault_in(source: Path) -> SyntaxError | None:
    """What in the file `source`, which names the plugin API, is no Python; None where nothing is.

    Raises:
        UserError: it is larger than `MOST_SOURCE`.
    """
    try:
        content = _content(source)
        ast.parse(content)
    except SyntaxError as error:
        return error if _API.encode() in content else None
    except (OSError, NotAFile, ValueError, RecursionError, MemoryError):
        return None
    return None


def _content(source: Path) -> bytes:
    """What is in the file `source`.

    Raises:
        UserError: it is larger than `MOST_SOURCE`.
        OSError, NotAFile: it cannot be read.
    """
    with open_regular(source) as file:
        content = file.read(MOST_SOURCE + 1)
    if len(content) > MOST_SOURCE:
        what = tr("{file} is larger than {limit} kB, and is not looked into.", file=source.name, limit=MOST_SOURCE >> 10)
        raise UserError(what, tr("Move what makes it so large into a file of its own beside it."))
    return content


def _named_by(statements: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, ast.FunctionDef):
            yield statement.name
        elif isinstance(statement, ast.ImportFrom):
            yield from (each.asname or each.name for each in statement.names)


def needs_of(declared: object) -> dict[str, str] | None:
    """What a `DESKTOP_FT_NEEDS` says; None where that does not map names of modules to names of packages, with versions at most.

    A command is made of these that people are told to run, before they trust who wrote them.
    """
    if not isinstance(declared, Mapping) or not all(isinstance(text, str) for pair in declared.items() for text in pair):
        return None
    try:
        asked = {module: Requirement(package) for module, package in declared.items()}
    except (ValueError, RecursionError):
        return None
    plain = all(not each.url and not each.marker and "===" not in str(each.specifier) for each in asked.values())
    return {module: str(each) for module, each in asked.items()} if plain else None


def lacking(needs: Mapping[str, str]) -> dict[str, str]:
    """Those of `needs` that are not installed; imports none of them. Of a dotted one the first part is looked for: finding
    the rest would import that."""
    return {module: package for module, package in needs.items() if not _is_there(module.partition(".")[0])}


def install_command(packages: Iterable[str]) -> str:
    """What installs `packages`, each once; "" where there are none."""
    asked = " ".join(f"'{package}'" for package in dict.fromkeys(packages))
    return f"pip install {asked}" if asked else ""


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # what stands for it was put together by hand, or it is no name at all
        return module in sys.modules


def _constant(value: ast.expr | None) -> object:
    try:
        return None if value is None else ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _places(folder: Path, tell: Callable[[UserError], object]) -> list[Path]:
    """What in `folder` is a plugin: each a file or a package that lies in it, never the folder itself."""
    found = list[Path]()
    with _told_of(folder, tell):
        for entry in sorted(folder.iterdir()):
            with _told_of(entry, tell):
                if not entry.name.startswith(".") and _is_plugin(entry):
                    found.append(entry)
    return found


@contextmanager
def _told_of(place: Path, tell: Callable[[UserError], object]) -> Iterator[None]:
    """The block looks at `place`; where that cannot be, it is told, and the block is over."""
    try:
        yield
    except FileNotFoundError:
        return
    except OSError as error:
        tell(atomic.cannot_read(place, error))


def _is_plugin(entry: Path) -> bool:
    return (entry / _PACKAGE).is_file() if entry.is_dir() else entry.suffix == ".py" and entry.is_file()


def files_below(folder: Path) -> dict[str, Path]:
    """All in `folder`, by name, but what is hidden and what Python keeps there for itself; links are followed, each once.

    A folder that cannot be looked into is among them, as is the one at which there was enough: neither is a file.
    """
    found, seen = dict[str, Path](), set[Path]()

    def kept(place: str) -> None:
        found[str(Path(place).relative_to(folder))] = Path(place)

    for place, folders, names in os.walk(folder, followlinks=True, onerror=lambda error: kept(error.filename)):
        if len(found) + len(seen) > trust.MOST_FILES:
            kept(place)
            break
        real = Path(place).resolve()
        folders[:] = [] if real in seen else [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        names = [] if real in seen else [name for name in names if not name.startswith(".")]
        seen.add(real)
        found |= {str(Path(place, name).relative_to(folder)): Path(place, name) for name in names}
    return found


def _mount(package: str, folder: Path) -> None:
    """Make the modules in `folder` importable below `package`, without putting the folder on sys.path."""
    mounted = sys.modules.get(package)
    if mounted is not None and list(mounted.__path__) == [str(folder)]:
        return
    for name in [name for name in tuple(sys.modules) if name.startswith(package + ".")]:
        del sys.modules[name]
    module = types.ModuleType(package, "Plugins found in one folder.")
    module.__path__ = [str(folder)]
    sys.modules[package] = module
