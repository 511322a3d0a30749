"""`card`."""

import argparse
import shlex
from pathlib import Path

from desktop_ft.cli.terminal import Terminal, printable
from desktop_ft.core import words
from desktop_ft.core.errors import UserError
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.words import count
from desktop_ft.jobs.exported_file import FileCard, file_card, going_on, run_of_file
from desktop_ft.plugin_manager import load_plugins

_NOT_TOLD = "not told"


def add_card_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `card`."""
    parser = commands.add_parser(
        "card",
        help="say what an exported file is",
        description="What a file that was exported tells of itself, and which of your runs it came from.",
        epilog="Example: desktop-ft card model.onnx",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a .onnx file that `desktop-ft export` wrote")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(run=_card)


def _card(arguments: argparse.Namespace, terminal: Terminal) -> int:
    card = file_card(arguments.file)
    run = run_of_file(card)
    terminal.document(card_document(card, run))
    terminal.table(["", str(card.file)], [list(row) for row in _rows(card)])
    if not terminal.json:
        terminal.say(f"\n{_whence(run)}")
    return 0


def _whence(run: Path | None) -> str:
    if run is None:
        return "It comes from none of your runs: it was trained elsewhere, or its run is gone. It answers all the same."
    try:
        weights = going_on(run, load_plugins()).backbone.weights
    except UserError as error:
        return f"Its run is {run}. {error}"
    told = shlex.join(("desktop-ft", "train", "--recipe", str(run / "recipe.toml"), "--weights", weights))
    return f"Its run is {run}. To train on from what it has learned: {told}"


def card_document(card: FileCard, run: Path | None) -> dict[str, object]:
    """What `card --json` prints."""
    return {
        "file": printable(str(card.file)),
        "bytes": card.bytes,
        "classes": card.classes,
        "input_size": card.side,
        "input": card.input,
        "precision": card.precision,
        "threshold": card.threshold,
        "backbone": card.backbone,
        "licence": card.licence,
        "recipe_sha256": card.recipe_sha256,
        "recipe": None if card.recipe is None else card.recipe.model_dump(mode="json", exclude_none=True),
        "version": card.version,
        "run": None if run is None else printable(str(run)),
    }


def _rows(card: FileCard) -> list[tuple[str, str]]:
    takes = "a whole picture" if card.input == "picture" else "a prepared picture"
    return [
        ("classes", f"{len(card.classes)}: {', '.join(card.classes)}"),
        ("backbone", card.backbone or _NOT_TOLD),
        ("licence of the weights", card.licence or _NOT_TOLD),
        ("input", f"{takes}, computed at {card.side} x {card.side} pixels"),
        ("precision", card.precision),
        ("threshold", f"{card.threshold:g}" if card.threshold else "none: it always answers"),
        ("recipe", _recipe(card.recipe) if card.recipe else _NOT_TOLD),
        ("recipe SHA-256", card.recipe_sha256 or _NOT_TOLD),
        ("size", words.size(card.bytes)),
        ("written by", f"Desktop FT {card.version}"),
    ]


def _recipe(recipe: Recipe) -> str:
    """The most telling of it in a line."""
    optimisation = recipe.optimisation
    return (
        f"{', then '.join(plan.preset for plan in recipe.plans)} of {recipe.backbone.name} on '{recipe.dataset.folder}', "
        f"{count(optimisation.epochs, 'epoch')}, learning rate {optimisation.lr:g}, seed {recipe.seed}"
    )
