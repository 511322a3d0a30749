"""The command line: every verb of the window, from the same recipe.

Exit codes: 0 done, 1 failed, 2 bad usage or bad input (one line that says what and what to do), 130 cancelled.
"""

import argparse
import gc
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from desktop_ft import __version__, places
from desktop_ft.cli.terminal import Terminal
from desktop_ft.cli.termination import termination_as_interrupt
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.engine import process
from desktop_ft.engine.team import TeamBroken, rank_here

_WINDOW, _NO_PLUGINS = "window", "--no-plugins"
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
FAILED, BAD_INPUT, CANCELLED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; without one, open the window. Returns the exit code."""
    process.prepare()
    asked = list(sys.argv[1:] if argv is None else argv)
    if _NO_PLUGINS not in asked:
        return _main(_with_command(asked))
    from desktop_ft.plugin_manager import NO_PLUGINS

    before = os.environ.get(NO_PLUGINS, "")
    os.environ[NO_PLUGINS] = "1"  # for the processes that it starts, too
    try:
        return _main(_with_command([each for each in asked if each != _NO_PLUGINS]))
    finally:
        os.environ[NO_PLUGINS] = before


def _main(asked: Sequence[str]) -> int:
    try:
        arguments = build_parser(for_window=not asked or asked[0] == _WINDOW).parse_args(asked)
    except KeyboardInterrupt:  # while the commands are being imported
        return Terminal().fail("Cancelled.", CANCELLED)
    # Of processes that train together the first speaks for all, and torchrun hears how it ended from that one alone.
    speaks = rank_here() == 0
    try:
        code = _run(arguments, Terminal(json=getattr(arguments, "json", False), quiet=not speaks))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: nothing is left to say, and nobody to say it to
        return FAILED
    except TeamBroken as error:  # nobody speaks for the others any more
        return Terminal().fail(str(error), FAILED)
    except Exception as error:
        details = traceback.format_exc()
        try:
            where = f"Details are in {_keep(details)}."
        except OSError:
            where = f"The log cannot be written either. Details: {details}"
        return Terminal().fail(f"{type(error).__name__}: {error} {where}", FAILED)
    return code if speaks else 0


def _run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    try:
        with termination_as_interrupt():
            return int(arguments.run(arguments, terminal))
    except UserError as error:
        return terminal.fail(str(error), BAD_INPUT)
    except (Cancelled, KeyboardInterrupt):
        return terminal.fail("Cancelled.", CANCELLED)


class _Parser(argparse.ArgumentParser):
    """A parser, and by inheritance its sub-commands' parsers, that takes no half options and tells bad usage in one line."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **(options | {"allow_abbrev": False}))

    def error(self, message: str) -> NoReturn:
        Terminal().fail(f"{message[0].upper()}{message[1:]}. See `{self.prog} --help`.", BAD_INPUT)
        raise SystemExit(BAD_INPUT)


def build_parser(*, for_window: bool = False) -> argparse.ArgumentParser:
    """The parser of every command; or of the window's alone, which is to be painted before anything else is imported."""
    parser: argparse.ArgumentParser = _Parser(
        prog="desktop-ft",
        description="Fine-tune a pre-trained vision network on your own photos. Without a command, the window opens.",
        epilog="Example: desktop-ft train photos --freeze head --out run && desktop-ft export run --out model.onnx",
    )
    parser.add_argument("--version", action="version", version=f"desktop-ft {__version__}")
    parser.set_defaults(run=_open_window, path=None)
    parser.add_argument(_NO_PLUGINS, action="store_true", help="load built-in plugins only, in the window or any command")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    if not for_window:
        from desktop_ft.cli.all_commands import add_all_commands

        add_all_commands(commands)
    window = commands.add_parser(
        _WINDOW,
        help="open a folder, .zip, recipe or run in the window",
        description="Open the window with a folder or .zip of pictures, a recipe, or a run. `desktop-ft PATH` does the same.",
        epilog="Example: desktop-ft window photos",
    )
    window.add_argument("path", type=Path, nargs="?", metavar="PATH", help="what to open (default: the last project)")
    window.set_defaults(run=_open_window)
    return parser


def _with_command(argv: Sequence[str]) -> Sequence[str]:
    """`desktop-ft PATH`, as a file manager calls it, means `desktop-ft window PATH`."""
    named = len(argv) == 1 and not argv[0].startswith("-") and os.sep in argv[0] and Path(argv[0]).exists()
    return [_WINDOW, *argv] if named else argv


def _open_window(arguments: argparse.Namespace, terminal: Terminal) -> int:
    if sys.platform == "linux" and not any(os.environ.get(name) for name in _SCREENS):
        raise UserError(
            "There is no screen to open the window on.", "Set DISPLAY, or use a command: desktop-ft --help lists them."
        )
    gc.disable()  # everything that is imported is there to stay: a search for garbage would only hold the window up
    from desktop_ft.app import run_window

    gc.enable()
    if arguments.path is not None and not arguments.path.exists():
        raise UserError(f"There is nothing at {arguments.path}.", "Name a folder of pictures, a .zip, a recipe or a run.")
    return run_window(arguments.path)


def _keep(details: str) -> str:
    """Add `details` to the log file; returns its path."""
    folder = places.data() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "errors.log"
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.emit(logging.makeLogRecord({"msg": "%s", "args": (details,), "levelno": logging.ERROR}))
    handler.close()
    return str(path)
