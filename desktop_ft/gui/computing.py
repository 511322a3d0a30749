"""Whether something computes: beside it what is measured is no measure, and what else computes is slow."""

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal, SignalInstance

from desktop_ft.gui.worker import Task


class Computing(QObject):
    """All work that takes every core, as one question; `changed` comes whenever its answer is another."""

    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._watched: list[Callable[[], object]] = []
        self._tasks: list[Task] = []
        self._was = False

    @property
    def now(self) -> bool:
        """Whether something computes now."""
        return bool(self._tasks) or any(busy() for busy in self._watched)

    def watch(self, busy: Callable[[], object], *signals: SignalInstance) -> None:
        """Ask `busy` from now on, for as long as the window is open; `signals` come where its answer may be another."""
        self._watched.append(busy)
        for signal in signals:
            signal.connect(self._look)

    def follow(self, task: Task) -> None:
        """What does `task` computes, until it ends."""

        def over() -> None:
            self._tasks.remove(task)
            self._look()

        self._tasks.append(task)
        task.ended.connect(over)
        self._look()

    def _look(self, *_: object) -> None:
        before, self._was = self._was, self.now
        if self._was != before:
            self.changed.emit()
