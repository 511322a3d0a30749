"""The files exported from a run side by side: what each weighs, knows and takes, and which answers it changed."""

import html
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QListWidget, QListWidgetItem, QSplitter, QVBoxLayout, QWidget

from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import FilePrecision
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.core.metrics import ChangedAnswer, ExportReport
from desktop_ft.evaluation.intervals import share_of
from desktop_ft.gui import words
from desktop_ft.gui.actions import ActionSpec
from desktop_ft.gui.local_actions import ActionButton, local_actions
from desktop_ft.gui.plots import SERIES, colour_plot, free_plot, make_plot, square
from desktop_ft.gui.session import Session
from desktop_ft.gui.table import Column, table
from desktop_ft.gui.widgets import GAP, MARGIN, Notice, button, filling, label, row
from desktop_ft.runs.run_folder import RunFolder


def _accuracy(report: ExportReport) -> str:
    known = share_of(report.accuracy, report.judged)
    return "–" if known is None else words.interval(known)


def _changed(report: ExportReport) -> str:
    if report.unverified:
        return tr("not run here")
    return tr("{n:,} of {total:,}", n=report.changed_answers, total=report.compared)


def _latency(batch: int, report: ExportReport) -> float | None:
    return next((latency.milliseconds for latency in report.latency if latency.batch == batch), None)


def _latency_text(batch: int, report: ExportReport) -> str:
    spent = _latency(batch, report)
    return "–" if spent is None else f"{spent:.1f}"


def _latency_order(batch: int, report: ExportReport) -> float:
    spent = _latency(batch, report)
    return math.inf if spent is None else spent


def _latency_column(batch: int) -> Column:
    return Column(
        title=_BATCHES[batch],
        text=partial(_latency_text, batch),
        sort=partial(_latency_order, batch),
        number=True,
        width=8,
        help=marked("Milliseconds to compute so many pictures at once on the processor, measured when the file was exported."),
    )


_BATCHES = {1: marked("1 picture, ms"), 8: marked("8, ms"), 32: marked("32, ms")}

_COLUMNS = (
    Column(title=marked("File"), text=lambda report: words.printable(Path(report.file).name)),
    Column(title=marked("Format"), text=lambda report: report.settings.format, width=10),
    Column(title=marked("Input"), text=lambda report: words.title(report.settings.input), width=9),
    Column(title=marked("Precision"), text=lambda report: words.title(report.settings.precision), width=10),
    Column(
        title=marked("Size"),
        text=lambda report: words.size(report.bytes),
        sort=lambda report: report.bytes,
        number=True,
        width=8,
    ),
    Column(
        title=marked("Accuracy"),
        text=_accuracy,
        sort=lambda report: report.accuracy or 0.0,
        number=True,
        width=21,
        help=marked("Share of the validation photos that the file knows, with its 95 % interval."),
    ),
    Column(
        title=marked("Changed answers"),
        text=_changed,
        sort=lambda report: math.inf if report.unverified else float(report.changed_answers),
        number=True,
        width=10,
        help=marked("Photos for which the file and the trained model have different answers."),
    ),
    *map(_latency_column, _BATCHES),
)


_NONE = marked("Nothing was exported from this run yet. Export it on the page behind this window.")
_UNDER_WAY = marked("Each file comes here as soon as it is proven.")
_NOT_TIMED = marked("None of these files was timed here. Export them again to see accuracy over latency.")
_ALL_GONE = marked("The files that were exported from this run are gone. Export them again.")
_FORGET = ActionSpec(
    id="export.forget",
    menu=marked("Exports"),
    text=marked("Forget"),
    tip=marked("Take a file that is gone out of this list. What is written on the disk stays as it is."),
    handler="forget",
    shortcut="Del",
    enabled="can_forget",
)
_SHOW = ActionSpec(
    id="export.show",
    menu=marked("Exports"),
    text=marked("Use on the page Export"),
    tip=marked("Shows its proof there; an .onnx file is the one that answers there, too."),
    handler="show_there",
    enabled="can_show_there",
)
_SYMBOLS = {FilePrecision.FLOAT32: "o", FilePrecision.FLOAT16: "s", FilePrecision.INT8: "t1"}


