"""`checkup`."""

import argparse
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from desktop_ft.cli.recipe_options import add_recipe_options, recipe_from
from desktop_ft.cli.terminal import Terminal, printable
from desktop_ft.core.checkup import Checkup, CurvePoint
from desktop_ft.core.dataset import Sample
from desktop_ft.core.errors import UserError
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.words import count
from desktop_ft.data.edits import repaired
from desktop_ft.jobs.checkup import check_up
from desktop_ft.plugin_manager import load_plugins
from desktop_ft.runs import atomic
from desktop_ft.runs.checked import checked_pictures

_SHOWN = 60


def add_checkup_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command that looks for what is wrong with the pictures themselves."""
    parser = commands.add_parser(
        "checkup",
        help="look for doubles, wrong labels and odd pictures, and say what more pictures would bring",
        description="Look at the pictures as the backbone sees them, without training it: near doubles, across subsets first; "
        "labels that are probably wrong, the most suspicious first; outliers; tiny, dark and blurred pictures; classes that are "
        "hardly told apart; and how much more pictures would help. Nothing in the folder is changed.",
        epilog="Example: desktop-ft checkup photos --repair photos.toml",
    )
    add_recipe_options(parser)
    parser.add_argument("--show", type=int, default=_SHOWN, metavar="N", help=f"how many findings of a kind (default {_SHOWN})")
    parser.add_argument(
        "--repair",
        type=Path,
        metavar="FILE",
        help="write a recipe to FILE in which no near doubles lie in several subsets, but for those kept as right in the window",
    )
    parser.add_argument("--with-kept", action="store_true", help="show, and repair, what was kept as right in the window, too")
    parser.add_argument(
        "--json", action="store_true", help="one JSON document on standard output, with everything that was found"
    )
    parser.set_defaults(run=_checkup)


def _checkup(arguments: argparse.Namespace, terminal: Terminal) -> int:
    recipe, plugins = recipe_from(arguments, terminal), load_plugins()
    with terminal.phases() as progress:
        found = check_up(recipe, plugins, warn=terminal.note, progress=progress)
    kept = {} if arguments.with_kept else _kept(recipe, terminal)
    shown = found.without(kept)
    terminal.document(checkup_document(shown) | {"kept": found.findings - shown.findings})
    _show(shown, max(0, arguments.show), terminal)
    if hidden := found.findings - shown.findings:
        terminal.say(f"\nNot shown as kept in the window: {count(hidden, 'finding')}; --with-kept shows all.")
    if arguments.repair:
        _repair(recipe, shown, arguments.repair, terminal)
    return 0


def _kept(recipe: Recipe, terminal: Terminal) -> Mapping[str, Collection[str]]:
    """The marks of what the window remembers as right of these pictures, by kind."""
    try:
        return checked_pictures(recipe.dataset.folder).all()
    except UserError as error:
        terminal.note(f"Note: {error} What was kept as right is shown, too.")
        return {}


def _repair(recipe: Recipe, found: Checkup, path: Path, terminal: Terminal) -> None:
    dataset = repaired(recipe.dataset, [group.samples for group in found.doubles])
    atomic.write(path, recipe.model_copy(update={"dataset": dataset}).to_toml().encode())
    terminal.note(f"{count(len(found.torn), 'group')} brought into one subset each, in the recipe {path}.")


def checkup_document(found: Checkup) -> dict[str, Any]:
    """What `checkup --json` prints."""
    classes = found.classes
    return {
        "pictures": len(found.samples),
        "classes": list(classes),
        "near_doubles": [
            {
                "pictures": [_picture(sample, classes) for sample in group.samples],
                "across_subsets": group.torn,
                "several_classes": group.contradicting,
            }
            for group in found.doubles
        ],
        "inflation": {
            "twins": found.inflation.twins,
            "judged": found.inflation.judged,
            "accuracy": found.inflation.everything,
            "accuracy_without": found.inflation.without,
            "kept_groups": found.kept_torn,
        },
        "suspect_labels": [
            _picture(each.sample, classes)
            | {"likely": classes[each.likely], "given_p": each.given, "likely_p": each.found, "suspicious": each.clear}
            for each in found.suspects
        ],
        "outliers": [_picture(each.sample, classes) | {"times_usual": each.distance} for each in found.outliers],
        "faults": [_picture(each.sample, classes) | {"fault": each.fault.value} for each in found.faults],
        "widespread": [fault.value for fault in found.widespread],
        "confused": [
            {
                "classes": [classes[each.one], classes[each.other]],
                "told_apart": each.apart.value,
                "of": [each.apart.low, each.apart.high],
            }
            for each in found.confused
        ],
        "learning_curve": {"measured": _points(found.curve.measured), "forecast": _points(found.curve.coming)},
    }


def _picture(sample: Sample, classes: tuple[str, ...]) -> dict[str, Any]:
    subset = sample.subset.value if sample.subset else None
    return {"path": printable(sample.path), "class": classes[sample.label], "subset": subset}


def _points(points: Iterable[CurvePoint]) -> list[dict[str, Any]]:
    return [
        {"pictures": each.pictures, "accuracy": each.accuracy.value, "low": each.accuracy.low, "high": each.accuracy.high}
        for each in points
    ]


def _show(found: Checkup, most: int, terminal: Terminal) -> None:
    terminal.say(f"{count(len(found.samples), 'picture')} in {count(len(found.classes), 'class')}:")
    for sentence in found.summary():
        terminal.say(f"- {printable(sentence)}")
    classes = found.classes
    _table(
        terminal,
        most,
        "Near doubles",
        [
            [
                ", ".join(sample.path for sample in group.samples),
                ", ".join(dict.fromkeys(classes[sample.label] for sample in group.samples)),
                f"{group.words} {group.cure}",
            ]
            for group in found.doubles
        ],
        "group",
    )
    clear, doubtful = (
        [(each.sample, each.words(classes)) for each in found.suspects if each.clear is wanted] for wanted in (True, False)
    )
    outliers = [(each.sample, each.words) for each in found.outliers]
    faults = [(each.sample, each.words) for each in found.faults]
    for title, findings in (
        ("Labels that are suspicious, the most suspicious first", clear),
        ("Labels in doubt, the most suspicious first", doubtful),
        ("Unlike all others", outliers),
        ("Tiny, dark or blurred", faults),
    ):
        _table(terminal, most, title, [[sample.path, classes[sample.label], words] for sample, words in findings])


def _table(terminal: Terminal, most: int, title: str, rows: list[list[str]], noun: str = "picture") -> None:
    if not rows:
        return
    first = f", the first {most}" if 0 < most < len(rows) else ""
    terminal.say(f"\n{title} ({count(len(rows), noun)}{first}){':' if most else '.'}")
    if most:
        terminal.table(["file", "class", "why"], rows[:most])
