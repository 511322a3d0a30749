"""`lesson`."""

import argparse
import json
from collections.abc import Sequence

from desktop_ft.cli.run_commands import finish
from desktop_ft.cli.terminal import Terminal, call
from desktop_ft.core.errors import UserError
from desktop_ft.core.lesson import Lesson, LessonFigures, LessonStep
from desktop_ft.core.values import to_json
from desktop_ft.core.words import percent
from desktop_ft.jobs.help_texts import lesson
from desktop_ft.jobs.lesson import epochs_of, take_step
from desktop_ft.plugin_manager import load_plugins

_QUESTIONS = "questions"


def add_lesson_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command that explains fine-tuning by short runs."""
    parser = commands.add_parser(
        "lesson",
        help="explain fine-tuning in five steps, each shown by short runs on the sample that ships",
        description="Without a STEP: say which steps there are. With one: say what there is to understand, make its runs, and "
        "say what they came to. Nothing of them is kept. At the end there are questions.",
        epilog="Example: desktop-ft lesson 1",
    )
    parser.add_argument("step", nargs="?", metavar="STEP", help=f"the number of a step, or {_QUESTIONS}")
    finish(parser, _lesson)


def _lesson(arguments: argparse.Namespace, terminal: Terminal) -> int:
    whole, asked = lesson(), arguments.step
    if asked is None:
        _list(whole, terminal)
    elif asked == _QUESTIONS:
        _ask(whole, terminal)
    elif asked.isdecimal() and 1 <= int(asked) <= len(whole.step):
        _take(whole.step[int(asked) - 1], terminal)
    else:
        raise UserError(f"The lesson has no step '{asked}'.", f"Name one of 1 to {len(whole.step)}, or {_QUESTIONS}.")
    return 0


def _list(whole: Lesson, terminal: Terminal) -> None:
    terminal.document({"steps": [step.title for step in whole.step], "questions": len(whole.question)})
    for number, step in enumerate(whole.step, start=1):
        terminal.say(f"{number}. {step.title}")
    terminal.say(f"Take one: {call('lesson', '1')}. At the end: {call('lesson', _QUESTIONS)}.")


def _ask(whole: Lesson, terminal: Terminal) -> None:
    terminal.document({"questions": [json.loads(to_json(question)) for question in whole.question]})
    letters = "abcdefgh"
    for number, question in enumerate(whole.question, start=1):
        terminal.say(f"{number}. {question.ask}")
        for letter, answer in zip(letters, question.answers, strict=False):
            terminal.say(f"   {letter}) {answer}")
    terminal.say("\nThe answers:")
    for number, question in enumerate(whole.question, start=1):
        terminal.say(f"{number} {letters[question.right]}. {question.why}")


def _take(step: LessonStep, terminal: Terminal) -> None:
    terminal.say(f"{step.title}\n\n{step.say}\n")
    with terminal.progress(step.title) as progress:

        def tell(figures: Sequence[LessonFigures]) -> None:
            progress(sum(len(run.curve) for run in figures), epochs_of(step))

        result = take_step(step, load_plugins(), tell)
    terminal.document(json.loads(to_json(result)))
    rows = []
    for run in result.runs:
        if (reached := run.accuracy) is not None:
            interval = f"{percent(reached.low)} to {percent(reached.high)}"
            rows.append([run.title, percent(reached.value), interval, f"{run.seconds:.1f}"])
    terminal.table(["run", "accuracy", "95 % interval", "seconds"], rows, right=(1, 2, 3))
    for said in (*result.said, "", step.look, f"On your own pictures: {step.own}"):
        terminal.say(said)
