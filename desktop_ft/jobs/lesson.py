"""The lesson's runs: a step is a few short ones, made for real on the sample that ships, judged and thrown away."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import EpochDone, RunStatus, TrainEvent
from desktop_ft.core.language import tr
from desktop_ft.core.lesson import Lesson, LessonFigures, LessonResult, LessonRun, LessonStep
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.help_texts import lesson
from desktop_ft.jobs.kept import kept_in
from desktop_ft.jobs.scanning import sample_folder, write_sample
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from desktop_ft.core.metrics import Evaluation

Tell = Callable[[Sequence[LessonFigures]], None]
_SURE = 0.05


def epochs_of(step: LessonStep) -> int:
    """How many epochs the runs of `step` have, all together."""
    return sum(lesson().recipe(step, run, lesson().sample).optimisation.epochs for run in step.runs)


def take_step(
    step: LessonStep, plugins: Plugins, tell: Tell = lambda figures: None, cancel: threading.Event | None = None
) -> LessonResult:
    """Make the runs of `step` one after another, and compare each with the first. Imports torch.

    Every run starts from nothing, so that the seconds can be compared: what frozen layers answer in one the next does not know,
    and what only the first has to load is not counted. No plugin hears of them.

    Args:
        tell: told the figures of all runs so far, whenever an epoch is done and when a run has ended.

    Raises:
        UserError: a run failed. Cancelled: as asked.
    """
    whole = lesson()
    done: list[LessonFigures] = []
    judged: list[Evaluation] = []
    folder = write_sample(plugins, whole.sample, sample_folder(whole.sample))
    plugins = plugins.without_sinks()
    for run in step.runs:
        figures, evaluation = _made(whole, step, run, folder, plugins, lambda now: tell((*done, now)), cancel)
        done.append(figures)
        judged.append(evaluation)
        tell(done)
    return LessonResult(runs=tuple(done), said=_said(done, judged))


def _made(
    whole: Lesson,
    step: LessonStep,
    run: LessonRun,
    folder: Path,
    plugins: Plugins,
    tell: Callable[[LessonFigures], None],
    cancel: threading.Event | None,
) -> tuple[LessonFigures, Evaluation]:
    recipe, cancelled = whole.recipe(step, run, str(folder)), cancel or threading.Event()
    now = LessonFigures(title=run.title, epochs=recipe.optimisation.epochs)
    tell(now)

    def hear(event: TrainEvent) -> None:
        nonlocal now
        if isinstance(event, EpochDone):
            now = replace(now, curve=(*now.curve, event.val_accuracy), seconds=event.seconds)
            tell(now)

    with tempfile.TemporaryDirectory(prefix="desktop-ft-lesson-") as place, kept_in(Path(place) / "kept"):
        path = Path(place) / "run"
        ended = train(recipe, path, plugins, hear, RunControl(cancel=cancelled))
        evaluation = RunFolder.open(path).evaluation
    if ended.status is RunStatus.FAILED:
        raise UserError(ended.error, tr("Put that right, then take the step again."))
    if ended.status is not RunStatus.COMPLETED or evaluation is None:
        raise Cancelled
    return replace(now, accuracy=evaluation.accuracy), evaluation


def _said(runs: Sequence[LessonFigures], judged: Sequence[Evaluation]) -> tuple[str, ...]:
    """How each run but the first compares with the first, by the exact paired test, corrected for all; and what a p is."""
    import numpy as np

    from desktop_ft.evaluation.comparing import chance, chance_told
    from desktop_ft.evaluation.paired import difference_interval, holm, sign_flip

    first, *others = [np.array([[said.predicted == said.label for said in each.answers]]) for each in judged]
    ps = holm([sign_flip(right, first) for right in others])
    said = []
    for run, right, p in zip(runs[1:], others, ps, strict=True):
        difference = difference_interval(right, first).value
        told = {
            "run": run.title,
            "first": runs[0].title,
            "points": f"{100 * abs(difference):.1f}",
            "chance": chance(p),
        }
        if p >= _SURE:
            said.append(tr("{run}: not told apart from '{first}' by these pictures ({points} points; {chance}).", **told))
        elif difference > 0:
            said.append(tr("{run}: {points} points better than '{first}' ({chance}).", **told))
        else:
            said.append(tr("{run}: {points} points worse than '{first}' ({chance}).", **told))
    return (*said, chance_told())
