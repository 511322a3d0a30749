"""The run whose results are looked at: opened, shown when its training is over, and left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import QObject, Signal

from desktop_ft import jobs
from desktop_ft.core.errors import UserError
from desktop_ft.core.metrics import ExportReport, MetricHistory
from desktop_ft.gui.readiness import refuse_beside
from desktop_ft.gui.state import ProjectState
from desktop_ft.gui.training_job import Training
from desktop_ft.gui.worker import Newest, Worker
from desktop_ft.runs.run_folder import RunFolder

_Kept = TypeVar("_Kept")
_AT_ONCE = 1_000_000
"""So many bytes of results are read in less than a blink; more of them in the background."""
_OF_A_RUN = ("results", "export")


class ShownRun(QObject):
    """Shows what is kept of a run. `unread` tells what of it cannot be shown, `left` that none is to be shown any more.

    Args:
        under_way: what keeps a run from being opened now; "" where nothing does.
    """

    unread = Signal(object)
    left = Signal()

    def __init__(self, state: ProjectState, worker: Worker, live: Training, under_way: Callable[[], str]) -> None:
        super().__init__(state)
        self._state = state
        self._live = live
        self._under_way = under_way
        self._reading: Path | None = None
        self._shown_of: dict[Path, Path] = {}  # the run that was shown last of a folder that was left
        self._newest = Newest(worker, self._was_read, self._not_read, self)
        live.ended.connect(self._trained)

    @property
    def reading(self) -> bool:
        """Whether what is kept of the run that is shown is still to come."""
        return self._reading is not None and self._reading == self._state.run

    def open(self, run: Path) -> None:
        """Show the results of the run in the folder `run`; where these are many, they come when they are read.

        Raises:
            UserError: it is no run, or something is under way. Of what is damaged in it `unread` tells.
        """
        refuse_beside(self._under_way())
        self._show_results(RunFolder.open(run), with_history=True)
        jobs.run_list.remember(run)  # one that trains does so itself, unless it is a part of something else

    def leave_others(self, folder: str) -> None:
        """Show no run any more that learned from other pictures than those in `folder`; what is under way for it ends.

        The one that was shown when `folder` was left is shown again.
        """
        run, here = self._state.run, Path(folder).resolve()
        pictures = _pictures_of(run) if run is not None else None
        if run is not None and pictures != here:
            if pictures is not None:
                self._shown_of[pictures] = run
            self.leave()
        back = self._shown_of.pop(here, None)
        if back is not None and self._state.run is None and not self._live.running:
            with suppress(UserError):  # it was deleted since: nothing to show
                self._show_results(RunFolder.open(back), with_history=True)

    def leave(self) -> None:
        """Show no run any more."""
        self.left.emit()
        self._live.forget()
        self._state.set_run(None, None)

    @property
    def keeps_another_shown(self) -> bool:
        """Whether the results of another run than the one that trained last are looked at."""
        return self._state.run not in (None, self._live.run) and self._state.page in _OF_A_RUN

    def _trained(self, fault: BaseException | None) -> None:
        """Show the results, where the project is still about the pictures that were learned. Curves and ending are live.

        Whoever looks at another run keeps it in sight: the bottom of the window says that this one is over, and leads to it.
        """
        run, folder = self._live.run, self._state.recipe.dataset.folder
        if self.keeps_another_shown:
            return
        if run is None or not (run / "recipe.toml").is_file() or _pictures_of(run) != Path(folder).resolve():
            return
        try:
            self._show_results(RunFolder.open(run), with_history=False)
        except UserError as error:
            self.unread.emit(error)

    def _show_results(self, folder: RunFolder, *, with_history: bool) -> None:
        at_once = folder.result_bytes <= _AT_ONCE
        self._reading = None if at_once else folder.path
        if not at_once:
            self._state.set_run(folder.path, None)
            if with_history:
                self._live.show(folder.path, MetricHistory())
            self._newest.ask(lambda report, cancel: _read(folder, with_history))
            return
        found = _read(folder, with_history)
        judged = found.judged
        self._state.set_run(folder.path, judged.evaluation if judged else None, found.export, judged.root if judged else None)
        if found.history is not None:
            self._live.show(folder.path, found.history)
        self._tell(found)

    def _was_read(self, found: _Read) -> None:
        if found.run != self._reading:
            return  # another run was opened meanwhile
        self._reading = None
        if found.run != self._state.run:
            return  # none is shown any more
        if found.history is not None and self._live.run == found.run:
            self._live.show(found.run, found.history)
        judged = found.judged
        self._state.set_export(found.export)
        self._state.set_evaluation(judged.evaluation if judged else None, None, judged.root if judged else None)
        self._tell(found)

    def _not_read(self, error: BaseException) -> None:
        if self._reading is not None:
            self._was_read(_Read(run=self._reading))
            self.unread.emit(error)

    def _tell(self, found: _Read) -> None:
        for fault in found.faults:
            self.unread.emit(fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What is kept of a run: the curves, where they were asked for; the evaluation and the last export, if there is one; and what
    is damaged.
    """

    run: Path
    history: MetricHistory | None = None
    judged: jobs.evaluating.Judged | None = None
    export: ExportReport | None = None
    faults: tuple[UserError, ...] = ()


def _read(folder: RunFolder, with_history: bool) -> _Read:
    """What is damaged costs nothing of the rest."""
    faults = list[UserError]()

    def whole(read: Callable[[], _Kept]) -> _Kept | None:
        try:
            return read()
        except UserError as error:
            faults.append(error)
            return None

    whole(lambda: folder.recipe)  # read where it is needed; that it is damaged is told here
    history = whole(folder.history) if with_history else None
    judged = whole(lambda: jobs.evaluating.kept(folder, faults.append))
    exports = whole(lambda: folder.export_reports)
    for report in exports or ():
        folder.exported(report)  # where a large file must be read for that, it is known from here on
    export = exports[-1] if exports else None
    return _Read(run=folder.path, history=history, judged=judged, export=export, faults=tuple(faults))


def _pictures_of(run: Path) -> Path | None:
    try:
        return Path(RunFolder.open(run).recipe.dataset.folder).resolve()
    except UserError:  # it has gone since, or is damaged
        return None
