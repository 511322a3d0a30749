"""`forecast`."""

import argparse
from dataclasses import asdict

from desktop_ft.cli.recipe_options import add_recipe_options, recipe_from
from desktop_ft.cli.run_commands import finish
from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.words import duration
from desktop_ft.jobs.forecasting import forecast
from desktop_ft.plugin_manager import load_plugins


def add_forecast_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command that tells how long a run will take."""
    parser = commands.add_parser(
        "forecast",
        help="say how long a run will take, measured on a few pictures",
        description="Take a few steps of the run that the options describe, and say how long all of it will take here. With "
        "augmentation and frozen layers, also what --views would save. Tells what memory the steps take, too, and which "
        "batches would be faster, or fit. Nothing is kept.",
        epilog="Example: desktop-ft forecast photos --augment light --epochs 30",
    )
    add_recipe_options(parser)
    finish(parser, _forecast)


def _forecast(arguments: argparse.Namespace, terminal: Terminal) -> int:
    recipe, plugins = recipe_from(arguments, terminal), load_plugins()
    with terminal.progress("Looking at the pictures") as progress:
        told = forecast(recipe, plugins, progress=progress)
    chosen = recipe.optimisation.views
    choices = told.choices()
    seconds = dict(choices) | {chosen: told.seconds(chosen)}
    terminal.document(
        asdict(told)
        | {"seconds": {str(views): round(took, 2) for views, took in sorted(seconds.items())}}
        | {"recommended_views": told.recommended_views, "recommended_batch_size": told.recommended_batch_size}
    )
    terminal.say(told.words(chosen))
    if len(choices) > 1:
        rows = [[_views(views), duration(took)] for views, took in sorted(seconds.items())]
        terminal.table(["--views", "takes about"], rows, right=(1,))
    for advice in filter(None, (told.advice(chosen), told.batch_advice)):
        terminal.say(advice)
    return 0


def _views(views: int) -> str:
    return "0 (new ones every epoch)" if not views else str(views)
