"""The curves of a run, drawn from its history: what it learned, how fast, and what it took."""

import html
from typing import ClassVar

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QTabWidget, QVBoxLayout, QWidget

from desktop_ft.core.events import EpochDone, StepDone
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.gui import words
from desktop_ft.gui.plots import SERIES, View, make_plot, smooth, square
from desktop_ft.gui.step_arrays import StepArrays, nearest
from desktop_ft.gui.theme import Theme


class LearningView(View):
    """Loss and accuracy."""

    title = marked("Loss and accuracy")
    takes_log = True
    smooths = True
    _heights: ClassVar = {1: (0, 100)}

    def __init__(self, theme: Theme) -> None:
        self.loss, self.accuracy = make_plot(tr("Loss"), tr("epoch")), make_plot(tr("Accuracy, %"), tr("epoch"))
        super().__init__(theme, (self.loss, self.accuracy))
        self._best = [pg.InfiniteLine(angle=90, movable=False) for _ in self.plots]
        layout = _grid(self)
        for column, (plot, line) in enumerate(zip(self.plots, self._best, strict=True)):
            plot.addItem(line)
            layout.addWidget(plot, 0, column)
        self._recolour()

    @property
    def legend(self) -> str:
        """What the curves are."""
        colours = self._theme.colours
        named = (square(colours.plot_train, tr("training")), square(colours.plot_val, tr("validation")))
        changed = [tr("dotted: changed")] if self._history.replanned else []
        return " &nbsp; ".join((*named, tr("dashed: best epoch"), *changed, *self._thinned))

    def set_log(self, log: bool) -> None:
        """Draw the loss on a logarithmic scale, or not."""
        super().set_log(log)
        self.loss.setLogMode(y=log)

    def _draw(self, history: MetricHistory) -> None:
        colours, epochs = self._theme.colours, np.array([epoch.epoch + 1.0 for epoch in history.epochs])
        losses = smooth(self._steps.losses, self._smooth_over)
        self._trace(self.loss, "steps", colours.plot_train, self._steps.at, losses, faint=True)
        for plot, kind, unit in ((self.loss, "loss", 1), (self.accuracy, "accuracy", 100)):
            for subset, colour in (("train", colours.plot_train), ("val", colours.plot_val)):
                values = np.array([unit * getattr(epoch, f"{subset}_{kind}") for epoch in history.epochs])
                self._trace(plot, f"{subset}_{kind}", colour, epochs, values, dots=True)
        for line in self._best:
            line.setVisible(history.best is not None)
            line.setPen(self._pen(colours.good, 1, Qt.PenStyle.DashLine))
            if history.best is not None:
                line.setPos(history.best.epoch + 1.0)
        self._over_epochs(history)

    def _told_at(self, at: float) -> str:
        step, epoch = _found(self._history, self._steps, at)
        if step is None:
            return ""
        said = f"{_where(step)}: " + tr("loss {loss:.4g}, learning rate {rate:.3g}", loss=step.loss, rate=step.lr)
        if epoch is None:
            return said
        share = words.percent(epoch.val_accuracy)
        return f"{said}; " + tr("validation loss {loss:.4g}, accuracy {share}", loss=epoch.val_loss, share=share)


