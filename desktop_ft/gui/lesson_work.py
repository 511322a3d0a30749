"""The lesson's steps, made in the background one at a time; what each came to is kept for as long as the window is open."""

import threading
from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, Signal

from desktop_ft import jobs
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.lesson import LessonFigures, LessonResult
from desktop_ft.gui.training_job import Training
from desktop_ft.gui.worker import Report, Task, Worker
from desktop_ft.jobs import help_texts
from desktop_ft.plugin_manager import Plugins


class LessonWork(QObject):
    """Makes the runs of a step.

    Attributes:
        lesson: all of it, in the person's language.
        step: the place of the step whose runs are made, or were made last.
        results: what steps came to, by their places. broken_off: why steps came to nothing, when they were tried last.
        figures: of the runs under way, as far as they are.

    Args:
        is_free: whether nothing else is under way, beside which runs would be slow.
    """

    changed = Signal()
    progressed = Signal()

    def __init__(self, worker: Worker, training: Training, plugins: Plugins, is_free: Callable[[], bool]) -> None:
        super().__init__(worker)
        self._worker, self._plugins, self._is_free = worker, plugins, is_free
        self._task: Task | None = None
        self._told: list[Sequence[LessonFigures]] = [()]
        self.lesson = help_texts.lesson()
        self.step = 0
        self.results: dict[int, LessonResult] = {}
        self.broken_off: dict[int, BaseException] = {}
        training.started.connect(self._make_way)

    @property
    def running(self) -> bool:
        """Whether runs of a step are made."""
        return self._task is not None

    @property
    def can_start(self) -> bool:
        """Whether a step can be started now."""
        return self._task is None and self._is_free()

    @property
    def figures(self) -> Sequence[LessonFigures]:
        """Of the runs of `step`: as far as they are, or as they ended."""
        return self._told[0] if self.running else self.figures_of(self.step)

    def figures_of(self, step: int) -> Sequence[LessonFigures]:
        """Of the runs of a step that was done; else none."""
        return self.results[step].runs if step in self.results else ()

    @property
    def done(self) -> tuple[int, int]:
        """How many epochs of the runs under way are done, of how many in all."""
        return sum(len(run.curve) for run in self.figures), jobs.lesson.epochs_of(self.lesson.step[self.step])

    def start(self, number: int) -> None:
        """Make the runs of the step at the place `number`, if that can be done now."""
        if not self.can_start:
            return
        step, plugins = self.lesson.step[number], self._plugins
        told = self._told = [()]

        def work(report: Report, cancel: threading.Event) -> LessonResult:
            def tell(figures: Sequence[LessonFigures]) -> None:
                told[0] = tuple(figures)
                report(len(figures), len(step.runs))

            return jobs.lesson.take_step(step, plugins, tell, cancel)

        self.step = number
        self.broken_off.pop(number, None)
        self._task = self._worker.run(
            work,
            finished=self._finish,
            failed=self._fail,
            progressed=lambda *_: self.progressed.emit(),
            cancelled=self._over,
        )
        self.changed.emit()

    def cancel(self) -> None:
        """Give up the step under way; what was done before stays."""
        if self._task is not None:
            self._task.cancel.set()

    def _make_way(self) -> None:
        if self._task is not None:
            self.cancel()
            self.broken_off[self.step] = UserError(
                tr("A run began, and the step made way for it."), tr("Take it again after that.")
            )

    def _finish(self, result: LessonResult) -> None:
        self.results[self.step] = result
        self.broken_off.pop(self.step, None)  # it was done before it could make way
        self._over()

    def _fail(self, error: BaseException) -> None:
        self.broken_off[self.step] = error
        self._over()

    def _over(self) -> None:
        self._task = None
        self.changed.emit()
