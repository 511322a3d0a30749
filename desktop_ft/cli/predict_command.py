"""`predict`."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft.cli.results_view import share
from desktop_ft.cli.terminal import Terminal, printable
from desktop_ft.core.errors import UserError
from desktop_ft.core.words import count

if TYPE_CHECKING:
    from desktop_ft.jobs.batch_predicting import Tally

_NO_ANSWER = 2


def add_predict_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `predict`."""
    parser = commands.add_parser(
        "predict",
        help="ask a model about pictures",
        description="The answer of an exported model, or of a run's best model, for each picture, and for each in each folder.\n"
        "With --out the answers go into a table as they come; stopped or killed, the same command goes on where it was.",
        epilog="Example: desktop-ft predict model.onnx holiday/ --out answers.csv",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .onnx file that `desktop-ft export` wrote, or a run")
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="pictures, and folders of pictures")
    parser.add_argument(
        "--threshold",
        type=share,
        metavar="SHARE",
        help="answers less sure than this (0 to 1) are don't know (default: as kept with the run or written into the file)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the answers into this table (.csv) as they come")
    parser.add_argument(
        "--sort-into",
        type=Path,
        metavar="FOLDER",
        help="copy each picture into FOLDER/ANSWER (the table is FOLDER/answers.csv unless --out names another)",
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--retry", action="store_true", help="ask again about the files that the table has a problem for")
    again.add_argument(
        "--fresh",
        action="store_true",
        help="drop the table's answers, take away the copies that they made, and begin anew; copies that another table tells "
        "of, that were there before or are no true copies any more stay, and are counted",
    )
    parser.add_argument("--json", action="store_true", help="a JSON array on standard output; with --out, one object that counts")
    parser.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace, terminal: Terminal) -> int:
    if arguments.out or arguments.sort_into:
        return _predict_into(arguments, terminal)
    if arguments.fresh:
        raise UserError("There is no table to begin anew.", "Name it with --out answers.csv, or leave out --fresh.")
    if arguments.retry:
        raise UserError("There is no table with problems to try again.", "Name it with --out answers.csv, or leave out --retry.")
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
    return _NO_ANSWER if problems == len(answers) else 0


def _predict_into(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from desktop_ft.jobs.batch_predicting import BatchWork, Tally

    work = BatchWork(
        model=arguments.model,
        paths=arguments.paths,
        out=arguments.out or arguments.sort_into / "answers.csv",
        sort_into=arguments.sort_into,
        threshold=arguments.threshold,
        fresh=arguments.fresh,
        retry=arguments.retry,
    )
    tally = Tally()
    try:
        with terminal.phases() as progress:
            work.run(tally, warn=terminal.note, progress=progress)
    except KeyboardInterrupt:
        kept = f"{tally.done:,} of {count(tally.total, 'picture')} are in {work.out}"
        terminal.note(f"{kept}; the same command goes on from there.")
        raise
    terminal.document(asdict(tally) | {"out": str(work.out)})
    terminal.say(f"{work.out}: {_told(tally)}.")
    return _NO_ANSWER if tally.problems and tally.problems == tally.total else 0


def _told(tally: "Tally") -> str:
    unsure = f" ({tally.unsure:,} don't know)" if tally.unsure else ""
    again, before = " (--retry asks again)", tally.problems_before
    parts = [f"{count(tally.answered, 'picture')} answered{unsure}"]
    parts += [f"{count(tally.problems, 'file')} with problems{again}"] if tally.problems else []
    parts += [f"{tally.before:,} skipped as done before"] if tally.before else []
    parts += [f"{before:,} of them with problems{again}"] if before else []
    return ", ".join(parts)
