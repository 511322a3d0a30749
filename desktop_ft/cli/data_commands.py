"""`scan`, and the two commands that look at models already exported or pictures already there."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from desktop_ft.cli.results_view import share
from desktop_ft.cli.terminal import Terminal, printable
from desktop_ft.core.dataset import DatasetManifest, Severity, Subset
from desktop_ft.core.recipe import Optimisation
from desktop_ft.data.health import verdict
from desktop_ft.jobs.scanning import scan_dataset


def add_data_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `scan` and `predict`."""
    scan = commands.add_parser(
        "scan",
        help="look at a folder of pictures: classes, counts, problems",
        description="Look at every file of a folder or .zip: classes, counts per subset, and every problem. It is only read.",
        epilog="Example: desktop-ft scan photos",
    )
    scan.add_argument("folder", type=Path, metavar="FOLDER", help="folders of classes, labels.csv, or a .zip")
    scan.add_argument("--val", type=float, default=0.2, help="share to hold out where the folder has no split (default 0.2)")
    scan.add_argument("--json", action="store_true", help="one JSON document on standard output")
    scan.set_defaults(run=_scan)

    predict = commands.add_parser(
        "predict",
        help="ask a model about pictures",
        description="The answer of an exported model, or of a run's best model, for each picture, and for each in each folder.",
        epilog="Example: desktop-ft predict model.onnx holiday/",
    )
    predict.add_argument("model", type=Path, metavar="MODEL", help="a .onnx file that `desktop-ft export` wrote, or a run")
    predict.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="pictures, and folders of pictures")
    predict.add_argument(
        "--threshold",
        type=share,
        metavar="SHARE",
        help="answers less sure than this (0 to 1) are don't know (default: as kept with the run or written into the file)",
    )
    predict.add_argument("--json", action="store_true", help="a JSON array on standard output")
    predict.set_defaults(run=_predict)


def _scan(arguments: argparse.Namespace, terminal: Terminal) -> int:
    with terminal.progress("Looking at the pictures") as progress:
        manifest = scan_dataset(arguments.folder, _share(arguments.val), progress=progress)
    trainable, said = verdict(manifest, Optimisation().batch_size)
    terminal.document(scan_document(manifest, trainable, said))
    _show(manifest, terminal)
    if said:
        terminal.say("\nBefore you train:" if trainable else "\nThis cannot be trained on yet:")
    for sentence in said:
        terminal.say(f"- {printable(sentence)}")
    return 0


def _share(value: float) -> float:
    from desktop_ft.core.errors import UserError

    if not 0 < value < 1:
        raise UserError(f"--val {value} is not a share.", "Give a number between 0 and 1, such as 0.2.")
    return value


def scan_document(manifest: DatasetManifest, trainable: bool, said: Iterable[str]) -> dict[str, object]:
    """What `scan --json` prints."""
    counts = {subset.value: manifest.counts(subset) for subset in Subset}
    return {
        "source": printable(manifest.source),
        "layout": manifest.layout.value,
        "samples": len(manifest.samples),
        "trainable": trainable,
        "notes": [printable(sentence) for sentence in said],
        "classes": {name: {subset: counts[subset][name] for subset in counts} for name in manifest.classes},
        "problems": [
            {
                "path": printable(problem.path),
                "class": problem.class_name,
                "kind": problem.kind,
                "severity": problem.severity.value,
                "reason": problem.reason,
                "cure": problem.cure,
            }
            for problem in manifest.problems
        ],
    }


def _show(manifest: DatasetManifest, terminal: Terminal) -> None:
    counts = [manifest.counts(subset) for subset in Subset]
    where, pictures, classes = printable(manifest.source), len(manifest.samples), len(manifest.classes)
    terminal.say(f"{where}: {pictures} pictures in {classes} classes ({manifest.layout.value})")
    rows = [[name, *(str(count[name]) for count in counts)] for name in manifest.classes]
    terminal.table(["class", *(subset.value for subset in Subset)], rows, right=(1, 2, 3))
    for severity in Severity:
        found = [problem for problem in manifest.problems if problem.severity is severity]
        if found:
            terminal.say(f"\n{len(found)} {severity.value}:")
            terminal.table(["file", "class", "why"], [[p.path, p.class_name or "", f"{p.reason} {p.cure}"] for p in found])


def _predict(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from desktop_ft.jobs.predicting import predict

    problems = 0
    answers: list[dict[str, object]] = []
    for prediction in predict(arguments.model, arguments.paths, threshold=arguments.threshold, warn=terminal.note):
        path = printable(str(prediction.path))
        if prediction.problem:
            problems += 1
            terminal.note(f"{path}: {prediction.problem}")
            answers.append({"path": path, "problem": prediction.problem})
        else:
            unsure = "" if prediction.sure else "\tdon't know"
            terminal.say(f"{path}\t{printable(prediction.label)}\t{prediction.confidence:.4f}{unsure}")
            answers.append(
                {"path": path, "class": prediction.label, "confidence": prediction.confidence, "sure": prediction.sure}
            )
    terminal.document(answers)
    return 2 if problems == len(answers) else 0
