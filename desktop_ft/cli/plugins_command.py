"""`plugins`: what was found, what a person turns on or off, adds or removes, and a plugin to start from."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from desktop_ft.cli.terminal import Terminal
from desktop_ft.plugin_manager import NO_PLUGINS, Origin, PluginRecord, PluginState, load_plugins, set_enabled, trouble
from desktop_ft.plugin_manager.trust import TRIED_WITHIN_S

_FAILED = 1
_BECAME = {
    PluginState.LOADED: "{name} is on.",
    PluginState.DISABLED: "{name} is off: {reason}.",
    PluginState.STOPPED: "{name} was turned off: {reason}.",
    PluginState.FAILED: "{name} did not load: {reason}.",
    PluginState.INCOMPATIBLE: "{name} does not fit this version of Desktop FT: {reason}.",
    PluginState.SHADOWED: "{name} is left out: {reason}.",
    PluginState.MISNAMED: "{name} is left out: {reason}.",
}
_JSON_HELP = "one JSON document on standard output"


def add_plugins_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its own commands; without one of these, it lists."""
    plugins = commands.add_parser(
        "plugins",
        help="list the plugins, turn one on or off, add one, write one",
        description="List every plugin found, with its state and the reason. A plugin that is on is trusted, not sandboxed.",
        epilog="Example: desktop-ft plugins enable my_backbones",
    )
    plugins.add_argument("--json", action="store_true", help=_JSON_HELP)
    _add_details(plugins, default=False)
    plugins.set_defaults(run=_list)
    verbs = plugins.add_subparsers(title="commands", metavar="COMMAND")

    def verb(name: str, text: str, run: Callable[[argparse.Namespace, Terminal], int], epilog: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=f"Example: desktop-ft plugins {epilog}"
        )
        parser.set_defaults(run=run)
        parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=_JSON_HELP)
        return parser

    listing = verb("list", "list every plugin found, with its state and the reason", _list, "list --details")
    enable = verb("enable", "turn a plugin on, as its files are now", _enable, "enable my_backbones")
    enable.add_argument("name", metavar="NAME", help="the plugin to turn on")
    disable = verb("disable", "turn a plugin off", _disable, "disable my_backbones")
    disable.add_argument("name", metavar="NAME", help="the plugin to turn off")
    add = verb("install", "copy a plugin into the plugin folder; it stays off until it is enabled", _install, "install mine.zip")
    add.add_argument("source", type=Path, metavar="PATH", help="its folder, .zip or .py file")
    remove = verb("remove", "delete a plugin from the plugin folder", _remove, "remove my_backbones")
    remove.add_argument("name", metavar="NAME", help="the plugin to delete")
    for parser in (listing, enable, disable, add, remove):
        _add_details(parser, default=argparse.SUPPRESS)  # lest it undo what stood before the verb, as with --json
    new = verb("new", "write a plugin to start from, with its tests", _new, "new my_plugin")
    new.add_argument("name", metavar="NAME", help="what to call it, such as my_plugin")
    new.add_argument("--into", type=Path, default=Path(), metavar="FOLDER", help="where to make its folder (default: here)")


