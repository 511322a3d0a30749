"""What advice says of the layers: a chart of what can be told by depth, a sentence, and the plan to take."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_ft.core.advice import Advice
from desktop_ft.core.language import tr
from desktop_ft.gui.help_card import explained
from desktop_ft.gui.plots import colour_plot, free_plot, make_plot
from desktop_ft.gui.session import Session
from desktop_ft.gui.widgets import Progress, button, label, row

_HEIGHT = 120
_BEAM = 0.25


class AdvicePanel(QWidget):
    """A button, and what came of it. `taken` tells the depth that a person wants to freeze up to.

    The chart stands in step with the depth slider: `show_depth` moves its line.
    """

    taken = Signal(int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session, self._inquiry = session, session.advice
        self._depth, self._shut = 0, False
        self._drawn: Advice | None = None
        self.ask = button(
            tr("Advise"), self._inquiry.ask, tip=tr("See how well your classes can be told after each block, and where to cut.")
        )
        self.take = button(tr("Take this plan"), self._take)
        self.words = label(role="muted", wrap=True)
        self.why = button(tr("Why?"), self.refresh, tip=tr("Say how that was found, too."))
        self.why.setCheckable(True)
        self.progress = Progress(tr("steps"))
        self.progress.cancelled.connect(self._inquiry.cancel)
        self._build_plot()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)
        layout.addLayout(row(explained(self.ask, "layers.advice"), self.words, self.why, self.take))
        layout.addWidget(self.progress)
        self._inquiry.changed.connect(self.refresh)
        self._inquiry.progressed.connect(self._advance)
        session.training.ended.connect(self.refresh)
        session.theme.changed.connect(self._draw)
        self.refresh()

    def refresh(self) -> None:
        """Show what is known, and what can be done now."""
        if self._shut:  # the window is closed, and what was asked ends behind it
            return
        told = self._inquiry.told
        self.ask.setEnabled(self._inquiry.can_ask)
        for shown in (self.why, self.take):
            shown.setVisible(told is not None)
        self.progress.follow(tr("Looking at the pictures") if self._inquiry.running else "")
        if told is not self._drawn:
            self._drawn = told
            self._draw()
        self.plot.setVisible(told is not None and not self.why.isChecked())  # the reason takes its room
        self._show_words(told)
        self._show_take()

    def show_depth(self, depth: int) -> None:
        """Stand where `depth` blocks are frozen."""
        self._depth = depth
        if not self._shut:
            self._line.setPos(depth)
        self._show_take()

    def point_of(self, depth: int) -> QPointF:
        """Where in the plot's viewport the score of `depth` is drawn."""
        score = next(score for score in self._drawn.scores if score.depth == depth) if self._drawn else None
        at = QPointF(depth, 100 * score.accuracy.value if score else 0)
        return QPointF(self.plot.mapFromScene(self.plot.getPlotItem().getViewBox().mapViewToScene(at)))

    def shut_down(self) -> None:
        """Free the plot."""
        self._shut = True
        free_plot(self.plot)

    def _build_plot(self) -> None:
        self.plot = make_plot(tr("Can be told, %"), tr("blocks that are frozen, and how much can be told behind them, %"))
        self.plot.setTitle(None)
        self.plot.setFixedHeight(_HEIGHT)
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.setToolTip(
            tr("How well a simple classifier tells your classes from what each block hands on; a click freezes up to there.")
        )
        self._bars = pg.ErrorBarItem(beam=_BEAM)
        self._curve = self.plot.plot(symbol="o", symbolSize=6)
        self._best = pg.ScatterPlotItem()
        self._line = pg.InfiniteLine(angle=90, movable=False)
        for item in (self._bars, self._best, self._line):
            self.plot.addItem(item)
        self.plot.scene().sigMouseClicked.connect(self._clicked)

    def _draw(self) -> None:
        if self._shut:
            return
        colours, scale = self._session.theme.colours, self.devicePixelRatioF()
        colour_plot(self.plot, colours)
        self._line.setPen(pg.mkPen(colours.text, width=1.5 * scale))
        advice = self._drawn
        if advice is None:
            return
        depths = np.array([score.depth for score in advice.scores], dtype=float)
        value, low, high = (
            100 * np.array([getattr(score.accuracy, part) for score in advice.scores]) for part in ("value", "low", "high")
        )
        self._bars.setData(x=depths, y=value, top=high - value, bottom=value - low, pen=pg.mkPen(colours.muted, width=scale))
        self._curve.setData(depths, value, pen=pg.mkPen(colours.plot_val, width=2 * scale), symbolBrush=colours.plot_val)
        chosen = depths == advice.option.depth
        star = {"symbol": "star", "size": 16, "brush": pg.mkBrush(colours.good), "pen": pg.mkPen(colours.good)}
        self._best.setData([{"pos": at, **star} for at in zip(depths[chosen], value[chosen], strict=True)])
        self.plot.setXRange(0, advice.blocks, padding=0.03)
        self._line.setPos(self._depth)

    def _show_words(self, told: Advice | None) -> None:
        blocker = self._session.blocker()
        if told is not None:
            said = told.words if self.why.isChecked() else told.short
        elif self._inquiry.fault:
            said = self._inquiry.fault
        elif blocker is not None:
            said = tr("Advice cannot be had yet: {reason}", reason=blocker.reason)
        elif self._session.computing.now and not self._inquiry.computing:
            said = tr("Other work is under way, beside which nothing can be measured.")
        else:
            said = tr("Advice looks at your training pictures once, and says which blocks should learn.")
        self.words.setText(said)
        self.plot.setAccessibleDescription(said)

    def _show_take(self) -> None:
        told = self._inquiry.told
        taken = told is not None and told.recommended == self._session.state.recipe.freeze.words
        self.take.setEnabled(told is not None and not taken)
        self.take.setToolTip(tr("You have this plan already.") if taken else "")

    def _take(self) -> None:
        if (told := self._inquiry.told) is not None:
            self.taken.emit(told.option.depth)

    def _clicked(self, event: Any) -> None:
        if self._drawn is not None and event.button() == Qt.MouseButton.LeftButton:
            at = self.plot.getPlotItem().getViewBox().mapSceneToView(event.scenePos()).x()
            self.taken.emit(min(max(0, round(at)), self._drawn.blocks))

    def _advance(self, what: str, done: int, total: int | None) -> None:
        self.progress.part(what)
        self.progress.advance(done, total)
