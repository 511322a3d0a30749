"""`help`: the window's help cards, on the command line."""

import argparse
import difflib
from collections.abc import Collection

from desktop_ft.cli.recipe_options import OPTIONS
from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.errors import UserError
from desktop_ft.jobs import help_texts


def add_help_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command that explains a setting."""
    parser = commands.add_parser(
        "help",
        help="explain a setting in plain words",
        description="Say what a setting does, when to change it and what that costs; without a name, list all settings.",
        epilog="Example: desktop-ft help label-smoothing",
    )
    parser.add_argument("name", nargs="?", metavar="SETTING", help="such as lr, freeze.preset or weight-decay")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(run=_help)


def _help(arguments: argparse.Namespace, terminal: Terminal) -> int:
    cards = {name: help_texts.cards()[name] for name in help_texts.settings()}
    chosen = cards if arguments.name is None else {(name := _found(arguments.name, cards)): cards[name]}
    terminal.document({name: card.model_dump() for name, card in chosen.items()})
    if arguments.name is None:
        terminal.table(["setting", "what it is"], [[name, card.title] for name, card in chosen.items()])
    for card in chosen.values() if arguments.name is not None else ():
        terminal.say(card.text)
    return 0


def _found(typed: str, names: Collection[str]) -> str:
    """The setting that `typed` names: in full, by its last part, or as the option that sets it.

    Raises:
        UserError: none does; names the nearest.
    """
    option = OPTIONS.get(f"--{typed.lstrip('-').replace('_', '-')}")
    short = {name.rpartition(".")[2]: name for name in names}
    if typed in names or option or typed in short:
        return typed if typed in names else option or short[typed]
    near = difflib.get_close_matches(typed, [*short, *names], n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise UserError(f"There is no setting '{typed}'.", f"{hint}`desktop-ft help` lists them.")