def show_exports(session: Session, run: Path, page: QWidget, allowed: Callable[[], float]) -> None:
    """Show the exports of `run`, once; the page stays usable beside it. `allowed`: the largest drop that is chosen there."""
    shown = [dialog for dialog in page.findChildren(ExportsDialog) if dialog.isVisible()]
    for dialog in shown:
        if dialog.run != run:
            dialog.reject()
    dialog = next((dialog for dialog in shown if dialog.run == run), None) or ExportsDialog(session, run, page, allowed)
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()


class ExportsDialog(QDialog):
    """A table, a chart of accuracy over latency, and the photos whose answer the current file changed."""

    def __init__(self, session: Session, run: Path, parent: QWidget, allowed: Callable[[], float]) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Exports of the run {name}", name=words.printable(run.name)))
        self.resize(1240, 640)
        self._session, self.run, self._allowed = session, run, allowed
        self._reports: tuple[ExportReport, ...] = ()
        self._gone: tuple[ExportReport, ...] = ()
        self._earlier: tuple[ExportReport, ...] = ()
        self._part = ""
        self._shut = False
        self.notice = Notice()
        file, *others = _COLUMNS
        self.table = table((replace(file, text=self._named), *others), session.theme, tr("Exports"))
        self.table.selectionModel().currentRowChanged.connect(self._show_current)
        self.plot = make_plot(tr("Validation accuracy, %"), tr("milliseconds for 1 picture"))
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.setAccessibleName(tr("Accuracy over latency"))
        self._dots = pg.ScatterPlotItem(hoverable=True, tip=None)
        self._dots.sigHovered.connect(self._hover)
        self._dots.sigClicked.connect(self._click)
        self.whiskers = pg.ErrorBarItem()
        for item in (self.whiskers, self._dots):
            self.plot.addItem(item)
        self.nothing = label("", "muted", wrap=True)
        self.key = label(
            tr("● float32   ■ float16   ▲ int8; a colour a format, the filled one is the current row; whiskers: 95 % intervals"),
            "muted",
            wrap=True,
        )
        self.measured = label(
            tr(
                "The times were measured when each file was exported, beside whatever else ran then: export it again to measure "
                "anew."
            ),
            "muted",
            wrap=True,
        )
        self.formats = label(role="muted", wrap=True)
        self.formats.setTextFormat(Qt.TextFormat.RichText)
        self.about = label(wrap=True)
        self.photos = QListWidget()
        self.photos.setAccessibleName(tr("Changed answers"))
        self.photos.itemActivated.connect(self._look)
        self.every = button(
            tr("Export every format and precision"),
            self._every,
            tip=tr("Writes the model in every precision of every format, next to what is there, and proves each."),
        )
        self.cancel = button(tr("Cancel"), self._cancel)
        self.reason = label(role="muted")
        self.actions_ = local_actions((_SHOW, _FORGET), self, self.table, session.theme)
        self._arrange()
        self._enable()
        runs, training = session.runs, session.training
        for signal in (runs.began, runs.progressed, runs.ended, training.started, training.ended):
            signal.connect(self._enable)
        runs.began.connect(self._draw)
        runs.progressed.connect(self._look_for_more)
        runs.warned.connect(self._warned)
        runs.ended.connect(self.refresh)  # of several files some may be there, whatever became of the others
        session.state.export_changed.connect(self.refresh)
        session.theme.changed.connect(self._draw)
        self.refresh()

    def refresh(self) -> None:
        """Show what was exported until now."""
        if self._shut:
            return
        current = self.table.current()
        try:
            folder = RunFolder.open(self.run)
            self._reports = folder.export_reports
            self._gone = tuple(report for report in self._reports if folder.exported(report) is None)
            self._earlier = tuple(filter(folder.has_learned_since, self._reports))
        except UserError as error:
            self.notice.fail(error)
        self.table.rows.set_rows(self._reports)
        self.table.select(lambda report: current is None or report.file == current.file)
        self.measured.setVisible(any(report.latency for report in self._reports))
        self._draw()
        self._show_current()

    @property
    def can_show_there(self) -> bool:
        """Whether the file of the current row is there, and this is the run that the page behind is about."""
        report = self.table.current()
        return report is not None and report not in self._gone and self._session.state.run == self.run

    def show_there(self) -> None:
        """Let the page Export be about the file of the current row."""
        self._session.state.set_export(self.table.current())

    @property
    def can_forget(self) -> bool:
        """Whether the file of the current row is gone."""
        return self.table.current() in self._gone

    def forget(self) -> None:
        """Take the current row, whose file is gone, out of the list for good; the one that comes in its place is chosen."""
        report, place, state = self.table.current(), self.table.currentIndex().row(), self._session.state
        try:
            folder = RunFolder.open(self.run)
            folder.forget_export(report)
        except UserError as error:
            self.notice.fail(error)
            return
        if state.run == self.run and state.export == report:
            state.set_export(next(reversed(folder.export_reports), None))  # draws this anew, too
        else:
            self.refresh()
        self.table.selectRow(min(place, self.table.proxy.rowCount() - 1))

    def done(self, result: int) -> None:
        """Free the plot, once: Qt calls this again when what it belongs to is closed."""
        if not self._shut:
            self._shut = True
            free_plot(self.plot)
        super().done(result)

    def _arrange(self) -> None:
        beside, drawn, lists = QSplitter(Qt.Orientation.Horizontal), QWidget(), QWidget()
        below = QVBoxLayout(lists)
        below.setContentsMargins(0, 0, 0, 0)
        below.addWidget(self.about)
        below.addWidget(self.photos, 1)
        chart = QVBoxLayout(drawn)
        chart.setContentsMargins(0, 0, 0, 0)
        chart.addWidget(filling(self.plot, self.nothing), 1)
        chart.addWidget(self.formats)
        chart.addWidget(self.key)
        beside.addWidget(drawn)
        beside.addWidget(lists)
        beside.setSizes([500, 420])
        close = button(tr("Close"), self.reject)
        buttons = [ActionButton(self.actions_[spec.id]) for spec in (_SHOW, _FORGET)]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(GAP)
        layout.addWidget(self.notice)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.measured)
        layout.addWidget(beside, 1)
        layout.addLayout(row(self.every, self.cancel, self.reason, None, *buttons, close))

    def _enable(self, *_: object) -> None:
        runs = self._session.runs
        reason = words.printable(runs.part) or (tr("{work} is under way.", work=tr(runs.busy)) if runs.busy else "")
        if runs.cancelling:
            reason = tr("Stopping…")
        if self._session.training.running:
            reason = tr("Wait until the run is over.")
        self.every.setEnabled(not reason)
        self.cancel.setVisible(self._is_exporting)
        self.cancel.setEnabled(not runs.cancelling)
        self.reason.setText(reason)

    def _every(self) -> None:
        self.notice.clear()
        self._session.runs.export_every(self.run, self._allowed())

    def _warned(self, text: str) -> None:
        if self._is_exporting:  # what could not be written, and why
            self.notice.say(text, "warn")

    def _cancel(self) -> None:
        self._session.runs.cancel()
        self._enable()

    @property
    def _is_exporting(self) -> bool:
        return self._session.runs.exporting == self.run

    def _look_for_more(self, *_: object) -> None:
        """With each part of the work that begins, a file may have been finished before."""
        if self._part == (part := self._session.runs.part):
            return
        self._part = part
        with suppress(UserError):  # that it is damaged is told when the work is over
            if RunFolder.open(self.run).export_reports != self._reports:
                self.refresh()

    def _named(self, report: ExportReport) -> str:
        name = words.printable(Path(report.file).name)
        if report in self._gone:
            return tr("{name} (gone)", name=name)
        return tr("{name} (of an earlier state)", name=name) if report in self._earlier else name

    def _draw(self, *_: object) -> None:
        if self._shut:
            return
        there = [report for report in self._reports if report not in self._gone]
        drawn = [(report, spent) for report in there if report.accuracy is not None and (spent := _latency(1, report))]
        self.plot.setVisible(bool(drawn))
        self.key.setVisible(bool(drawn))
        self.formats.setVisible(bool(drawn))
        self.nothing.setVisible(not drawn)
        self.nothing.setText(tr(self._why_none(there)))
        colour_plot(self.plot, self._session.theme.colours)
        current = self.table.current()
        formats = sorted({report.settings.format for report in self._reports})

        colours = {name: SERIES[number % len(SERIES)] for number, name in enumerate(formats)}
        shown = {report.settings.format for report, _ in drawn}
        named = [square(colours[name], html.escape(words.printable(name))) for name in formats if name in shown]
        self.formats.setText(" &nbsp; ".join(named))
        spots = [_spot(report, spent, colours[report.settings.format], report is current) for report, spent in drawn]
        self._dots.setData(spots)
        self._draw_whiskers(drawn)
        self.plot.getPlotItem().getViewBox().autoRange(padding=0.1)

    def _why_none(self, there: Sequence[ExportReport]) -> str:
        """Why nothing is drawn of the files that are `there`."""
        if there:
            return _NOT_TIMED
        if self._is_exporting:
            return _UNDER_WAY
        return _ALL_GONE if self._reports else _NONE

    def _draw_whiskers(self, drawn: Sequence[tuple[ExportReport, float]]) -> None:
        """Through each point, the 95 % interval of its accuracy."""
        known = [(spent, share) for report, spent in drawn if (share := share_of(report.accuracy, report.judged))]
        shares = 100 * np.array([(share.value, share.low, share.high) for _, share in known]).reshape(-1, 3)
        value, low, high = shares.T
        self.whiskers.setVisible(bool(known))
        self.whiskers.setData(
            x=np.array([spent for spent, _ in known]),
            y=value,
            top=high - value,
            bottom=value - low,
            pen=pg.mkPen(self._session.theme.colours.muted, width=self.devicePixelRatioF()),
        )

    def _hover(self, _dots: Any, points: Any, *_: Any) -> None:
        """Say of all points under the pointer what they are: equal ones lie on one another."""
        self.plot.setToolTip("\n".join(_point(point.data()) for point in points))

    def _click(self, _dots: Any, points: Any, *_: Any) -> None:
        chosen = points[0].data()
        self.table.select(lambda report: report == chosen)

    def _show_current(self, *_: object) -> None:
        report: ExportReport | None = self.table.current()
        self.actions_.refresh()
        self._draw()
        self.photos.clear()
        self.photos.setVisible(bool(report and report.changed))
        if report is None:
            self.about.setText(tr("Choose a file to see which answers it changed.") if self._reports else "")
            return
        self.about.setText(_about(report))
        names = self._classes
        for changed in report.changed:
            item = QListWidgetItem(_told(changed, names))
            item.setToolTip(words.printable(changed.path))
            self.photos.addItem(item)

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        """Read once: a manifest of 100,000 photos takes a quarter of a second."""
        try:
            return RunFolder.open(self.run).manifest.classes
        except UserError as error:
            self.notice.fail(error)
            return ()

    def _look(self, item: QListWidgetItem) -> None:
        from desktop_ft.gui.photo_dialog import Photo, PhotoDialog

        report: ExportReport | None = self.table.current()
        if report is not None:
            photos = [Photo(path=Path(changed.path), label=changed.label) for changed in report.changed]
            PhotoDialog(self._session, self.run, photos, self.photos.row(item), self).open()


