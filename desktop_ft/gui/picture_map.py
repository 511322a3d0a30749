"""The map of a check-up: a dot a photo, near those that look like it, coloured by class; a lasso or the keys select."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QPolygonF
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_ft.core.checkup import Checkup
from desktop_ft.core.language import tr
from desktop_ft.gui import words
from desktop_ft.gui.plots import SERIES, colour_plot, free_plot, make_plot, square
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.thumbnails import Thumb, Wall, tip
from desktop_ft.gui.widgets import label, row

_DOT, _MARK, _RING = 8, 12, 18
_NAMED = 12
_SYMBOLS = ("o", "s", "t1", "d")
_WAYS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, 1),
    Qt.Key.Key_Down: (0, -1),
}


class PictureMap(QWidget):
    """Draws the places of a check-up. `chosen` tells the numbers of the samples that are selected.

    With the keyboard: arrows go to the nearest photo on that side, Shift selects on the way, Space selects the photo or takes it
    out, Ctrl+A selects all, Escape none.

    Attributes:
        aside: the photo under the pointer, and what the colours mean; for who shows this to put where there is room.
    """

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
        self._ring = pg.ScatterPlotItem(size=_RING, brush=None)  # around the photo that the keys stand at
        self._marks = pg.ScatterPlotItem(size=_MARK, brush=None)  # around those that are selected
        self._at: int | None = None
        self._selected: set[int] = set()
        for item in (self._dots, self._line, self._marks, self._ring):
            self.plot.addItem(item)
        self._lasso = QPolygonF()
        self._view = self.plot.getPlotItem().getViewBox()
        self._view.mouseDragEvent = self._drag
        self.plot.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.plot.installEventFilter(self)
        self.key = label(role="muted", wrap=True)
        self.key.setTextFormat(Qt.TextFormat.RichText)
        self.photo = Wall(theme, tr("Photo under the pointer"))
        size = self.photo.gridSize()
        self.photo.setFixedSize(size.width() + 6, size.height() + 6)
        self.photo.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.addWidget(self.plot, 1)
        self.aside = QWidget()
        below = QVBoxLayout(self.aside)
        below.setContentsMargins(0, 8, 0, 0)
        below.addLayout(row(self.photo, self.key))
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
        self._at, self._selected = None, set()
        self._line.clear()
        self._mark()
        self._view.autoRange(padding=0.05)
        names = [square(_colour(label), html.escape(words.printable(name))) for label, name in enumerate(found.classes[:_NAMED])]
        more = tr("and {n} more", n=len(found.classes) - _NAMED) if len(found.classes) > _NAMED else ""
        self.key.setText(" ".join([*names, more, "<br>" + tr("Drag around photos to select them, or use arrows and Space.")]))

    def choose(self, corners: Sequence[QPointF]) -> None:
        """Choose what lies within these corners, in the map's own units."""
        polygon = QPolygonF(list(corners))
        inside = [
            number
            for number, (x, y) in enumerate(self._places)
            if polygon.containsPoint(QPointF(float(x), float(y)), Qt.FillRule.OddEvenFill)
        ]
        self._select(inside)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Go about on the map by keys, which the plot would not use."""
        if watched is self.plot and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and len(self._places):
            return self._pressed(event)
        return super().eventFilter(watched, event)

    def _pressed(self, event: QKeyEvent) -> bool:
        """Whether the key means something here."""
        key, shift = event.key(), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.matches(QKeySequence.StandardKey.SelectAll):
            self._select(range(len(self._places)))
        elif key == Qt.Key.Key_Escape and self._selected:  # else it closes the dialog, as everywhere
            self._select(())
        elif key in _WAYS:
            before = self._at
            self._at = self._beside(_WAYS[Qt.Key(key)])
            self._show(self._at)
            if shift:
                self._select(self._selected | {self._at} | ({before} if before is not None else set()))
        elif key == Qt.Key.Key_Space and self._at is not None:
            self._select(self._selected ^ {self._at})
        else:
            return False
        self._mark()
        return True

    def _beside(self, way: tuple[int, int]) -> int:
        """The photo nearest in that direction, one straight ahead before one to the side; the same where there is none."""
        if self._at is None:
            return int(np.argmin(((self._places - self._places.mean(axis=0)) ** 2).sum(axis=1)))
        apart = self._places - self._places[self._at]
        ahead = apart @ np.array(way, float)
        aside = np.abs(apart @ np.array((way[1], way[0]), float))
        far = np.where((ahead > 0) & (aside <= ahead), ahead + aside, np.inf)
        best = int(np.argmin(far))
        return best if np.isfinite(far[best]) else self._at

    def _select(self, numbers: Iterable[int]) -> None:
        self._selected = set(numbers)
        self._mark()
        self.chosen.emit(sorted(self._selected))

    def _mark(self) -> None:
        """Show what is selected and where the keys stand; a screen reader says it."""
        selected = sorted(self._selected)
        self._marks.setData(pos=self._places[selected])
        self._ring.setData(pos=self._places[[] if self._at is None else [self._at]])
        said = tr(
            "Arrows go from photo to photo, Space selects one, Shift with an arrow selects on the way, Escape selects none."
        )
        if self._found is not None and self._at is not None:
            sample = self._found.samples[self._at]
            name = words.printable(f"{sample.path}, {self._found.classes[sample.label]}")
            state = tr("selected") if self._at in self._selected else tr("not selected")
            said = f"{name}: {state}. {said}"
        self.plot.setAccessibleDescription(said)

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
        self._show(int(points[0].data()))

    def _show(self, number: int) -> None:
        if self._found is None:
            return
        sample = self._found.samples[number]
        name = words.printable(self._found.classes[sample.label])
        self.photo.thumbs.set_thumbs([Thumb(path=self._root / sample.path, caption=name, tip=tip(sample.path))])

    def _colour(self) -> None:
        colour_plot(self.plot, self._theme.colours)
        self._line.setPen(pg.mkPen(self._theme.colours.accent, width=2))
        self._marks.setPen(pg.mkPen(self._theme.colours.text, width=1))
        self._ring.setPen(pg.mkPen(self._theme.colours.accent, width=3))


def _colour(label: int) -> str:
    return SERIES[label % len(SERIES)]


def _turn(label: int) -> int:
    return label // len(SERIES) % len(_SYMBOLS)
