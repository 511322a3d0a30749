"""Pictures that are nearly the same: resized, compressed again, cut by up to a tenth at any edge. numpy only.

A network's answers say who may be alike; the pixels decide. Each picture is kept as `SIDE` x `SIDE` grey levels, whatever its
shape, so that of 20,000 pictures 46 MB are held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import product

import numpy as np

SIDE = 48
"""Of the small grey picture that is kept of each."""
ALIKE = 0.97
"""The least correlation of the pixels of two that count as one picture. Compressing again leaves 0.99 and more; two photos of one
kind of flower before one meadow come to 0.9."""
_CLEARLY = 0.4
"""How much less two must differ than each differs from its other neighbours: digits and icons all look alike, and are not one."""
_DETAIL = 24
_CUTS = (0.0, 0.05, 0.1)
_STEPS = (0.025, 0.0125)
_FARTHEST = 0.125
_WORTH_MOVING, _SURE = 0.75, 0.995
_LITTLE = 12
_REFINED = 3
_NEIGHBOURS = 6
_SEEN_NEARER, _SEEN_ALIKE = 0.5, 0.98
"""What a network sees of two that may be one: how much nearer than others, or how alike. Of 120 photos made smaller,
compressed again or cut 118 were, of others one in fifteen."""
_BESIDE = 2
_BLOCK = 512
_WINDOWS_KEPT = 512

Pair = tuple[int, int]


def unit_rows(features: np.ndarray) -> np.ndarray:
    """`features` (N, C) around their middle, each row of length 1: float32."""
    centred = features - features.mean(axis=0)
    rows: np.ndarray = (centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return rows


def neighbours(rows: np.ndarray, count: int, heed: Callable[[], None]) -> tuple[np.ndarray, np.ndarray]:
    """The `count` most alike others of each row (fewer where there are not so many), the most alike first.

    Args:
        rows: (N, C) of length 1; compared blockwise, so that no N x N is ever held.
        heed: called between blocks.

    Returns:
        Their numbers (N, count), and the cosines (N, count).
    """
    count = min(count, len(rows) - 1)
    found, cosines = np.zeros((len(rows), count), np.int64), np.zeros((len(rows), count), np.float32)
    for start in range(0, len(rows), _BLOCK):
        heed()
        block = rows[start : start + _BLOCK] @ rows.T
        own = np.arange(len(block))
        block[own, own + start] = -np.inf
        best = np.argpartition(-block, count - 1, axis=1)[:, :count] if count else np.zeros((len(block), 0), np.int64)
        order = np.argsort(-np.take_along_axis(block, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        found[start : start + _BLOCK] = best
        cosines[start : start + _BLOCK] = np.take_along_axis(block, best, axis=1)
    return found, cosines


def worth_comparing(nearest: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    """The numbers of the pictures that a network sees much nearer to one other than to most, in order, and of those around them.

    Comparing pixels takes long, so these alone are given to `near_doubles` where not every one must be found. Those around them
    stand for what is usual.

    Args:
        nearest, cosines: as `neighbours` gives them.
    """
    if not nearest.size:
        return np.zeros(0, np.int64)
    apart = 1 - cosines
    alone = (apart[:, 0] <= _SEEN_NEARER * apart[:, -1]) | (cosines[:, 0] >= _SEEN_ALIKE)
    return np.union1d(np.flatnonzero(alone), nearest[alone, :_BESIDE])


def near_doubles(nearest: np.ndarray, greys: np.ndarray, heed: Callable[[], None]) -> list[Pair]:
    """The pairs of pictures that are one, in order.

    Args:
        nearest: the numbers of each picture's neighbours as a network sees it (N, K); these are compared, and those that look
            most alike as grey pictures.
        greys: uint8 (N, SIDE, SIDE).
        heed: called between pictures.
    """
    if len(greys) < 2:
        return []
    seen, _ = neighbours(_wholes(greys), _NEIGHBOURS, heed)
    candidates = np.hstack([nearest[:, :_NEIGHBOURS], seen])
    windows = lru_cache(_WINDOWS_KEPT)(lambda number: _windows(greys[number]))
    by_picture = defaultdict[int, dict[int, _Likeness]](dict)
    for number, others in enumerate(candidates):
        heed()
        for other in map(int, others):
            if other not in by_picture[number]:
                alike = _likeness(greys[number], windows(number), greys[other], windows(other))
                by_picture[number][other] = by_picture[other][number] = alike
    for own in by_picture.values():
        heed()
        for alike in sorted(own.values(), key=lambda alike: -alike.value)[:_REFINED]:
            alike.refine()
    pairs = ((one, other, alike.value) for one, own in by_picture.items() for other, alike in own.items() if one < other)
    most = min(1.0, max(ALIKE, 1 - _CLEARLY * (1 - _usual(by_picture))))
    return sorted((one, other) for one, other, alike in pairs if alike >= most and _stands_out((one, other), alike, by_picture))


def grouped(pairs: Iterable[Pair]) -> list[tuple[int, ...]]:
    """The groups that `pairs` connect, each in order, the groups in the order of their first."""
    above: dict[int, int] = {}

    def root(number: int) -> int:
        while above.setdefault(number, number) != number:
            above[number] = number = above[above[number]]
        return number

    for first, second in pairs:
        one, other = sorted((root(first), root(second)))
        above[other] = one
    groups: dict[int, list[int]] = defaultdict(list)
    for number in sorted(above):
        groups[root(number)].append(number)
    return sorted(map(tuple, groups.values()))


def _usual(by_picture: dict[int, dict[int, _Likeness]]) -> float:
    """How alike a picture here and one of its neighbours are: where all are alike, more is asked of two that are one."""
    return float(np.median([np.median([alike.value for alike in own.values()]) for own in by_picture.values()]))


def _stands_out(pair: Pair, alike: float, by_picture: dict[int, dict[int, _Likeness]]) -> bool:
    """Whether the two differ much less than each from what is not one with it: Lowe's ratio (2004), on pixels."""
    for one in pair:
        others = [other.value for other in by_picture[one].values() if other.value < max(ALIKE, 1 - 2 * (1 - alike))]
        if others and (1 - alike) > _CLEARLY * (1 - max(others)):
            return False
    return True


