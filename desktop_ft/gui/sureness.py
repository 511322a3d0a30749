"""Whether the model knows how sure it is, and from where on it should rather say *don't know*."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QLocale, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QDoubleSpinBox, QSlider, QVBoxLayout, QWidget

from desktop_ft.core.language import grouped, tr, tr_n
from desktop_ft.core.metrics import Evaluation, Threshold
from desktop_ft.evaluation.calibration import Bin, reliability
from desktop_ft.evaluation.selective import FLATTERS, CoveragePoint, Selection, coverage_curve, picked, select
from desktop_ft.gui import words
from desktop_ft.gui.form import FormGuard
from desktop_ft.gui.plots import colour_plot, free_plot, make_plot
from desktop_ft.gui.session import Session
from desktop_ft.gui.thumbnails import Wall
from desktop_ft.gui.widgets import button, caption_of, enable_or_say, label, row, splitter

_STEPS = 1000
_BAR_ALPHA = 120
_FOOT = 0.2
"""A bar of this share is as high as the number at its foot, in the smallest window."""


class Sureness(QWidget):
    """A reliability diagram, accuracy by the share answered, and the threshold with what it does.

    `moved` tells the selection of the threshold shown; `kept` the threshold to keep with the run, or None.
    """

    moved = Signal(object)
    kept = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._theme = session.theme
        self._evaluation: Evaluation | None = None
        self._kept: Threshold | None = None
        self._picked: Threshold | None = None
        self.diagram = Diagram(session)
        self.wall = Wall(session.theme, tr("Mistakes that remain"), lines=2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.addWidget(splitter("sureness", session.settings, self.diagram, self._panel(), shares=(1, 1)))

    def _panel(self) -> QWidget:
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.setPageStep(_STEPS // 20)
        self.slider.setAccessibleName(tr("Threshold"))
        self.slider.installEventFilter(FormGuard(self))
        self.value = QDoubleSpinBox()
        self.value.setRange(0, 100)
        self.value.setDecimals(1)
        self.value.setSuffix(" %")
        self.value.setLocale(QLocale.c())
        self.value.setAccessibleName(tr("Threshold in per cent"))
        self.value.installEventFilter(FormGuard(self))
        for control in (self.slider, self.value):
            control.setToolTip(tr(Threshold.model_fields["value"].description or ""))
        self.slider.valueChanged.connect(self._slid)
        self.value.valueChanged.connect(self._typed)
        caption = caption_of(self.value, tr("&Don't know below"))
        self.said = label(wrap=True)
        self.warned = label(wrap=True)
        self.warned.setProperty("level", "warn")
        self.keep = button(
            tr("Keep with the run"),
            self._keep,
            tip=tr("Predictions with this run, its report, and files exported from now on say don't know below it."),
        )
        self.drop = button(tr("Answer always"), self._drop, tip=tr("Drop the threshold that is kept."))
        self.remaining = label(role="heading")
        holder = QWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(caption, self.slider, self.value))
        layout.addWidget(self.said)
        layout.addWidget(self.warned)
        layout.addLayout(row(self.keep, self.drop, None))
        layout.addWidget(self.remaining)
        layout.addWidget(self.wall, 1)
        return holder

    def show_evaluation(self, evaluation: Evaluation, kept: Threshold | None) -> None:
        """Show another evaluation, with the threshold that the run keeps."""
        self._evaluation, self._kept, self._picked = evaluation, kept, picked(evaluation, 0.0)
        self.diagram.show_evaluation(evaluation)
        self._set(kept.value if kept else 0.0)

    def show_kept(self, kept: Threshold | None) -> None:
        """The run keeps another threshold now."""
        self._kept = kept
        self._tell()

    def shut_down(self) -> None:
        """Decode no more thumbnails, and free the plots."""
        self.wall.stop()
        self.diagram.shut_down()

    def _slid(self, step: int) -> None:
        self._set(step / _STEPS)

    def _typed(self, percent: float) -> None:
        self._set(percent / 100)

    def _set(self, threshold: float) -> None:
        with QSignalBlocker(self.slider), QSignalBlocker(self.value):
            self.slider.setValue(round(threshold * _STEPS))
            self.value.setValue(100 * threshold)
        self._tell()

    @property
    def threshold(self) -> float:
        """The threshold shown, 0 to 1."""
        return round(self.value.value() / 100, 3)

    def _tell(self) -> None:
        if self._evaluation is None:
            return
        chosen = select(self._evaluation, self.threshold)
        self.said.setText(_sentence(chosen, len(self._evaluation.mistakes)))
        same = self._kept is not None and self._kept.value == self.threshold
        self.warned.setText(self._caveat(same))
        self.warned.setVisible(bool(self.warned.text()))
        none = "" if self.threshold > 0 else tr("Set a threshold first.")
        enable_or_say(self.keep, tr("This threshold is kept already.") if same else none)
        enable_or_say(self.drop, "" if self._kept is not None else tr("No threshold is kept: it answers always."))
        remain = len(chosen.mistakes)
        self.remaining.setText(tr_n("{n:,} mistake that would remain", "{n:,} mistakes that would remain", n=remain))
        self.diagram.show_threshold(chosen)
        self.moved.emit(chosen)

    def _caveat(self, same: bool) -> str:
        """A threshold that is being moved here is picked on these pictures; one that is kept may have been picked on others."""
        if self._picked is None or not self.threshold:
            return ""
        shown = self._kept if same else self._picked
        return tr(FLATTERS) if shown is not None and shown.fingerprint == self._picked.fingerprint else ""

    def _keep(self) -> None:
        if self._picked is not None:
            self.kept.emit(self._picked.model_copy(update={"value": self.threshold}))

    def _drop(self) -> None:
        self.kept.emit(None)


def _sentence(chosen: Selection, mistakes: int) -> str:
    if not chosen.answered:
        return tr("No photo is answered: none of the answers is so sure.")
    answered = tr_n(
        "{answered:,} of {n:,} photo answered: {share}. Of those right: {right}.",
        "{answered:,} of {n:,} photos answered: {share}. Of those right: {right}.",
        n=chosen.of,
        answered=chosen.answered,
        share=words.interval(chosen.coverage),
        right=words.interval(chosen.accuracy),
    )
    remaining = tr_n(
        "{remaining:,} of {n:,} mistake would remain.",
        "{remaining:,} of {n:,} mistakes would remain.",
        n=mistakes,
        remaining=len(chosen.mistakes),
    )
    return f"{answered} {remaining}"


class Diagram(QWidget):
    """The two plots."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._theme = session.theme
        self._bins: tuple[Bin, ...] = ()
        self._curve: tuple[CoveragePoint, ...] = ()
        self.reliability = make_plot(
            tr("Right answers by confidence, %"), tr("confidence, % (dashed: as right as it is sure; green: the threshold)")
        )
        self.coverage = make_plot(
            tr("Right among the answered, %"), tr("share answered, the surest first, % (green: with the threshold)")
        )
        self._bars: list[Any] = []
        self._ideal = self.reliability.plot([0, 100], [0, 100])
        self._line = pg.InfiniteLine(angle=90, movable=False)
        self.reliability.addItem(self._line)
        self.reliability.setXRange(0, 100, padding=0.01)
        self.reliability.setYRange(0, 100, padding=0.02)
        self._low, self._high, self._middle = (self.coverage.plot() for _ in range(3))
        self._band = pg.FillBetweenItem(self._low, self._high)
        self.coverage.addItem(self._band)
        self._here = pg.ScatterPlotItem(size=10)
        self.coverage.addItem(self._here)
        self.coverage.setXRange(0, 100, padding=0.02)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for plot in (self.reliability, self.coverage):
            plot.setMouseEnabled(x=False, y=False)
            layout.addWidget(plot, 1)
        self._theme.changed.connect(self._colour)

    def show_evaluation(self, evaluation: Evaluation) -> None:
        """Draw another evaluation."""
        confidence = np.array([answer.confidence for answer in evaluation.answers])
        right = np.array([answer.predicted == answer.label for answer in evaluation.answers])
        self._bins, self._curve = reliability(confidence, right), coverage_curve(evaluation)
        share = np.array([100 * point.coverage for point in self._curve])
        for line, end in ((self._low, "low"), (self._middle, "value"), (self._high, "high")):
            line.setData(share, np.array([100 * getattr(point.accuracy, end) for point in self._curve]))
        least = min(100 * point.accuracy.low for point in self._curve[len(self._curve) // 10 :])
        self.coverage.setYRange(min(95.0, least), 100, padding=0.04)
        self._colour()

    def show_threshold(self, chosen: Selection) -> None:
        """Mark where the threshold lies in both."""
        self._line.setPos(100 * chosen.threshold)
        points = [(100 * chosen.coverage.value, 100 * chosen.accuracy.value)] if chosen.answered else []
        self._here.setData(pos=points)

    def shut_down(self) -> None:
        """Free what pyqtgraph keeps without a parent."""
        self._theme.changed.disconnect(self._colour)
        for plot in (self.reliability, self.coverage):
            free_plot(plot)

    def _colour(self) -> None:
        colours, scale = self._theme.colours, self.devicePixelRatioF()
        for plot in (self.reliability, self.coverage):
            colour_plot(plot, colours)
        band = pg.mkColor(colours.plot_train)
        band.setAlpha(45)
        self._band.setBrush(band)
        for line in (self._low, self._high):
            line.setPen(pg.mkPen(band, width=scale))
        self._middle.setPen(pg.mkPen(colours.plot_train, width=2 * scale))
        self._ideal.setPen(pg.mkPen(colours.muted, width=scale, style=Qt.PenStyle.DashLine))
        self._line.setPen(pg.mkPen(colours.good, width=2 * scale))
        self._here.setBrush(pg.mkBrush(colours.good))
        self._here.setPen(pg.mkPen(colours.base, width=scale))
        self._draw_bars(scale)

    def _draw_bars(self, scale: float) -> None:
        for item in self._bars:
            self.reliability.removeItem(item)
        colours, filled = self._theme.colours, [each for each in self._bins if each.count]
        self._bars = []
        if not filled:
            return
        middle = np.array([50 * (each.low + each.high) for each in filled])
        right = np.array([100 * each.right.value for each in filled])
        fill = pg.mkColor(colours.plot_val)
        fill.setAlpha(_BAR_ALPHA)
        bars = pg.BarGraphItem(x=middle, height=right, width=100 / len(self._bins) * 0.86, brush=fill, pen=pg.mkPen(None))
        above = np.array([100 * each.right.high for each in filled]) - right
        below = right - np.array([100 * each.right.low for each in filled])
        whiskers = pg.ErrorBarItem(x=middle, y=right, top=above, bottom=below, beam=1.6, pen=pg.mkPen(colours.text, width=scale))
        counts = (self._count(each, at) for each, at in zip(filled, middle, strict=True))
        self._bars = [bars, whiskers, *counts]
        for item in self._bars:
            self.reliability.addItem(item)

    def _count(self, each: Bin, at: float) -> Any:
        """How many answers a bar is of, at its foot: in front of the whisker, on the bar's own colour where it is that high."""
        colours = self._theme.colours
        ground = _blended(colours.plot_val, colours.base) if each.right.value > _FOOT else colours.base
        made = pg.TextItem(grouped(each.count), color=colours.text, fill=ground, anchor=(0.5, 1))
        made.setPos(at, 0)
        return made


def _blended(colour: str, ground: str) -> QColor:
    """What bars look like on `ground`."""
    over, under = QColor(colour), QColor(ground)
    share = _BAR_ALPHA / 255
    parts = ((over.red(), under.red()), (over.green(), under.green()), (over.blue(), under.blue()))
    return QColor(*(round(share * above + (1 - share) * below) for above, below in parts))