class RatesView(View):
    """The learning rate of each group of layers."""

    title = marked("Learning rates")
    takes_log = True

    def __init__(self, theme: Theme) -> None:
        self.rate = make_plot(tr("Learning rate"), tr("epoch"))
        super().__init__(theme, (self.rate,))
        _grid(self).addWidget(self.rate, 0, 0)
        self.set_log(True)
        self._recolour()

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of layers that learned at some time, the head's first."""
        told = self._history.rates
        return tuple(dict.fromkeys(name for rates in told for name, _ in reversed(rates.groups))) or ("head",)

    @property
    def legend(self) -> str:
        """Which group has which colour."""
        groups = self.groups[: len(SERIES)]
        left = len(self.groups) - len(groups)
        more = [tr_n("and {n} more", "and {n} more", n=left)] if left else []
        named = [square(SERIES[at], html.escape(name)) for at, name in enumerate(groups)]
        return " &nbsp; ".join((*named, *more, *self._thinned))

    def set_log(self, log: bool) -> None:
        """Draw the rates on a logarithmic scale, or not."""
        super().set_log(log)
        self.rate.setLogMode(y=log)

    def _draw(self, history: MetricHistory) -> None:
        for gone in set(self._curves).difference(self.groups):
            self.rate.removeItem(self._curves.pop(gone))
        at, rates, epochs = self._steps.at, self._steps.rates, self._steps.epochs
        told = [dict(history.rates_in(epoch)) for epoch in range(int(epochs[-1]) + 1)] if len(epochs) else []
        for number, name in enumerate(self.groups):
            shares = np.array([held.get(name, np.nan) for held in told])
            # A rate that has fallen to nothing lies nowhere on a logarithmic scale.
            values = np.where(rates > 0, rates, np.nan) * shares[epochs] if len(epochs) else rates
            self._trace(self.rate, name, SERIES[number % len(SERIES)], at, values)
        self._over_epochs(history)

    def _told_at(self, at: float) -> str:
        step, _ = _found(self._history, self._steps, at)
        if step is None:
            return ""
        groups = reversed(self._history.rates_in(step.epoch))
        return f"{_where(step)}: " + ", ".join(f"{name} {step.lr * share:.3g}" for name, share in groups)


class SpeedView(View):
    """How many pictures are learned a second."""

    title = marked("Speed")
    takes_log = True
    smooths = True

    def __init__(self, theme: Theme) -> None:
        self.speed = make_plot(tr("Pictures a second, while it learns"), tr("epoch"))
        super().__init__(theme, (self.speed,))
        _grid(self).addWidget(self.speed, 0, 0)
        self._recolour()

    @property
    def legend(self) -> str:
        """What the curves are."""
        named = square(self._theme.colours.plot_train, tr("every batch, faint, and the mean of each epoch"))
        return " &nbsp; ".join((named, *self._thinned))

    def set_log(self, log: bool) -> None:
        """Draw the speed on a logarithmic scale, or not."""
        super().set_log(log)
        self.speed.setLogMode(y=log)

    def _draw(self, history: MetricHistory) -> None:
        colour, speeds = self._theme.colours.plot_train, self._steps.speeds(history.started.batch_size if history.started else 0)
        known = ~np.isnan(speeds)
        self._trace(self.speed, "steps", colour, self._steps.at[known], smooth(speeds[known], self._smooth_over), faint=True)
        epochs, counts = self._steps.epochs, np.where(known, self._steps.timed[0], 0.0)
        taken, seconds = np.bincount(epochs, counts), np.bincount(epochs, np.where(known, counts / speeds, 0.0))
        done = [epoch.epoch for epoch in history.epochs if epoch.epoch < len(taken) and taken[epoch.epoch]]
        self._trace(self.speed, "epochs", colour, np.array(done) + 1.0, taken[done] / seconds[done], dots=True)
        self._over_epochs(history)

    def _told_at(self, at: float) -> str:
        point, started = nearest(self._steps.at, at), self._history.started
        if point is None or started is None or np.isnan(speed := self._steps.speeds(started.batch_size)[point]):
            return ""
        step, _ = _found(self._history, self._steps, at)
        return (f"{_where(step)}: " if step else "") + tr("{speed:,.1f} pictures a second", speed=speed)


