"""How well the classes are told by depth, drawn over the picture of the network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from desktop_ft.core.advice import ProbeScore
from desktop_ft.gui.theme import Colours

_BEAM, _DOT, _CHOSEN, _NEAR = 3.0, 3.0, 6.0, 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCurve:
    """A point a depth with its 95 % interval, the chosen one larger, and the share in percent above those that have room for it.

    Attributes:
        scores: by depth. chosen: the depth that is advised.
        x: where a depth stands, in pixels. top, bottom: what is drawn lies between, in pixels.
    """

    scores: Sequence[ProbeScore]
    chosen: int
    x: Callable[[int], float]
    top: float
    bottom: float

    def depth_near(self, at: QPointF) -> int | None:
        """The depth of the point at `at`, of several the nearest; None where there is none."""
        away, depth = min(((self.at(score) - at).manhattanLength(), score.depth) for score in self.scores)
        return depth if away <= _NEAR else None

    def at(self, score: ProbeScore) -> QPointF:
        """Where the point of `score` is."""
        return QPointF(self.x(score.depth), self._y(score.accuracy.value))

    def height_of(self, depth: int) -> float:
        """Where the point of `depth` is, from above; the top of the picture where there is none."""
        return next((self.at(score).y() for score in self.scores if score.depth == depth), 0.0)

    def paint(self, painter: QPainter, colours: Colours) -> None:
        """Draw it."""
        painter.setPen(QPen(QColor(colours.text), 1))
        for score in self.scores:
            x, low, high = self.x(score.depth), self._y(score.accuracy.low), self._y(score.accuracy.high)
            ends = [QLineF(x - _BEAM, y, x + _BEAM, y) for y in (low, high)]
            painter.drawLines([QLineF(x, low, x, high), *ends])
        painter.setPen(QPen(QColor(colours.plot_val), 2))
        painter.drawPolyline(QPolygonF([self.at(score) for score in self.scores]))
        for score in self.scores:
            best = score.depth == self.chosen
            painter.setPen(QPen(QColor(colours.base), 1))
            painter.setBrush(QColor(colours.good if best else colours.plot_val))
            radius = _CHOSEN if best else _DOT
            painter.drawEllipse(self.at(score), radius, radius)
        self._paint_shares(painter, colours)

    def _paint_shares(self, painter: QPainter, colours: Colours) -> None:
        metrics = painter.fontMetrics()
        width = metrics.horizontalAdvance("100 %")
        apart = abs(self.x(1) - self.x(0))
        every = max(1, -int(-width // apart))
        painter.setPen(QColor(colours.text))
        for score in self.scores:
            if (score.depth - self.chosen) % every == 0:  # so that the chosen one has its own
                above = self._y(score.accuracy.high) - metrics.height() - 1
                place = QRectF(self.x(score.depth) - width / 2, above, width, metrics.height())
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, f"{100 * score.accuracy.value:.0f} %")

    def _y(self, share: float) -> float:
        low = min(score.accuracy.low for score in self.scores)
        high = max(score.accuracy.high for score in self.scores)
        return self.bottom - (share - low) / max(1e-6, high - low) * (self.bottom - self.top)
