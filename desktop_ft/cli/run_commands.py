"""`train`, `resume` and `replan`."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from desktop_ft.cli.recipe_options import add_change_options, add_recipe_options, change_from, freeze_help, recipe_from
from desktop_ft.cli.results_view import interval_of, show_accuracy
from desktop_ft.cli.terminal import Terminal
from desktop_ft.cli.training_view import Emit, PhaseProgress, ask_to_stop_on_signals, watch
from desktop_ft.core.changes import Change
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.engine.control import RunControl
from desktop_ft.engine.team import size_here
from desktop_ft.jobs import isolated, training
from desktop_ft.jobs.replanning import current, replan
from desktop_ft.jobs.starting import start_of
from desktop_ft.jobs.training import Verbs, new_run_path
from desktop_ft.plugin_manager import load_plugins
from desktop_ft.runs.run_folder import RunFolder

_EXIT = {RunStatus.COMPLETED: 0, RunStatus.STOPPED: 130, RunStatus.CANCELLED: 130, RunStatus.FAILED: 1}


def add_run_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that make runs."""
    parser = commands.add_parser(
        "train",
        help="fine-tune a network on a folder of pictures",
        description="Fine-tune a pre-trained network on a folder of pictures, and judge it on the pictures held out.\n\n"
        "What learns (--freeze):\n" + freeze_help(),
        epilog="Example: desktop-ft train photos --backbone efficientnet_lite0 --freeze last:2 --epochs 10 --out run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, metavar="RUN", help="new folder for the run (default: among your runs)")
    add_isolate(parser)
    add_recipe_options(parser)
    finish(parser, _train)

    parser = commands.add_parser(
        "resume",
        help="go on with a run that was stopped or broke off",
        description="Go on with a run from its last checkpoint, exactly as if it had never stopped.",
        epilog="Example: desktop-ft resume run",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument(
        "--keep-best", action="store_true", help="do not train on: end it as if it had been stopped, and evaluate its best model"
    )
    add_isolate(parser)
    finish(parser, _resume)

    parser = commands.add_parser(
        "replan",
        help="change the learning rate or what learns in a run that is under way, or was stopped",
        description="Let a run that one process trains learn otherwise from its next epoch on, or when it is resumed.\n"
        "What is not named stays as it is; another preset drops the exceptions to the one before. The change is added to the\n"
        "run's recipe, which then gives the same run again (desktop-ft train --recipe RUN/recipe.toml).\n\n"
        "What learns (--freeze):\n" + freeze_help(),
        epilog="Example: desktop-ft replan run --freeze last:2 --lr 0.001",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    add_change_options(parser)
    finish(parser, _replan)


def add_isolate(parser: argparse.ArgumentParser) -> None:
    """Add the option that lets a process of its own train."""
    parser.add_argument(
        "--isolate",
        action="store_true",
        help="train in a process of its own: a crash is told in a sentence, and takes nothing along",
    )


def verbs_of(arguments: argparse.Namespace) -> Verbs:
    """Who trains: this process, or one of its own."""
    return isolated if arguments.isolate else training


def finish(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace, Terminal], int]) -> None:
    """Give a command its `--json` and its function."""
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(run=run)


def _train(arguments: argparse.Namespace, terminal: Terminal) -> int:
    recipe = recipe_from(arguments, terminal)
    plugins = load_plugins()
    if size_here() > 1 and not arguments.out:
        raise UserError("The processes that train together must keep the run in one folder.", "Name it with --out.")
    run = arguments.out or new_run_path(recipe)
    verbs = verbs_of(arguments)
    if start := start_of(recipe):
        terminal.note(start.words)
    with _told_if_complete(run, terminal):
        ended = watched(
            terminal, lambda emit, control, progress: verbs.train(recipe, run, plugins, emit, control, progress=progress)
        )
    return tell_end(ended, run, terminal)


def _resume(arguments: argparse.Namespace, terminal: Terminal) -> int:
    run, plugins, verbs = arguments.run_folder, load_plugins(), verbs_of(arguments)
    go_on = verbs.keep_best if arguments.keep_best else verbs.resume
    with _told_if_complete(run, terminal):
        ended = watched(terminal, lambda emit, control, progress: go_on(run, plugins, emit, control, progress=progress))
    return tell_end(ended, run, terminal)


def _replan(arguments: argparse.Namespace, terminal: Terminal) -> int:
    run = arguments.run_folder
    folder = RunFolder.open(run)
    before = current(folder)
    change = change_from(arguments, before)
    training = replan(run, change, load_plugins())
    terminal.document({"run": str(run), "change": change.model_dump(mode="json", exclude_none=True), "training": training})
    stood = Change(lr=before.optimisation.lr if change.lr else None, freeze=before.freeze if change.freeze else None)
    when = "from its next epoch on" if training else f"when it is resumed (desktop-ft resume '{run}')"
    terminal.say(f"{folder.name}: {change.words} instead of {stood.words}, {when}.")
    return 0


@contextmanager
def _told_if_complete(run: Path, terminal: Terminal) -> Iterator[None]:
    """Where the block is cancelled with `run` trained to its end, say that this is kept, and what is missing."""
    try:
        yield
    except Cancelled:
        with suppress(UserError):  # there may be no run yet
            ended = RunFolder.open(run).history().ended
            if ended is not None and ended.status is RunStatus.COMPLETED:
                terminal.note(f"The training is complete and kept; its evaluation is missing: desktop-ft evaluate '{run}'")
        raise


def watched(terminal: Terminal, fit: Callable[[Emit, RunControl, PhaseProgress], RunEnded]) -> RunEnded:
    """Run `fit` with its progress shown, and signals that ask it to stop."""
    with ask_to_stop_on_signals(terminal) as control, watch(terminal) as (emit, progress):
        return fit(emit, control, progress)


def tell_end(ended: RunEnded, run: Path, terminal: Terminal) -> int:
    """Say how a run ended and what comes of it; returns the exit code."""
    folder = RunFolder.open(run)
    document: dict[str, object] = {"run": str(run), "status": ended.status.value, "error": ended.error}
    # A run that was cancelled after an earlier stop holds an evaluation of that stop: it is not this ending's.
    judged = ended.status in (RunStatus.COMPLETED, RunStatus.STOPPED)
    if judged and (evaluation := folder.evaluation) is not None:
        document |= {"accuracy": evaluation.accuracy.value, "interval": interval_of(evaluation)}
        show_accuracy(evaluation, terminal)
        if (start := start_of(folder.recipe)) and (said := start.not_surpassed(evaluation)):
            terminal.say(said)
    terminal.document(document)
    if ended.status is RunStatus.FAILED:
        code = terminal.fail(ended.error, _EXIT[ended.status])
        terminal.note(f"Go on with it by: desktop-ft resume '{run}'")
        return code
    if ended.status is RunStatus.COMPLETED:
        terminal.say(f"Run kept in {run}; its report is {folder.report}.")
    else:
        terminal.note(f"The run was {ended.status.value}. Go on with it by: desktop-ft resume '{run}'")
    return _EXIT[ended.status]
