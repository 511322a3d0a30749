"""The networks as points: accuracy, on ImageNet or on a person's own pictures, over size, work or measured speed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from desktop_ft.core.language import marked, tr
from desktop_ft.core.offers import Offer, Speed
from desktop_ft.gui import words
from desktop_ft.gui.form import FormGuard
from desktop_ft.gui.plots import colour_plot, free_plot, make_plot
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.widgets import caption_of, filling, label, row

_NEAR = 14.0
"""Pixels within which a click or a hover means a point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What a network's place along one side of the chart says.

    Attributes:
        title: in the list. unit: beside the plot.
        value: of a network; None where it is not known.
        nothing: what to do where it is known of none, in sentences; "": it always is.
    """

    name: str
    title: str
    unit: str
    value: Callable[[Offer], float | None]
    nothing: str = ""


_ACROSS = (
    Axis(
        name="parameters",
        title=marked("Size: parameters, millions"),
        unit=marked("parameters, millions"),
        value=lambda offer: offer.spec.parameters / 1e6,
    ),
    Axis(
        name="gflops",
        title=marked("Work: GFLOPs a picture"),
        unit=marked("GFLOPs a picture"),
        value=lambda offer: offer.spec.gflops,
    ),
    Axis(
        name="speed",
        title=marked("Speed measured here: pictures a second"),
        unit=marked("pictures a second, as large as the network was trained on"),
        value=lambda offer: offer.speed.pictures_per_second if offer.speed else None,
        nothing=marked("The speed of none of these networks was measured here yet. The button Measure speed does it."),
    ),
)
"""What may run from left to right: in powers of ten."""
_UP = (
    Axis(
        name="top1",
        title=marked("Accuracy on ImageNet"),
        unit=marked("ImageNet top-1, %"),
        value=lambda offer: offer.spec.top1,
    ),
    Axis(
        name="probe",
        title=marked("Probe accuracy on your pictures"),
        unit=marked("told of your pictures, %"),
        value=lambda offer: 100 * offer.probe.value if offer.probe else None,
        nothing=marked(
            "None of these networks was compared on your pictures yet. "
            "The button Compare on my pictures does it with those that are on this machine."
        ),
    ),
)
"""What may run from bottom to top."""

_TICKS = [
    (float(np.log10(value)), f"{value:g}") for power in range(-3, 5) for value in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)
]


class NetworkChart(QWidget):
    """A point a network. `picked` tells the one that was clicked, or reached by the arrow keys; `used` one taken by Return.

    Shape and fill say what a point is: a triangle may not be used commercially, a filled one is on this machine, the star is
    in use, the ring is the current one.
    """

    picked = Signal(object)
    used = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._offers: Sequence[Offer] = ()
        self._points: list[tuple[Offer, float, float]] = []
        self._dots, self._ring = pg.ScatterPlotItem(), pg.ScatterPlotItem()
        self._current, self._chosen = "", ""
        self._shut = False
        self.accuracy = self._choice(_UP, tr("Accuracy to compare"), tr("What runs from bottom to top."))
        self.axis = self._choice(_ACROSS, tr("Compare accuracy with"), tr("What runs from left to right."))
        caption = caption_of(self.axis, tr("&against"))
        self.plot = make_plot(tr(_UP[0].unit), "")
        self.plot.setTitle(None)
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.plot.setAccessibleName(tr("Accuracy of the networks: arrow keys go from point to point, Return uses one"))
        self.plot.installEventFilter(self)
        self.plot.addItem(self._dots)
        self.plot.addItem(self._ring)
        self.plot.scene().sigMouseMoved.connect(self._hover)
        self.plot.scene().sigMouseClicked.connect(self._click)
        self.key = label(
            tr("★ in use   ● on this machine   ○ to fetch   ▲ △ not for commercial use   ring: current row"), "muted", wrap=True
        )
        self.said = label(wrap=True)
        self.nothing = label("", "muted", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.addLayout(row(self.accuracy, caption, self.axis, None))
        layout.addWidget(filling(self.plot, self.nothing), 1)
        layout.addWidget(self.said)
        layout.addWidget(self.key)
        theme.changed.connect(self._draw)

    def _choice(self, axes: Sequence[Axis], name: str, tip: str) -> QComboBox:
        choice = QComboBox()
        for axis in axes:
            choice.addItem(tr(axis.title), axis.name)
        choice.setAccessibleName(name)
        choice.setToolTip(tip)
        choice.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        choice.installEventFilter(FormGuard(self))
        choice.currentIndexChanged.connect(self._draw)
        return choice

    def show_offers(self, offers: Sequence[Offer], chosen: str) -> None:
        """Draw these networks; `chosen` is the name of the one in use."""
        self._offers, self._chosen = offers, chosen
        self._draw()

    def set_current(self, name: str) -> None:
        """Ring the point of the network `name`, and say what it is."""
        self._current = name
        self._draw_ring()

    def point_of(self, name: str) -> QPointF | None:
        """Where in the plot's viewport the network `name` is drawn; None where it is not."""
        at = self._place_of(name)
        if at is None:
            return None
        return QPointF(self.plot.mapFromScene(self.plot.getPlotItem().getViewBox().mapViewToScene(QPointF(*at))))

    def height_of(self, name: str) -> float | None:
        """How high the network `name` is drawn, in the unit of the vertical axis; None where it is not."""
        at = self._place_of(name)
        return at[1] if at is not None else None

    @property
    def shown(self) -> list[str]:
        """The names of the networks that are drawn, from left to right."""
        return [offer.spec.name for offer, _, _ in self._points]

    def shut_down(self) -> None:
        """Free the plot."""
        self._shut = True
        free_plot(self.plot)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Arrow keys go from point to point: left and right along the axis, up and down by accuracy; Return uses one."""
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self._draw_ring()
        if not isinstance(event, QKeyEvent) or event.type() is not QEvent.Type.KeyPress or not self._points:
            return super().eventFilter(watched, event)
        by_accuracy = sorted(self._points, key=lambda point: (point[2], point[1]))
        match event.key():
            case Qt.Key.Key_Left | Qt.Key.Key_Right:
                self._step(self._points, 1 if event.key() == Qt.Key.Key_Right else -1)
            case Qt.Key.Key_Up | Qt.Key.Key_Down:
                self._step(by_accuracy, 1 if event.key() == Qt.Key.Key_Up else -1)
            case Qt.Key.Key_Home:
                self.picked.emit(self._points[0][0])
            case Qt.Key.Key_End:
                self.picked.emit(self._points[-1][0])
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.used.emit()
            case _:
                return super().eventFilter(watched, event)
        return True

    def _place_of(self, name: str) -> tuple[float, float] | None:
        return next(((x, y) for offer, x, y in self._points if offer.spec.name == name), None)

    def _step(self, points: Sequence[tuple[Offer, float, float]], by: int) -> None:
        names = [offer.spec.name for offer, _, _ in points]
        at = names.index(self._current) + by if self._current in names else 0
        if 0 <= at < len(points):
            self.picked.emit(points[at][0])

    def _draw(self) -> None:
        if self._shut:
            return
        across, up = _ACROSS[self.axis.currentIndex()], _UP[self.accuracy.currentIndex()]
        found = [(offer, across.value(offer), up.value(offer)) for offer in self._offers]
        placed = [(offer, float(np.log10(x)), float(y)) for offer, x, y in found if x and y is not None]
        self._points = sorted(placed, key=lambda point: (point[1], point[2], point[0].spec.name))
        self.plot.setVisible(bool(self._points))
        self.nothing.setVisible(not self._points)
        self.nothing.setText(self._why_none(up, across))
        colour_plot(self.plot, self._theme.colours)
        self.plot.setLabel("bottom", tr(across.unit))
        self.plot.setLabel("left", tr(up.unit))
        self.plot.getAxis("bottom").setTicks([_TICKS, []])
        on_top = sorted(self._points, key=lambda point: (point[0].spec.name == self._chosen, point[0].local))
        self._dots.setData([self._spot(*point) for point in on_top])
        self.plot.getPlotItem().getViewBox().autoRange(padding=0.06)
        self._draw_ring()

    def _why_none(self, *axes: Axis) -> str:
        """Why no network can be drawn, in sentences."""
        if not self._offers:
            return tr("No network to draw: nothing matches the search.")
        unknown = [axis for axis in axes if all(axis.value(offer) is None for offer in self._offers)]
        said = [tr(axis.nothing) for axis in unknown if axis.nothing]
        return " ".join(said) or tr("Of none of these networks both values are known.")

    def _spot(self, offer: Offer, x: float, y: float) -> dict[str, Any]:
        colours, scale = self._theme.colours, self.devicePixelRatioF()
        used, free = offer.spec.name == self._chosen, offer.spec.weights.commercial_use
        colour = colours.accent if free else colours.warn
        return {
            "pos": (x, y),
            "symbol": "star" if used else "o" if free else "t1",
            "size": 18 if used else 10,
            "pen": pg.mkPen(colour, width=1.5 * scale),
            "brush": pg.mkBrush(colour if offer.local else colours.base),
        }

    def _draw_ring(self) -> None:
        if self._shut:
            return
        point = next((point for point in self._points if point[0].spec.name == self._current), None)
        colours, scale = self._theme.colours, self.devicePixelRatioF()
        width = 3 if self.plot.hasFocus() else 1.5
        pen = pg.mkPen(colours.accent if self.plot.hasFocus() else colours.text, width=width * scale)
        spots = [{"pos": point[1:], "symbol": "o", "size": 24, "pen": pen, "brush": None}] if point else []
        self._ring.setData(spots)
        self._say(point[0] if point else None)

    def _say(self, offer: Offer | None) -> None:
        self.said.setText(_said(offer) if offer else tr("Point at a network to read what it is; a click selects it."))
        self.plot.setAccessibleDescription(self.said.text())

    def _near(self, where: QPointF) -> Offer | None:
        box = self.plot.getPlotItem().getViewBox()

        def distance(point: tuple[Offer, float, float]) -> float:
            away = box.mapViewToScene(QPointF(*point[1:])) - where
            return float(np.hypot(away.x(), away.y()))

        nearest = min(self._points, key=distance, default=None)
        return nearest[0] if nearest is not None and distance(nearest) <= _NEAR else None

    def _hover(self, where: QPointF) -> None:
        offer = self._near(where)
        if offer is not None:
            self._say(offer)
        else:
            self._draw_ring()

    def _click(self, event: Any) -> None:
        offer = self._near(event.scenePos())
        if offer is not None and event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(offer)
            if event.double():
                self.used.emit()


def _said(offer: Offer) -> str:
    spec = offer.spec
    parts = [
        f"{spec.name}: {spec.top1:.1f} %",
        tr("{number} parameters", number=words.millions(spec.parameters)),
        *([f"{spec.gflops:.3g} GFLOPs"] if spec.gflops is not None else []),
        *([tr("{share} of your pictures told", share=words.percent(offer.probe.value))] if offer.probe is not None else []),
        *([_speed(offer, offer.speed)] if offer.speed is not None else []),
        tr("on this machine") if offer.local else tr("to fetch"),
        *([] if spec.weights.commercial_use else [tr("not for commercial use")]),
    ]
    return ", ".join(parts)


def _speed(offer: Offer, speed: Speed) -> str:
    rate, side = speed.pictures_per_second, offer.spec.resize.crop
    return tr("{rate:.3g} pictures a second of {side} pixels here", rate=rate, side=side)
