"""Whether something computes: beside it what is measured is no measure, and what else computes is slow."""

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal, SignalInstance

from desktop_ft.gui.worker import Task


class Computing(QObject):
    """All work that takes every core, as one question; `changed` comes whenever an answer is another."""

    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._watched: list[Callable[[], object]] = []
        self._yielding: list[tuple[Callable[[], object], Callable[[], None]]] = []
        self._tasks: list[Task] = []
        self._was = (False, False)
        self._next: Callable[[], None] | None = None

    @property
    def now(self) -> bool:
        """Whether something computes now."""
        return self.firmly or any(busy() for busy, _ in self._yielding)

    @property
    def firmly(self) -> bool:
        """Whether something does that ends for nothing else, or waits for its turn."""
        return self._next is not None or bool(self._tasks) or any(busy() for busy in self._watched)

    def watch(self, busy: Callable[[], object], *signals: SignalInstance, give_way: Callable[[], None] | None = None) -> None:
        """Ask `busy` from now on, for as long as the window is open; `signals` come where its answer may be another.

        Args:
            give_way: ends it where something else is asked for.
        """
        if give_way is None:
            self._watched.append(busy)
        else:
            self._yielding.append((busy, give_way))
        for signal in signals:
            signal.connect(self._look)

    def alone(self, begin: Callable[[], None]) -> None:
        """Call `begin` when nothing computes, at once or as soon as what gives way has ended. One waits at a time."""
        if not self.now:
            begin()
            return
        self._next = begin
        for busy, give_way in self._yielding:
            if busy():
                give_way()
        self._look()

    def shut_down(self) -> None:
        """Let nothing that waits begin any more."""
        self._next = None

    def follow(self, task: Task) -> None:
        """What does `task` computes, until it ends."""

        def over() -> None:
            self._tasks.remove(task)
            self._look()

        self._tasks.append(task)
        task.ended.connect(over)
        self._look()

    @property
    def _computes(self) -> bool:
        sources = (*self._watched, *(busy for busy, _ in self._yielding))
        return bool(self._tasks) or any(busy() for busy in sources)

    def _look(self, *_: object) -> None:
        before, self._was = self._was, (self.now, self.firmly)
        if self._next is not None and not self._computes:
            begin, self._next = self._next, None
            begin()
        if self._was != before:
            self.changed.emit()
