"""What the run under way follows, and what it is to do otherwise while it goes on."""

from __future__ import annotations

import threading

from PySide6.QtCore import QObject, Signal

from desktop_ft import jobs
from desktop_ft.core.changes import Change, Course
from desktop_ft.core.recipe import Recipe
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.training_job import Training
from desktop_ft.gui.worker import Report, Worker
from desktop_ft.plugin_manager import Plugins


class Replanning(QObject):
    """The course of the run under way, and its changes, one at a time.

    `replanned` tells the change that was asked for, and whether the run still trains; `failed`, the change and why it cannot be.
    """

    replanned = Signal(object, bool)
    failed = Signal(object, object)

    def __init__(self, state: ProjectState, worker: Worker, plugins: Plugins, live: Training) -> None:
        super().__init__(state)
        self._state = state
        self._worker = worker
        self._plugins = plugins
        self._live = live
        self._under_way: Recipe | None = None
        self._asking = False
        self._asked: Change | None = None
        self._told_before = 0
        live.read.connect(self._read)

    @property
    def course(self) -> Course | None:
        """What the run under way follows, or will from its next epoch on as that was asked for; None where none trains."""
        recipe, live = self._under_way, self._live
        if recipe is None or not live.running or live.phase is not None or live.history.started is None:
            return None
        course = recipe.followed(0, 0)
        for told in live.history.replanned:
            course = course.altered(told.change, told.epoch)
        if self._asked is not None and len(live.history.replanned) <= self._told_before:
            course = course.altered(self._asked, 0)
        return course

    @property
    def can_change(self) -> bool:
        """Whether the run under way has an epoch left to begin, in which it could do otherwise."""
        started, epochs = self._live.history.started, self._live.history.epochs
        if self.course is None or self._asking or started is None:
            return False
        return max(started.first_epoch, epochs[-1].epoch + 1 if epochs else 0) < started.epochs - 1

    @property
    def can_replan(self) -> bool:
        """Whether the layers that are ticked now could learn in the run under way, and are not those that do."""
        recipe, now, course = self._under_way, self._state.recipe, self.course
        if recipe is None or course is None or not self.can_change:
            return False
        same = recipe.backbone == now.backbone and recipe.freeze.pretrained is now.freeze.pretrained
        return same and course.freeze != now.freeze

    def replan(self) -> None:
        """Let the layers that are ticked now learn in the run under way, from its next epoch on."""
        if self.can_replan:
            self.change(Change(freeze=self._state.recipe.freeze))

    def change(self, change: Change) -> None:
        """Let the run under way do otherwise, from its next epoch on."""
        run, plugins = self._live.run, self._plugins
        if run is None or not self.can_change:
            return

        def work(report: Report, cancel: threading.Event) -> bool:
            return jobs.replanning.replan(run, change, plugins)

        def asked(training: bool) -> None:
            self._asking = False
            if self._live.run == run:  # else it has ended meanwhile, and another has begun
                self._replanned(change, training)

        def failed(error: BaseException) -> None:
            self._asking = False
            self.failed.emit(change, error)

        self._asking = True
        self._worker.run(work, finished=asked, failed=failed)

    def follow(self, recipe: Recipe, asked: Change | None = None) -> None:
        """A run begins that follows `recipe`, and has not taken up yet what is `asked` of it."""
        self._under_way, self._asked, self._told_before = recipe, asked, 0

    def _read(self) -> None:
        self._told_before = len(self._live.history.replanned)

    def _replanned(self, change: Change, training: bool) -> None:
        waits = self._asked if len(self._live.history.replanned) <= self._told_before else None
        self._asked, self._told_before = change.after(waits), len(self._live.history.replanned)
        self.replanned.emit(change, training)
