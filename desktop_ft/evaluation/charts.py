"""Line charts, the reliability diagram and accuracy by share answered as SVG: no script, colours from the page's style."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from desktop_ft.core.language import tr, tr_n
from desktop_ft.evaluation.calibration import Bin
from desktop_ft.evaluation.markup import text
from desktop_ft.evaluation.selective import CoveragePoint

_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 12, 42
_POINTS = 500
_DOTS = 40

Point = tuple[float, float]

SERIES = ("series1", "series2", "series3", "series4", "series5", "series6")
"""Roles for curves of one kind."""


@dataclass(frozen=True, slots=True)
class Line:
    """One curve. `role` is a class of the page's style: `train`, `val`, `faint`, `rate`, or one of `SERIES`.

    Attributes:
        spread: for each point, from where to where it may be; none where that is not drawn.
    """

    label: str
    role: str
    points: tuple[Point, ...]
    spread: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def line_chart(title: str, x_label: str, y_label: str, lines: Sequence[Line], named: Sequence[tuple[float, str]] = ()) -> str:
    """A figure with axes, ticks, a legend and one curve a line; values that are not numbers are left out.

    The x axis counts something whole, such as epochs, from 0.

    Args:
        named: places on the x axis that have names; they take the place of the numbers there.
    """
    drawn = [line if line.spread else replace(line, points=thinned(line.points)) for line in lines]
    drawn = [line for line in drawn if line.points]
    if not drawn:
        return ""
    xs = [x for line in drawn for x, _ in line.points]
    ys = [y for line in drawn for _, y in line.points] + [y for line in drawn for ends in line.spread for y in ends]
    x_low, x_high = 0.0, max(1.0, *xs)
    y_low, y_high = _room(min(ys), max(ys), margin=0.06)
    x, y = _Scale(x_low, x_high, _LEFT, _WIDTH - _RIGHT), _Scale(y_low, y_high, _HEIGHT - _BOTTOM, _TOP)
    whole = [value for value in ticks(x_low, x_high, about=10) if value == round(value)]
    axes = _axes(x, y, [at for at, _ in named] or whole, x_label, y_label, dict(named))
    content = axes + "".join(_whiskers(line, x, y) + _curve(line, x, y) for line in drawn)
    keys = "".join(f'<span class="key {line.role}">{text(line.label)}</span>' for line in drawn)
    return _figure(title, content, keys)


def reliability_chart(title: str, bins: Sequence[Bin]) -> str:
    """How often the model is right at each confidence, with 95 % intervals and counts; on the dashed line, confidence means what
    it says.
    """
    x, y = _Scale(0, 1, _LEFT, _WIDTH - _RIGHT), _Scale(0, 1, _HEIGHT - _BOTTOM, _TOP)
    drawn = "".join(_bar(each, x, y) for each in bins if each.count)
    diagonal = f'<path class="line ideal" d="M{x(0):.1f} {y(0):.1f}L{x(1):.1f} {y(1):.1f}"/>'
    axes = _axes(x, y, ticks(0, 1, about=10), tr("confidence"), tr("share that is right"))
    keys = (
        f'<span class="key val">{text(tr("share that is right, and its interval"))}</span>'
        f'<span class="key ideal">{text(tr("a model that knows how sure it is"))}</span>'
    )
    return _figure(title, axes + drawn + diagonal, keys)


def _bar(each: Bin, x: _Scale, y: _Scale) -> str:
    left, right, top, middle = x(each.low) + 1.5, x(each.high) - 1.5, y(each.right.value), x((each.low + each.high) / 2)
    whisker = f"M{middle:.1f} {y(each.right.low):.1f}V{y(each.right.high):.1f}"
    said = tr_n(
        "{n:,} picture, {right:.0%} right ({low:.0%} to {high:.0%})",
        "{n:,} pictures, {right:.0%} right ({low:.0%} to {high:.0%})",
        n=each.count,
        right=each.right.value,
        low=each.right.low,
        high=each.right.high,
    )
    return (
        f'<g><title>{said}</title><rect class="val" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{y(0) - top:.1f}"/><path class="axis" d="{whisker}"/>'
        f'<text x="{middle:.1f}" y="{y(0) - 4:.1f}" text-anchor="middle">{each.count}</text></g>'
    )


def coverage_chart(title: str, curve: Sequence[CoveragePoint]) -> str:
    """Accuracy where only the surest are answered, with its 95 % interval."""
    low = min(point.accuracy.low for point in curve)
    x, y = _Scale(0, 1, _LEFT, _WIDTH - _RIGHT), _Scale(min(0.99, low), 1, _HEIGHT - _BOTTOM, _TOP)
    ahead = [f"{x(point.coverage):.1f} {y(point.accuracy.high):.1f}" for point in curve]
    back = [f"{x(point.coverage):.1f} {y(point.accuracy.low):.1f}" for point in reversed(curve)]
    band = f'<path class="band" d="M{"L".join(ahead + back)}Z"/>'
    middle = _curve(Line("", "train", tuple((point.coverage, point.accuracy.value) for point in curve)), x, y)
    axes = _axes(x, y, ticks(0, 1, about=10), tr("share answered"), tr("share of the answered that is right"))
    keys = f'<span class="key train">{text(tr("accuracy among the answered, and its interval"))}</span>'
    return _figure(title, axes + band + middle, keys)


def thinned(points: Iterable[Point]) -> tuple[Point, ...]:
    """At most some hundreds of points: the means of neighbours, where there are more."""
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    together = math.ceil(len(finite) / _POINTS)
    if together < 2:
        return tuple(finite)
    groups = [finite[start : start + together] for start in range(0, len(finite), together)]
    return tuple((sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups)


def ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Round numbers (1, 2 or 5 times a power of ten apart) between `low` and `high`, about so many."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def _room(low: float, high: float, margin: float = 0.0) -> tuple[float, float]:
    """`low` and `high` with some room, and never the same, so that a level curve has a scale too."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        return low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5)
    return low - margin * (high - low), high + margin * (high - low)


