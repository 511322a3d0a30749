"""`demo`."""

import argparse
import os
from pathlib import Path

from desktop_ft.cli.results_view import export_document, show_accuracy, show_export
from desktop_ft.cli.run_commands import finish, tell_end, watched
from desktop_ft.cli.terminal import Terminal, call
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunStatus
from desktop_ft.core.recipe import Recipe
from desktop_ft.jobs.exporting import export_run
from desktop_ft.jobs.scanning import write_sample
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import load_plugins
from desktop_ft.runs.run_folder import RunFolder

_DIGITS = "digits"


def add_demo_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command that shows the whole job."""
    parser = commands.add_parser(
        "demo",
        help="do the whole job on the sample that ships",
        description="Fine-tune EfficientNet-Lite0 on handwritten digits, judge it, export it and prove the export.",
        epilog="Example: desktop-ft demo --out demo-output",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="new folder for everything (default demo-output)")
    parser.add_argument(
        "--sample", default=_DIGITS, metavar="NAME", help=f"another sample than {_DIGITS}, where a plugin brings one"
    )
    parser.add_argument("--epochs", default="5", help="times every picture is shown (default 5)")
    finish(parser, _demo)


def _demo(arguments: argparse.Namespace, terminal: Terminal) -> int:
    out = arguments.out or _free_name(Path("demo-output"))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not an empty folder.", "Name a new one with --out.")
    plugins = load_plugins()
    sample = plugins.samples.get(arguments.sample)
    pictures = out.absolute() / sample.name
    recipe = Recipe.from_data(
        {
            "dataset": {"folder": str(pictures)},
            # The digits are 8 x 8 pixels: at 224 nothing more would be seen, five times more slowly.
            "backbone": {"name": "efficientnet_lite0", "image_size": 96 if sample.name == _DIGITS else 0},
            "optimisation": {"batch_size": 64, "lr": 0.01, "epochs": arguments.epochs},
        },
        "The command line",
    )
    terminal.note(f"The sample: {sample.description} The network: EfficientNet-Lite0, which has learned from ImageNet.")
    terminal.note(f"Everything goes to {out}.")
    write_sample(plugins, sample.name, pictures)
    run = out / "run"
    ended = watched(terminal, lambda emit, control, progress: train(recipe, run, plugins, emit, control, progress=progress))
    if ended.status is not RunStatus.COMPLETED:
        return tell_end(ended, run, terminal)
    with terminal.phases() as progress:
        report = export_run(run, out / "model.onnx", plugins, progress=progress)
    folder = RunFolder.open(run)
    evaluation = folder.evaluation
    if evaluation is None:
        raise UserError(f"{run} holds no evaluation.", "Run `desktop-ft evaluate` on it.")
    show_accuracy(evaluation, terminal)
    show_export(report, out / "model.onnx", terminal)
    shown = pictures / evaluation.classes[-1]
    terminal.say(f"Report: {folder.report}\nTry it: {call('predict', str(out / 'model.onnx'), str(shown))}")
    terminal.document(
        {
            "run": str(run),
            "accuracy": evaluation.accuracy.value,
            "report": str(folder.report),
            "export": export_document(report, out / "model.onnx"),
        }
    )
    return 0


def _free_name(wanted: Path) -> Path:
    names = [wanted, *(wanted.with_name(f"{wanted.name}-{number}") for number in range(2, 1000))]
    free = next((path for path in names if not os.path.lexists(path)), None)
    if free is None:
        raise UserError(f"There are a thousand {wanted.name} folders here.", "Delete some, or name a new one with --out.")
    return free
