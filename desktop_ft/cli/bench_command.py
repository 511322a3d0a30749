"""`bench`."""

import argparse
from dataclasses import asdict

from desktop_ft.cli.recipe_options import add_recipe_options, recipe_from
from desktop_ft.cli.run_commands import finish
from desktop_ft.cli.terminal import Terminal
from desktop_ft.cli.training_view import ask_to_stop_on_signals
from desktop_ft.core.errors import UserError
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.words import count, percent
from desktop_ft.jobs.benchmarking import FIRST_RUN, FLOOR, NEXT_RUN, WHOLE_NETWORK, Benchmark, benchmark
from desktop_ft.plugin_manager import load_plugins

_WORDS = {
    FLOOR: "floor: decode once, frozen layers once, bare steps",
    FIRST_RUN: "Desktop FT, first run",
    NEXT_RUN: "Desktop FT, next run on the same pictures",
    WHOLE_NETWORK: "the same, every step through the whole network",
}


def add_bench_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command that times training on this machine."""
    parser = commands.add_parser(
        "bench",
        help="time training on this machine, against its bare work",
        description="Train on a folder several times, in turns with its floor: decode every picture once, let the frozen layers "
        "answer once, then make the bare steps of what learns on tensors in memory. Nothing is kept.",
        epilog="Example: desktop-ft bench photos --freeze last:2 --epochs 10 --rounds 5",
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each takes its turn (default 3)")
    parser.add_argument("--no-whole", action="store_true", help="leave out training through the whole network, which takes long")
    add_recipe_options(parser)
    finish(parser, _bench)


def _bench(arguments: argparse.Namespace, terminal: Terminal) -> int:
    if arguments.rounds < 1:
        raise UserError(f"--rounds {arguments.rounds} measures nothing.", "Give at least 1.")
    recipe, plugins = recipe_from(arguments, terminal), load_plugins()
    with ask_to_stop_on_signals(terminal) as control:
        result = benchmark(
            recipe,
            plugins,
            rounds=arguments.rounds,
            whole_network=not arguments.no_whole,
            progress=lambda what: terminal.note(f"{what}…"),
            control=control,
        )
    terminal.document(document(recipe, result))
    floor = result.of(FLOOR)
    rows = [
        [
            _WORDS[timing.name],
            f"{timing.median:.2f}",
            f"{timing.over(floor):.2f}",
            percent(max(timing.accuracy)) if timing.accuracy else "",
        ]
        for timing in result.timings
    ]
    terminal.table(["what", "seconds", "times the floor", "best accuracy"], rows, right=(1, 2, 3))
    frozen = f", frozen layers in {result.frozen_precision}" if result.frozen_precision else ""
    terminal.say(f"{count(result.pictures, 'picture')} on {result.device}, steps in {result.precision}{frozen}.")
    if result.of_bare_speed is not None:
        terminal.say(
            f"After its first step the first run learns from {percent(result.of_bare_speed)} as many samples a second as the "
            "bare steps: saving and looking at the layers count, and weigh the more the shorter steps are."
        )
    return 0


def document(recipe: Recipe, result: Benchmark) -> dict[str, object]:
    """The benchmark for machines: what was trained, the values, and each contender's ratio to the floor."""
    floor = result.of(FLOOR)
    return {
        "benchmark": "recipe",
        "backbone": recipe.backbone.name,
        "freeze": recipe.freeze.preset,
        "epochs": recipe.optimisation.epochs,
        **asdict(result),
        "median_seconds": {timing.name: round(timing.median, 3) for timing in result.timings},
        "over_floor": {timing.name: round(timing.over(floor), 3) for timing in result.timings},
    }
