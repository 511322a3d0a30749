"""`plugins`: what was found, what is on, and what a person turns on or off."""

import argparse
from collections.abc import Callable

from desktop_ft.cli.terminal import Terminal
from desktop_ft.plugin_manager import PluginRecord, PluginState, load_plugins, set_enabled

_FAILED = 1


def add_plugins_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its own commands; without one of these, it lists."""
    plugins = commands.add_parser(
        "plugins",
        help="list the plugins, turn one on or off",
        description="List every plugin found, with its state and the reason. A plugin that is on is trusted, not sandboxed.",
        epilog="Example: desktop-ft plugins enable my_backbones",
    )
    _add_list_options(plugins)
    plugins.set_defaults(run=_list)
    verbs = plugins.add_subparsers(title="commands", metavar="COMMAND")

    def verb(name: str, text: str, run: Callable[[argparse.Namespace, Terminal], int], epilog: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=f"Example: desktop-ft plugins {epilog}"
        )
        parser.set_defaults(run=run)
        _add_list_options(parser, default=argparse.SUPPRESS)
        return parser

    verb("list", "list every plugin found, with its state and the reason", _list, "list --details")
    enable = verb("enable", "turn a plugin on, as its files are now", _enable, "enable my_backbones")
    enable.add_argument("name", metavar="NAME", help="the plugin to turn on")
    disable = verb("disable", "turn a plugin off", _disable, "disable my_backbones")
    disable.add_argument("name", metavar="NAME", help="the plugin to turn off")


def _add_list_options(parser: argparse.ArgumentParser, default: object = False) -> None:
    """What holds before and behind a verb; there it must not undo what stood before (`default`)."""
    parser.add_argument("--details", action="store_true", default=default, help="show the traceback of plugins that failed")
    parser.add_argument("--json", action="store_true", default=default, help="one JSON document on standard output")


def _list(arguments: argparse.Namespace, terminal: Terminal) -> int:
    _tell(load_plugins().records, arguments, terminal)
    return 0


def _enable(arguments: argparse.Namespace, terminal: Terminal) -> int:
    set_enabled(arguments.name, on=True)
    records = load_plugins().records
    _tell(records, arguments, terminal)
    wrong = next((r for r in records if r.name == arguments.name and r.state is not PluginState.LOADED), None)
    return 0 if wrong is None else terminal.fail(f"{wrong.name} is {wrong.state}: {wrong.reason}.", _FAILED)


def _disable(arguments: argparse.Namespace, terminal: Terminal) -> int:
    set_enabled(arguments.name, on=False)
    return _list(arguments, terminal)


def _tell(records: list[PluginRecord], arguments: argparse.Namespace, terminal: Terminal) -> None:
    facts = ("name", "origin", "version", "state", "reason", "traceback")
    terminal.document([{fact: str(getattr(record, fact)) for fact in facts} for record in records])
    terminal.table(
        ["plugin", "found", "version", "state", "why"], [[r.name, r.origin, r.version, r.state, r.reason] for r in records]
    )
    if arguments.details:
        for record in (record for record in records if record.traceback):
            terminal.say(f"\n{record.name}:\n{record.traceback}")