class MachineView(View):
    """What the run takes of the machine, over the minutes since it began."""

    title = marked("Machine")
    smooths = True

    def __init__(self, theme: Theme) -> None:
        self.use = make_plot(tr("Use, %"), tr("minutes"))
        self.memory = make_plot(tr("Memory, GB"), tr("minutes"))
        self.heat = make_plot(tr("GPU temperature, °C"), tr("minutes"))
        super().__init__(theme, (self.use, self.memory, self.heat))
        layout = _grid(self)
        for column, plot in enumerate(self.plots):
            layout.addWidget(plot, 0, column)
        self.use.setYRange(0, 100)
        self._recolour()

    @property
    def legend(self) -> str:
        """What the curves are."""
        colours = self._theme.colours
        cpu = square(colours.plot_train, tr("all processor cores, and the memory of this process"))
        gpu = square(colours.plot_val, tr("the GPU, and what torch holds of its memory"))
        return f"{cpu} &nbsp; {gpu}" if any(seen.gpu_memory is not None for _, seen in self._history.machine) else cpu

    def _draw(self, history: MetricHistory) -> None:
        colours, seen = self._theme.colours, history.machine
        minutes = np.array([seconds / 60 for seconds, _ in seen])
        series = (
            (self.use, "cpu", colours.plot_train, [100 * each.cpu for _, each in seen]),
            (self.use, "gpu", colours.plot_val, [None if each.gpu is None else 100 * each.gpu for _, each in seen]),
            (self.memory, "memory", colours.plot_train, [each.memory / 1e9 for _, each in seen]),
            (self.memory, "gpu_memory", colours.plot_val, [e.gpu_memory and e.gpu_memory / 1e9 for _, e in seen]),
            (self.heat, "gpu_celsius", colours.plot_val, [each.gpu_celsius for _, each in seen]),
        )
        for plot, name, colour, told in series:
            known = np.array([value is not None for value in told], dtype=bool)
            values = np.array([value for value in told if value is not None], dtype=float)
            self._trace(plot, name, colour, minutes[known], smooth(values, self._smooth_over))
        self.heat.setVisible(any(each.gpu_celsius is not None for _, each in seen))
        self.memory.setYRange(0, max([1e-3, *(max(e.memory, e.gpu_memory or 0) / 1e9 for _, e in seen)]), padding=0.05)

    def _told_at(self, at: float) -> str:
        seen = self._history.machine
        place = nearest(np.array([seconds / 60 for seconds, _ in seen]), at)
        if place is None:
            return ""
        seconds, use = seen[place]
        said = [tr("processor {share:.0f} %", share=100 * use.cpu), tr("memory {size}", size=words.size(use.memory))]
        said += [tr("GPU {share:.0f} %", share=100 * use.gpu)] if use.gpu is not None else []
        said += [tr("GPU memory {size}", size=words.size(use.gpu_memory))] if use.gpu_memory is not None else []
        said += [f"{use.gpu_celsius:.0f} °C"] if use.gpu_celsius is not None else []
        return tr("after {time}: {what}", time=words.duration(seconds), what=", ".join(said))


class Plots(QWidget):
    """The views of a run, one of them shown. `pointed` tells what lies under the mouse there; "": nothing any more."""

    pointed = Signal(str)
    changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.learning, self.rates, self.speed, self.machine = views = (
            LearningView(theme), RatesView(theme), SpeedView(theme), MachineView(theme),
        )  # fmt: skip
        self.views: tuple[View, ...] = views
        self._history, self._planned = MetricHistory(), 1
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setAccessibleName(tr("Which plot is shown"))
        for view in self.views:
            self.tabs.addTab(view, tr(view.title))
            view.pointed.connect(self.pointed)
        self.tabs.setObjectName("curves")
        self.tabs.currentChanged.connect(self._choose)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tabs)

    @property
    def shown(self) -> View:
        """The view that is shown."""
        return self.views[self.tabs.currentIndex()]

    def show_history(self, history: MetricHistory, planned: int = 1) -> None:
        """Draw `history` as it stands; `planned` epochs are shown while none has begun."""
        if history is not self._history:
            self.pointed.emit("")  # what was read is the other run's
        self._history, self._planned = history, planned
        self.shown.show_history(history, planned)  # the others when they are shown

    def set_smoothing(self, points: int) -> None:
        """Draw what is told of every step as the mean over so many of them, in every view."""
        for view in self.views:
            view.set_smoothing(points)

    def shut_down(self) -> None:
        """Free what pyqtgraph keeps."""
        for view in self.views:
            view.shut_down()

    def _choose(self) -> None:
        self.shown.show_history(self._history, self._planned)
        self.changed.emit()


def _grid(view: QWidget) -> QGridLayout:
    layout = QGridLayout(view)
    layout.setContentsMargins(0, 6, 0, 0)
    layout.setSpacing(8)
    return layout


def _found(history: MetricHistory, steps: StepArrays, at: float) -> tuple[StepDone | None, EpochDone | None]:
    """The step nearest to `at`, and its epoch where that is done."""
    step = steps.nearest(history, at)
    return step, next((each for each in history.epochs if step is not None and each.epoch == step.epoch), None)


def _where(step: StepDone) -> str:
    return tr("epoch {epoch}, batch {batch}", epoch=step.epoch + 1, batch=step.step + 1)
