"""Finds plugins, loads them one by one behind a guard, and gives the catalogs of what they bring.

Plugins are found in this order: built-ins, the person's plugin folder, installed distributions. Built-ins are on; any other
is off until a person enables it by name, and off again once its files have changed (see `trust`). What a plugin declares is read
from its source without importing it; a disabled plugin is never imported. A plugin that raises takes nothing down: it is left
out, with its traceback kept for the person. One that ends the process, or never comes to an end, does so in a process of its own.
"""

import ast
import contextlib
import dataclasses
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial, reduce
from pathlib import Path
from typing import Any

import pluggy
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from desktop_ft import __version__, places
from desktop_ft.api import API_VERSION, Augmentation, Backbone, EventSink, Exporter, SampleDataset, hookspecs
from desktop_ft.api.catalog import Catalog
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.plugin_manager import tampering, trust

BUILT_INS = ("efficientnet_lite", "torchvision_backbones", "augmentations", "onnx_export", "handwritten_digits")
_BUILT_IN_PACKAGE = "desktop_ft_plugins"
_FOLDER_PACKAGE = "desktop_ft_user_plugins"


_Change = Callable[[trust.Trust], trust.Trust]


class PluginState(StrEnum):
    """What became of a plugin."""

    LOADED = marked("loaded")
    DISABLED = marked("disabled")
    STOPPED = marked("stopped")
    FAILED = marked("failed")
    INCOMPATIBLE = marked("incompatible")
    SHADOWED = marked("shadowed")


