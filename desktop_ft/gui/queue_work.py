"""The queue in the window: what waits, and one run of it after another while it is worked at."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from desktop_ft import jobs
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.recipe import Recipe
from desktop_ft.gui.starting import Starting
from desktop_ft.gui.training_job import Training
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.queue import Queue, Waiting

if TYPE_CHECKING:
    from desktop_ft.jobs.queueing import QueuedRun


class QueueWork(QObject):
    """Works at the queue when it is asked to: whenever no run is under way, the next begins.

    `follows` tells what that is, of what waits, where a person lets a run end; `unfollows`, that this is true no more: a later
    one is under way, the order is another, or nothing begins by itself any more.

    Attributes:
        working: whether it goes on by itself.
        now: what of the queue is under way here. last: the folder of the run that was begun from it last.
    """

    changed = Signal()
    follows = Signal(object)
    unfollows = Signal()
    failed = Signal(object)

    def __init__(self, starting: Starting, training: Training, plugins: Plugins) -> None:
        super().__init__(training)
        self._starting = starting
        self._training = training
        self._plugins = plugins
        self._queue = Queue()
        self._holding = contextlib.ExitStack()
        self.working = False
        self.now: QueuedRun | None = None
        self.last: Path | None = None
        self._following: int | None = None
        training.asked_to_end.connect(self._tell_what_follows)
        training.ended.connect(self._ended)

    def entries(self) -> tuple[Waiting, ...]:
        """What waits, and what failed; nothing where the file is damaged, which is told."""
        try:
            return self._queue.entries()
        except UserError as error:
            self.failed.emit(error)
            return ()

    @property
    def waits(self) -> bool:
        """Whether there is something that can be trained."""
        return any(not each.error for each in self.entries())

    def add(self, recipe: Recipe) -> Waiting:
        """Let `recipe` wait behind all others. Raises UserError where it cannot be kept."""
        added = self._queue.add(recipe)
        self.changed.emit()
        return added

    def remove(self, number: int) -> None:
        """Take one out. Raises UserError where there is none."""
        self._queue.remove(number)
        self.unfollows.emit()
        self.changed.emit()

    def move(self, number: int, by: int) -> None:
        """Let one come so many places later. Raises UserError where there is none."""
        self._queue.move(number, by)
        self.unfollows.emit()
        self.changed.emit()

    def start(self) -> None:
        """Work at the queue from now on.

        Raises:
            UserError: another process does.
        """
        if not self.working:
            self._hold()
            self.working = True
            self._go_on()

    def go_on(self) -> None:
        """As `start`: it waits for nothing but its turn."""
        self.start()

    def pause(self) -> None:
        """Begin no other run; the one under way goes on."""
        self.working = False
        if self.now is None:
            self._holding.close()
        self.unfollows.emit()
        self.changed.emit()

    def _hold(self) -> None:
        if self.now is None:  # else it is held already
            self._holding.enter_context(self._queue.worked())

    def _go_on(self) -> None:
        """Begin the next run, unless one is under way or nothing waits any more."""
        if self.working and not self._training.running:
            try:
                self.now = jobs.queueing.next_run(self._queue, self._plugins, self._starting.verbs)
                if self.now is not None:
                    self.last = self.now.path
                    self._starting.begin(self.now.recipe, self.now.path, self.now.fit)
            except UserError as error:
                if self.now is not None:
                    self._queue.mark(self.now.number)  # it was not begun: nothing has broken off
                self.now = None
                self.failed.emit(error)
            if self.now is None:
                self.pause()
            elif self.now.number != self._following:
                self.unfollows.emit()
        self.changed.emit()

    def _tell_what_follows(self) -> None:
        if self.working:
            with contextlib.suppress(UserError):  # that it is damaged is told when the next is to begin
                if (following := self._queue.after(self.now.number if self.now is not None else None)) is not None:
                    self._following = following.number
                    self.follows.emit(following)

    def _ended(self, fault: BaseException | None) -> None:
        queued, self.now = self.now, None
        if queued is not None:
            ended = self._training.end or RunEnded(status=RunStatus.CANCELLED)
            try:
                jobs.queueing.settle(self._queue, queued.number, ended)
            except UserError as error:
                self.failed.emit(error)
                self.working = False
            if not self.working:
                self._holding.close()
        QTimer.singleShot(0, self._go_on)  # not from within this signal: pages still have to hear it
