"""The learning curve of a check-up: what was measured, what more pictures would come to, and the band of both."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_ft.core.checkup import Checkup, CurvePoint
from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.plots import colour_plot, free_plot, make_plot
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.widgets import filling, label

_BAND = 50


class LearningCurvePlot(QWidget):
    """The curve, its words, and the classes that are hardly told apart."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.plot = make_plot(tr("Accuracy of a probe, %"), tr("pictures it learns from"))
        self.plot.setMouseEnabled(x=False, y=False)
        self._curves = [self.plot.plot(), self.plot.plot()]
        unseen = pg.mkPen(None)  # not no pen at all: what is not drawn has no path to fill beside
        self._edges = [[self.plot.plot(pen=unseen), self.plot.plot(pen=unseen)] for _ in self._curves]
        self._bands = [pg.FillBetweenItem(low, high) for low, high in self._edges]
        for band in self._bands:
            self.plot.addItem(band)
        self.words = label(wrap=True)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.addWidget(filling(self.plot), 1)
        layout.addWidget(self.words)
        theme.changed.connect(self._colour)
        self._colour()

    def show_checkup(self, found: Checkup) -> None:
        """Draw the curve of `found`."""
        curve = found.curve
        self.plot.setVisible(bool(curve.coming))
        for number, points in enumerate((curve.measured, (*curve.measured[-1:], *curve.coming))):
            self._draw(number, points)
        confused = [f"{pair.words(found.classes)} {pair.cure}" for pair in found.confused]
        none = tr("A probe tells every two classes apart better than four times in five.")
        told = confused or ([none] if curve.coming else [])  # where nothing could be judged, nothing is said
        self.words.setText("\n".join(map(words.printable, [curve.words, *told])))

    def stop(self) -> None:
        """Free the plot; to be called before the window goes."""
        self._theme.changed.disconnect(self._colour)
        free_plot(self.plot)

    def _draw(self, number: int, points: Sequence[CurvePoint]) -> None:
        at = np.array([point.pictures for point in points], float)
        low, middle, high = (
            np.array([100 * getattr(point.accuracy, name) for point in points], float) for name in ("low", "value", "high")
        )
        self._curves[number].setData(at, middle)
        for edge, values in zip(self._edges[number], (low, high), strict=True):
            edge.setData(at, values)

    def _colour(self) -> None:
        colours = self._theme.colours
        colour_plot(self.plot, colours)
        kinds: tuple[tuple[str, Qt.PenStyle, Any], ...] = (
            (colours.plot_train, Qt.PenStyle.SolidLine, "o"),
            (colours.plot_val, Qt.PenStyle.DashLine, None),
        )
        for curve, band, (colour, style, symbol) in zip(self._curves, self._bands, kinds, strict=True):
            curve.setPen(pg.mkPen(colour, width=2, style=style))
            curve.setSymbol(symbol)
            curve.setSymbolBrush(colour)
            faint = pg.mkColor(colour)
            faint.setAlpha(_BAND)
            band.setBrush(faint)
