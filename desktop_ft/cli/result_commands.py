"""`evaluate`, `export`, `runs`, `note`, `report`, `curves` and `diff`."""

import argparse
import csv
import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from desktop_ft import places
from desktop_ft.cli.recipe_options import add_field, by_option
from desktop_ft.cli.results_view import (
    evaluation_document,
    export_document,
    in_a_cell,
    share,
    show_accuracy,
    show_export,
    show_exports,
    show_figures,
    show_selection,
)
from desktop_ft.cli.run_commands import finish
from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.curves import curves_csv
from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import BUNDLE_SUFFIX, ExportSettings, FileInput
from desktop_ft.core.metrics import Evaluation
from desktop_ft.core.recipe import differences
from desktop_ft.core.values import from_json, to_json
from desktop_ft.core.words import count
from desktop_ft.evaluation.selective import Selection, caveat, picked, select
from desktop_ft.jobs.bundling import bundle_run
from desktop_ft.jobs.evaluating import evaluate_run, keep_threshold, threshold_of, write_report
from desktop_ft.jobs.exported_file import evaluate_file, file_card
from desktop_ft.jobs.exporting import export_every, export_run, exporter_for
from desktop_ft.jobs.predicting import as_float32
from desktop_ft.jobs.run_list import accuracy_of, annotate, listed
from desktop_ft.jobs.running import recorded_run
from desktop_ft.plugin_manager import load_plugins
from desktop_ft.runs import atomic
from desktop_ft.runs.index import RunSummary
from desktop_ft.runs.run_folder import RunFolder

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_EXPORT_OPTIONS = {f"--{name.replace('_', '-')}": name for name in ExportSettings.model_fields}
_DROP = "--largest-drop"
_BUNDLE_OPTIONS = ("--precision", _DROP)


def add_result_commands(commands: _Commands) -> None:
    """Add the commands that use runs."""
    for add in (_add_evaluate, _add_export, _add_exports, _add_bundle, _add_runs, _add_note, _add_report, _add_curves, _add_diff):
        add(commands)


def _add_evaluate(commands: _Commands) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="see what a model gets right and wrong",
        description="Judge a run's best model on the pictures it never saw, or a run's or an exported one on those of a folder.",
        epilog="Example: desktop-ft evaluate run new-photos --json",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="a run; or, with FOLDER, a .onnx file that was exported")
    parser.add_argument("pictures", type=Path, nargs="?", metavar="FOLDER", help="other pictures, laid out in class folders")
    parser.add_argument(
        "--threshold",
        type=share,
        metavar="SHARE",
        help="judge it as a model whose answers less sure than this (0 to 1) are don't know (default: as kept with the run)",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep that threshold with the run: predictions, its report and files exported from now on heed it (0: drop it)",
    )
    finish(parser, _evaluate)


