"""The page Runs: the person's runs, several of them compared, what is written about them, and the ways on from one."""

import datetime
import html
import os
import shlex
import subprocess  # for its quoting
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from desktop_ft import places
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import RunStatus
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.core.recipe import Recipe, differences
from desktop_ft.core.run_note import RunNote, tags_in
from desktop_ft.core.words import epoch_count
from desktop_ft.gui import trash, words
from desktop_ft.gui.folders import show_folder
from desktop_ft.gui.picker import choose_folder
from desktop_ft.gui.plots import colour_plot, fit_height, free_plot, make_plot
from desktop_ft.gui.run_notes import RunNotes
from desktop_ft.gui.session import Session
from desktop_ft.gui.table import ROW_ROLE, Column, table
from desktop_ft.gui.widgets import Empty, Notice, Page, button, enable_or_say, filling, label, letters_width, row, splitter
from desktop_ft.gui.worker import Newest, Report
from desktop_ft.jobs import run_list
from desktop_ft.jobs.evaluating import write_report
from desktop_ft.jobs.running import recorded_run
from desktop_ft.runs.index import RunSummary
from desktop_ft.runs.run_folder import RunFolder

_DAMAGED = "damaged"
_RUNNING = "running"
_COLOURS = ("#3b82f6", "#e8590c", "#0b9a6d", "#ae3ec9", "#c77700", "#1098ad", "#e64980", "#7d858d")
"""Of the runs that are compared: at least 3 to 1 against the ground of both themes."""
_FIELD, _VALUE = 15, 12
"""Widths of the table of differences, in average characters: beside the list there is room for a field and two values."""
_MOST_COMPARED = 3 * len(_COLOURS)
"""Of more than so many nobody tells the curves apart, and each is read in full."""


def _when(run: RunSummary) -> str:
    begun = datetime.datetime.fromtimestamp(run.created)
    this_year = begun.year == datetime.datetime.now().year
    return tr("{begun:%d %b %H:%M:%S}", begun=begun) if this_year else f"{begun:%Y-%m-%d %H:%M}"


def _told(run: RunSummary) -> str:
    """What tells the run from another, where cells have no room for it."""
    learned = [tr("learning rate {rate:g}", rate=run.rate)] * (run.rate > 0) + [words.duration(run.seconds)] * (run.seconds > 0)
    lines = (
        (f"{datetime.datetime.fromtimestamp(run.created):%Y-%m-%d %H:%M:%S}", words.state(run.status)),
        (words.printable(run.dataset), run.backbone, run.preset),
        (epoch_count(run.epochs), *learned),
        (words.printable(run.path),),
    )
    return "\n".join(" · ".join(filter(None, line)) for line in lines)


def _accuracy(run: RunSummary) -> str:
    return "–" if run.accuracy is None else words.percent(run.accuracy)


def _accuracy_tip(run: RunSummary) -> str:
    known = run_list.accuracy_of(run)
    if known is None:
        return _accuracy(run)
    share = words.interval(known)
    return tr_n("{share} on {n:,} validation picture", "{share} on {n:,} validation pictures", n=run.judged, share=share)


COLUMNS = (
    Column(title=marked("Begun"), text=_when, sort=lambda run: run.created, tip=_told, width=15),
    Column(title=marked("Pictures"), text=lambda run: words.printable(run.dataset), tip=_told, width=8),
    Column(title=marked("Network"), text=lambda run: run.backbone, tip=_told, width=15),
    Column(
        title=marked("Learns"),
        text=lambda run: run.preset,
        tip=_told,
        width=12,
        help=marked("Which layers learn: the freeze plan."),
    ),
    Column(
        title=marked("State"),
        text=lambda run: words.state(run.status),
        tip=_told,
        width=10,
        among=tuple(words.STATES.values()),
    ),
    Column(
        title=marked("Accuracy"),
        text=_accuracy,
        tip=_accuracy_tip,
        sort=lambda run: -1.0 if run.accuracy is None else run.accuracy,
        bar=lambda run: run.accuracy or 0.0,
        number=True,
        width=9,
        help=marked("Of the best epoch, on the validation pictures."),
    ),
    Column(title=marked("Tags"), text=lambda run: run.tags, help=marked("Your own words for it: write them on the right.")),
    Column(title=marked("Note"), text=lambda run: run.note),
)
_NOTE = len(COLUMNS) - 1


