"""`serve`: an exported model answers over HTTP."""

import argparse
import asyncio
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from desktop_ft.cli.recipe_options import add_field, by_option
from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.errors import UserError
from desktop_ft.core.values import from_json, to_json
from desktop_ft.core.words import count
from desktop_ft.serving.limits import Limits

if TYPE_CHECKING:
    from desktop_ft.serving.server import Address, Server

_OPTIONS = {f"--{name.replace('_', '-')}": name for name in Limits.model_fields}
_SHORTEST_TOKEN = 16
_HIGHEST_PORT = 65535
_TOLD_EVERY_S = 1.0
_OTHER_FILES = 192
"""What is open besides connections: libraries, the event loop, connections that are just told that they are one too many."""


def add_serve_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command, with an option for every limit."""
    parser = commands.add_parser(
        "serve",
        help="let an exported model answer over HTTP",
        description="Answer pictures over HTTP with an exported model, on this machine alone unless --host says otherwise. "
        "GET /health, GET /model, POST /predict; docs/serving.md has examples. Needs no torch. Ctrl-C or SIGTERM ends it: "
        "what was asked is answered first.",
        epilog="Example: desktop-ft serve model.onnx --port 8000",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .onnx file that was exported by Desktop FT")
    parser.add_argument("--host", default="127.0.0.1", help="address to be reached at (default 127.0.0.1: this machine alone)")
    parser.add_argument("--port", type=_port, default=8000, help="port; 0: any that is free (default 8000)")
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="answer only requests that bring the token in FILE: Authorization: Bearer TOKEN",
    )
    limits = parser.add_argument_group("limits")
    for option, name in _OPTIONS.items():
        add_field(limits, option, name, Limits.model_fields[name])
    parser.add_argument("--json", action="store_true", help="a line of JSON when it listens, and one when it has ended")
    parser.set_defaults(run=_serve)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _HIGHEST_PORT):
        raise argparse.ArgumentTypeError(f"{text} is no port: give a number from 0 to {_HIGHEST_PORT}")
    return int(text)


def _serve(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from desktop_ft.jobs.predicting import exported_model  # onnxruntime: not before it is needed
    from desktop_ft.serving.server import Server, address_of, listen

    limits, token = _limits(arguments), _token(arguments.token_file) if arguments.token_file else ""
    _must_be_allowed(limits.connections)
    model = exported_model(arguments.model)
    told = _Told(terminal)
    with listen(arguments.host, arguments.port) as listening:
        address = address_of(listening)
        server = Server(arguments.model.name, model, listening, limits, token=token, tell=told)

        def greet() -> None:
            _greet(arguments.model.name, len(model.classes), address, bool(token), terminal)

        asyncio.run(_until_signal(server, greet))
    told.rest()
    refused = sum(server.refused.values())
    terminal.line({"event": "stopped", "answered": server.answered, "refused": server.refused})
    terminal.say(f"Stopped: {count(server.answered, 'picture')} answered, {count(refused, 'request')} refused.")
    return 0


def _greet(name: str, classes: int, address: "Address", guarded: bool, terminal: Terminal) -> None:
    if not address.loopback:
        who = "who knows the token" if guarded else "without a password"
        place = f"port {address.port} of this machine" if address.everywhere else address.url
        terminal.note(f"Warning: whoever reaches {place} may ask this model, {who}; what is sent is not encrypted.")
    terminal.line(
        {"event": "listening", "url": address.url, "host": address.host, "port": address.port, "model": name, "classes": classes}
    )
    where = f"on every address of this machine, port {address.port}" if address.everywhere else f"at {address.url}"
    terminal.say(f"{name} answers {where} (POST /predict, GET /model, GET /health). Ctrl-C ends it.")


async def _until_signal(server: "Server", greet: Callable[[], None]) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    with _signals(lambda: loop.call_soon_threadsafe(stop.set)):
        greet()  # from here on a signal ends it well
        await server.serve(stop.wait())


@contextmanager
def _signals(stop: Callable[[], object]) -> Iterator[None]:
    """SIGINT and SIGTERM call `stop`; a second one of a kind does what it did before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def heard(number: int, frame: FrameType | None) -> None:
        signal.signal(number, before[signal.Signals(number)])
        stop()

    for number in before:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Told:
    """Notes about what is refused: each kind at most once a second, with the number of those that were not told."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._at: dict[str, float] = {}
        self._untold: Counter[str] = Counter()

    def __call__(self, sentence: str) -> None:
        kind, now = sentence.partition(":")[0], time.monotonic()
        if now - self._at.get(kind, float("-inf")) < _TOLD_EVERY_S:
            self._untold[kind] += 1
            return
        self._at[kind] = now
        more = self._untold.pop(kind, 0)
        self._terminal.note(f"Refused with {sentence}" + (f" ({more:,} more before it)" if more else ""))

    def rest(self) -> None:
        """Tell of those that were not told of yet."""
        for kind, more in self._untold.items():
            self._terminal.note(f"Refused with {kind}: {more:,} more.")


def _limits(arguments: argparse.Namespace) -> Limits:
    values = {name: value for name in _OPTIONS.values() if (value := getattr(arguments, name)) is not None}
    where = "The command line"
    try:
        limits: Limits = from_json(Limits, to_json(values), where)
    except UserError as error:
        raise by_option(error, where, _OPTIONS) from error
    return limits


def _must_be_allowed(connections: int) -> None:
    """Ask the system for as many open files as the connections need, and refuse more than it allows."""
    if sys.platform == "win32":
        return
    import resource

    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _OTHER_FILES
    if allowed != resource.RLIM_INFINITY and allowed < needed and (most == resource.RLIM_INFINITY or needed <= most):
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))
        return
    if allowed != resource.RLIM_INFINITY and connections + _OTHER_FILES > allowed:
        raise UserError(
            f"--connections {connections} is more than this process may have: the system allows it {allowed} open files.",
            f"Allow more (ulimit -n {connections + _OTHER_FILES}), or take a smaller --connections.",
        )


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not plain text"
        raise UserError(f"The token in {path} cannot be read: {why}.", "Name a file that holds the token alone.") from error
    if len(token) < _SHORTEST_TOKEN or not all("!" <= char <= "~" for char in token):
        raise UserError(
            f"The token in {path} is too short, or holds blanks.",
            f"Make one of at least {_SHORTEST_TOKEN} letters and digits, such as by: openssl rand -hex 32",
        )
    return token
