"""Which plugins there are, which of them a person trusts, and the catalogs of what those bring.

Built-ins are on; any other is off until a person enables it by name, and off again once its files have changed (see `trust`).
What a plugin declares is read from its source without importing it (`finding`); a disabled plugin is never imported. A plugin
that raises takes nothing down (`loading`). One that ends the process, or never comes to an end, does so in a process of its own.
"""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial, reduce

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.plugin_manager import trust
from desktop_ft.plugin_manager.finding import (
    BUILT_INS,
    NAMING,
    Candidate,
    Origin,
    find_plugins,
    is_part,
    misnamed,
    plugin_folder,
)
from desktop_ft.plugin_manager.loading import (
    PluginRecord,
    Plugins,
    PluginState,
    incompatible,
    load,
    load_foreign,
    record_of,
    unload,
)

__all__ = [
    "BUILT_INS", "NO_PLUGINS", "Origin", "PluginRecord", "PluginState", "Plugins",
    "load_module",
    "load_plugins", "look_again", "plugin_folder", "set_enabled", "trouble", "try_alone", "turn",
]  # fmt: skip

_Change = Callable[[trust.Trust], trust.Trust]

NO_PLUGINS = "DESKTOP_FT_NO_PLUGINS"
"""Set to anything but nothing in the environment, only built-in plugins are loaded, in child processes too."""


def load_plugins(*, safe_mode: bool = False, only: str = "") -> Plugins:
    """Find and load every enabled plugin, or the one called `only`; with `safe_mode`, or `NO_PLUGINS`, of the built-in ones."""
    plugins = Plugins(safe_mode=safe_mode or bool(os.environ.get(NO_PLUGINS)))
    _look(plugins, only)
    return plugins


def load_module(module: str) -> Plugins:
    """The built-in plugins, and with them the module of that name as a plugin, its record the last; for whoever tests one.

    Trust is not asked for. A built-in one that has its name gives way to it.
    """
    plugins, name = Plugins(), module.rpartition(".")[2]
    built_in = [each for each in find_plugins() if each.always_on and each.name != name]
    tested = Candidate(name=name, origin=Origin.INSTALLED, module=module)
    plugins.records = [load(plugins, each) for each in (*built_in, tested)]
    return plugins


def look_again(plugins: Plugins) -> None:
    """Find every plugin anew: load what is enabled now, let go of what is not any more; the others stay as they are."""
    _look(plugins)


def _look(plugins: Plugins, only: str = "") -> None:
    trusted, trouble = _trusted(plugins.safe_mode)
    blamed = {} if plugins.safe_mode else trust.blamed()
    news: list[_Change] = [partial(trust.Trust.with_stopped, name=name, why=why) for name, why in blamed.items()]
    trusted = _after(news, trusted)
    found: dict[str, Candidate] = {}
    shadowed: list[PluginRecord] = []
    unseen = list[UserError]()
    for candidate in [each for each in find_plugins(unseen.append) if not only or each.name == only]:
        if (first := found.setdefault(candidate.name, candidate)) is not candidate:
            reason = tr("there is a plugin of this name already ({origin})", origin=tr(first.origin))
            shadowed.append(record_of(candidate, PluginState.SHADOWED, reason))
        elif _wants_a_trial(plugins, candidate, trusted):
            news.append(_tried(candidate))
            trusted = news[-1](trusted)
    _let_go(plugins, found, trusted)  # first: another may bring what they brought
    settled = (_settled(plugins, candidate, trusted) for candidate in found.values())
    plugins.records = [*(replace(record, enabled=record.name in trusted.enabled) for record in settled), *shadowed]
    news += [
        partial(trust.Trust.with_brought, name=each.name, brings=each.brings)
        for each in plugins.records
        if each.state is PluginState.LOADED and not each.always_on and trusted.brought.get(each.name) != each.brings
    ]
    plugins.troubles = (*([trouble] if trouble else []), *map(str, unseen))
    if news and not trouble:  # what is damaged is left as it is until a person enables something
        with contextlib.suppress(UserError):  # on a full disk they are tried again at the next start
            trust.change(partial(_after, news))
            trust.forget_blame(blamed)


def trouble() -> str:
    """Why nobody knows which plugins are enabled, and what to do about it, in sentences; "" where that is known."""
    return _trusted(safe_mode=False)[1]


def _trusted(safe_mode: bool) -> tuple[trust.Trust, str]:
    """Whom the person trusts: nobody where that cannot be read; with what to say of that, but in safe mode."""
    try:
        return trust.read(), ""
    except UserError as error:
        return trust.Trust(), "" if safe_mode else tr("{error} Until then only built-in plugins are on.", error=error)


def turn(plugins: Plugins, name: str, *, on: bool) -> PluginRecord | None:
    """Turn a plugin on or off, for now and from now on; what became of it, or None where it is gone.

    Raises:
        As `set_enabled`.
    """
    set_enabled(name, on)
    unload(plugins, name)  # one that had failed is tried anew
    look_again(plugins)
    return next((record for record in plugins.records if record.name == name), None)


def try_alone(name: str) -> None:
    """Load the plugin `name` and no other; what it raises is caught, as in `load_plugins`."""
    for candidate in find_plugins():
        if candidate.name == name and candidate.origin is not Origin.BUILT_IN:
            load(Plugins(), candidate)
            return


