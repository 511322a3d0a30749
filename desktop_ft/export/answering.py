"""Pictures in, answers out, as they come: what an exported file and a run's own network share. No torch."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from desktop_ft.core.language import tr
from desktop_ft.data.picture_file import UnreadablePicture

BATCH = 16

WHOLE_BATCH = 2
"""Whole pictures that are held at a time: each may have 100 million pixels."""

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Real = NDArray[np.floating[Any]]
Prepare = Callable[[Path], Pixels]
"""The picture in a file as a model takes it: uint8 (H, W, 3).

Raises:
    UnreadablePicture: there is none in it.
"""


class Ask(Protocol):
    """Computes a batch."""

    def __call__(self, pictures: Sequence[Pixels], /) -> tuple[Real, Floats]:
        """Probabilities, float32 or float64, and logits, float32, both (N, classes), of N `pictures` as they were prepared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureAnswer:
    """What a model says of one picture; or, in `problem`, why it says nothing.

    Attributes:
        predicted: index into the model's classes; -1 where there is a problem.
        confidence: probability of that class, 0 to 1.
        probabilities, logits: one a class.
    """

    path: Path
    predicted: int = -1
    confidence: float = 0.0
    probabilities: tuple[float, ...] = ()
    logits: tuple[float, ...] = ()
    problem: str = ""


def answers(ask: Ask, prepare: Prepare, paths: Iterable[Path], batch: int = BATCH) -> Iterator[PictureAnswer]:
    """An answer for every path, in order; `batch` pictures are computed at a time, while the next ones are decoded.

    A picture that cannot be read gives an answer with a problem.
    """
    remaining = iter(paths)
    with ThreadPoolExecutor(cores(), thread_name_prefix="decode") as pool:

        def decoding() -> list[tuple[Path, Future[Pixels | str]]]:
            return [(path, pool.submit(_decoded, prepare, path)) for path in itertools.islice(remaining, batch)]

        coming = decoding()
        while here := coming:
            coming = decoding()
            yield from _answered(ask, [(path, picture.result()) for path, picture in here])


def _answered(ask: Ask, pictures: Sequence[tuple[Path, Pixels | str]]) -> Iterator[PictureAnswer]:
    readable = [picture for _, picture in pictures if not isinstance(picture, str)]
    found = iter(zip(*ask(readable), strict=True) if readable else ())
    for path, picture in pictures:
        yield PictureAnswer(path=path, problem=picture) if isinstance(picture, str) else _answer(path, *next(found))


def _answer(path: Path, probabilities: Real, logits: Floats) -> PictureAnswer:
    if not np.isfinite(logits).all():
        return PictureAnswer(path=path, problem=tr("The model gives no usable answer for it."))
    predicted = int(logits.argmax())
    return PictureAnswer(
        path=path,
        predicted=predicted,
        confidence=float(probabilities[predicted]),
        probabilities=tuple(probabilities.tolist()),
        logits=tuple(logits.tolist()),
    )


def _decoded(prepare: Prepare, path: Path) -> Pixels | str:
    try:
        return prepare(path)
    except UnreadablePicture as error:
        return error.reason
    except OSError as error:
        return error.strerror or str(error)


def cores() -> int:
    """The processors this process may use: a container or batch system often grants fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
