"""How sure an answer must be, kept with a run in the background."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from desktop_ft import jobs
from desktop_ft.core.metrics import Threshold
from desktop_ft.gui.worker import Report, Worker
from desktop_ft.plugin_manager import Plugins


class Thresholds(QObject):
    """Keeps thresholds. `kept`, `failed` and `warned`, of the report that is drawn anew then, tell of which run."""

    kept = Signal(object)
    failed = Signal(object, object)
    warned = Signal(object, str)

    def __init__(self, worker: Worker, plugins: Plugins) -> None:
        super().__init__(worker)
        self._worker = worker
        self._plugins = plugins
        self._to_keep: deque[tuple[Path, Threshold | None]] = deque()

    def keep(self, run: Path, threshold: Threshold | None) -> None:
        """Keep with `run` how sure an answer must be; None: it answers always. Its report is drawn anew.

        One after another: of two that draw a report at once, the first could be the last to write it.
        """
        self._to_keep.append((run, threshold))
        if len(self._to_keep) == 1:
            self._keep_next()

    def _keep_next(self) -> None:
        (run, threshold), plugins, warnings = self._to_keep[0], self._plugins, list[str]()

        def work(report: Report, cancel: threading.Event) -> None:
            jobs.evaluating.keep_threshold(run, plugins, threshold, warn=warnings.append)

        def over() -> None:
            self._to_keep.popleft()
            if self._to_keep:
                self._keep_next()

        def kept(nothing: object) -> None:
            over()
            self.kept.emit(run)
            if warnings:
                self.warned.emit(run, "\n".join(warnings))

        def failed(error: BaseException) -> None:
            over()
            self.failed.emit(run, error)

        self._worker.run(work, finished=kept, failed=failed)
