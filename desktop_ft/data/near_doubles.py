"""Pictures that are nearly the same: resized, compressed again, cut by up to a tenth at any edge. No torch.

A network's answers say who may be alike; the pixels decide. Each picture is kept as `SIDE` x `SIDE` grey levels, whatever its
shape, and as what is compared, so that of 20,000 pictures 92 MB are held.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import product

import numpy as np
from threadpoolctl import threadpool_limits

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
_ALONE = threading.Lock()

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
    compared = _Compared(_pairs(np.hstack([nearest[:, :_NEIGHBOURS], seen])), greys, heed)
    compared.refine(heed)
    if not len(compared.pairs):
        return []
    most = min(1.0, max(ALIKE, 1 - _CLEARLY * (1 - compared.usual())))
    found = np.flatnonzero(compared.alike >= most)
    return [(int(one), int(other)) for one, other in compared.pairs[[each for each in found if compared.stands_out(int(each))]]]


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


def _pairs(candidates: np.ndarray) -> np.ndarray:
    """Each picture with each other one among its candidates (N, K), once: (P, 2), the lower number first, in order."""
    count, each = candidates.shape
    pairs = np.unique(np.sort(np.column_stack([np.repeat(np.arange(count), each), candidates.ravel()])), axis=0)
    different: np.ndarray = pairs[pairs[:, 0] != pairs[:, 1]]
    return different


class _Compared:
    """How far one picture of each pair is the other, or a window of it.

    Attributes:
        pairs: (P, 2). alike: the correlation of their pixels (P,), at first of windows whose edges lie on a grid.
    """

    def __init__(self, pairs: np.ndarray, greys: np.ndarray, heed: Callable[[], None]) -> None:
        self.pairs, self._greys = pairs, greys
        ends = pairs.T.ravel()
        # Of each picture the numbers of its pairs.
        self._own = np.split(
            np.argsort(ends, kind="stable") % len(pairs), np.cumsum(np.bincount(ends, minlength=len(greys)))[:-1]
        )
        self._whole = np.concatenate([_whole(greys[start : start + _BLOCK]) for start in range(0, len(greys), _BLOCK)])
        # Of each pair: the whole of the second against the windows of the first, and the other way round.
        alike, self._window = np.zeros((2, len(pairs)), np.float32), np.zeros((2, len(pairs)), np.int64)
        # Each product is so small that threads do nothing but wait for each other: beside busy cores twenty times as long. The
        # number is the process's: two at a time would leave it at one.
        with _ALONE, threadpool_limits(1, user_api="blas"):
            for number, own in enumerate(self._own):
                heed()
                side = (pairs[own, 1] == number).astype(np.int64)
                found = _windows(greys[number]) @ self._whole[pairs[own, 1 - side]].T
                alike[side, own], self._window[side, own] = found.max(axis=0), found.argmax(axis=0)
        self._side, self.alike = alike.argmax(axis=0), alike.max(axis=0).astype(np.float64)

    def refine(self, heed: Callable[[], None]) -> None:
        """Of each picture and those most like it, move the edges of the window until the two lie on each other."""
        worth = (self.alike >= _WORTH_MOVING) & (self.alike < _SURE)
        most = {int(pair) for own in self._own for pair in own[np.argsort(-self.alike[own], kind="stable")[:_REFINED]]}
        for pair in filter(worth.__getitem__, most):
            heed()
            self.alike[pair] = self._refined(pair)

    def _refined(self, pair: int) -> float:
        side, best = self._side[pair], float(self.alike[pair])
        grey, whole = self._greys[self.pairs[pair, side]], self._whole[self.pairs[pair, 1 - side]]
        cuts = list(product(_CUTS, _CUTS))
        window = int(self._window[side, pair])
        edges = np.array([*cuts[window // len(cuts)], *cuts[window % len(cuts)]])
        for step in _STEPS:
            for edge, way in product(range(len(edges)), (-1, 1)):
                moved = edges.copy()
                moved[edge] = np.clip(moved[edge] + way * step, 0.0, _FARTHEST)
                value = float(_window_at(grey, moved) @ whole)
                if value > best:
                    best, edges = value, moved
        return best

    def usual(self) -> float:
        """How alike a picture here and one of its neighbours are: where all are alike, more is asked of two that are one."""
        return float(np.median([np.median(self.alike[own]) for own in self._own if len(own)]))

    def stands_out(self, pair: int) -> bool:
        """Whether the two differ much less than each from what is not one with it: Lowe's ratio (2004), on pixels."""
        alike = self.alike[pair]
        for one in self.pairs[pair]:
            others = self.alike[self._own[one]]
            others = others[others < max(ALIKE, 1 - 2 * (1 - alike))]
            if len(others) and (1 - alike) > _CLEARLY * (1 - others.max()):
                return False
        return True


def _windows(grey: np.ndarray) -> np.ndarray:
    """What is left of `grey` (SIDE, SIDE) when its edges are cut, as it is first: float32 (windows, pixels), each of mean 0 and
    length 1; a picture of one colour is all zeros."""
    cut = np.stack([_cutter(*edges) for edges in product(_CUTS, _CUTS)])  # nothing is cut at first
    flat = cut.reshape(-1, SIDE)
    made = (flat @ grey.astype(np.float32) @ flat.T).reshape(len(cut), _DETAIL, len(cut), _DETAIL)
    return _standard(made.transpose(0, 2, 1, 3).reshape(len(cut) ** 2, -1))


def _whole(greys: np.ndarray) -> np.ndarray:
    """What each of `greys` (N, SIDE, SIDE) is when nothing is cut: (N, pixels) as `_windows`."""
    return _standard((_cutter(0.0, 0.0) @ greys.astype(np.float32) @ _cutter(0.0, 0.0).T).reshape(len(greys), -1))


def _window_at(grey: np.ndarray, edges: np.ndarray) -> np.ndarray:
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
