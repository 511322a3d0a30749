"""What every plot of a run is made of: a plot, its colours, marks on it, and a view that shows some of them together."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QLineF, QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from desktop_ft.core.changes import Change
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.gui.step_arrays import StepArrays
from desktop_ft.gui.theme import Colours, Theme

SERIES = ("#3b82f6", "#e8590c", "#0b9a6d", "#ae3ec9", "#c77700", "#1098ad", "#e64980", "#7d858d")
"""Colours of curves that are told apart: at least 3 to 1 against the ground of both themes."""
_HALF_A_NUMBER = 14, 8
"""So many pixels of a number at the end of an axis reach over its edge: of one below a plot, of one beside it."""


class View(QWidget):
    """Plots that are shown together, over the epochs unless it says otherwise. `pointed` tells what lies under the mouse.

    Attributes:
        title: what it is called, in English.
        takes_log, smooths: whether another scale, and means over several points, make sense.
        log: whether the scale is logarithmic.
    """

    pointed = Signal(str)
    title = ""
    takes_log = False
    smooths = False
    log = False
    _heights: ClassVar[Mapping[int, tuple[float, float]]] = {}
    """From where to where a plot goes while nothing is drawn in it, by its place in `plots`; the others show no numbers then."""

    def __init__(self, theme: Theme, plots: Sequence[Any]) -> None:
        super().__init__()
        self._theme = theme
        self.plots = tuple(plots)
        self._curves: dict[str, Any] = {}
        self._looks: dict[str, tuple[object, ...]] = {}
        self._steps = StepArrays()
        self._epochs_shown = 0
        self._marks: list[Any] = []
        self._history, self._planned, self._smooth_over = MetricHistory(), 1, 1
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._paint_others)
        for plot in self.plots:
            plot.scene().sigMouseMoved.connect(partial(self._point, plot))
            plot.scene().sigMouseClicked.connect(self._click)
        theme.changed.connect(self._recolour)

    @property
    def legend(self) -> str:
        """What the curves are, as rich text."""
        return ""

    def show_history(self, history: MetricHistory, planned: int) -> None:
        """Draw `history` as it stands; `planned` epochs are shown while none has begun."""
        if history is not self._history:
            self._epochs_shown = 0  # another run is shown whole
        self._history, self._planned = history, planned
        self.redraw()

    def show_whole(self) -> None:
        """Show from the beginning to the end again, whatever part was looked at."""
        self._epochs_shown = 0
        for plot in self.plots:
            plot.enableAutoRange(axis="x")  # what runs over the epochs says itself how far
        self.redraw()

    def redraw(self) -> None:
        """Draw again what is told."""
        if self.plots:  # not shut down
            self._steps.follow(self._history)
            self._draw(self._history)
            for place, plot in enumerate(self.plots):
                fit_height(plot, self._heights.get(place))
                # pyqtgraph would find out how far a curve reaches while it paints, and paint again what that changes.
                plot.getPlotItem().getViewBox().prepareForPaint()
            # Several plots painted in one go keep the window from answering for as long: the first goes before.
            for plot in self.plots[1:]:
                plot.setUpdatesEnabled(False)
            self._soon.start()

    def set_log(self, log: bool) -> None:
        """Draw on a logarithmic scale, or not."""
        self.log = log

    def set_smoothing(self, points: int) -> None:
        """Draw what is told of every step as the mean over so many of them; 1: each as it was."""
        self._smooth_over = points
        self.redraw()

    def points(self, name: str) -> int:
        """How many points the curve `name` has."""
        return len(self.values(name))

    def values(self, name: str) -> np.ndarray:
        """The values of the curve `name`, as they are drawn."""
        data = self._curves[name].getData()[1] if name in self._curves else None
        return np.array([]) if data is None else data

    def shut_down(self) -> None:
        """Free what pyqtgraph keeps without a parent, its menus above all."""
        plots, self.plots = self.plots, ()
        self._curves.clear()
        self._marks.clear()
        for plot in plots:
            free_plot(plot)

    def _recolour(self) -> None:
        for plot in self.plots:
            colour_plot(plot, self._theme.colours)
        self.redraw()

    def _draw(self, history: MetricHistory) -> None:
        """Give the curves their points and pens."""
        raise NotImplementedError

    def _told_at(self, at: float) -> str:
        """What there is at `at`, from left to right, in words; "" where there is nothing."""
        raise NotImplementedError

    def _trace(self, plot: Any, name: str, colour: str, x: Any, y: Any, *, faint: bool = False, dots: bool = False) -> None:
        """Let the curve `name` of `plot`, made where there is none, go through the points, with gaps where there is no value."""
        curve = self._curve(plot, name, colour, faint=faint, dots=dots)
        if not (np.array_equal(curve.xData, x) and np.array_equal(curve.yData, y, equal_nan=True)):
            curve.setData(x, y, connect="finite")

    def _curve(self, plot: Any, name: str, colour: str, *, faint: bool, dots: bool) -> Any:
        curve = self._curves.get(name)
        if curve is None:
            curve = self._curves[name] = plot.plot()
            self._looks.pop(name, None)
        # Every change of its looks has a curve go through all of its points.
        looks = (colour, faint, dots, self.devicePixelRatioF())
        if self._looks.get(name) == looks:
            return curve
        self._looks[name] = looks
        drawn = pg.mkColor(colour)
        drawn.setAlpha(120 if faint else 255)
        curve.setPen(self._pen(drawn, 1 if faint else 2))
        if dots:
            curve.setSymbol("o")
            curve.setSymbolSize(5)
            curve.setSymbolBrush(drawn)
            curve.setSymbolPen(drawn)
        return curve

    def _pen(self, colour: Any, width: int, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> Any:
        # pyqtgraph's pens are as wide in the pixels of the screen, which are half as large at double scale.
        return pg.mkPen(colour, width=width * self.devicePixelRatioF(), style=style)

    @property
    def _thinned(self) -> list[str]:
        """What a legend says of points that are more than one step."""
        every = self._steps.every
        return [tr_n("a point is the mean of {n} batch", "a point is the mean of {n} batches", n=every)] if every > 1 else []

    def _over_epochs(self, history: MetricHistory) -> None:
        """Show all epochs, and mark where the run was changed."""
        changes, colours = history.replanned, self._theme.colours
        epochs = history.started.epochs if history.started else self._planned
        if epochs != self._epochs_shown:  # else the part that a person looks at stays
            self._epochs_shown = epochs
            for plot in self.plots:
                plot.setXRange(0, epochs, padding=0.02)
        wanted = [(plot, change) for plot in self.plots for change in changes]
        while len(self._marks) > len(wanted):
            plot, line = self._marks.pop()
            plot.removeItem(line)
        for plot, _ in wanted[len(self._marks) :]:
            line = pg.InfiniteLine(angle=90, movable=False, label="", labelOpts={"position": 0.96, "anchors": [(0, 0), (1, 0)]})
            plot.addItem(line)
            self._marks.append((plot, line))
        for (plot, line), (_, told) in zip(self._marks, wanted, strict=True):
            line.setPos(float(told.epoch))
            line.setPen(self._pen(colours.muted, 1, Qt.PenStyle.DotLine))
            line.label.setFormat(_short(told.change) if plot is self.plots[0] else "")
            line.label.setColor(colours.muted)

    def _paint_others(self) -> None:
        for plot in self.plots[1:]:
            plot.setUpdatesEnabled(True)

    def _click(self, event: Any) -> None:
        if event.double():
            self.show_whole()

    def _point(self, plot: Any, where: QPointF) -> None:
        if said := self._told_at(plot.getPlotItem().getViewBox().mapSceneToView(where).x()):
            self.pointed.emit(said)


def fit_height(plot: Any, empty: tuple[float, float] | None) -> None:
    """Let what is drawn say how high the plot reaches; while nothing is, it shows `empty`, or no numbers."""
    drawn = any(len(item.xData) for item in plot.listDataItems() if item.xData is not None)
    plot.getAxis("left").setStyle(showValues=drawn or empty is not None)
    if empty is not None and not drawn:
        plot.setYRange(*empty, padding=0.05)
    elif drawn and not plot.getPlotItem().getViewBox().autoRangeEnabled()[1] and empty is not None:
        plot.enableAutoRange(axis="y")


def _short(change: Change) -> str:
    """A change in as few words as there is room for."""
    rate = tr("rate {rate:g}", rate=change.lr) if change.lr is not None else ""
    return ", ".join(filter(None, (change.freeze.words if change.freeze is not None else "", rate)))


def smooth(values: np.ndarray, over: int) -> np.ndarray:
    """The mean of each value and those before it, `over` in all; fewer at the start."""
    if over <= 1 or not len(values):
        return values
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - over)
    means: np.ndarray = (sums[ends] - sums[starts]) / (ends - starts)
    return means


def square(colour: str, text: str) -> str:
    """What a legend says of the curve in `colour`; `text` is rich text."""
    return f'<span style="color:{colour}">■</span>&nbsp;{text}'


class _Axis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """An axis that keeps what is to be drawn, not a recording of it: a recording looks for its fonts each time it is played.

    Lines of one colour are drawn in one go: each call into Qt gives Python's lock away, and while a network learns it is a long
    wait until it comes back.
    """

    picture: Any

    def boundingRect(self) -> Any:  # noqa: N802 - Qt's name
        """With room for half of a number at either end: pyqtgraph drops what reaches over its edge."""
        wide, high = (_HALF_A_NUMBER[0], 0) if self.orientation == "bottom" else (0, _HALF_A_NUMBER[1])
        return super().boundingRect().adjusted(-wide, -high, wide, high)

    def logTickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:  # noqa: N802 - pyqtgraph's name
        """As rates are written everywhere else."""
        return [f"{scale * 10**value:.3g}" for value in values]

    def paint(self, painter: Any, _option: Any, _widget: Any) -> None:
        """Draw it; pyqtgraph forgets `picture` when anything about it changes."""
        if self.picture is None:
            self.picture = self._in_lots(self.generateDrawSpecs(painter))
        lots, texts = self.picture
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for pen, lines in lots:
            painter.setPen(pen)
            painter.drawLines(lines)
        painter.setPen(self.textPen())
        for rect, flags, text in texts:
            painter.drawText(rect, int(flags), text)
        painter.restore()

    def _in_lots(self, specs: Any) -> tuple[list[tuple[QPen, list[QLineF]]], Any]:
        """The axis and the ticks by colour, then the texts."""
        if not specs:  # it is hidden, or too small
            return [], ()
        (pen, start, end), ticks, texts = specs
        lots: dict[int, tuple[QPen, list[QLineF]]] = {}
        for tick, tick_start, tick_end in ticks:
            lots.setdefault(tick.color().rgba(), (tick, []))[1].append(QLineF(tick_start, tick_end))
        return [(pen, [QLineF(start, end)]), *lots.values()], texts


def make_plot(title: str, below: str) -> Any:
    """An empty plot as all of the window's are; `below` says what runs from left to right."""
    pg.setConfigOptions(antialias=True)
    # A menu that is made and dropped is many widgets taken apart, each of which gives Python's lock away.
    plot = pg.PlotWidget(axisItems={side: _Axis(side) for side in ("left", "bottom")}, enableMenu=False)
    plot.setAccessibleName(title)
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # no key does anything in it
    plot.setMinimumSize(180, 110)
    plot.setTitle(title, size="10pt")
    plot.setMouseEnabled(x=True, y=False)
    plot.showGrid(x=True, y=True, alpha=0.15)
    plot.setDownsampling(auto=True, mode="peak")
    plot.setClipToView(True)
    plot.getPlotItem().hideButtons()
    plot.getPlotItem().layout.setContentsMargins(1, 1, _HALF_A_NUMBER[0], 1)
    plot.setLabel("bottom", below)
    plot.getAxis("left").enableAutoSIPrefix(False)
    plot.getAxis("bottom").enableAutoSIPrefix(False)
    plot.getAxis("left").setWidth(52)
    for side in ("left", "bottom"):
        plot.getAxis(side).setStyle(maxTickLevel=1)  # the lines of the next level would be too pale to be seen
    return plot


def colour_plot(plot: Any, colours: Colours) -> None:
    """Give ground, title and axes the theme's colours."""
    plot.setBackground(colours.base)
    plot.getPlotItem().titleLabel.setText(plot.getPlotItem().titleLabel.text, color=colours.text)
    for side in ("left", "bottom"):
        plot.getAxis(side).setPen(colours.border)
        plot.getAxis(side).setTextPen(colours.muted)


def free_plot(plot: Any) -> None:
    """Free what pyqtgraph keeps of a plot without a parent."""
    plot.close()
    plot.deleteLater()