def _axes(
    x: _Scale, y: _Scale, x_ticks: Iterable[float], x_label: str, y_label: str, names: Mapping[float, str] = MappingProxyType({})
) -> str:
    parts = []
    for value in ticks(y.low, y.high):
        parts.append(f'<path class="grid" d="M{x.start} {y(value):.1f}H{x.end}"/>')
        parts.append(f'<text x="{x.start - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for value in x_ticks:
        shown = text(names.get(value, f"{value:.4g}"))
        parts.append(f'<path class="tick" d="M{x(value):.1f} {y.start}v5"/>')
        parts.append(f'<text x="{x(value):.1f}" y="{y.start + 18}" text-anchor="middle">{shown}</text>')
    parts.append(f'<path class="axis" d="M{x.start} {y.end}V{y.start}H{x.end}"/>')
    middle_x, middle_y = (x.start + x.end) / 2, (y.start + y.end) / 2
    parts.append(f'<text class="label" x="{middle_x}" y="{_HEIGHT - 6}" text-anchor="middle">{text(x_label)}</text>')
    turned = f'transform="translate(14 {middle_y}) rotate(-90)"'
    parts.append(f'<text class="label" {turned} text-anchor="middle">{text(y_label)}</text>')
    return "".join(parts)


def _whiskers(line: Line, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    path = "".join(
        f"M{x(at):.1f} {y(low):.1f}V{y(high):.1f}" for (at, _), (low, high) in zip(line.points, line.spread, strict=False)
    )
    return f'<path class="whisker {line.role}" d="{path}"/>' if path else ""


def _curve(line: Line, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    places = [(x(a), y(b)) for a, b in line.points]
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
    dots = ""
    if len(places) <= _DOTS and line.role != "faint":
        dots = "".join(
            f'<circle class="{line.role}" cx="{a:.1f}" cy="{b:.1f}" r="3"><title>{at:.4g}: {value:.4g}</title></circle>'
            for (a, b), (at, value) in zip(places, line.points, strict=True)
        )
    return f'<path class="line {line.role}" d="{path}"/>{dots}'


def _figure(title: str, content: str, keys: str) -> str:
    return (
        f'<figure><figcaption>{text(title)}<span class="keys">{keys}</span></figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(title)}">{content}</svg></figure>'
    )
