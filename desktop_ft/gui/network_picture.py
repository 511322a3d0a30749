"""The network as a picture from input to head, which is also the slider of how deep it is frozen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractSlider, QToolTip, QWidget

from desktop_ft.core.advice import Advice
from desktop_ft.core.freezing import frozen_depth
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.layers import LayerNode, blocks, is_under
from desktop_ft.gui import words
from desktop_ft.gui.score_curve import ScoreCurve
from desktop_ft.gui.theme import Theme

_BARS, _GAP, _EDGE = 56, 3, 8
_CURVE = 40
"""So much taller it is with a curve."""
_GRIP = QSize(10, 22)
_LEAST_HEIGHT, _LEAST_COLOUR = 0.3, 0.25
_DECADES = 3
"""Rates that are this many powers of ten below the highest, or more, are drawn equally pale."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One block, or the head.

    Attributes:
        path: of the layer that holds it in the tree.
        leaves: path and parameters of each of its layers that can learn.
        side: of its output in pixels; 1 where that is no picture.
    """

    path: str
    leaves: tuple[tuple[str, int], ...]
    side: int

    @property
    def parameters(self) -> int:
        """Of the whole bar."""
        return sum(count for _, count in self.leaves)


def bars(tree: LayerNode, head: str) -> tuple[Bar, ...]:
    """The blocks of `tree` from the input up, then the head."""
    nodes = {node.path: node for node in tree.walk()}
    ends = tuple(leaf.path for leaf in tree.leaves() if is_under(leaf.path, head))
    return tuple(_bar(nodes, block) for block in (*blocks(tree, head), ends) if block)


def _bar(nodes: Mapping[str, LayerNode], block: Sequence[str]) -> Bar:
    parts = [leaf.split(".") for leaf in block]
    shared = next((n for n, names in enumerate(zip(*parts, strict=False)) if len(set(names)) > 1), min(map(len, parts)))
    path = ".".join(parts[0][:shared]) or block[0]
    shape = nodes[path].output_shape or nodes[block[-1]].output_shape or ()
    return Bar(path, tuple((leaf, nodes[leaf].parameters) for leaf in block), shape[-1] if len(shape) == 3 else 1)


class NetworkPicture(QAbstractSlider):
    """A bar a block, as tall as its pictures are large, filled as far as it learns: the stronger the colour, the faster.

    Its value is how many blocks are frozen from the input up; the grip stands there. A click on a bar tells its path. What advice
    found at each depth is drawn over it, each point where the grip would stand; a click on one freezes up to there.
    """

    picked = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._bars: tuple[Bar, ...] = ()
        self._rates: Mapping[str, float] = {}
        self._current = -1
        self._advice: Advice | None = None
        self._dragged = False
        self.setOrientation(Qt.Orientation.Horizontal)
        self.setPageStep(1)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Blocks frozen from the input up"))
        self.setMouseTracking(True)
        theme.changed.connect(self.update)

    def show_network(self, tree: LayerNode | None, head: str) -> None:
        """Draw another network; none: nothing."""
        self._bars = bars(tree, head) if tree is not None else ()
        self._rates, self._current = {}, -1
        self.blockSignals(True)
        self.setRange(0, max(0, len(self._bars) - 1))
        self.blockSignals(False)
        self.update()

    def show_rates(self, rates: Mapping[str, float]) -> None:
        """Colour the bars by the multiplier of each layer, and stand where the first one learns. Tells of no change."""
        self._rates = rates if self._bars else {}
        if self._rates:
            depth = frozen_depth([[path for path, _ in bar.leaves] for bar in self._bars[:-1]], rates)
            self.blockSignals(True)
            self.setValue(depth)
            self.blockSignals(False)
            self.setAccessibleDescription(self._frozen)
        self.update()

    def show_advice(self, advice: Advice | None) -> None:
        """Draw how well the classes are told at each depth, or no more."""
        if advice is not self._advice:
            self._advice = advice
            self.updateGeometry()
            self.update()

    def set_current(self, path: str) -> None:
        """Outline the block that the layer `path` is in; none, where it is in several."""
        self._current = next((n for n, bar in enumerate(self._bars) if is_under(path, bar.path) or _in(bar, path)), -1)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide, and as tall as the bars and a line of text; with a curve taller, where there is room."""
        return self.minimumSizeHint() + QSize(0, 0 if self._advice is None else _CURVE)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """With bars as without a curve."""
        return QSize(400, _BARS + self._below)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Bars, grip, and what stands below them."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for number, bar in enumerate(self._bars):
            self._draw_bar(painter, bar, self.bar_rect(number), outlined=number == self._current)
        if len(self._bars) > 1:
            curve = self.curve
            self._draw_grip(painter, curve.height_of(self.sliderPosition()) if curve is not None else 0.0)
            if curve is not None:
                curve.paint(painter, self._theme.colours)
            self._draw_words(painter)

    @property
    def curve(self) -> ScoreCurve | None:
        """What is drawn over the bars; None where there is no advice for them."""
        advice = self._advice
        if advice is None or advice.blocks != len(self._bars) - 1:
            return None
        return ScoreCurve(
            scores=advice.scores,
            chosen=advice.option.depth,
            x=self._place_of,
            top=self.fontMetrics().height() + 2,
            bottom=self._tall - 4,
        )

    def bar_rect(self, number: int) -> QRectF:
        """Where the bar `number` stands."""
        width = (self.width() - 2 * _EDGE + _GAP) / len(self._bars)
        largest = math.log2(1 + max(bar.side for bar in self._bars))
        share = _LEAST_HEIGHT + (1 - _LEAST_HEIGHT) * math.log2(1 + self._bars[number].side) / largest
        return QRectF(_EDGE + number * width, self._tall * (1 - share), max(1.0, width - _GAP), self._tall * share)

    def grip_at(self) -> QPointF:
        """The middle of the grip: in front of the first block that learns."""
        return QPointF(self._place_of(self.sliderPosition()), self._tall - _GRIP.height() / 2)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Take the grip, or choose a bar."""
        if event.button() != Qt.MouseButton.LeftButton or not self._bars:
            event.ignore()
            return
        if abs(event.position().x() - self.grip_at().x()) <= _GRIP.width():
            self._dragged = True
            self.setSliderDown(True)
        elif (curve := self.curve) is not None and (depth := curve.depth_near(event.position())) is not None:
            self.setValue(depth)
        elif (number := self._bar_at(event.position().x())) >= 0:
            self.picked.emit(self._bars[number].path)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the grip along, and show where it can be taken."""
        if self._dragged:
            width = self.bar_rect(0).width() + _GAP
            self.setSliderPosition(round((event.position().x() - _EDGE) / width))
        near = bool(self._bars) and abs(event.position().x() - self.grip_at().x()) <= _GRIP.width()
        self.setCursor(Qt.CursorShape.SizeHorCursor if near or self._dragged else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Let go of the grip."""
        if self._dragged:
            self._dragged = False
            self.setSliderDown(False)

    def event(self, event: QEvent) -> bool:
        """Say of each bar what it is."""
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            number = self._bar_at(event.pos().x())
            QToolTip.showText(event.globalPos(), self._tip(number) if number >= 0 else self.toolTip(), self)
            return True
        return super().event(event)

    @property
    def _frozen(self) -> str:
        return tr_n(
            "{depth} of {n:,} block of layers frozen from the input up",
            "{depth} of {n:,} blocks of layers frozen from the input up",
            n=len(self._bars) - 1,
            depth=self.sliderPosition(),
        )

    @property
    def _below(self) -> int:
        return self.fontMetrics().height() + 8

    @property
    def _tall(self) -> int:
        """Of the bars: as the room is."""
        return min(max(_BARS, self.height() - self._below), _BARS if self._advice is None else _BARS + _CURVE)

    def _place_of(self, depth: int) -> float:
        return self.bar_rect(depth).left() - _GAP / 2 if self._bars else 0.0

    def _bar_at(self, x: float) -> int:
        spans = ((number, self.bar_rect(number)) for number in range(len(self._bars)))
        return next((number for number, rect in spans if rect.left() <= x <= rect.right() + _GAP), -1)

    def _tip(self, number: int) -> str:
        bar = self._bars[number]
        rates = {self._rates.get(path, 0.0) for path, _ in bar.leaves} - {0.0}
        count = len(self._bars) - 1
        parts = (
            tr("the head") if number == count else tr("block {number} of {count}", number=number + 1, count=count),
            tr("{number} parameters", number=words.millions(bar.parameters)),
            tr("learns at up to {share} of the rate", share=words.rate(max(rates))) if rates else tr("frozen"),
        )
        said = f"{bar.path}: {', '.join(parts)}"
        if (curve := self.curve) is None:
            return said
        told = (words.interval(score.accuracy) for score in curve.scores if score.depth == number + 1)
        behind = (tr("From what it hands on, a simple classifier tells {share} of your pictures.", share=share) for share in told)
        return "\n".join((said, *behind))

    def _draw_bar(self, painter: QPainter, bar: Bar, rect: QRectF, *, outlined: bool) -> None:
        colours = self._theme.colours
        painter.setPen(Qt.PenStyle.NoPen)
        painter.fillRect(rect, QColor(colours.border))
        learning = {path: rate for path, _ in bar.leaves if (rate := self._rates.get(path, 0.0))}
        if learning:
            highest = max(self._rates.values())
            strength = 1 + math.log10(max(learning.values()) / highest) / _DECADES
            colour = QColor(colours.accent)
            colour.setAlphaF(max(_LEAST_COLOUR, strength))
            share = sum(count for path, count in bar.leaves if path in learning) / bar.parameters
            filled = QRectF(rect.left(), rect.bottom() - rect.height() * share, rect.width(), rect.height() * share)
            painter.fillRect(filled, QColor(colours.base))
            painter.fillRect(filled, colour)
        if outlined:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(colours.text), 2))
            painter.drawRect(rect.adjusted(1, 1, -1, -1))

    def _draw_grip(self, painter: QPainter, top: float) -> None:
        colours, at = self._theme.colours, self.grip_at()
        painter.setPen(QPen(QColor(colours.text), 2))
        painter.drawLine(QPointF(at.x(), top), QPointF(at.x(), self._tall))
        ringed = self.hasFocus()
        painter.setPen(QPen(QColor(colours.accent if ringed else colours.outline), 2 if ringed else 1))
        painter.setBrush(QColor(colours.raised))
        grip = QRectF(at.x() - _GRIP.width() / 2, at.y() - _GRIP.height() / 2, _GRIP.width(), _GRIP.height())
        painter.drawRoundedRect(grip, 3, 3)

    def _draw_words(self, painter: QPainter) -> None:
        painter.setPen(QColor(self._theme.colours.muted))
        line = QRectF(_EDGE, self._tall + 4, self.width() - 2 * _EDGE, self.fontMetrics().height())
        if self.curve is None:
            said = tr("{frozen}: drag the grip, or use the arrow keys", frozen=self._frozen)
        else:
            said = tr("{frozen}. The curve: pictures told behind each block", frozen=self._frozen)
        ends, metrics = (tr("input"), tr("head")), self.fontMetrics()
        beside = 2 * max(map(metrics.horizontalAdvance, ends)) + 4 * _EDGE
        said = metrics.elidedText(said, Qt.TextElideMode.ElideRight, round(line.width()) - beside)
        for text, side in ((ends[0], "Left"), (said, "HCenter"), (ends[1], "Right")):
            painter.drawText(line, Qt.AlignmentFlag[f"Align{side}"], text)


def _in(bar: Bar, path: str) -> bool:
    return any(path == leaf for leaf, _ in bar.leaves)
