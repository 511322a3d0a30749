"""`queue`: what is to be trained one after another."""

import argparse
import traceback
from collections.abc import Callable, Mapping

from desktop_ft.cli.recipe_options import add_recipe_options, freeze_help, recipe_from
from desktop_ft.cli.run_commands import add_isolate, finish, verbs_of, watched
from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.jobs.queueing import failed, look_ahead, next_run, settle
from desktop_ft.plugin_manager import load_plugins
from desktop_ft.runs.queue import Queue, Waiting, told_apart

_FAILED, _INTERRUPTED = 1, 130


def add_queue_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its own commands."""
    queue = commands.add_parser(
        "queue",
        help="let runs wait, and train them one after another",
        description="Let runs wait for the night, and train them one after another. One that fails does not stop the rest.",
        epilog="Example: desktop-ft queue add photos --freeze last:2 && desktop-ft queue run",
    )
    verbs = queue.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def verb(name: str, text: str, run: Callable[[argparse.Namespace, Terminal], int], epilog: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=f"Example: desktop-ft queue {epilog}"
        )
        finish(parser, run)
        return parser

    add = verb("add", "let a run wait behind all others", _add, "add --recipe recipe.toml --name 'a deeper try'")
    add.formatter_class = argparse.RawDescriptionHelpFormatter
    add.description = f"Let a run wait behind all others.\n\nWhat learns (--freeze):\n{freeze_help()}"
    add.add_argument("--name", default="", help="what to call it (default: pictures, network and what learns)")
    add_recipe_options(add)
    verb("list", "show what waits, and what failed", _list, "list")
    add_isolate(verb("run", "train what waits, one after another", _run, "run"))
    remove = verb("remove", "take one out", _remove, "remove 2")
    remove.add_argument("number", type=int, metavar="NUMBER", help="as `queue list` shows it")
    move = verb("move", "let one come earlier or later", _move, "move 2 -1")
    move.add_argument("number", type=int, metavar="NUMBER", help="as `queue list` shows it")
    move.add_argument("by", type=int, metavar="PLACES", help="so many places later; with a minus, earlier")
    verb("clear", "take all out that are not being trained", _clear, "clear")


def _add(arguments: argparse.Namespace, terminal: Terminal) -> int:
    recipe = recipe_from(arguments, terminal)
    with terminal.progress("Looking at the pictures") as progress:
        look_ahead(recipe, load_plugins(), progress)
    added = Queue().add(recipe, arguments.name)
    terminal.document(_document(added))
    terminal.say(f"{added.number}: {added.name} waits. Start with: desktop-ft queue run")
    return 0


def _list(arguments: argparse.Namespace, terminal: Terminal) -> int:
    queue = Queue()
    entries = queue.entries()
    terminal.document([_document(each) for each in entries])
    apart, worked = told_apart(entries), queue.is_worked
    lines = [[str(each.number), _called(each, apart.get(each.number, {})), _state(each, worked)] for each in entries]
    terminal.table(["number", "name", "state"], lines, right=[0])
    if not entries:
        terminal.say("Nothing waits. Add something with: desktop-ft queue add")
    return 0


def _remove(arguments: argparse.Namespace, terminal: Terminal) -> int:
    Queue().remove(arguments.number)
    terminal.document({"removed": arguments.number})
    terminal.say(f"{arguments.number} waits no more.")
    return 0


def _move(arguments: argparse.Namespace, terminal: Terminal) -> int:
    queue = Queue()
    queue.move(arguments.number, arguments.by)
    terminal.document([_document(each) for each in queue.entries()])
    terminal.say(", ".join(f"{each.number}: {each.name}" for each in queue.entries()))
    return 0


def _clear(arguments: argparse.Namespace, terminal: Terminal) -> int:
    count = Queue().clear()
    terminal.document({"removed": count})
    terminal.say(f"{count} taken out.")
    return 0


def _run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    queue, plugins = Queue(), load_plugins()
    told: list[dict[str, object]] = []
    interrupted = False
    with queue.worked():
        while not interrupted and (queued := next_run(queue, plugins, verbs_of(arguments))) is not None:
            terminal.note(f"{queued.name}, in {queued.path}")
            try:
                ended = watched(terminal, queued.fit)
            except Cancelled:
                ended = RunEnded(status=RunStatus.CANCELLED)
            except Exception as error:  # whatever it is, the rest is trained all the same
                if not isinstance(error, UserError):
                    terminal.note(traceback.format_exc())
                ended = failed(error)
            interrupted = ended.status in (RunStatus.STOPPED, RunStatus.CANCELLED)  # by a signal: it and the rest wait on
            if not interrupted:
                settle(queue, queued.number, ended)
            why = f": {ended.error}" if ended.error else ""
            terminal.say(f"{queued.name}: {ended.status.value}{why}")
            told.append({"name": queued.name, "run": str(queued.path), "status": ended.status.value, "error": ended.error})
    terminal.document(told)
    if not told:
        terminal.say("Nothing waits. Add something with: desktop-ft queue add")
    if interrupted:
        return _INTERRUPTED
    return _FAILED if any(each["status"] == RunStatus.FAILED for each in told) else 0


def _state(each: Waiting, worked: bool) -> str:
    if each.error:
        return f"failed: {each.error}"
    if each.run:
        return f"under way in {each.run}" if worked else f"broken off in {each.run}; `queue run` goes on with it"
    return "waits"


def _called(each: Waiting, apart: Mapping[str, object]) -> str:
    fields = ", ".join(f"{name} {value}".rstrip() for name, value in apart.items())
    return f"{each.name} ({fields})" if fields else each.name


def _document(each: Waiting) -> dict[str, object]:
    return {"number": each.number, "name": each.name, "run": each.run, "error": each.error, "recipe": each.data}
