"""`explain`."""

import argparse
import io
from pathlib import Path

from PIL import Image

from desktop_ft.cli.results_view import share
from desktop_ft.cli.run_commands import finish
from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.errors import UserError
from desktop_ft.evaluation.explanation import LIMITS, Explanation, Similarity, explains, nothing_to_show, overlay, verdict
from desktop_ft.jobs.explaining import Explainer
from desktop_ft.plugin_manager import load_plugins
from desktop_ft.runs import atomic

_SHOWN_CLASSES = 5


def add_explain_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command that shows what a model looked at."""
    parser = commands.add_parser(
        "explain",
        help="see where in a picture a model found its answer",
        description="Lay over a picture where a run's best model found what speaks for a class (Grad-CAM), and check that "
        f"it can be believed: layers are made to forget what they learned, and the map must change. {LIMITS}",
        epilog="Example: desktop-ft explain run photo.jpg --out seen.png",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("picture", type=Path, metavar="PHOTO")
    parser.add_argument("--class", dest="name", metavar="NAME", help="the class to look for (default: the one it is taken for)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the picture with the map over it, as .png")
    parser.add_argument("--opacity", type=share, default=0.75, metavar="SHARE", help="of the map, 0 to 1 (default 0.75)")
    finish(parser, _explain)


def _explain(arguments: argparse.Namespace, terminal: Terminal) -> int:
    if arguments.out and arguments.out.suffix.lower() != ".png":
        raise UserError(f"{arguments.out.name} does not end in .png.", f"Name the file {arguments.out.stem}.png.")
    explainer = Explainer(arguments.run_folder, load_plugins(), terminal.note)
    if arguments.name is not None and arguments.name not in explainer.classes:
        raise UserError(f"The model knows no class '{arguments.name}'.", f"It knows {', '.join(explainer.classes)}.")
    label = explainer.classes.index(arguments.name) if arguments.name is not None else None
    told = explainer.explain(arguments.picture, label)
    number = len(told.shown) - 1  # the class asked for comes last
    with terminal.progress("Checking") as progress:
        checked = explainer.check(told, progress)
    if arguments.out and told.place:
        _write(arguments.out, told, number, arguments.opacity)
    terminal.document(_document(told, checked, number, arguments.out))
    _say(told, checked, number, arguments.out, terminal)
    return 0


def _write(path: Path, told: Explanation, number: int, opacity: float) -> None:
    stored = io.BytesIO()
    Image.fromarray(overlay(told.picture, told.grids[number], opacity)).save(stored, "PNG")
    atomic.write(path, stored.getvalue())


def _document(told: Explanation, checked: tuple[Similarity, ...], number: int, out: Path | None) -> dict[str, object]:
    return {
        "class": told.classes[told.shown[number]],
        "predicted": told.classes[told.shown[0]],
        "probabilities": dict(zip(told.classes, told.probabilities, strict=True)),
        "place": told.place,
        "map": told.grids[number].tolist() if told.place else None,
        "problem": nothing_to_show(told, number),
        "likeness": {each.what: each.values[number] for each in checked},
        "explains": bool(checked) and not nothing_to_show(told, number) and explains(checked, number),
        "limits": LIMITS,
        "file": str(out) if out and told.place else None,
    }


def _say(told: Explanation, checked: tuple[Similarity, ...], number: int, out: Path | None, terminal: Terminal) -> None:
    sure = ", ".join(f"{name} {probability:.1%}" for name, probability in told.top(_SHOWN_CLASSES))
    terminal.say(f"Taken for {told.classes[told.shown[0]]}: {sure}.")
    if problem := nothing_to_show(told, number):
        terminal.say(problem)
    elif out:
        terminal.say(f"{out}: what speaks for {told.classes[told.shown[number]]}, behind the layer {told.place}.")
    if checked and not problem:
        terminal.say(verdict(checked, number))
        terminal.say(LIMITS)