@dataclass(frozen=True, slots=True)
class _Compared:
    """A run with all that is compared."""

    run: RunSummary
    recipe: Recipe
    history: MetricHistory


class RunsPage(Page):
    """A table on the left; on the right the curves of what is selected there, in what its recipes differ, and notes."""

    def __init__(self, session: Session) -> None:
        super().__init__(
            tr("Runs"),
            tr(
                "Your runs in {folder}, and those you keep elsewhere. Select several to compare them.",
                folder=words.printable(str(places.runs())),
            ),
        )
        self._session = session
        self._compared: tuple[_Compared, ...] = ()
        self._shut = False
        self._noted_since: dict[str, RunNote] = {}
        self._wanted = set[str]()  # what was selected last, though the filter may hide it
        self._listing = Newest(session.worker, self._show_runs, self._failed, self)
        self._comparing = Newest(session.worker, self._show_compared, self._not_compared, self)
        self.notice = Notice()
        self.notes = RunNotes()
        self.notes.kept.connect(self._noted)
        self.notes.failed.connect(self._failed)
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Filter, also by #tag and note"))
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName(tr("Filter the runs"))
        self.runs = table(COLUMNS, session.theme, tr("Runs"))
        self.runs.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.runs.setColumnHidden(_NOTE, True)  # found by the filter, and written on the right
        self.runs.sortByColumn(0, Qt.SortOrder.DescendingOrder)
        self.search.textChanged.connect(self._filter)
        self.runs.selectionModel().selectionChanged.connect(self._selected)
        self.runs.activated.connect(self._open)
        self.empty = Empty(
            tr("No runs yet"),
            tr("Runs are listed here, with their curves, recipes and results. One of yours from elsewhere can be added."),
            button(tr("Add a run…"), self._add),
        )
        self.none_fits = Empty(
            tr("No run fits the filter"),
            tr("It looks for what is typed in every column, and in the notes."),
            button(tr("Clear the filter"), self.search.clear),
        )
        self.none_fits.hide()
        self.body.addWidget(self.notice)
        self.contents = splitter("runs", session.settings, self._left(), self._right(), shares=(9, 4))
        self.body.addWidget(filling(self.empty, self.contents), 1)
        for changed in (session.training.started, session.training.ended, session.runs.trashed, session.runs.returned):
            changed.connect(self.refresh)
        session.runs.returned.connect(self._returned)
        for signal in (*session.can_open_changed, session.broken_off.changed):
            signal.connect(self._enable)
        session.theme.changed.connect(self._draw)
        self.contents.hide()
        self.empty.hide()  # nobody has looked yet
        self._selected()

    def refresh(self) -> None:
        """List the runs anew, in the background; nothing where nobody sees them, as they are listed whenever they are shown."""
        if not self.isVisible():
            return

        def work(report: Report, cancel: threading.Event) -> list[RunSummary]:
            return run_list.listed()

        self._noted_since.clear()  # what is written so far stands in what is listed; what is written from now on need not
        self._listing.ask(work)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Other processes make runs, too."""
        super().showEvent(event)
        self.refresh()

    def keep(self) -> UserError | None:
        """Keep what was written about runs."""
        return self.notes.save_all()

    def shut_down(self) -> None:
        """Free the plot; what is still being read is not shown any more, what was typed is kept."""
        self._shut = True
        self.notes.save_all()
        free_plot(self.plot)

    def _left(self) -> QWidget:
        self.open = button(tr("Open"), self._open, primary=True, tip=tr("Show its results."))
        self.resume = button(tr("Go on training"), self._resume, tip=tr("From the last checkpoint, as if it had never stopped."))
        self.repeat = button(tr("Run again"), self._run_again, tip=tr("Train with the same recipe once more, into a new run."))
        self.again = button(
            tr("Use its recipe"),
            self._use_recipe,
            tip=tr("Start from all that decided this run, its pictures too. Undo takes it back."),
        )
        self.report = button(tr("Report"), self._report, tip=tr("Show all that is known of it as one page that can be printed."))
        self.add = button(tr("Add a run…"), self._add, tip=tr("List a run here that lies in another folder."))
        self.command = button(tr("Copy command"), self._copy, tip=tr("The command line that repeats this run."))
        self.folder = button(tr("Show folder"), self._show_folder)
        self.trash = button(
            tr("Move to trash"), self._trash, tip=tr("Where the system keeps what was deleted, until it is emptied.")
        )
        delete = QShortcut(QKeySequence.StandardKey.Delete, self.runs, context=Qt.ShortcutContext.WidgetShortcut)
        delete.setAutoRepeat(False)  # the neighbour is selected then: a key held down would throw all away
        delete.activated.connect(self.trash.click)
        left = QWidget()
        layout = QVBoxLayout(left)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(self.search, self.add))
        layout.addWidget(filling(self.runs, self.none_fits), 1)
        layout.addLayout(row(self.open, self.repeat, self.again, self.resume, None))
        layout.addLayout(row(self.report, self.command, self.folder, self.trash, None))
        return left

    def _right(self) -> QWidget:
        self.plot = make_plot(tr("Accuracy on validation, %"), tr("epoch"))
        self.legend = label(wrap=True)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.differences = QTableWidget()
        self.differences.setObjectName("differences")
        self.differences.setAccessibleName(tr("Differences between the recipes"))
        self.differences.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.differences.setTabKeyNavigation(False)
        self.differences.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.differences.verticalHeader().hide()
        columns = self.differences.horizontalHeader()
        columns.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        columns.setMinimumSectionSize(letters_width(self, _VALUE))
        columns.sectionResized.connect(self.differences.resizeRowsToContents)  # what is too long goes on in the next line
        self.same = label(role="muted", wrap=True)
        self.some = label(role="muted", wrap=True)
        self.some.hide()
        self.tabs = QTabWidget()
        curves = QWidget()
        column = QVBoxLayout(curves)
        column.addWidget(self.plot, 1)
        self.tabs.addTab(curves, tr("Curves"))
        self.tabs.addTab(filling(self.same, self.differences), tr("Differences"))
        right = QWidget()
        layout = QVBoxLayout(right)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.some)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.legend)
        layout.addWidget(self.notes)
        return right

    @property
    def selected(self) -> tuple[RunSummary, ...]:
        """The runs that are selected, in the table's order."""
        return tuple(index.data(ROW_ROLE) for index in sorted(self.runs.selectionModel().selectedRows()))

    def _show_runs(self, found: list[RunSummary]) -> None:
        found = [_with_note(run, self._noted_since.get(run.path)) for run in found]
        first = {run.path for run in found[:1]}
        wanted = self._wanted if self.runs.rows.rows else first  # never another one than the person sees selected
        self.runs.rows.set_rows(found)
        self.empty.setVisible(not found)
        self.contents.setVisible(bool(found))
        self._say_where_none_fits()
        self._choose(wanted)
        if not self.selected:
            self._selected()  # what was selected went with the old rows, of which no signal tells
            self._wanted = wanted

    def _filter(self) -> None:
        wanted = self._wanted
        self.runs.proxy.setFilterFixedString(self.search.text())
        self._say_where_none_fits()
        self._choose(wanted)

    def _choose(self, wanted: set[str]) -> None:
        """Select the runs in the folders `wanted`; one that is not shown, as soon as it is, unless another is meanwhile."""
        self.runs.choose(lambda run: run.path in wanted)
        self._wanted = wanted

    def _say_where_none_fits(self) -> None:
        fits = self.runs.proxy.rowCount() > 0
        self.runs.setVisible(fits)
        self.none_fits.setVisible(not fits)

    def _selected(self) -> None:
        self._enable()
        runs = self.selected
        self._wanted = {run.path for run in runs}
        self._show_note(runs[0] if len(runs) == 1 else None)
        compared = [run for run in runs if run.status != _DAMAGED][:_MOST_COMPARED]
        self.some.setVisible(len(runs) > _MOST_COMPARED)
        self.some.setText(
            tr("{n:,} runs are selected: the first {most:,} of them are compared.", n=len(runs), most=_MOST_COMPARED)
        )

        def work(report: Report, cancel: threading.Event) -> tuple[_Compared, ...]:
            return tuple(_read(run, cancel) for run in compared)

        self._comparing.ask(work)

    def _enable(self) -> None:
        if self.puts_off(self._enable):
            return
        runs, busy = self.selected, self._session.obstacle
        states = {run.status for run in runs}
        not_one = "" if len(runs) == 1 else tr("Select one run.")
        damaged = not_one or (tr("It is damaged: Open says what is.") if _DAMAGED in states else "")
        trained = tr("It is being trained.") if _RUNNING in states else ""
        complete = tr("It is complete: there is nothing to go on with.") if RunStatus.COMPLETED in states else ""
        enable_or_say(self.open, not_one or busy)  # it says what is damaged, and shows the rest
        for way in (self.again, self.repeat):
            enable_or_say(way, damaged or busy)
        for way in (self.command, self.report):
            enable_or_say(way, damaged)
        enable_or_say(self.folder, not_one)
        enable_or_say(self.resume, damaged or complete or busy or trained)
        offered = self._session.broken_off.offered  # at the top of the window, with the same way on
        self.resume.setVisible(offered is None or [run.path for run in runs] != [str(offered.run)])
        enable_or_say(self.trash, busy or trained or ("" if runs else tr("Select a run.")))

    def _show_compared(self, compared: tuple[_Compared, ...]) -> None:
        self._compared = compared
        self._draw()
        self._show_differences()

    def _draw(self) -> None:
        if self._shut or self.puts_off(self._draw):
            return
        colours = self._session.theme.colours
        colour_plot(self.plot, colours)
        item = self.plot.getPlotItem()
        item.clear()
        for number, each in enumerate(self._compared):
            pen = pg.mkPen(_COLOURS[number % len(_COLOURS)], width=2 * self.devicePixelRatioF())
            epochs = np.array([epoch.epoch + 1.0 for epoch in each.history.epochs])
            accuracy = np.array([100 * epoch.val_accuracy for epoch in each.history.epochs])
            symbol: dict[str, Any] = {"symbol": "o", "symbolSize": 5, "symbolBrush": pen.color(), "symbolPen": pen.color()}
            item.plot(epochs, accuracy, pen=pen, **symbol)
        fit_height(self.plot, (0, 100))
        said = [f"{html.escape(_when(each.run))} {html.escape(each.run.preset)}" for each in self._compared]
        letters = ascii_uppercase if len(said) > 1 else ""  # as in the table of differences
        squares = [
            f'<span style="color:{_COLOURS[number % len(_COLOURS)]}">■</span> {letters[number : number + 1]}'
            for number in range(len(said))
        ]
        self.legend.setText("<br>".join(" ".join(pair) for pair in zip(squares, said, strict=True)))

    def _show_differences(self) -> None:
        compared = self._compared
        told = differences([each.recipe for each in compared])
        self.differences.setVisible(bool(told))
        self.same.setVisible(not told)
        self.same.setText(
            tr("Select two runs or more.") if len(compared) < 2 else tr("Their recipes are the same in all that decides a run.")
        )
        self.differences.setColumnCount(1 + len(compared))
        self.differences.setRowCount(len(told))
        self.differences.setHorizontalHeaderItem(0, QTableWidgetItem(tr("Setting")))
        for place, (letter, each) in enumerate(zip(ascii_uppercase, compared, strict=False), start=1):
            title = QTableWidgetItem(letter)
            title.setToolTip(_told(each.run))
            self.differences.setHorizontalHeaderItem(place, title)
        for line, (name, values) in enumerate(told.items()):
            shown = [(words.path_title(name), name), *((each, each) for each in map(words.printable, map(str, values)))]
            for place, (text, tip) in enumerate(shown):  # the field's tip: as it stands in the recipe
                cell = QTableWidgetItem(words.breakable(text))
                cell.setToolTip(tip)
                self.differences.setItem(line, place, cell)
        columns = self.differences.horizontalHeader()
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
        columns.resizeSection(0, letters_width(self, _FIELD))
        self.differences.resizeRowsToContents()

    def _open(self) -> None:
        self._on_one(self.open, self._session.shown.open, "results")

    def _resume(self) -> None:
        self._on_one(self.resume, self._session.starting.resume, "train")

    def _use_recipe(self) -> None:
        self._on_one(self.again, lambda run: self._session.opening.take_recipe(RunFolder.open(run).recipe), "data")

    def _run_again(self) -> None:
        self._on_one(self.repeat, lambda run: self._session.starting.start(RunFolder.open(run).recipe, None), "train")

    def _report(self) -> None:
        self.notice.clear()
        self.notes.save()
        run = Path(self.selected[0].path)

        def work(report: Report, cancel: threading.Event) -> tuple[Path, tuple[str, ...]]:
            warnings = list[str]()
            return write_report(recorded_run(run), warnings.append), tuple(warnings)

        self._session.worker.run(work, finished=self._show_report, failed=self._failed)

    def _show_report(self, written: tuple[Path, tuple[str, ...]]) -> None:
        file, warnings = written
        if warnings:
            self.notice.say("\n".join(warnings), "warn")
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(file))):
            self.notice.say(tr("The report is {file}. No program here opens it by itself.", file=file), "warn")

    def _add(self) -> None:
        if folder := choose_folder(self, self._session.settings, tr("Choose the folder of a run")):
            self.add_run(folder)

    def add_run(self, folder: Path) -> None:
        """List the run in `folder`, wherever that is, from now on."""
        self.notice.clear()
        try:
            run_list.remember(RunFolder.open(folder).path)
        except UserError as error:
            self.notice.fail(error)
        self.refresh()

    def take_drop(self, paths: tuple[Path, ...]) -> bool:
        """A run's folder that is dropped here is listed."""
        if len(paths) == 1 and (paths[0] / "recipe.toml").is_file():
            self.add_run(paths[0])
            return True
        return False

    def _show_note(self, run: RunSummary | None) -> None:
        note = RunNote(text=run.note, tags=tags_in(run.tags)) if run else RunNote()
        self.notes.show_run(Path(run.path) if run else None, note)

    def _noted(self, run: Path, note: RunNote) -> None:
        self._noted_since[str(run)] = note
        rows = self.runs.rows.rows
        rows[:] = [_with_note(each, self._noted_since.get(each.path)) for each in rows]
        self.runs.rows.redraw()

    def _on_one(self, way: QWidget, do: Callable[[Path], object], page: str) -> None:
        """Do something with the one run that is selected, if it can be done; then show where that leads."""
        self.notice.clear()
        self._enable()  # since it was drawn, something may have begun
        if not way.isEnabled():
            return
        try:
            do(Path(self.selected[0].path))
        except UserError as error:
            self.notice.fail(error)
        else:
            self._session.state.go(page)

    def _copy(self) -> None:
        words_of_it = ["desktop-ft", "train", "--recipe", str(Path(self.selected[0].path) / "recipe.toml")]
        quoted = subprocess.list2cmdline(words_of_it) if os.name == "nt" else shlex.join(words_of_it)
        QGuiApplication.clipboard().setText(quoted)
        self.notice.say(tr("The command is on the clipboard."), "good")

    def _show_folder(self) -> None:
        show_folder(Path(self.selected[0].path), self.notice)

    def _trash(self) -> None:
        neighbour = self._neighbour()
        moved = {Path(run.path): self._session.runs.trash(Path(run.path)) for run in self.selected}
        stayed = [run for run, trashed in moved.items() if trashed is None]
        self.runs.setFocus()  # on the button, a key pressed twice would throw away another
        self._choose(set() if stayed else neighbour)  # what is being read of them is not waited for
        trash.tell(self.notice, list(filter(None, moved.values())), stayed, self._session.runs.put_back)

    def _returned(self, run: Path) -> None:
        if self.notice.offers and self._session.runs.last_trashed is None:
            self.notice.clear()  # it offers to put back what has come back in another way
        self._choose({str(run)})

    def _neighbour(self) -> set[str]:
        """The folder of the run below those that are selected, or else above them; none where all are."""
        shown = [self.runs.proxy.index(number, 0).data(ROW_ROLE).path for number in range(self.runs.proxy.rowCount())]
        places_of = [number for number, path in enumerate(shown) if path in self._wanted]
        others = [*shown[places_of[-1] + 1 :], *reversed(shown[: places_of[-1]])] if places_of else []
        return set([path for path in others if path not in self._wanted][:1])

    def _not_compared(self, error: BaseException) -> None:
        self._show_compared(())
        self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self.notice.fail(error)


def _with_note(run: RunSummary, note: RunNote | None) -> RunSummary:
    """`run` with the `note` written since it was read; None: none was."""
    return run if note is None else replace(run, tags=note.words, note=note.text)


def _read(run: RunSummary, cancel: threading.Event) -> _Compared:
    if cancel.is_set():  # others are selected by now
        raise Cancelled
    folder = RunFolder.open(Path(run.path))
    return _Compared(run, folder.recipe, folder.history())
