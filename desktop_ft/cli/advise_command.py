"""`advise`."""

import argparse
from dataclasses import asdict

from desktop_ft.cli.recipe_options import add_recipe_options, recipe_from
from desktop_ft.cli.run_commands import finish
from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.metrics import Interval
from desktop_ft.core.words import percent, short_duration, size
from desktop_ft.jobs.advising import advise, rank_backbones
from desktop_ft.plugin_manager import load_plugins


def add_advise_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command that advises before anything is trained."""
    parser = commands.add_parser(
        "advise",
        help="say which layers should learn, or which network suits, before anything is trained",
        description="Look at the training pictures once, and say how well the classes can be told after each block of the "
        "network, which blocks should learn, how plans for that did when they were tried, and what they take. With --backbones, "
        "compare the networks whose weights are on this machine instead.",
        epilog="Example: desktop-ft advise photos; desktop-ft advise photos --backbones",
    )
    add_recipe_options(parser)
    parser.add_argument("--backbones", action="store_true", help="compare networks, not depths")
    finish(parser, _advise)


def _advise(arguments: argparse.Namespace, terminal: Terminal) -> int:
    return _rank(arguments, terminal) if arguments.backbones else _cut(arguments, terminal)


def _cut(arguments: argparse.Namespace, terminal: Terminal) -> int:
    recipe, plugins = recipe_from(arguments, terminal), load_plugins()
    with terminal.phases() as told:
        advice = advise(recipe, plugins, told=told, warn=terminal.note)
    options = [asdict(each) | {"words": each.words} for each in advice.options]
    terminal.document(asdict(advice) | {"options": options, "reason": advice.reason})
    rows = [[str(score.depth), percent(score.accuracy.value), _spread(score.accuracy)] for score in advice.scores]
    terminal.table(["after block", "can be told", "95 %"], rows, right=(0, 1))
    doubles = f"; near doubles count as one, which leaves {advice.different:,}" if advice.different < advice.pictures else ""
    terminal.say(f"Asked about {advice.pictures:,} of {advice.training:,} training pictures{doubles}.\n")
    plans = [[each.preset, each.evidence.words, short_duration(each.seconds), size(each.memory)] for each in advice.options]
    terminal.table(["--freeze", "could be told", "whole training", "memory"], plans, right=(2, 3))
    terminal.say(advice.words)
    return 0


def _rank(arguments: argparse.Namespace, terminal: Terminal) -> int:
    recipe, plugins = recipe_from(arguments, terminal), load_plugins()
    with terminal.phases() as told:
        ranking = rank_backbones(recipe, plugins, told=told, warn=terminal.note)
    terminal.document(asdict(ranking) | {"recommended": ranking.recommended.name, "reason": ranking.words})
    rows = [
        [
            score.name,
            percent(score.accuracy.value),
            _spread(score.accuracy),
            f"{score.logme:.3f}",
            str(score.side),
            f"{score.speed.pictures_per_second:.3g}",
        ]
        for score in ranking.scores
    ]
    terminal.table(["name", "can be told", "95 %", "LogME", "pixels", "pictures/s"], rows, right=(1, 3, 4, 5))
    for sentence in ranking.left_out:
        terminal.say(f"Left out: {sentence}")
    terminal.say(ranking.words)
    return 0


def _spread(interval: Interval) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"
