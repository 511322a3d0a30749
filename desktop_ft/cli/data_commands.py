"""`scan`."""

import argparse
from collections import Counter
from collections.abc import Iterable

from desktop_ft.cli.recipe_options import add_dataset_options, dataset_from
from desktop_ft.cli.terminal import Terminal, printable
from desktop_ft.core.dataset import DatasetManifest, Severity, Subset
from desktop_ft.core.recipe import DatasetChoice, Optimisation, Part
from desktop_ft.core.words import count
from desktop_ft.data.edits import tally
from desktop_ft.data.health import verdict
from desktop_ft.jobs.scanning import scan_dataset


def add_data_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `scan`."""
    scan = commands.add_parser(
        "scan",
        help="look at a folder of pictures: classes, counts, problems",
        description="Look at every file of a folder or .zip: classes, counts per subset, and every problem. It is only read.",
        epilog="Example: desktop-ft scan photos",
    )
    add_dataset_options(scan)
    scan.add_argument("--json", action="store_true", help="one JSON document on standard output")
    scan.set_defaults(run=_scan)


def _scan(arguments: argparse.Namespace, terminal: Terminal) -> int:
    dataset = dataset_from(arguments)
    with terminal.progress("Looking at the pictures") as progress:
        manifest = scan_dataset(dataset, progress=progress)
    trainable, said = verdict(manifest, Optimisation().batch_size)
    terminal.document(scan_document(manifest, dataset, trainable, said))
    _show(manifest, terminal)
    _show_edits(dataset, terminal)
    if said:
        terminal.say("\nBefore you train:" if trainable else "\nThis cannot be trained on yet:")
    for sentence in said:
        terminal.say(f"- {printable(sentence)}")
    return 0


def scan_document(manifest: DatasetManifest, dataset: DatasetChoice, trainable: bool, said: Iterable[str]) -> dict[str, object]:
    """What `scan --json` prints."""
    counts = {subset.value: manifest.counts(subset) for subset in Subset}
    return {
        "source": printable(manifest.source),
        "layout": manifest.layout.value,
        "samples": len(manifest.samples),
        "trainable": trainable,
        "notes": [printable(sentence) for sentence in said],
        "classes": {name: {subset: counts[subset][name] for subset in counts} for name in manifest.classes},
        "edits": {"rename": dict(dataset.rename), "pictures": tally(dataset)}
        | ({"labels": dict(Counter(dataset.labels.values()))} if dataset.labels else {}),
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
    by_subset = [manifest.counts(subset) for subset in Subset]
    where, pictures, classes = printable(manifest.source), len(manifest.samples), len(manifest.classes)
    terminal.say(f"{where}: {count(pictures, 'picture')} in {count(classes, 'class')} ({manifest.layout.value})")
    rows = [[name, *(str(counts[name]) for counts in by_subset)] for name in manifest.classes]
    terminal.table(["class", *(subset.value for subset in Subset)], rows, right=(1, 2, 3))
    for severity in Severity:
        found = [problem for problem in manifest.problems if problem.severity is severity]
        if found:
            terminal.say(f"\n{len(found)} {severity.value}:")
            terminal.table(["file", "class", "why"], [[p.path, p.class_name or "", f"{p.reason} {p.cure}"] for p in found])


def _show_edits(dataset: DatasetChoice, terminal: Terminal) -> None:
    """What the recipe changes about the folder."""
    for found, name in dataset.rename.items():
        terminal.say(f"'{printable(found)}' is {f'called {printable(name)!r}' if name else 'left out'}.")
    for name, given in Counter(dataset.labels.values()).items():
        terminal.say(f"Pictures put into {printable(name)!r} by hand: {given}.")
    for part, moved in tally(dataset).items():
        terminal.say(f"Pictures {'left out' if part == Part.LEFT_OUT else f'moved to {part}'} by hand: {moved}.")