class Origin(StrEnum):
    """Where a plugin was found."""

    BUILT_IN = marked("built in")
    FOLDER = marked("plugin folder")
    INSTALLED = marked("installed")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A plugin that was found, and nothing of it imported yet."""

    name: str
    origin: Origin
    module: str
    version: str
    source: Path | None
    files: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of its files, by their names."""
        return trust.fingerprint(self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRecord:
    """What became of a plugin, and why; of one that is loaded, what a person should know of it."""

    name: str
    origin: Origin
    version: str
    state: PluginState
    reason: str = ""
    traceback: str = ""
    tampers: bool = False


class Plugins:
    """The catalogs of everything that the loaded plugins bring, and a record of every plugin found."""

    def __init__(self) -> None:
        self.backbones: Catalog[Backbone] = Catalog(
            marked("backbone"), marked("`desktop-ft backbones` lists them."), lambda b: b.spec.name
        )
        self.augmentations: Catalog[Augmentation] = Catalog(marked("augmentation"), "", lambda a: a.name)
        self.exporters: Catalog[Exporter] = Catalog(marked("export format"), "", lambda e: e.name)
        self.samples: Catalog[SampleDataset] = Catalog(marked("sample"), "", lambda s: s.name)
        self.sinks: Catalog[EventSink] = Catalog(marked("event sink"), "", lambda s: s.name)
        self.records: list[PluginRecord] = []

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on what else than bringing something the plugins have done, for the record of a run."""
        told = (record for record in self.records if record.tampers)
        return tuple(tr("Trained beside the plugin {name}: {reason}.", name=each.name, reason=each.reason) for each in told)

    def hooks(self) -> dict[str, Catalog[Any]]:
        """Hook name to the catalog it fills."""
        return {
            "register_backbones": self.backbones,
            "register_augmentations": self.augmentations,
            "register_exporters": self.exporters,
            "register_sample_datasets": self.samples,
            "register_event_sinks": self.sinks,
        }


NO_PLUGINS = "DESKTOP_FT_NO_PLUGINS"
"""Set to anything but nothing in the environment, only built-in plugins are loaded, in child processes too."""


def load_plugins(*, safe_mode: bool = False) -> Plugins:
    """Find and load every enabled plugin. `safe_mode` loads the built-ins only, as does `NO_PLUGINS`."""
    plugins = Plugins()
    manager = _manager()
    safe_mode = safe_mode or bool(os.environ.get(NO_PLUGINS))
    trusted = trust.Trust() if safe_mode else trust.read()
    blamed = {} if safe_mode else trust.blamed()
    news: list[_Change] = [partial(trust.Trust.with_stopped, name=name, why=why) for name, why in blamed.items()]
    trusted = _after(news, trusted)
    seen: dict[str, Origin] = {}
    for candidate in find_plugins():
        if candidate.name in seen:
            reason = tr("there is a plugin of this name already ({origin})", origin=tr(seen[candidate.name]))
            record = _record(candidate, PluginState.SHADOWED, reason)
        elif candidate.origin is not Origin.BUILT_IN and (untrusted := _untrusted(candidate, trusted, safe_mode)):
            record = untrusted
        elif reason := _incompatible(candidate):
            record = _record(candidate, PluginState.INCOMPATIBLE, reason)
        elif candidate.origin is Origin.BUILT_IN:
            record = _load(manager, plugins, candidate)
        else:
            if trusted.tried.get(candidate.name) != candidate.fingerprint:
                news.append(_tried(candidate))
                trusted = news[-1](trusted)
            record = _untrusted(candidate, trusted, safe_mode) or _load_foreign(manager, plugins, candidate)
        seen.setdefault(candidate.name, candidate.origin)
        plugins.records.append(record)
    if news:
        with contextlib.suppress(UserError):  # on a full disk they are tried again at the next start
            trust.change(partial(_after, news))
            trust.forget_blame(blamed)
    return plugins


def try_alone(name: str) -> None:
    """Load the plugin `name` and no other; what it raises is caught, as in `load_plugins`."""
    for candidate in find_plugins():
        if candidate.name == name and candidate.origin is not Origin.BUILT_IN:
            _load(_manager(), Plugins(), candidate)
            return


def load_module(module: str) -> Plugins:
    """The built-in plugins, and with them the module of that name as a plugin, its record the last; for whoever tests one.

    Trust is not asked for. A built-in one that has its name gives way to it.
    """
    manager, plugins, name = _manager(), Plugins(), module.rpartition(".")[2]
    built_in = [each for each in find_plugins() if each.origin is Origin.BUILT_IN and each.name != name]
    tested = Candidate(name=name, origin=Origin.INSTALLED, module=module, version="", source=None)
    plugins.records.extend(_load(manager, plugins, each) for each in (*built_in, tested))
    return plugins


def _tried(candidate: Candidate) -> _Change:
    """Try `candidate` in a process of its own: what is to be kept of that."""
    if why := trust.tried(candidate.name):
        return partial(trust.Trust.with_stopped, name=candidate.name, why=why)
    return partial(trust.Trust.with_tried, name=candidate.name, files=candidate.fingerprint)


def _after(changes: Sequence[_Change], trusted: trust.Trust) -> trust.Trust:
    """`trusted` once all `changes` are made."""
    return reduce(lambda one, change: change(one), changes, trusted)


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def _untrusted(candidate: Candidate, trusted: trust.Trust, safe_mode: bool) -> PluginRecord | None:
    """Why a plugin that is not built in stays off; None where it is trusted."""
    name = candidate.name
    again = tr("`desktop-ft plugins enable {name}` tries it again", name=name)
    if safe_mode:
        return _record(candidate, PluginState.DISABLED, tr("safe mode loads built-in plugins only"))
    if name not in trusted.enabled:
        return _record(candidate, PluginState.DISABLED, tr("`desktop-ft plugins enable {name}` turns it on", name=name))
    if why := trusted.stopped.get(name):
        return _record(candidate, PluginState.STOPPED, f"{tr(why)} {again}")
    if (kept := trusted.enabled[name]) and kept != candidate.fingerprint:
        reason = tr("its files are not those that you enabled; look at them, then {turn_on}", turn_on=again)
        return _record(candidate, PluginState.STOPPED, reason)
    return None


def _load_foreign(manager: pluggy.PluginManager, plugins: Plugins, candidate: Candidate) -> PluginRecord:
    """Load what is not ours, with an eye on what it does."""
    before = tampering.watched()
    with trust.loading(candidate.name):
        record = _load(manager, plugins, candidate)
    if replaced := tampering.replaced(before):
        what = tr("it has replaced {names}", names=", ".join(replaced))
        record = dataclasses.replace(record, reason="; ".join(filter(None, (record.reason, what))), tampers=True)
    return record


def find_plugins() -> Iterator[Candidate]:
    """Every plugin there is, in the order in which they are loaded; imports none of them."""
    _mount(_BUILT_IN_PACKAGE, places.shipped("plugins"))
    for name in BUILT_INS:
        source = places.shipped("plugins") / name / "__init__.py"
        yield Candidate(
            name=name, origin=Origin.BUILT_IN, module=f"{_BUILT_IN_PACKAGE}.{name}", version=__version__, source=source
        )
    folder = places.data() / "plugins"
    _mount(_FOLDER_PACKAGE, folder)
    for source in _sources(folder):
        name = source.parent.name if source.name == "__init__.py" else source.stem
        files = _files(source.parent) if source.name == "__init__.py" else {source.name: source}
        yield Candidate(
            name=name, origin=Origin.FOLDER, module=f"{_FOLDER_PACKAGE}.{name}", version="", source=source, files=files
        )
    for point in importlib.metadata.entry_points(group=hookspecs.PROJECT):
        version = point.dist.version if point.dist else ""
        known = (point.dist.files or []) if point.dist else []
        files = {str(file): Path(str(file.locate())) for file in known if file.suffix != ".pyc"}
        yield Candidate(name=point.name, origin=Origin.INSTALLED, module=point.value, version=version, source=None, files=files)


def set_enabled(name: str, on: bool) -> None:
    """Turn a plugin on or off from the next start. One that is turned on is tried first, in a process of its own.

    Raises:
        UserError: there is no such plugin, or it is built in.
    """
    found = next((candidate for candidate in find_plugins() if candidate.name == name), None)
    # One that is gone can still be turned off, lest another of its name come in its place.
    if found is None and (on or name not in trust.read().enabled):
        raise UserError(tr("There is no plugin '{name}'.", name=name), tr("`desktop-ft plugins` lists what was found."))
    if found is not None and found.origin is Origin.BUILT_IN:
        raise UserError(
            tr("'{name}' is built in and always on.", name=name), tr("Only plugins of your own can be turned on and off.")
        )
    if not on or found is None:
        trust.change(lambda kept: kept.without(name))
        return
    changes: list[_Change] = [partial(trust.Trust.with_enabled, name=name, files=found.fingerprint)]
    if not _incompatible(found):  # else it is never imported
        changes.append(_tried(found))
    trust.change(partial(_after, changes))


def _sources(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    inside = (entry / "__init__.py" if entry.is_dir() else entry for entry in sorted(folder.iterdir()))
    return [source for source in inside if source.suffix == ".py" and source.is_file() and not source.name.startswith(".")]


def _files(folder: Path) -> dict[str, Path]:
    """All in `folder`, by name, but what is hidden and what Python keeps there for itself; links are followed, each once."""
    found, seen = dict[str, Path](), set[Path]()
    for place, folders, names in os.walk(folder, followlinks=True):
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
    for name in [name for name in sys.modules if name.startswith(package + ".")]:
        del sys.modules[name]
    module = types.ModuleType(package, "Plugins found in one folder.")
    module.__path__ = [str(folder)]
    sys.modules[package] = module


def _incompatible(candidate: Candidate) -> str:
    """Why the plugin does not fit this version of the door; "" where it does or where only its import can tell."""
    declared = _declared(candidate.source) if candidate.source else None
    return _unfit(declared) if declared else ""


def _declared(source: Path) -> str | None:
    try:
        body = ast.parse(source.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return None  # the import will fail, with a traceback for the person
    for statement in body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
            if "DESKTOP_FT_API" in names:
                return str(statement.value.value)
    return None


def _unfit(declared: object) -> str:
    try:
        fits = SpecifierSet(str(declared)).contains(API_VERSION)
    except InvalidSpecifier:
        return tr("its DESKTOP_FT_API is {declared!r}, not a version range such as '>=1,<2'", declared=declared)
    if fits:
        return ""
    return tr("it is written for plugin API {declared}, and this is {version}", declared=declared, version=API_VERSION)


def _load(manager: pluggy.PluginManager, plugins: Plugins, candidate: Candidate) -> PluginRecord:
    """Import one plugin and take in what it brings: all of it or nothing. What it prints goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        return _guarded_load(manager, plugins, candidate)


def _guarded_load(manager: pluggy.PluginManager, plugins: Plugins, candidate: Candidate) -> PluginRecord:
    try:
        module = importlib.import_module(candidate.module)
        declared = getattr(module, "DESKTOP_FT_API", None)
        if reason := _unfit(declared) if declared is not None else tr("it does not say which plugin API it is written for"):
            return _record(candidate, PluginState.INCOMPATIBLE, reason)
        manager.register(module, candidate.name)
        manager.check_pending()  # a hook whose name is misspelt would never be called
        for hook, catalog in plugins.hooks().items():
            _collect(getattr(manager.hook, hook).get_hookimpls(), module, _taker(catalog, candidate.name))
    except (Exception, SystemExit) as error:
        for catalog in plugins.hooks().values():
            catalog.drop(candidate.name)
        if manager.has_plugin(candidate.name):
            manager.unregister(name=candidate.name)
        reason = f"{type(error).__name__}: {error}"
        return _record(candidate, PluginState.FAILED, reason, traceback.format_exc())
    return _record(candidate, PluginState.LOADED)


def _collect(impls: Iterable[Any], module: types.ModuleType, register: Callable[[Any], None]) -> None:
    for impl in impls:
        if impl.plugin is module:
            impl.function(register)


def _taker(catalog: Catalog[Any], plugin: str) -> Callable[[Any], None]:
    def register(item: Any) -> None:
        if isinstance(item, Backbone):
            item = dataclasses.replace(item, spec=dataclasses.replace(item.spec, plugin=plugin))
        catalog.add(item, plugin)

    return register


def _record(candidate: Candidate, state: PluginState, reason: str = "", trace: str = "") -> PluginRecord:
    return PluginRecord(
        name=candidate.name, origin=candidate.origin, version=candidate.version, state=state, reason=reason, traceback=trace
    )