def _add_export(commands: _Commands) -> None:
    parser = commands.add_parser(
        "export",
        help="write a run's model to a file, and prove how it answers",
        description="Write a run's best model to a file, load it again in a process of its own, and compare it on your photos.",
        epilog="Example: desktop-ft export run --out small.onnx --precision int8",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default: in the run's exports folder)")
    for option, name in _EXPORT_OPTIONS.items():
        add_field(parser, option, name, ExportSettings.model_fields[name])
    finish(parser, _export)


def _add_bundle(commands: _Commands) -> None:
    parser = commands.add_parser(
        "bundle",
        help="pack a run's model with its card and programs that use it",
        description="Write one .zip: the model as ONNX that takes whole pictures, proven on your photos, its model card, and "
        "programs in Python, C++ and JavaScript that ask it.",
        epilog="Example: desktop-ft bundle run --out model.zip",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the .zip to write (default: in the run's exports folder)")
    for option in _BUNDLE_OPTIONS:
        add_field(parser, option, _EXPORT_OPTIONS[option], ExportSettings.model_fields[_EXPORT_OPTIONS[option]])
    finish(parser, _bundle)


def _add_exports(commands: _Commands) -> None:
    parser = commands.add_parser(
        "exports",
        help="compare the files exported from a run",
        description="List what was exported from a run: size, accuracy on the validation photos, changed answers and latency.",
        epilog="Example: desktop-ft exports run",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--every", action="store_true", help="first export it in every precision of every format")
    add_field(parser, _DROP, _EXPORT_OPTIONS[_DROP], ExportSettings.model_fields[_EXPORT_OPTIONS[_DROP]])
    finish(parser, _exports)


def _add_runs(commands: _Commands) -> None:
    parser = commands.add_parser(
        "runs",
        help="list your runs",
        description="List the runs in a folder, newest first, with their outcome; without one all of yours, wherever they lie.",
        epilog="Example: desktop-ft runs",
    )
    parser.add_argument("root", type=Path, nargs="?", metavar="FOLDER", help="where to look (default: your runs)")
    parser.add_argument("--tag", metavar="TAG", help="only those with this tag")
    finish(parser, _runs)


def _add_note(commands: _Commands) -> None:
    parser = commands.add_parser(
        "note",
        help="write a note on a run, or tag it",
        description="Keep what you want to remember of a run in its folder. Without a text or a tag: show what is written there.",
        epilog='Example: desktop-ft note run "the one with the new camera" --tag camera',
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("text", nargs="?", metavar="TEXT", help='what to remember; it replaces what was there ("" empties it)')
    parser.add_argument("--tag", action="append", default=[], metavar="TAG", help="add a tag; may be given several times")
    parser.add_argument("--untag", action="append", default=[], metavar="TAG", help="take a tag away")
    finish(parser, _note)


def _add_report(commands: _Commands) -> None:
    parser = commands.add_parser(
        "report",
        help="draw a run's report anew",
        description="Write all that is known of a run into one HTML file that needs nothing else and can be printed.",
        epilog="Example: desktop-ft report run",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    finish(parser, _report)


def _add_curves(commands: _Commands) -> None:
    parser = commands.add_parser(
        "curves",
        help="write a run's curves as a table",
        description="Write the loss, accuracy and learning rate of every step and epoch of a run as comma-separated values.",
        epilog="Example: desktop-ft curves run --out curves.csv",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default: standard output)")
    finish(parser, _curves)


def _add_diff(commands: _Commands) -> None:
    parser = commands.add_parser(
        "diff",
        help="say in what the recipes of several runs differ",
        description="Show the best validation accuracy of several runs, and every field in which their recipes differ.",
        epilog="Example: desktop-ft diff run-1 run-2",
    )
    parser.add_argument("run_folders", type=Path, nargs="+", metavar="RUN")
    finish(parser, _diff)


def _evaluate(arguments: argparse.Namespace, terminal: Terminal) -> int:
    if arguments.run_folder.is_file():
        return _evaluate_file(arguments, terminal)
    run, plugins, wanted = arguments.run_folder, load_plugins(), arguments.threshold
    if arguments.keep and wanted is None:
        raise UserError(
            "There is no threshold to keep.", "Name it, such as --threshold 0.8 --keep; 0 drops the one that is kept."
        )
    with terminal.progress("Evaluating") as progress:
        evaluation = evaluate_run(run, plugins, arguments.pictures, warn=terminal.note, progress=progress).evaluation
    if arguments.keep:
        keep_threshold(run, plugins, picked(evaluation, wanted) if wanted else None, warn=terminal.note)
    kept = threshold_of(RunFolder.open(run))
    selection = select(evaluation, wanted if wanted is not None else kept.value if kept else 0.0)
    warned = caveat(kept, evaluation) if kept and kept.value == selection.threshold else ""
    _show_evaluation(evaluation, selection, warned, terminal)
    return 0


def _evaluate_file(arguments: argparse.Namespace, terminal: Terminal) -> int:
    file: Path = arguments.run_folder
    if arguments.pictures is None:
        raise UserError(
            f"{file} is an exported file, which keeps no pictures.", "Name a folder of pictures in class folders, too."
        )
    if arguments.keep:
        raise UserError(
            "An exported file keeps the threshold it was exported with.", "Keep another with its run, and export again."
        )
    with terminal.progress("Evaluating") as progress:
        evaluation = evaluate_file(file, arguments.pictures, warn=terminal.note, progress=progress).evaluation
    threshold = file_card(file).threshold if arguments.threshold is None else arguments.threshold
    selection = replace(select(evaluation, as_float32(threshold)), threshold=threshold)  # told as it was asked for
    _show_evaluation(evaluation, selection, "", terminal)
    return 0


def _show_evaluation(evaluation: Evaluation, selection: Selection, warned: str, terminal: Terminal) -> None:
    terminal.document(evaluation_document(evaluation, selection, warned))
    show_accuracy(evaluation, terminal)
    show_selection(selection, warned, terminal)
    show_figures(evaluation, terminal)
    if evaluation.mistakes:
        terminal.say(f"\n{count(len(evaluation.mistakes), 'mistake')}, the most confident first:")
        names = evaluation.classes
        wrong = [[a.path, names[a.label], names[a.predicted], f"{a.confidence:.3f}"] for a in evaluation.mistakes]
        terminal.table(["file", "is", "was called", "confidence"], wrong, right=(3,))


def _export(arguments: argparse.Namespace, terminal: Terminal) -> int:
    run: Path = arguments.run_folder
    plugins, settings = load_plugins(), _export_settings(arguments)
    if settings.exact and arguments.largest_drop is not None:
        raise UserError(
            "The exact file loses nothing, so there is no drop to allow.",
            f"Leave out {_DROP}, or name another --precision, or --input {FileInput.PICTURE}.",
        )
    exporter = exporter_for(settings, plugins)
    out = arguments.out or RunFolder.open(run).exports / settings.file_name(exporter.suffix)
    with terminal.phases() as progress:
        report = export_run(run, out, plugins, settings=settings, warn=terminal.note, progress=progress)
    terminal.document(export_document(report, out))
    show_export(report, out, terminal)
    return 0


def _bundle(arguments: argparse.Namespace, terminal: Terminal) -> int:
    run: Path = arguments.run_folder
    out = arguments.out or RunFolder.open(run).exports / f"bundle{BUNDLE_SUFFIX}"
    settings = _export_settings(arguments)
    with terminal.phases() as progress:
        report = bundle_run(run, out, load_plugins(), settings=settings, warn=terminal.note, progress=progress)
    terminal.document(export_document(report, out))
    show_export(report, out, terminal)
    return 0


def _export_settings(arguments: argparse.Namespace) -> ExportSettings:
    named = {name: getattr(arguments, name, None) for name in _EXPORT_OPTIONS.values()}
    values = {name: value for name, value in named.items() if value is not None}
    where = "The command line"
    try:
        settings: ExportSettings = from_json(ExportSettings, to_json(values), where)
    except UserError as error:
        raise by_option(error, where, _EXPORT_OPTIONS) from error
    return settings


def _exports(arguments: argparse.Namespace, terminal: Terminal) -> int:
    drop = _export_settings(arguments).largest_drop
    if arguments.largest_drop is not None and not arguments.every:
        raise UserError("Nothing is exported, so there is no drop to allow.", f"Add --every, or leave out {_DROP}.")
    if arguments.every:
        with terminal.phases() as progress:
            export_every(arguments.run_folder, load_plugins(), largest_drop=drop, warn=terminal.note, progress=progress)
    folder = RunFolder.open(arguments.run_folder)
    reports = folder.export_reports
    terminal.document(
        [
            export_document(report, Path(report.file))
            | {"gone": folder.exported(report) is None, "earlier": folder.has_learned_since(report)}
            for report in reports
        ]
    )
    if reports:
        show_exports(reports, folder, terminal)
    else:
        terminal.say("Nothing was exported from this run yet. `desktop-ft export` does it.")
    return 0


def _runs(arguments: argparse.Namespace, terminal: Terminal) -> int:
    root, tag = arguments.root, arguments.tag
    if root and not root.is_dir():
        raise UserError(f"There is no folder {root}.", "Name a folder that holds runs.")
    rows = [row for row in listed(root) if not tag or f"#{tag.removeprefix('#')}" in row.tags.split()]
    fields = ("path", "name", "created", "dataset", "backbone", "preset", "status", "epochs", "accuracy", "note")
    terminal.document(
        [
            {name: getattr(row, name) for name in fields}
            | {"interval": (known.low, known.high) if (known := accuracy_of(row)) else None}
            | {"tags": row.tags.replace("#", "").split()}
            for row in rows
        ]
    )
    if not rows:
        where = f"in {root or places.runs()} yet. `desktop-ft train` makes one"
        terminal.say(f"No runs {f'are tagged {tag}' if tag else where}.")
    else:
        shown = [
            [
                row.name,
                row.status,
                row.dataset,
                row.backbone,
                row.preset,
                str(row.epochs),
                _accuracy(row),
                row.tags,
            ]
            for row in rows
        ]
        terminal.table(["run", "status", "pictures", "backbone", "freeze", "epochs", "accuracy", "tags"], shown, right=(5, 6))
    return 0


def _accuracy(row: RunSummary) -> str:
    if known := accuracy_of(row):
        return in_a_cell(known)
    return "" if row.accuracy is None else f"{row.accuracy:.1%}"


def _note(arguments: argparse.Namespace, terminal: Terminal) -> int:
    note = annotate(arguments.run_folder, text=arguments.text, add=arguments.tag, remove=arguments.untag)
    terminal.document({"run": str(arguments.run_folder), "text": note.text, "tags": note.tags})
    terminal.say("\n".join(filter(None, (note.text, note.words))) or "Nothing is written about this run yet.")
    return 0


def _report(arguments: argparse.Namespace, terminal: Terminal) -> int:
    file = write_report(recorded_run(arguments.run_folder), terminal.note)
    terminal.document({"run": str(arguments.run_folder), "report": str(file)})
    terminal.say(f"The report is {file}.")
    return 0


def _curves(arguments: argparse.Namespace, terminal: Terminal) -> int:
    text = curves_csv(RunFolder.open(arguments.run_folder).history())
    if arguments.out:
        atomic.write(arguments.out, text.encode())
    elif arguments.json:
        terminal.document(list(csv.DictReader(io.StringIO(text))))
    else:
        sys.stdout.write(text)
    return 0


def _diff(arguments: argparse.Namespace, terminal: Terminal) -> int:
    runs = [RunFolder.open(path) for path in arguments.run_folders]
    best = [run.history().best for run in runs]
    told = differences([run.recipe for run in runs])
    accuracy = [None if epoch is None else epoch.val_accuracy for epoch in best]
    terminal.document({"runs": [str(run.path) for run in runs], "accuracy": accuracy, "differences": told})
    rows = [["best accuracy", *("–" if value is None else f"{value:.1%}" for value in accuracy)]]
    rows += [[field, *map(str, values)] for field, values in told.items()]
    terminal.table(["", *(run.name for run in runs)], rows)
    if len(runs) > 1 and not told:
        terminal.say("Their recipes are the same in all that decides a run.")
    return 0
