"""The curves of a run: loss, accuracy and learning rate, drawn from its history."""

from functools import partial
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from desktop_ft.core.metrics import MetricHistory
from desktop_ft.gui import words
from desktop_ft.gui.theme import Colours, Theme


class Plots(QWidget):
    """Three plots over the epochs. `pointed` tells in words what lies under the mouse."""

    pointed = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._history, self._planned, self._smooth_over = MetricHistory(), 1, 1
        self.loss, self.accuracy, self.rate = (make_plot(title, "epoch") for title in ("Loss", "Accuracy, %", "Learning rate"))
        self._curves: dict[str, Any] = {}
        for name, plot in (("steps", self.loss), ("train_loss", self.loss), ("val_loss", self.loss)):
            self._curves[name] = plot.plot()
        for name, plot in (("train_accuracy", self.accuracy), ("val_accuracy", self.accuracy), ("rate", self.rate)):
            self._curves[name] = plot.plot()
        self._best = [pg.InfiniteLine(angle=90, movable=False) for _ in range(2)]
        self.loss.addItem(self._best[0])
        self.accuracy.addItem(self._best[1])
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.loss, 0, 0)
        layout.addWidget(self.accuracy, 0, 1)
        layout.addWidget(self.rate, 1, 0, 1, 2)
        layout.setRowStretch(0, 3)
        layout.setRowStretch(1, 2)
        for plot in (self.loss, self.accuracy, self.rate):
            plot.scene().sigMouseMoved.connect(partial(self._point, plot))
        theme.changed.connect(self._colour)
        self._colour()
        self.show_history(MetricHistory())

    def show_history(self, history: MetricHistory, planned: int = 1) -> None:
        """Draw `history` as it stands; `planned` epochs are shown while none has begun."""
        if not self._curves:
            return  # shut down
        self._history, self._planned = history, planned
        per = max(1, history.started.steps_per_epoch) if history.started else 1
        at = np.array([step.epoch + (step.step + 1) / per for step in history.steps])
        self._curves["steps"].setData(at, _smooth(np.array([step.loss for step in history.steps]), self._smooth_over))
        self._curves["rate"].setData(at, np.array([step.lr for step in history.steps]))
        epochs = np.array([epoch.epoch + 1.0 for epoch in history.epochs])
        for name, unit in (("train_loss", 1), ("val_loss", 1), ("train_accuracy", 100), ("val_accuracy", 100)):
            self._curves[name].setData(epochs, np.array([unit * getattr(epoch, name) for epoch in history.epochs]))
        for plot in (self.loss, self.accuracy, self.rate):
            plot.setXRange(0, history.started.epochs if history.started else planned, padding=0.02)
        for line in self._best:
            line.setVisible(history.best is not None)
            if history.best is not None:
                line.setPos(history.best.epoch + 1.0)

    def set_log(self, log: bool) -> None:
        """Draw the loss on a logarithmic scale, or not."""
        self.loss.setLogMode(y=log)

    def set_smoothing(self, steps: int) -> None:
        """Draw the loss of steps as the mean over so many of them; 1: each as it was."""
        self._smooth_over = steps
        self.show_history(self._history, self._planned)

    def shut_down(self) -> None:
        """Free what pyqtgraph keeps without a parent, its menus above all."""
        self._curves.clear()
        for plot in (self.loss, self.accuracy, self.rate):
            free_plot(plot)

    def points(self, name: str) -> int:
        """How many points the curve `name` has."""
        data = self._curves[name].getData()[0]
        return 0 if data is None else len(data)

    def _point(self, plot: Any, where: QPointF) -> None:
        history = self._history
        if not history.steps or history.started is None:
            return
        at = plot.getPlotItem().getViewBox().mapSceneToView(where).x()
        per = max(1, history.started.steps_per_epoch)
        step = min(history.steps, key=lambda each: abs(each.epoch + (each.step + 1) / per - at))
        said = f"epoch {step.epoch + 1}, batch {step.step + 1}: loss {step.loss:.4g}, learning rate {step.lr:.3g}"
        epoch = next((each for each in history.epochs if each.epoch == step.epoch), None)
        if epoch is not None:
            said += f"; validation loss {epoch.val_loss:.4g}, accuracy {words.percent(epoch.val_accuracy)}"
        self.pointed.emit(said)

    def _colour(self) -> None:
        colours = self._theme.colours
        for plot in (self.loss, self.accuracy, self.rate):
            colour_plot(plot, colours)
        # pyqtgraph's pens are as wide in the pixels of the screen, which are half as large at double scale.
        thin, thick = self.devicePixelRatioF(), 2 * self.devicePixelRatioF()
        faint = pg.mkColor(colours.plot_train)
        faint.setAlpha(120)
        self._curves["steps"].setPen(pg.mkPen(faint, width=thin))
        for name, colour in (
            ("train_loss", colours.plot_train),
            ("train_accuracy", colours.plot_train),
            ("val_loss", colours.plot_val),
            ("val_accuracy", colours.plot_val),
        ):
            curve = self._curves[name]
            curve.setPen(pg.mkPen(colour, width=thick))
            curve.setSymbol("o")
            curve.setSymbolSize(5)
            curve.setSymbolBrush(colour)
            curve.setSymbolPen(colour)
        self._curves["rate"].setPen(pg.mkPen(colours.plot_train, width=thick))
        for line in self._best:
            line.setPen(pg.mkPen(colours.good, width=thin, style=Qt.PenStyle.DashLine))


def _smooth(values: np.ndarray, over: int) -> np.ndarray:
    """The mean of each value and those before it, `over` in all; fewer at the start."""
    if over <= 1 or not len(values):
        return values
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - over)
    means: np.ndarray = (sums[ends] - sums[starts]) / (ends - starts)
    return means


def make_plot(title: str, below: str) -> Any:
    """An empty plot as all of the window's are; `below` says what runs from left to right."""
    pg.setConfigOptions(antialias=True)
    plot = pg.PlotWidget()
    plot.setAccessibleName(title)
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # no key does anything in it
    plot.setMinimumSize(180, 110)
    plot.setTitle(title, size="10pt")
    plot.setMouseEnabled(x=True, y=False)
    plot.showGrid(x=True, y=True, alpha=0.15)
    plot.setDownsampling(auto=True, mode="peak")
    plot.setClipToView(True)
    plot.getPlotItem().setMenuEnabled(False)
    plot.getPlotItem().hideButtons()
    plot.setLabel("bottom", below)
    plot.getAxis("left").enableAutoSIPrefix(False)
    plot.getAxis("bottom").enableAutoSIPrefix(False)
    plot.getAxis("left").setWidth(52)
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