def _add_details(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument("--details", action="store_true", default=default, help="show the traceback of plugins that failed")


def _list(arguments: argparse.Namespace, terminal: Terminal) -> int:
    _tell(_records(terminal), arguments, terminal)
    return 0


def _enable(arguments: argparse.Namespace, terminal: Terminal) -> int:
    if told := trouble():  # it is over once one is enabled
        terminal.note(told)
    tried = f"{arguments.name} is tried in a process of its own, for {TRIED_WITHIN_S} s at most."
    set_enabled(arguments.name, on=True, trying=lambda: terminal.note(tried))
    found = _called(arguments.name, _records(terminal))
    failed = next((each for each in found[:1] if each.state is not PluginState.LOADED), None)
    without = _is_without(found)
    _tell(found, arguments, terminal, told=None if without else failed)
    if without:
        _tell_without(arguments.name, "on", terminal)
        return 0
    if failed is not None:
        return terminal.fail(_sentence(failed), _FAILED)
    terminal.note(f"{arguments.name} is on.")
    return 0


def _disable(arguments: argparse.Namespace, terminal: Terminal) -> int:
    set_enabled(arguments.name, on=False)
    found = _called(arguments.name, _records(terminal))
    _tell(found, arguments, terminal)
    if _is_without(found):
        _tell_without(arguments.name, "off", terminal)
    else:
        terminal.note(f"{arguments.name} is off.")
    return 0


def _is_without(found: Sequence[PluginRecord]) -> bool:
    """Whether this start is without plugins of others, and the first of `found` is one."""
    return bool(os.environ.get(NO_PLUGINS)) and not any(each.origin is Origin.BUILT_IN for each in found[:1])


def _tell_without(name: str, turned: str, terminal: Terminal) -> None:
    """Say that what was asked for is kept for the next start with plugins."""
    terminal.note(f"{name} is turned {turned}, and that is kept. Plugins are off in this start (--no-plugins), whatever is kept.")


def _install(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from desktop_ft.plugin_manager import installing  # the window, which starts here too, need not wait for it

    name = installing.install(arguments.source)
    found = _called(name, _records(terminal))
    unfit = next((each for each in found if each.state is PluginState.INCOMPATIBLE), None)
    _tell(found, arguments, terminal, told=unfit)
    lacks = next((f" It needs `{each.lacks}` first." for each in found if each.lacks), "")
    if unfit is not None:
        terminal.note(f"{name} is copied, but cannot be turned on. {_sentence(unfit)}")
    else:
        terminal.note(f"{name} is copied, and off.{lacks} Look at it; `desktop-ft plugins enable {name}` turns it on.")
    return 0


def _remove(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from desktop_ft.plugin_manager import installing

    place = installing.remove(arguments.name)
    _tell(_called(arguments.name, _records(terminal)), arguments, terminal)
    terminal.note(f"{arguments.name} is off, and {place} deleted.")
    return 0


def _new(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from desktop_ft.plugin_manager.new import new_plugin

    folder = new_plugin(arguments.name, arguments.into)
    terminal.document({"plugin": arguments.name, "folder": str(folder)})
    terminal.say(f"The plugin {arguments.name} lies in {folder}. Change it; {folder / 'README.md'} says how to use it.")
    terminal.say(f"Run its tests, which need pytest: cd {shlex.quote(str(folder))} && {shlex.quote(sys.executable)} -m pytest")
    return 0


def _records(terminal: Terminal) -> list[PluginRecord]:
    """What was found, when it has been told what kept others from being found."""
    plugins = load_plugins()
    for told in plugins.troubles:
        terminal.note(told)
    return plugins.records


def _called(name: str, records: Sequence[PluginRecord]) -> list[PluginRecord]:
    """The one of that name, and those that it shadows."""
    return [record for record in records if record.name == name]


def _sentence(record: PluginRecord) -> str:
    """What became of a plugin that is not loaded, and what to do."""
    return f"{_BECAME[record.state].format(name=record.name, reason=record.reason)} {record.advice}".rstrip()


def _tell(
    records: list[PluginRecord], arguments: argparse.Namespace, terminal: Terminal, told: PluginRecord | None = None
) -> None:
    """List `records`; why `told` is as it is follows in a sentence, so it is not said twice."""
    facts = ("name", "origin", "version", "author", "about", "state", "reason", "lacks", "cure", "traceback")
    terminal.document(
        [{**{fact: str(getattr(record, fact)) for fact in facts}, "brings": dict(record.brings)} for record in records]
    )
    if records:
        rows = [[each.name, each.origin, each.version, each.state, "" if each is told else each.told] for each in records]
        terminal.table(["plugin", "found", "version", "state", "why"], rows)
    if arguments.details:
        for record in (record for record in records if record.traceback):
            terminal.say(f"\n{record.name}:\n{record.traceback}")
