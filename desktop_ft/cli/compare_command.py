"""`compare` and `worth`."""

import argparse
import json
from pathlib import Path

from desktop_ft.api import TrainEvent
from desktop_ft.cli.recipe_options import OPTIONS, add_recipe_options, recipe_from
from desktop_ft.cli.run_commands import finish
from desktop_ft.cli.terminal import Terminal
from desktop_ft.cli.training_view import ask_to_stop_on_signals
from desktop_ft.core.comparing import ALL, Compared, Comparison, augmentation_strategies, images_words, strategy
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import Warned
from desktop_ft.core.plan_text import RATE_OPTION
from desktop_ft.core.values import to_json
from desktop_ft.core.words import duration, percent
from desktop_ft.jobs.comparing import ComparisonFolder, Standing, asked_for, compare, images_from, planned
from desktop_ft.plugin_manager import load_plugins

_INTERRUPTED = 130
_NOT_OFFERED = ("--freeze", RATE_OPTION, "--images-per-class", "--draw", "--processes")
"""What the comparison itself decides."""


def add_compare_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that tell what fine-tuning buys, and what augmentation is worth."""
    fields = Comparison.model_fields
    parser = commands.add_parser(
        "compare",
        help="say what fine-tuning gains on a folder of pictures, against training from scratch",
        description="Train from scratch and in several ways from the pre-trained network, with the same budget, from several "
        "seeds and with few pictures and many; then say what was gained, with intervals and paired tests, and how much time and "
        "how many pictures it takes to match the best from scratch. Each is an ordinary run in FOLDER/runs (of most, the weights "
        "are not kept: their recipes give them again). Stopped or killed, the same command, or --out alone, goes on.",
        epilog="Example: desktop-ft compare photos --budget 30 --out comparison",
    )
    _add_options(parser)
    parser.add_argument(
        "--images",
        metavar="LIST",
        help="training pictures of each class, in turns; a number that no class has is left out (default 5,10,20,50,all)",
    )
    names = ",".join(fields["strategies"].default)
    parser.add_argument("--strategies", metavar="LIST", help=f"what is compared: presets of --freeze (default {names})")
    add_recipe_options(parser, leave_out=_NOT_OFFERED)
    finish(parser, _compare)

    parser = commands.add_parser(
        "worth",
        help="say what each augmentation of a recipe is worth on a folder of pictures",
        description="Train with all of the augmentation, without each transform in turn, and without any, from several seeds on "
        "the same pictures; then say with intervals and paired tests which transform to keep and which to leave out. Stopped or "
        "killed, the same command, or --out alone, goes on.",
        epilog="Example: desktop-ft worth photos --augment standard --views 4 --epochs 10 --out worth",
    )
    _add_options(parser)
    add_recipe_options(parser, leave_out=("--images-per-class", "--draw", "--processes"))
    finish(parser, _worth)


def _add_options(parser: argparse.ArgumentParser) -> None:
    fields = Comparison.model_fields
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="new folder for the comparison, or one to go on with"
    )
    parser.add_argument("--budget", type=float, metavar="SECONDS", help=fields["seconds"].description)
    parser.add_argument(
        "--seeds", type=int, metavar="N", help=f"{fields['seeds'].description} (default {fields['seeds'].default})"
    )


def _compare(arguments: argparse.Namespace, terminal: Terminal) -> int:
    asked = _asked(arguments, terminal) if arguments.folder or arguments.recipe else None
    return _carry_out(asked, arguments.out, "compare", terminal)


def _worth(arguments: argparse.Namespace, terminal: Terminal) -> int:
    asked = None
    if arguments.folder or arguments.recipe:
        base = recipe_from(arguments, terminal)
        names = augmentation_strategies(base)
        asked = asked_for(base, strategies=names, seeds=arguments.seeds, images=(ALL,), seconds=arguments.budget)
    return _carry_out(asked, arguments.out, "worth", terminal)


def _carry_out(asked: Comparison | None, out: Path, command: str, terminal: Terminal) -> int:
    folder, plugins = ComparisonFolder(out), load_plugins()
    try:
        with ask_to_stop_on_signals(terminal) as control, folder.worked(), terminal.phases() as phase:
            plan = planned(asked, folder, plugins, warn=terminal.note, progress=phase, control=control)

            def tell(standing: Standing) -> None:
                phase("Runs", standing.done, standing.planned)
                if standing.now is not None:
                    left = "" if standing.left is None else f"; about {duration(standing.left)} left"
                    terminal.note(f"{standing.done + 1} of {standing.planned}: {standing.now.words}{left}")

            def hear(event: TrainEvent) -> None:
                if isinstance(event, Warned):
                    terminal.note(f"Note: {event.message}")

            terminal.note(f"{plan.comparison.words} They are in {folder.path / 'runs'}.")
            found = compare(folder, plan, plugins, hear, control, tell=tell)
    except Cancelled:
        terminal.note(f"Stopped; what is done is kept. Go on by: desktop-ft {command} --out '{folder.path}'")
        return _INTERRUPTED
    _show(found, folder, terminal)
    return 1 if found.failed else 0


def _asked(arguments: argparse.Namespace, terminal: Terminal) -> Comparison:
    if arguments.budget and getattr(arguments, OPTIONS["--epochs"]) is not None:
        raise UserError("Both a budget of seconds and epochs are named.", "Leave out --budget or --epochs.")
    images = None if arguments.images is None else images_from(arguments.images)
    names = (
        None if arguments.strategies is None else tuple(strategy(each.strip()).name for each in arguments.strategies.split(","))
    )
    base = recipe_from(arguments, terminal)
    return asked_for(base, strategies=names, seeds=arguments.seeds, images=images, seconds=arguments.budget)


def _show(found: Compared, folder: ComparisonFolder, terminal: Terminal) -> None:
    terminal.document(json.loads(to_json(found)))
    rows = [
        [
            strategy(score.strategy).title,
            images_words(score.images),
            percent(score.accuracy.value),
            f"{percent(score.accuracy.low)} to {percent(score.accuracy.high)}",
            f"{score.seconds:.1f}",
        ]
        for score in found.scores
    ]
    terminal.table(["way", "with", "accuracy", "95 % interval", "seconds"], rows, right=(2, 3, 4))
    for said in found.verdict:
        terminal.say(said.replace("\u00a0", " "))
    for what, why in found.failed:
        terminal.note(f"Failed: {what}: {why}")
    terminal.say(f"The report is {folder.report}, the data behind it {folder.result}.")
