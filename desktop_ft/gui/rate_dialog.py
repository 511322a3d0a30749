"""The learning-rate finder: a curve of the loss over the rate; a click on it takes a rate."""

import math
import threading
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from desktop_ft.core.language import tr
from desktop_ft.core.rate_sweep import HIGHEST, LOWEST, STEPS, RateSweep
from desktop_ft.core.recipe import Optimisation
from desktop_ft.gui.form import RateSpinBox
from desktop_ft.gui.plots import colour_plot, free_plot, make_plot
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import GAP, MARGIN, Notice, Progress, button, caption_of, label, row
from desktop_ft.gui.worker import Report, Task
from desktop_ft.jobs.rate_finding import find_rate

_SIZE = (640, 460)


class RateDialog(QDialog):
    """Begins at once; what it found is taken into the recipe only when the person says so."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Find a learning rate"))
        self.resize(*_SIZE)
        self._session = session
        self._task: Task | None = None
        self._tried: list[RateSweep] = []
        self.notice = Notice()
        self.progress = Progress(tr("steps"))
        self.progress.cancelled.connect(self.reject)
        self.plot = make_plot(tr("Loss"), tr("learning rate of the head"))
        self.plot.setLogMode(x=True)
        self.plot.setXRange(math.log10(LOWEST), math.log10(HIGHEST))
        colours, scale = session.theme.colours, self.devicePixelRatioF()
        colour_plot(self.plot, colours)
        faint = pg.mkColor(colours.plot_train)
        faint.setAlpha(110)
        self._losses = self.plot.plot(pen=pg.mkPen(faint, width=scale))
        self._smooth = self.plot.plot(pen=pg.mkPen(colours.plot_train, width=2 * scale))
        self._line = pg.InfiniteLine(angle=90, movable=False, pen=pg.mkPen(colours.good, width=2 * scale))
        self._line.hide()
        self.plot.addItem(self._line)
        self.plot.scene().sigMouseClicked.connect(self._clicked)
        self.rate = RateSpinBox()
        self.rate.setAccessibleName(tr("Learning rate"))
        self.rate.setRange(1e-6, HIGHEST)
        self.rate.setToolTip(tr(Optimisation.model_fields["lr"].description or ""))
        self.rate.setValue(session.state.recipe.optimisation.lr)
        self.rate.valueChanged.connect(self._draw_line)
        self.use = button(tr("Use this rate"), self._use, primary=True)
        caption = caption_of(self.rate, tr("&Rate"))
        self.words = label(role="muted", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(GAP)
        layout.addWidget(
            label(
                tr(
                    "The rate rises step by step. Where the loss falls, the network learns; where it rises, the rate is too high."
                ),
                wrap=True,
            )
        )
        for widget in (self.notice, self.progress):
            layout.addWidget(widget)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.words)
        layout.addLayout(row(caption, self.rate, None, button(tr("Close"), self.reject), self.use))
        self.finished.connect(self._end)
        self._begin()

    def _begin(self) -> None:
        state, plugins = self._session.state, self._session.plugins
        recipe, manifest, tried_so_far = state.recipe, state.manifest, self._tried  # the thread holds no widget

        def work(report: Report, cancel: threading.Event) -> RateSweep:
            def told(tried: RateSweep) -> None:
                tried_so_far[:] = [tried]
                report(len(tried.rates), STEPS)

            return find_rate(recipe, plugins, manifest, told=told, cancel=cancel)

        self._enable(False)
        self.progress.begin(tr("Trying rates"))
        self._task = self._session.worker.run(work, finished=self._show, failed=self._fail, progressed=self._advance)

    def _advance(self, done: int, total: int | None) -> None:
        self.progress.advance(done, total)
        if self._task is not None and not self._task.cancel.is_set():
            self._draw(self._tried[0])

    def _draw(self, sweep: RateSweep) -> None:
        self._losses.setData(np.array(sweep.rates), np.array(sweep.losses))
        self._smooth.setData(np.array(sweep.rates), np.array(sweep.smooth))

    def _show(self, sweep: RateSweep) -> None:
        if self._over():
            return
        self._draw(sweep)
        self.words.setText(f"{sweep.words} {tr('Click on the curve to take another.')}")
        self._line.show()
        if sweep.suggested is not None:
            self.rate.setValue(sweep.suggested)
        self._draw_line()
        self._enable(True)

    def _fail(self, error: BaseException) -> None:
        if not self._over():
            self.notice.fail(error)

    def _over(self) -> bool:
        """The work has ended; returns whether nobody wants to know what came of it any more."""
        closed = self._task is None or self._task.cancel.is_set()
        self._task = None
        self.progress.end()
        return closed

    def _enable(self, can: bool) -> None:
        for widget in (self.rate, self.use):
            widget.setEnabled(can)

    def _clicked(self, event: Any) -> None:
        if self.rate.isEnabled() and event.button() == Qt.MouseButton.LeftButton:
            at = self.plot.getPlotItem().getViewBox().mapSceneToView(event.scenePos()).x()
            self.rate.setValue(float(f"{10 ** min(at, math.log10(HIGHEST)):.2g}"))

    def _draw_line(self) -> None:
        self._line.setPos(math.log10(self.rate.value()))

    def _use(self) -> None:
        self._session.state.edit_optimisation("lr", self.rate.number)
        self.accept()

    def _end(self) -> None:
        self.finished.disconnect(self._end)  # Qt may tell of one end twice: as accepted, and as closed
        if self._task is not None:
            self._task.cancel.set()
        free_plot(self.plot)
