"""What can be done with a whole freeze plan: copy it, paste one, and compare it with another."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QShowEvent
from PySide6.QtWidgets import QMenu, QPushButton

from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import PRESETS, FreezePlan
from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.palette import Entry, Palette
from desktop_ft.gui.plan_clipboard import plan_of_clipboard
from desktop_ft.gui.session import Session
from desktop_ft.gui.worker import Newest, Report
from desktop_ft.jobs import run_list
from desktop_ft.jobs.replanning import current
from desktop_ft.runs.index import RunSummary
from desktop_ft.runs.run_folder import RunFolder


class PlanMenu(QPushButton):
    """A button with a menu: what the window's menu Edit does with a plan, and comparing, of which `compared` tells the other
    plan (None: compare no more) and its name.
    """

    compared = Signal(object, str)
    failed = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__(tr("Plan"))
        self.setAutoDefault(False)
        self.setToolTip(tr("Copy this plan, paste one, or compare it with another."))
        self._session = session
        self._listing = Newest(session.worker, self._choose_run, self.failed.emit, self)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self._compare = menu.addSeparator()
        self.presets = QMenu(tr("Compare &with"), menu)
        menu.addMenu(self.presets)
        for number, (name, what) in enumerate(PRESETS.items(), start=1):
            self._add(self.presets, f"&{number} {name}", partial(self._compare_with, name), tr(what))
        self.presets.addSeparator()
        self.with_copied = self._add(
            self.presets, tr("The plan that was &copied"), self._compare_copied, tr("What is on the clipboard.")
        )
        self.with_run = self._add(self.presets, tr("The plan of a &run…"), self._list_runs, tr("Choose among your runs."))
        self.stop = self._add(menu, tr("Compare &no more"), self._stop, tr("Show this plan alone."))
        self.stop.setEnabled(False)
        self.setMenu(menu)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Take in the window's own actions, once there is a window."""
        super().showEvent(event)
        found = (self.window().findChild(QAction, name) for name in ("plan.copy", "plan.options", "plan.paste"))
        self.menu().insertActions(self._compare, [action for action in found if action is not None])

    def set_comparing(self, comparing: bool) -> None:
        """Whether the plan is compared with another one now."""
        self.stop.setEnabled(comparing)

    def compare_with_run(self, run: Path) -> None:
        """Compare with what learns in the run in the folder `run`."""
        try:
            plan = current(RunFolder.open(run)).freeze
        except UserError as error:
            self.failed.emit(error)
        else:
            self.compared.emit(plan, tr("the run {name}", name=words.printable(run.name)))

    def _add(self, menu: QMenu, text: str, do: Callable[..., object], tip: str) -> QAction:
        action = QAction(text, menu)
        action.setToolTip(tip)
        action.triggered.connect(do)
        menu.addAction(action)
        return action

    def _compare_with(self, preset: str, checked: bool = False) -> None:
        plan = self._session.state.recipe.freeze
        self.compared.emit(plan.with_preset(preset), preset)

    def _compare_copied(self) -> None:
        try:
            plan: FreezePlan = plan_of_clipboard()
        except UserError as error:
            self.failed.emit(error)
        else:
            self.compared.emit(plan, tr("the copied plan"))

    def _list_runs(self) -> None:
        def work(report: Report, cancel: threading.Event) -> list[RunSummary]:
            return run_list.listed()

        self._listing.ask(work)

    def _choose_run(self, runs: list[RunSummary]) -> None:
        entries = [
            Entry(
                text=words.printable(run.name),
                place=run.preset,
                keys="",
                tip=f"{_told(run)} {run.tags} {words.printable(run.note)}",
                run=partial(self.compare_with_run, Path(run.path)),
                enabled=run.status != "damaged",
            )
            for run in runs
        ]
        if entries:
            Palette(entries, self.window(), tr("Compare with the plan of a run")).open()
        else:
            self.failed.emit(UserError(tr("There are no runs yet."), tr("Train one, and compare with its plan then.")))

    def _stop(self) -> None:
        self.compared.emit(None, "")


def _told(run: RunSummary) -> str:
    """The run in a sentence."""
    pictures, state = words.printable(run.dataset), words.state(run.status)
    return tr("{network} on {pictures}, {state}.", network=run.backbone, pictures=pictures, state=state)
