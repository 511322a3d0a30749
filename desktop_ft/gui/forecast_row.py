"""How long the run will take, asked for before it starts, and the views that would make it shorter."""

import threading

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_ft.core.errors import UserError
from desktop_ft.core.forecast import Forecast
from desktop_ft.gui import words
from desktop_ft.gui.faults import describe
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import button, label, row
from desktop_ft.gui.worker import Report, Task
from desktop_ft.jobs.forecasting import forecast


class ForecastRow(QWidget):
    """A button, and what came of it. What was measured for another recipe is not shown any more."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._task: Task | None = None
        self._told: Forecast | None = None
        self.ask = button("How long?", self.measure, tip="Take a few steps, and say how long the whole run will take here.")
        self.answer = label(role="muted", wrap=True)
        self.answer.setVisible(False)
        self.take = button("", self._take_views)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row(self.ask, self.take, None))
        column.addWidget(self.answer)
        session.state.recipe_changed.connect(self._forget)
        session.state.manifest_changed.connect(self._forget)
        session.training.started.connect(self._forget)
        self.refresh()

    def refresh(self) -> None:
        """Show what can be done now."""
        self.ask.setEnabled(self._task is None and self._session.blocker() is None)
        told, views = self._told, self._session.state.recipe.optimisation.views
        better = told.recommended_views if told is not None and told.advice(views) else views
        self.take.setVisible(better != views)
        self.take.setText(f"Use {words.count(better, 'view')}")

    def measure(self) -> None:
        """Take a few steps of the run."""
        state, plugins = self._session.state, self._session.plugins
        recipe, manifest = state.recipe, state.manifest

        def work(report: Report, cancel: threading.Event) -> Forecast:
            return forecast(recipe, plugins, manifest, cancel=cancel)

        self._say("Taking a few steps…")
        self._task = self._session.worker.run(work, finished=self._show, failed=self._fail, cancelled=self._over)
        self.refresh()

    def _show(self, told: Forecast) -> None:
        views = self._session.state.recipe.optimisation.views
        if self._asked:
            self._say(f"{told.words(views)} {told.advice(views)}".strip())
            self._told = told
        self._over()

    def _fail(self, error: BaseException) -> None:
        if self._asked:
            self._say(str(error) if isinstance(error, UserError) else describe(error))
        self._over()

    @property
    def _asked(self) -> bool:
        """Whether what comes now is of the recipe as it is, and not of one that was changed meanwhile."""
        return self._task is not None and not self._task.cancel.is_set()

    def _say(self, text: str) -> None:
        self.answer.setText(text)
        self.answer.setVisible(bool(text))

    def _over(self) -> None:
        self._task = None
        self.refresh()

    def _forget(self) -> None:
        self._told = None
        self._say("")
        if self._task is not None:
            self._task.cancel.set()
        self.refresh()

    def _take_views(self) -> None:
        if self._told is None:
            return
        recipe = self._session.state.recipe
        optimisation = recipe.optimisation.model_copy(update={"views": self._told.recommended_views})
        self._session.state.edit("views", recipe.model_copy(update={"optimisation": optimisation}), "views")
