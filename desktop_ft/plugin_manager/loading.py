"""Loads plugins one by one behind a guard, and gives the catalogs of what they bring.

A plugin that raises takes nothing down: it is left out, with its traceback kept for the person.
"""

import contextlib
import dataclasses
import difflib
import importlib
import sys
import traceback
import types
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pluggy
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from desktop_ft.api import API_VERSION, Augmentation, Backbone, EventSink, Exporter, SampleDataset, WindowPanel, hookspecs
from desktop_ft.api.catalog import Catalog, Elsewhere
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.plugin_manager import tampering, trust
from desktop_ft.plugin_manager.finding import Candidate, Origin, install_command, lacking, needs_of
from desktop_ft.plugin_manager.fitness import must_fit


class PluginState(StrEnum):
    """What became of a plugin."""

    LOADED = marked("loaded")
    DISABLED = marked("disabled")
    STOPPED = marked("stopped")
    FAILED = marked("failed")
    INCOMPATIBLE = marked("incompatible")
    SHADOWED = marked("shadowed")
    MISNAMED = marked("misnamed")


_NOT_LOADED = (PluginState.STOPPED, PluginState.FAILED, PluginState.INCOMPATIBLE)
_CAN_BE_TURNED_ON = (PluginState.DISABLED, PluginState.STOPPED, PluginState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRecord:
    """What became of a plugin, and why; of one that is loaded, what a person should know of it.

    Attributes:
        always_on: whether it cannot be turned off at all.
        enabled: whether a person has turned it on, whatever came of that.
        author, about: what it says of itself, or its package does.
        reason, cure: why it is so, and what to do about it on the command line; "" where there is nothing to say.
        lacks: the command that installs what it needs and is not installed; "" where nothing lacks, and while it is loaded.
        brings: the names of what it brought, by their kind, in English.
        hooks: names of the hooks that stand in its source; none where only its import can tell.
        tampers: whether it has replaced something of Python or of a library.
        fingerprint: the hash of its files that were loaded; "" of one that ships, or is not loaded.
        was_on: whether these files of it were run since the application started, and are not any more.
    """

    name: str
    origin: Origin
    version: str
    state: PluginState
    always_on: bool = False
    enabled: bool = False
    author: str = ""
    about: str = ""
    reason: str = ""
    cure: str = ""
    traceback: str = ""
    lacks: str = ""
    brings: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    hooks: tuple[str, ...] = ()
    tampers: bool = False
    fingerprint: str = ""
    was_on: bool = False

    @property
    def advice(self) -> str:
        """What to do about it, as a sentence; "" where there is nothing to do."""
        ended = self.cure if self.cure.endswith((".", "。", "?")) else f"{self.cure}."
        return f"{ended[:1].upper()}{ended[1:]}" if self.cure else ""

    @property
    def told(self) -> str:
        """Why it is so, and what to do about it; the end of a sentence, and another, without the last full stop."""
        return ". ".join(filter(None, (self.reason, self.advice.rstrip(".。"))))


class Plugins:
    """The catalogs of everything that the loaded plugins bring, and a record of every plugin found.

    Attributes:
        safe_mode: whether built-in plugins alone are loaded.
        troubles: what kept plugins from being found or known when last was looked, each with its cure, in sentences.
        imported: by name, what was imported of them, whether well or not, and what became of it.
        let_go: by name, what was imported and is not any more.
        records: of every plugin that was found when last was looked.
    """

    def __init__(self, *, safe_mode: bool = False) -> None:
        self.backbones: Catalog[Backbone] = Catalog(
            marked("backbone"), marked("`desktop-ft backbones` lists them."), lambda b: b.spec.name, self._elsewhere
        )
        self.augmentations: Catalog[Augmentation] = Catalog(marked("augmentation"), "", lambda a: a.name, self._elsewhere)
        self.exporters: Catalog[Exporter] = Catalog(marked("export format"), "", lambda e: e.name, self._elsewhere)
        self.samples: Catalog[SampleDataset] = Catalog(marked("sample"), "", lambda s: s.name, self._elsewhere)
        self.sinks: Catalog[EventSink] = Catalog(marked("event sink"), "", lambda s: s.name, self._elsewhere)
        self.panels: Catalog[WindowPanel] = Catalog(marked("window panel"), "", lambda p: p.name, self._elsewhere)
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.safe_mode = safe_mode
        self.troubles: tuple[str, ...] = ()
        self.imported: dict[str, tuple[Candidate, PluginRecord]] = {}
        self.let_go: dict[str, Candidate] = {}
        self.records: list[PluginRecord] = []

    def without_sinks(self) -> "Plugins":
        """The same, but that none of them hears of a run: for runs that are thrown away."""
        deaf = copy(self)
        deaf.sinks = Catalog(self.sinks.kind, "", lambda sink: sink.name)
        return deaf

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on what else than bringing something the plugins have done, or why they are not there, for a run's record."""
        told = (record for record in self.records if record.tampers)
        beside = (tr("Trained beside the plugin {name}: {reason}.", name=each.name, reason=each.reason) for each in told)
        return (*beside, *self.troubles)

    def identity(self, names: Collection[str]) -> str:
        """A text that differs whenever the plugins of these names may do something else: where they are from, and their files."""
        found = [record for record in self.records if record.name in names]
        return str(sorted((each.name, each.origin, each.version, each.fingerprint) for each in found))

    def failed_at(self, hook: str) -> list[PluginRecord]:
        """The plugins that a person wants, that bring something at the `hook`, and that are not loaded, whatever the reason."""
        kind, brought = self.hooks()[hook].kind, _known()
        out = [each for each in self.records if each.state in _NOT_LOADED and (each.enabled or each.state is PluginState.STOPPED)]
        return [each for each in out if hook in each.hooks or (not each.hooks and kind in brought.get(each.name, {}))]

    def hooks(self) -> dict[str, Catalog[Any]]:
        """Hook name to the catalog it fills."""
        return {
            "register_backbones": self.backbones,
            "register_augmentations": self.augmentations,
            "register_exporters": self.exporters,
            "register_sample_datasets": self.samples,
            "register_event_sinks": self.sinks,
            "register_window_panels": self.panels,
        }

    def _elsewhere(self, kind: str, name: str) -> Elsewhere:
        found = {each.name: each for each in self.records if each.state is not PluginState.SHADOWED}
        known = _known()
        authors = [plugin for plugin, brings in known.items() if name in brings.get(kind, ())]
        for plugin in sorted(authors, key=lambda plugin: plugin not in found):
            if plugin not in found:
                return _gone(plugin)
            if found[plugin].state is not PluginState.LOADED:
                return self._idle(found[plugin])
        hook = next(hook for hook, catalog in self.hooks().items() if catalog.kind == kind)
        unknown = [each for each in found.values() if each.state is not PluginState.DISABLED or each.name not in known]
        possible = [each.name for each in unknown if each.state in _CAN_BE_TURNED_ON and hook in (each.hooks or {hook})]
        if not possible:
            return Elsewhere(cure=" ".join(self.troubles))
        told = tr("It may come from a plugin that is off or failed: {names}.", names=", ".join(possible))
        return Elsewhere(cure=" ".join((*self.troubles, told, self._turning_on("NAME"))))

    def _idle(self, record: PluginRecord) -> Elsewhere:
        """Of something that the plugin of `record` would bring, were it loaded."""
        why = f"{tr(record.state)}: {record.reason}" if record.reason else tr(record.state)
        source = tr("It comes from the plugin {name}, which is {why}.", name=record.name, why=why)
        if record.state not in _CAN_BE_TURNED_ON:
            return Elsewhere(source, record.advice)
        needed = record.advice if record.state is PluginState.FAILED and record.lacks else ""
        return Elsewhere(source, f"{needed} {self._turning_on(record.name, record.origin)}".strip())

    def _turning_on(self, name: str, origin: Origin = Origin.FOLDER) -> str:
        if self.safe_mode and origin is not Origin.BUILT_IN:
            return tr("This start is without plugins: start without --no-plugins.")
        return tr("Turn it on with `desktop-ft plugins enable {name}`, or on the page Plugins.", name=name)


def _known() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """What each plugin brought when it was last loaded, as far as that is known."""
    with contextlib.suppress(UserError):  # the error that is about to be told matters more
        return trust.read().brought
    return {}


def _gone(plugin: str) -> Elsewhere:
    cure = tr("Install that again, then turn it on: `desktop-ft plugins enable {name}`.", name=plugin)
    return Elsewhere(tr("It comes from the plugin {name}, which is gone.", name=plugin), cure)


def record_of(candidate: Candidate, state: PluginState, reason: str = "", *, cure: str = "", trace: str = "") -> PluginRecord:
    """What became of `candidate`."""
    said = candidate.said
    return PluginRecord(
        name=candidate.name,
        origin=candidate.origin,
        version=said.version,
        author=said.author,
        about=said.about,
        state=state,
        always_on=candidate.always_on,
        reason=reason,
        cure=cure,
        traceback=trace,
        lacks=install_command(lacking(said.needs).values()),
        hooks=said.hooks,
    )


def incompatible(candidate: Candidate) -> str:
    """Why the plugin does not fit this version of the door; "" where it does or where only its import can tell."""
    module, _, inside = candidate.module.partition(":")
    if inside:
        whole = candidate.module
        return tr("its entry point leads to '{whole}', and must lead to a module alone: '{module}'", whole=whole, module=module)
    return _unfit(candidate.said.api) if candidate.said.api else ""


def load(plugins: Plugins, candidate: Candidate) -> PluginRecord:
    """Import one plugin and take in what it brings: all of it or nothing. What it prints goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        record = _guarded_load(plugins, candidate)
    if candidate.origin is not Origin.BUILT_IN:
        record = dataclasses.replace(record, fingerprint=candidate.fingerprint)
    plugins.imported[candidate.name] = candidate, record
    return record


def load_foreign(plugins: Plugins, candidate: Candidate) -> PluginRecord:
    """Load what is not ours, with an eye on what it does."""
    before = tampering.watched()
    with trust.loading(candidate.name):
        record = load(plugins, candidate)
    if replaced := tampering.replaced(before):
        what = tr("it has replaced {names}", names=", ".join(replaced))
        record = dataclasses.replace(record, reason="; ".join(filter(None, (record.reason, what))), tampers=True)
        plugins.imported[candidate.name] = candidate, record
    return record


def unload(plugins: Plugins, name: str) -> None:
    """Let go of what the plugin `name` brought, and of its modules: should it come again, it is imported anew.

    What it has replaced elsewhere stays replaced until the application ends.
    """
    if (imported := plugins.imported.pop(name, None)) is not None:
        _drop(plugins, name)
        _forget_modules(imported[0])
        plugins.let_go[name] = imported[0]


def _forget_modules(candidate: Candidate) -> None:
    module = candidate.module
    for each in [each for each in tuple(sys.modules) if each == module or each.startswith(f"{module}.")]:
        del sys.modules[each]
    importlib.invalidate_caches()


def _drop(plugins: Plugins, name: str) -> None:
    for catalog in plugins.hooks().values():
        catalog.drop(name)
    if plugins.manager.has_plugin(name):
        plugins.manager.unregister(name=name)


def _guarded_load(plugins: Plugins, candidate: Candidate) -> PluginRecord:
    manager, name = plugins.manager, candidate.name
    if candidate.origin is not Origin.BUILT_IN:
        _forget_modules(candidate)  # whatever still held a part of it may have brought back the rest, as it was
    hook = ""
    try:
        _must_have(candidate.said.needs)
        module = importlib.import_module(candidate.module)
        declared = getattr(module, "DESKTOP_FT_API", None)
        if reason := _unfit(declared) if declared is not None else tr("it does not say which plugin API it is written for"):
            return record_of(candidate, PluginState.INCOMPATIBLE, reason)
        _must_have(getattr(module, "DESKTOP_FT_NEEDS", {}))
        manager.register(module, name)
        _must_be_known(manager, module)
        for hook, catalog in plugins.hooks().items():
            _collect(getattr(manager.hook, hook).get_hookimpls(), module, _taker(catalog, name, hook))
    except (Exception, SystemExit) as error:
        _drop(plugins, name)
        if isinstance(error, UserError):  # it says itself what it lacks
            return record_of(candidate, PluginState.FAILED, error.what.rstrip(".。"), cure=error.cure)
        return _failed(candidate, error, hook)
    brings = {catalog.kind: tuple(names) for catalog in plugins.hooks().values() if (names := catalog.brought_by(name))}
    return dataclasses.replace(record_of(candidate, PluginState.LOADED), brings=brings)


def _failed(candidate: Candidate, error: BaseException, hook: str) -> PluginRecord:
    """What became of `candidate`, whose import, or else its `hook`, raised `error`."""
    what = f"{type(error).__name__}: {error}".rstrip(".: ")
    reason = tr("{error} (in its hook {hook})", error=what, hook=hook) if hook else what
    cure = tr("`desktop-ft plugins --details` shows where")
    return record_of(candidate, PluginState.FAILED, reason, cure=cure, trace="".join(traceback.format_exception(error)))


def _must_have(declared: object) -> None:
    """Refuse to go on where something of what a plugin needs is not installed, with a `UserError` that names it."""
    if (needs := needs_of(declared)) is None:
        example = {"openvino": "desktop-ft[openvino]"}
        what = tr("Its DESKTOP_FT_NEEDS is {declared!r}.", declared=declared)
        raise UserError(what, tr("Say each module with what pip calls it, such as {example}.", example=example))
    if missing := lacking(needs):
        what = tr_n("{names} is not installed.", "{names} are not installed.", n=len(missing), names=", ".join(missing))
        raise UserError(what, tr("Install it: {command}.", command=install_command(missing.values())))


def _must_be_known(manager: pluggy.PluginManager, module: types.ModuleType) -> None:
    """Refuse a hook whose name is misspelt, which would never be called, with a `UserError` that names the nearest."""
    for hook in manager.get_hookcallers(module) or ():
        if not hook.has_spec():
            known = [name for name in vars(hookspecs) if name.startswith("register_")]
            near = difflib.get_close_matches(hook.name, known, n=1)
            cure = tr("Did you mean {name}?", name=near[0]) if near else tr("Take one of {names}.", names=", ".join(known))
            raise UserError(tr("there is no hook '{name}'", name=hook.name), cure)


def _unfit(declared: object) -> str:
    try:
        fits = SpecifierSet(str(declared)).contains(API_VERSION)
    except InvalidSpecifier:
        return tr("its DESKTOP_FT_API is {declared!r}, not a version range such as '>=1,<2'", declared=declared)
    if fits:
        return ""
    return tr("it is written for plugin API {declared}, and this is {version}", declared=declared, version=API_VERSION)


def _collect(impls: Iterable[Any], module: types.ModuleType, register: Callable[[Any], None]) -> None:
    for impl in impls:
        if impl.plugin is module:
            impl.function(register)


def _taker(catalog: Catalog[Any], plugin: str, hook: str) -> Callable[[Any], None]:
    def register(item: Any) -> None:
        try:
            must_fit(item, hook)
        except ValueError as error:
            raise ValueError(f"in plugin {plugin}, {error}") from None
        if isinstance(item, Backbone):
            item = dataclasses.replace(item, spec=dataclasses.replace(item.spec, plugin=plugin))
        catalog.add(item, plugin)

    return register