class _Likeness:
    """How far one picture is the other, or a window of it: `value` is the correlation of their pixels, at first of windows whose
    edges lie on a grid."""

    def __init__(self, value: float, grey: np.ndarray, whole: np.ndarray, edges: np.ndarray) -> None:
        self.value = value
        worth = _WORTH_MOVING <= value < _SURE
        self._within, self._edges = grey, edges
        self._whole = whole.copy() if worth else whole[:0].copy()  # a view would hold all windows of its picture
        self._refined = not worth

    def refine(self) -> None:
        """Move each edge of the window until the two lie on each other."""
        if self._refined:
            return
        self._refined = True
        for step in _STEPS:
            for edge, way in product(range(len(self._edges)), (-1, 1)):
                moved = self._edges.copy()
                moved[edge] = np.clip(moved[edge] + way * step, 0.0, _FARTHEST)
                value = float(_window(self._within, moved) @ self._whole)
                if value > self.value:
                    self.value, self._edges = value, moved


def _likeness(one: np.ndarray, its: np.ndarray, other: np.ndarray, others: np.ndarray) -> _Likeness:
    """The whole of one against the windows of the other, whichever is more alike; each a grey picture and its windows."""
    found = [(windows @ whole, grey, whole) for grey, windows, whole in ((one, its, others[0]), (other, others, its[0]))]
    alike, grey, whole = max(found, key=lambda each: float(each[0].max()))
    best = int(alike.argmax())
    cuts = list(product(_CUTS, _CUTS))
    return _Likeness(float(alike[best]), grey, whole, np.array([*cuts[best // len(cuts)], *cuts[best % len(cuts)]]))


def _windows(grey: np.ndarray) -> np.ndarray:
    """What is left of `grey` (SIDE, SIDE) when its edges are cut, as it is first: float32 (windows, pixels), each of mean 0 and
    length 1; a picture of one colour is all zeros."""
    cut = np.stack([_cutter(*edges) for edges in product(_CUTS, _CUTS)])  # nothing is cut at first
    flat = cut.reshape(-1, SIDE)
    made = (flat @ grey.astype(np.float32) @ flat.T).reshape(len(cut), _DETAIL, len(cut), _DETAIL)
    return _standard(made.transpose(0, 2, 1, 3).reshape(len(cut) ** 2, -1))


def _window(grey: np.ndarray, edges: np.ndarray) -> np.ndarray:
    top, bottom, left, right = map(float, edges)
    cut: np.ndarray = _standard((_cutter(top, bottom) @ grey.astype(np.float32) @ _cutter(left, right).T).reshape(1, -1))[0]
    return cut


def _wholes(greys: np.ndarray) -> np.ndarray:
    """Each picture in little, nothing cut: float32 (N, pixels) of mean 0 and length 1."""
    little = greys.reshape(len(greys), _LITTLE, SIDE // _LITTLE, _LITTLE, SIDE // _LITTLE).mean(axis=(2, 4), dtype=np.float32)
    return _standard(little.reshape(len(greys), -1))


def _standard(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    flat = length < np.sqrt(rows.shape[1])  # less than one grey level: noise, or nothing
    standard: np.ndarray = np.where(flat, 0.0, rows / np.maximum(length, 1e-6)).astype(np.float32)
    return standard


@lru_cache(256)
def _cutter(before: float, after: float) -> np.ndarray:
    """Float32 (_DETAIL, SIDE): averages `SIDE` places, cut at both ends, to `_DETAIL` places."""
    edges = np.linspace(before * SIDE, (1 - after) * SIDE, _DETAIL + 1)
    places = np.arange(SIDE)
    overlap = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    cutter: np.ndarray = (np.clip(overlap, 0, None) / (edges[1] - edges[0])).astype(np.float32)
    return cutter