def set_enabled(name: str, on: bool, trying: Callable[[], object] = lambda: None) -> None:
    """Turn a plugin on or off for whoever looks next. One that is turned on is tried first, in a process of its own, for
    `trust.TRIED_WITHIN_S` at most: `trying` is called before that.

    Raises:
        UserError: there is no such plugin, it is built in, or nobody can vouch for its files.
    """
    found = next((candidate for candidate in find_plugins() if candidate.name == name), None)
    # One that is gone can still be turned off, lest another of its name come in its place.
    if found is None and (on or name not in trust.read().enabled):
        raise UserError(tr("There is no plugin '{name}'.", name=name), tr("`desktop-ft plugins` lists what was found."))
    if found is not None and found.always_on:
        raise UserError(tr("'{name}' is always on.", name=name), tr("`desktop-ft plugins` lists what can be turned on and off."))
    if on and found is not None and (what := _misnamed(found)):
        raise UserError(what, tr("`desktop-ft plugins` says what to do about it."))
    if on and found is not None and found.unfit:
        what = tr("The plugin '{name}' cannot be turned on: {why}.", name=name, why=found.unfit)
        raise UserError(what, tr("Take that out of it, then turn it on."))
    if not on or found is None:
        trust.change(lambda kept: kept.without(name))
        return
    changes: list[_Change] = [partial(trust.Trust.with_enabled, name=name, files=found.fingerprint)]
    if found.origin is not Origin.BUILT_IN and not incompatible(found):  # else it is never imported
        trying()
        changes.append(_tried(found))
    trust.change(partial(_after, changes))


def _let_go(plugins: Plugins, found: Mapping[str, Candidate], trusted: trust.Trust) -> None:
    """Unload what is gone, changed or not trusted any more; then what had failed, too: it may have failed beside that."""

    def stays(name: str, before: Candidate) -> bool:
        now = found.get(name)
        return now is not None and before.is_as(now) and not _untrusted(now, trusted, plugins.safe_mode)

    going = [name for name, (before, _) in plugins.imported.items() if not stays(name, before)]
    failed = [name for name, (_, record) in plugins.imported.items() if record.state is PluginState.FAILED]
    for name in (*going, *failed) if going else ():
        unload(plugins, name)


def _settled(plugins: Plugins, candidate: Candidate, trusted: trust.Trust) -> PluginRecord:
    """What becomes of `candidate`, which is loaded unless it is already, or must not be."""
    if untrusted := _untrusted(candidate, trusted, plugins.safe_mode):
        before = plugins.let_go.get(candidate.name)
        return replace(untrusted, was_on=before is not None and candidate.is_as(before))
    if candidate.name in plugins.imported:
        return plugins.imported[candidate.name][1]
    return (load if candidate.origin is Origin.BUILT_IN else load_foreign)(plugins, candidate)


def _wants_a_trial(plugins: Plugins, candidate: Candidate, trusted: trust.Trust) -> bool:
    if candidate.origin is Origin.BUILT_IN or _untrusted(candidate, trusted, plugins.safe_mode):
        return False
    return trusted.tried.get(candidate.name) != candidate.fingerprint


def _tried(candidate: Candidate) -> _Change:
    """Try `candidate` in a process of its own: what is to be kept of that."""
    if why := trust.tried(candidate.name):
        return partial(trust.Trust.with_stopped, name=candidate.name, why=why)
    return partial(trust.Trust.with_tried, name=candidate.name, files=candidate.fingerprint)


def _after(changes: Sequence[_Change], trusted: trust.Trust) -> trust.Trust:
    """`trusted` once all `changes` are made."""
    return reduce(lambda one, change: change(one), changes, trusted)


def _untrusted(candidate: Candidate, trusted: trust.Trust, safe_mode: bool) -> PluginRecord | None:
    """Why a plugin stays off; None where it is trusted, and fits as far as can be told without importing it."""
    if candidate.always_on:
        return None
    name, ours = candidate.name, candidate.origin is Origin.BUILT_IN
    if reason := _misnamed(candidate):
        take_away = tr("take it away (`desktop-ft plugins remove {name}`), and install the folder around it", name=name)
        cure = _another(candidate) if candidate.origin is Origin.INSTALLED else take_away if is_part(name) else tr(NAMING)
        return record_of(candidate, PluginState.MISNAMED, reason.rstrip(".。"), cure=cure)
    again = tr("`desktop-ft plugins enable {name}` tries it again", name=name)
    if safe_mode and not ours:
        return record_of(candidate, PluginState.DISABLED, tr("safe mode loads built-in plugins only"))
    if reason := incompatible(candidate):
        return record_of(candidate, PluginState.INCOMPATIBLE, reason, cure=_another(candidate))
    if name not in trusted.enabled:
        off = record_of(candidate, PluginState.DISABLED, cure=tr("`desktop-ft plugins enable {name}` turns it on", name=name))
        return replace(off, reason=tr("it needs `{command}` first", command=off.lacks) if off.lacks else candidate.said.fault)
    if why := trusted.stopped.get(name):
        return record_of(candidate, PluginState.STOPPED, tr(why), cure=again)
    if candidate.unfit:
        cure = tr("take that out of it, then {turn_on}", turn_on=again)
        return record_of(candidate, PluginState.STOPPED, candidate.unfit, cure=cure)
    if not ours and (kept := trusted.enabled[name]) and kept != candidate.fingerprint:
        reason = tr("its files are not those that you enabled")
        return record_of(candidate, PluginState.STOPPED, reason, cure=tr("look at them, then {turn_on}", turn_on=again))
    return None


def _misnamed(candidate: Candidate) -> str:
    """Why a plugin cannot be called as its file, or the package that brought it, says; "" where it can."""
    return "" if candidate.origin is Origin.BUILT_IN else misnamed(candidate.name, candidate.origin)


def _another(candidate: Candidate) -> str:
    """What to do about a plugin that does not fit."""
    if candidate.origin is Origin.FOLDER:
        return tr("get one that fits from its author, or take it away: `desktop-ft plugins remove {name}`", name=candidate.name)
    return tr("get one that fits from its author, or uninstall it")