def _spot(report: ExportReport, spent: float, colour: str, current: bool) -> dict[str, Any]:
    return {
        "pos": (spent, 100 * (report.accuracy or 0.0)),
        "data": report,
        "symbol": _SYMBOLS[report.settings.precision],
        "size": 18 if current else 11,
        "pen": pg.mkPen(colour, width=2),
        "brush": pg.mkBrush(colour) if current else None,
    }


def _point(report: ExportReport) -> str:
    """What a point of the chart says of the file that it stands for."""
    return tr(
        "{file}: {accuracy}, {spent} ms for 1 picture",
        file=words.printable(Path(report.file).name),
        accuracy=_accuracy(report),
        spent=_latency_text(1, report),
    )


def _about(report: ExportReport) -> str:
    if report.unverified:
        return tr("It was not compared with the model: {why}", why=tr(report.unverified))
    if not report.changed_answers:
        return tr_n("No answer changed on {n:,} photo.", "No answer changed on {n:,} photos.", n=report.compared)
    return tr_n(
        "{n:,} answer changed; Return or a double click shows the photo:",
        "{n:,} answers changed; Return or a double click shows the photo:",
        n=report.changed_answers,
    )


def _told(changed: ChangedAnswer, names: tuple[str, ...]) -> str:
    def name(number: int | None) -> str:
        return words.printable(names[number]) if number is not None and 0 <= number < len(names) else "?"

    return tr(
        "{file}: is {label}, was {trained}, now {exported}",
        file=words.printable(Path(changed.path).name),
        label=name(changed.label),
        trained=name(changed.trained),
        exported=name(changed.exported),
    )
