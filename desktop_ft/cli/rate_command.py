"""`find-rate`."""

import argparse
from dataclasses import asdict

from desktop_ft.cli.recipe_options import add_recipe_options, recipe_from
from desktop_ft.cli.run_commands import finish
from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.rate_sweep import STEPS
from desktop_ft.jobs.rate_finding import find_rate
from desktop_ft.plugin_manager import load_plugins

_ROWS = 12


def add_rate_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command that finds a learning rate."""
    parser = commands.add_parser(
        "find-rate",
        help="find a learning rate by trying all of them for a moment",
        description="Train as the options say while the learning rate rises from step to step, until the loss grows, with a "
        "network that is thrown away; and say which rate suits.",
        epilog="Example: desktop-ft find-rate photos --freeze last:2",
    )
    add_recipe_options(parser)
    finish(parser, _find_rate)


def _find_rate(arguments: argparse.Namespace, terminal: Terminal) -> int:
    recipe, plugins = recipe_from(arguments, terminal), load_plugins()
    with terminal.progress("Trying rates") as progress:
        sweep = find_rate(recipe, plugins, told=lambda tried: progress(len(tried.rates), STEPS))
    terminal.document(asdict(sweep) | {"smooth": sweep.smooth, "suggested": sweep.suggested})
    points = list(zip(sweep.rates, sweep.smooth, strict=True))
    every = max(1, len(points) // _ROWS)
    terminal.table(["--lr", "loss"], [[f"{rate:.1e}", f"{loss:.3f}"] for rate, loss in points[::every]], right=(0, 1))
    terminal.say(sweep.words)
    return 0
