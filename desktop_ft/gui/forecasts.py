"""How long the run will take and what its steps need: measured for the recipe as it stands, and told of no other."""

import threading
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from desktop_ft import jobs
from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.forecast import Forecast
from desktop_ft.gui.faults import words_of
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.training_job import Training
from desktop_ft.gui.worker import Report, Task, Worker
from desktop_ft.plugin_manager import Plugins


class Forecasts(QObject):
    """One forecast for all pages that show it.

    Attributes:
        told: of the recipe as it stands; None while unknown.
        fault: why it could not be had, in a sentence; "" if it could.

    Args:
        startable: whether a run could start now, with nothing else under way.
    """

    changed = Signal()

    def __init__(
        self, state: ProjectState, worker: Worker, plugins: Plugins, training: Training, startable: Callable[[], bool]
    ) -> None:
        super().__init__(state)
        self._state = state
        self._worker = worker
        self._plugins = plugins
        self._startable = startable
        self._task: Task | None = None
        self.told: Forecast | None = None
        self.fault = ""
        self._known: dict[str, Forecast] = {}
        self._known_of: DatasetManifest | None = None
        for signal in (state.recipe_changed, state.manifest_changed):
            signal.connect(self._edited)
        training.started.connect(self._forget)

    @property
    def running(self) -> bool:
        """Whether steps are being taken, for the recipe as it stands."""
        return self._asked

    @property
    def can_measure(self) -> bool:
        """Whether a forecast can be asked for now."""
        return self._task is None and self._startable()

    def measure(self) -> None:
        """Take a few steps of the run, if it can be done now."""
        if not self.can_measure:
            return
        recipe, manifest, plugins = self._state.recipe, self._state.manifest, self._plugins

        def work(report: Report, cancel: threading.Event) -> Forecast:
            return jobs.forecasting.forecast(recipe, plugins, manifest, cancel=cancel)

        self.told, self.fault = None, ""
        self._task = self._worker.run(work, finished=self._know, failed=self._fail, cancelled=self._over)
        self.changed.emit()

    @property
    def _asked(self) -> bool:
        """Whether what comes now is of the recipe as it is, and not of one that was changed meanwhile."""
        return self._task is not None and not self._task.cancel.is_set()

    def _know(self, told: Forecast) -> None:
        if self._asked:
            self.told = told
            self._remember(told)
        self._over()

    def _fail(self, error: BaseException) -> None:
        if self._asked:
            self.fault = " ".join(words_of(error))
        self._over()

    def _over(self) -> None:
        self._task = None
        self.changed.emit()

    def _edited(self) -> None:
        self._forget(self._recalled())

    def _forget(self, recalled: Forecast | None = None) -> None:
        """What was told was of another recipe; `recalled` is what is known of this one."""
        self.told, self.fault = recalled, ""
        if self._task is not None:
            self._task.cancel.set()
        self.changed.emit()

    def _remember(self, told: Forecast) -> None:
        if self._known_of is not self._state.manifest:
            self._known, self._known_of = {}, self._state.manifest
        self._known[self._state.recipe.model_dump_json()] = told

    def _recalled(self) -> Forecast | None:
        """What was measured before of the same recipe and pictures, as after an edit that was undone."""
        if self._known_of is not self._state.manifest:
            return None
        return self._known.get(self._state.recipe.model_dump_json())
