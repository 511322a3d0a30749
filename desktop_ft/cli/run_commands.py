"""`train`, `resume`, `evaluate`, `export`, `runs` and `demo`."""

import argparse
import os
from pathlib import Path

from desktop_ft import places
from desktop_ft.cli.recipe_options import add_recipe_options, freeze_help, recipe_from
from desktop_ft.cli.terminal import Terminal, printable
from desktop_ft.cli.training_view import ask_to_stop_on_signals, watch
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.metrics import Evaluation, ExportReport
from desktop_ft.core.recipe import Recipe
from desktop_ft.jobs.evaluating import evaluate_run
from desktop_ft.jobs.exporting import export_run
from desktop_ft.jobs.scanning import write_sample
from desktop_ft.jobs.training import new_run_path, resume, train
from desktop_ft.plugin_manager import Plugins, load_plugins
from desktop_ft.runs.index import RunIndex
from desktop_ft.runs.run_folder import RunFolder

_EXIT = {RunStatus.COMPLETED: 0, RunStatus.STOPPED: 130, RunStatus.CANCELLED: 130, RunStatus.FAILED: 1}


def add_run_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that make runs and use them."""
    parser = commands.add_parser(
        "train",
        help="fine-tune a network on a folder of pictures",
        description="Fine-tune a pre-trained network on a folder of pictures, and judge it on the pictures held out.\n\n"
        "What learns (--freeze):\n" + freeze_help(),
        epilog="Example: desktop-ft train photos --backbone efficientnet_lite0 --freeze last:2 --epochs 10 --out run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="the pictures; needed unless --recipe names them")
    parser.add_argument("--out", type=Path, metavar="RUN", help="new folder for the run (default: among your runs)")
    add_recipe_options(parser)
    _finish(parser, _train)

    parser = commands.add_parser(
        "resume",
        help="go on with a run that was stopped or broke off",
        description="Go on with a run from its last checkpoint, exactly as if it had never stopped.",
        epilog="Example: desktop-ft resume run",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    _finish(parser, _resume)

    parser = commands.add_parser(
        "evaluate",
        help="see what a run's model gets right and wrong",
        description="Judge a run's best model on the pictures it never saw, or on those of another folder.",
        epilog="Example: desktop-ft evaluate run new-photos --json",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("pictures", type=Path, nargs="?", metavar="FOLDER", help="other pictures, laid out in class folders")
    _finish(parser, _evaluate)

    parser = commands.add_parser(
        "export",
        help="write a run's model to a file, and prove that it answers the same",
        description="Write a run's best model to one ONNX file, load it again without torch, and compare it on your photos.",
        epilog="Example: desktop-ft export run --out model.onnx",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default: in the run's exports folder)")
    parser.add_argument("--format", default="onnx", help="which exporter writes it (default onnx)")
    _finish(parser, _export)

    parser = commands.add_parser(
        "runs",
        help="list your runs",
        description="List the runs in a folder, newest first, with their outcome.",
        epilog="Example: desktop-ft runs",
    )
    parser.add_argument("root", type=Path, nargs="?", metavar="FOLDER", help="where to look (default: your runs)")
    _finish(parser, _runs)

    parser = commands.add_parser(
        "demo",
        help="do the whole job on the sample that ships",
        description="Fine-tune EfficientNet-Lite0 on handwritten digits, judge it, export it and prove the export.",
        epilog="Example: desktop-ft demo --out demo-output",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="new folder for everything (default demo-output)")
    parser.add_argument("--epochs", default="5", help="times every picture is shown (default 5)")
    _finish(parser, _demo)


def _finish(parser: argparse.ArgumentParser, run: object) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(run=run)


def _train(arguments: argparse.Namespace, terminal: Terminal) -> int:
    recipe = recipe_from(arguments)
    plugins = load_plugins()
    return _train_and_tell(recipe, arguments.out or new_run_path(recipe), plugins, terminal)


def _train_and_tell(recipe: Recipe, run: Path, plugins: Plugins, terminal: Terminal) -> int:
    with ask_to_stop_on_signals() as control, watch(terminal) as (emit, progress):
        ended = train(recipe, run, plugins, emit, control, progress=progress)
    return _tell_end(ended, run, terminal)


def _resume(arguments: argparse.Namespace, terminal: Terminal) -> int:
    with ask_to_stop_on_signals() as control, watch(terminal) as (emit, progress):
        ended = resume(arguments.run_folder, load_plugins(), emit, control, progress=progress)
    return _tell_end(ended, arguments.run_folder, terminal)


def _tell_end(ended: RunEnded, run: Path, terminal: Terminal) -> int:
    folder = RunFolder.open(run)
    document: dict[str, object] = {"run": str(run), "status": ended.status.value, "error": ended.error}
    # A run that was cancelled after an earlier stop holds an evaluation of that stop: it is not this ending's.
    judged = ended.status in (RunStatus.COMPLETED, RunStatus.STOPPED)
    if judged and (evaluation := folder.evaluation) is not None:
        document |= {"accuracy": evaluation.accuracy.value, "interval": _interval(evaluation)}
        _show_accuracy(evaluation, terminal)
    terminal.document(document)
    if ended.status is RunStatus.FAILED:
        return terminal.fail(ended.error, _EXIT[ended.status])
    if ended.status is RunStatus.COMPLETED:
        terminal.say(f"Run kept in {run}; its report is {folder.report}.")
    else:
        terminal.note(f"The run was {ended.status.value}. Go on with it by: desktop-ft resume '{run}'")
    return _EXIT[ended.status]


def _evaluate(arguments: argparse.Namespace, terminal: Terminal) -> int:
    with terminal.progress("Evaluating") as progress:
        evaluation = evaluate_run(arguments.run_folder, load_plugins(), arguments.pictures, warn=terminal.note, progress=progress)
    terminal.document(evaluation_document(evaluation))
    _show_accuracy(evaluation, terminal)
    rows = [[c.name, f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}", str(c.support)] for c in evaluation.per_class]
    terminal.table(["class", "precision", "recall", "f1", "pictures"], rows, right=(1, 2, 3, 4))
    if evaluation.mistakes:
        terminal.say(f"\n{len(evaluation.mistakes)} mistakes, the most confident first:")
        names = evaluation.classes
        wrong = [[a.path, names[a.label], names[a.predicted], f"{a.confidence:.3f}"] for a in evaluation.mistakes]
        terminal.table(["file", "is", "was called", "confidence"], wrong, right=(3,))
    return 0


def evaluation_document(evaluation: Evaluation) -> dict[str, object]:
    """What `evaluate --json` prints."""
    names = evaluation.classes

    def told(answer_path: str, label: int, predicted: int, confidence: float) -> dict[str, object]:
        return {"path": printable(answer_path), "class": names[label], "predicted": names[predicted], "confidence": confidence}

    return {
        "dataset": evaluation.dataset,
        "subset": evaluation.subset,
        "pictures": len(evaluation.answers),
        "accuracy": evaluation.accuracy.value,
        "interval": _interval(evaluation),
        "top5": evaluation.top5,
        "calibration_error": evaluation.calibration_error,
        "per_class": [
            {"class": c.name, "precision": c.precision, "recall": c.recall, "f1": c.f1, "pictures": c.support}
            for c in evaluation.per_class
        ],
        "confusion": evaluation.confusion,
        "mistakes": [told(a.path, a.label, a.predicted, a.confidence) for a in evaluation.mistakes],
        "answers": [told(a.path, a.label, a.predicted, a.confidence) for a in evaluation.answers],
    }


def _interval(evaluation: Evaluation) -> list[float]:
    return [evaluation.accuracy.low, evaluation.accuracy.high]


def _show_accuracy(evaluation: Evaluation, terminal: Terminal) -> None:
    share = evaluation.accuracy
    terminal.say(
        f"Accuracy {share.value:.1%} on {len(evaluation.answers)} pictures ({evaluation.subset}; "
        f"95 % interval {share.low:.1%} to {share.high:.1%})."
    )


def _export(arguments: argparse.Namespace, terminal: Terminal) -> int:
    run: Path = arguments.run_folder
    plugins = load_plugins()
    exporter = plugins.exporters.get(arguments.format)
    out = arguments.out or RunFolder.open(run).exports / f"model{exporter.suffix}"
    with terminal.progress("Comparing") as progress:
        report = export_run(run, out, plugins, exporter=exporter.name, warn=terminal.note, progress=progress)
    terminal.document(export_document(report, out))
    _show_export(report, out, terminal)
    return 0


def export_document(report: ExportReport, out: Path) -> dict[str, object]:
    """What `export --json` prints."""
    return {
        "file": str(out),
        "bytes": report.bytes,
        "compared": report.compared,
        "largest_difference": report.largest_difference,
        "changed_answers": report.changed_answers,
    }


def _show_export(report: ExportReport, out: Path, terminal: Terminal) -> None:
    terminal.say(
        f"{out} ({report.bytes / 1e6:.1f} MB), loaded again without torch and compared on {report.compared} of your pictures: "
        f"largest relative difference {report.largest_difference:.1e}, changed answers {report.changed_answers}."
    )


def _runs(arguments: argparse.Namespace, terminal: Terminal) -> int:
    root = arguments.root or places.runs()
    if arguments.root and not root.is_dir():
        raise UserError(f"There is no folder {root}.", "Name a folder that holds runs.")
    index = RunIndex(places.data() / "runs.sqlite", root)
    index.rescan()
    rows = index.rows()
    fields = ("path", "name", "created", "dataset", "backbone", "preset", "status", "epochs", "accuracy")
    terminal.document([{name: getattr(row, name) if name != "path" else str(row.path) for name in fields} for row in rows])
    if not rows:
        terminal.say(f"No runs in {root} yet. `desktop-ft demo` makes one.")
    else:
        shown = [
            [
                row.name,
                row.status,
                row.dataset,
                row.backbone,
                row.preset,
                str(row.epochs),
                "" if row.accuracy is None else f"{row.accuracy:.1%}",
            ]
            for row in rows
        ]
        terminal.table(["run", "status", "pictures", "backbone", "freeze", "epochs", "accuracy"], shown, right=(5, 6))
    return 0


def _demo(arguments: argparse.Namespace, terminal: Terminal) -> int:
    out = arguments.out or _free_name(Path("demo-output"))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not an empty folder.", "Name a new one with --out.")
    pictures = out.absolute() / "digits"
    recipe = Recipe.from_data(
        {
            "dataset": {"folder": str(pictures)},
            "backbone": {"name": "efficientnet_lite0"},
            "optimisation": {"batch_size": 64, "lr": 0.01, "epochs": arguments.epochs},
        },
        "The command line",
    )
    plugins = load_plugins()
    terminal.note("The sample: 1,797 handwritten digits. The network: EfficientNet-Lite0, which has learned from ImageNet.")
    write_sample(plugins, "digits", pictures)
    run = out / "run"
    with ask_to_stop_on_signals() as control, watch(terminal) as (emit, progress):
        ended = train(recipe, run, plugins, emit, control, progress=progress)
    if ended.status is not RunStatus.COMPLETED:
        return _tell_end(ended, run, terminal)
    with terminal.progress("Comparing the export") as compare:
        report = export_run(run, out / "model.onnx", plugins, progress=compare)
    folder = RunFolder.open(run)
    evaluation = folder.evaluation
    if evaluation is None:
        raise UserError(f"{run} holds no evaluation.", "Run `desktop-ft evaluate` on it.")
    _show_accuracy(evaluation, terminal)
    _show_export(report, out / "model.onnx", terminal)
    terminal.say(f"Report: {folder.report}\nTry it: desktop-ft predict {out / 'model.onnx'} {pictures / '3'}")
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
