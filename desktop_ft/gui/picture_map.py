"""The map of a check-up: a dot a photo, near those that look like it, coloured by class; a lasso selects."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QPolygonF
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_ft.core.checkup import Checkup
from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.plots import SERIES, colour_plot, free_plot, make_plot, square
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.thumbnails import Thumb, Wall, tip
from desktop_ft.gui.widgets import label, row

_DOT = 8
_NAMED = 12
_SYMBOLS = ("o", "s", "t1", "d")


class PictureMap(QWidget):
    """Draws the places of a check-up. `chosen` tells the numbers of the samples within the lasso."""

    chosen = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._found: Checkup | None = None
        self._root = Path()
        self._places = np.zeros((0, 2))
        self.plot = make_plot(tr("Photos that look alike lie near each other"), "")
        self.plot.setMouseEnabled(x=False, y=False)
        for side in ("left", "bottom"):
            self.plot.hideAxis(side)
        self._dots = pg.ScatterPlotItem(hoverable=True, size=_DOT, pen=None)
        self._dots.sigHovered.connect(self._hover)
        self._line = pg.PlotCurveItem()
        for item in (self._dots, self._line):
            self.plot.addItem(item)
        self._lasso = QPolygonF()
        self._view = self.plot.getPlotItem().getViewBox()
        self._view.mouseDragEvent = self._drag
        self.key = label(role="muted", wrap=True)
        self.key.setTextFormat(Qt.TextFormat.RichText)
        self.photo = Wall(theme, tr("Photo under the pointer"))
        size = self.photo.gridSize()
        self.photo.setFixedSize(size.width() + 6, size.height() + 6)
        self.photo.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.addWidget(self.plot, 1)
        layout.addLayout(row(self.photo, self.key))
        theme.changed.connect(self._colour)
        self._colour()

    def show_checkup(self, found: Checkup, root: Path) -> None:
        """Draw the places of `found`, whose samples lie below `root`."""
        self._found, self._root = found, root
        self._places = np.array(found.places, float).reshape(-1, 2)
        self._dots.setData(
            x=self._places[:, 0],
            y=self._places[:, 1],
            brush=[pg.mkBrush(_colour(sample.label)) for sample in found.samples[: len(self._places)]],
            symbol=[_SYMBOLS[_turn(sample.label)] for sample in found.samples[: len(self._places)]],
            data=np.arange(len(self._places)),
        )
        self._view.autoRange(padding=0.05)
        names = [square(_colour(label), html.escape(words.printable(name))) for label, name in enumerate(found.classes[:_NAMED])]
        more = tr("and {n} more", n=len(found.classes) - _NAMED) if len(found.classes) > _NAMED else ""
        self.key.setText(" ".join([*names, more, "<br>" + tr("Drag around photos to select them.")]))

    def choose(self, corners: Sequence[QPointF]) -> None:
        """Choose what lies within these corners, in the map's own units."""
        polygon = QPolygonF(list(corners))
        inside = [
            number
            for number, (x, y) in enumerate(self._places)
            if polygon.containsPoint(QPointF(float(x), float(y)), Qt.FillRule.OddEvenFill)
        ]
        self.chosen.emit(inside)

    def stop(self) -> None:
        """Decode nothing any more, and free the plot; to be called before the window goes."""
        self._theme.changed.disconnect(self._colour)
        self.photo.stop()
        free_plot(self.plot)

    def _drag(self, event: Any, axis: int | None = None) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        event.accept()
        if event.isStart():
            self._lasso = QPolygonF([self._view.mapSceneToView(event.buttonDownScenePos())])
        self._lasso.append(self._view.mapSceneToView(event.scenePos()))
        corners = [self._lasso.at(number) for number in range(self._lasso.count())]
        self._line.setData([corner.x() for corner in corners], [corner.y() for corner in corners])
        if event.isFinish():
            self.choose(corners)

    def _hover(self, _dots: Any, points: Any, *_: Any) -> None:
        if self._found is None or not len(points):
            return
        sample = self._found.samples[int(points[0].data())]
        name = words.printable(self._found.classes[sample.label])
        self.photo.thumbs.set_thumbs([Thumb(path=self._root / sample.path, caption=name, tip=tip(sample.path))])

    def _colour(self) -> None:
        colour_plot(self.plot, self._theme.colours)
        self._line.setPen(pg.mkPen(self._theme.colours.accent, width=2))


def _colour(label: int) -> str:
    return SERIES[label % len(SERIES)]


def _turn(label: int) -> int:
    return label // len(SERIES) % len(_SYMBOLS)
