"""Pictures of all requests, decoded side by side and computed together; each answer goes to who asked for it."""

import asyncio
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from types import TracebackType
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from desktop_ft.core.exporting import FileInput
from desktop_ft.core.language import marked, tr
from desktop_ft.data.picture_file import UnreadablePicture
from desktop_ft.export.metadata import INPUT
from desktop_ft.jobs.predicting import as_float32
from desktop_ft.serving.bodies import Sent
from desktop_ft.serving.limits import Limits
from desktop_ft.serving.refusal import Refused
from desktop_ft.serving.turns import Turns

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
_SOON_S = 1.0
_WHOLE = marked("Send the whole file, or another picture.")
_CURES = {
    "empty": _WHOLE,
    "broken": _WHOLE,
    "truncated": _WHOLE,
    "too-large": marked("Send it smaller."),
    "not-an-image": marked("Send a JPEG, PNG, WebP or other picture."),
}
_ANOTHER = marked("Send another picture.")
"""What who sent it can do: an `UnreadablePicture` tells of a file in a person's folder."""


class Model(Protocol):
    """What answers: an exported file."""

    classes: tuple[str, ...]
    threshold: float
    metadata: Mapping[str, str]

    def prepare(self, picture: BinaryIO, /) -> Pixels:
        """A picture's file, decoded as the model takes it."""

    def run(self, pictures: Sequence[Pixels], /) -> tuple[Floats, Floats]:
        """Probabilities and logits (N, classes) of N pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model says of one picture; or, in `problem`, why it says nothing, and in `cure` what to do.

    Attributes:
        kind: a short stable word for the problem, as in `UnreadablePicture`.
        probabilities: one a class.
        sure: whether it is as sure as it must be.
    """

    name: str
    probabilities: tuple[float, ...] = ()
    predicted: int = -1
    sure: bool = True
    problem: str = ""
    cure: str = ""
    kind: str = ""


@dataclass(slots=True)
class _Asker:
    """The client who waits for pictures: `gone` once nobody does, and what has not begun then is left undone."""

    whose: str
    gone: bool = False


class Answerer:
    """Answers pictures with `model`, from one event loop; an asynchronous context, whose end waits for what is being done.

    Attributes:
        waiting: pictures that were taken and are not answered yet. answered: pictures that were, since the start.
    """

    def __init__(self, model: Model, limits: Limits) -> None:
        self.waiting = self.answered = 0
        self._model, self._limits = model, limits
        self._least = as_float32(model.threshold)
        # What takes whole pictures computes them one by one; and as each may be large, only a few are there at once.
        self._batch = 1 if model.metadata.get(INPUT) == FileInput.PICTURE else limits.batch
        self._places = asyncio.Semaphore(2 * self._batch + limits.decoders)
        self._turns = Turns(2 * limits.decoders)  # so that no decoder waits for this loop to give it its next one
        self._waiting_of = Counter[str]()
        self._decoders = ThreadPoolExecutor(limits.decoders, thread_name_prefix="decode")
        self._computer = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._decoded: asyncio.Queue[tuple[Pixels, asyncio.Future[tuple[Floats, Floats]]]] = asyncio.Queue()
        self._work: set[asyncio.Task[Answer | None]] = set()

    async def __aenter__(self) -> "Answerer":
        self._computing = asyncio.create_task(self._compute())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._computing.cancel()
        for task in self._work:
            task.cancel()
        await asyncio.gather(self._computing, *self._work, return_exceptions=True)
        for pool in (self._decoders, self._computer):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    async def ask(self, pictures: Sequence[Sent], whose: str) -> list[Answer]:
        """An answer for each picture, in order; clients take turns, `whose` says which one this is.

        Raises:
            Refused: too many wait already. UserError: the model cannot be computed.
        """
        self._must_have_room(len(pictures), whose)
        asker = _Asker(whose)
        tasks = [asyncio.create_task(self._answer(picture, asker)) for picture in pictures]
        self._work.update(tasks)
        self.waiting += len(tasks)
        self._waiting_of[whose] += len(tasks)
        for task in tasks:
            task.add_done_callback(partial(self._done, whose))
        try:
            # Shielded: what a thread has begun goes on when its asker leaves, and is counted as waiting until it ends.
            answers = await asyncio.gather(*(asyncio.shield(task) for task in tasks))
        finally:
            asker.gone = True
        return [answer for answer in answers if answer is not None]

    def _must_have_room(self, count: int, whose: str) -> None:
        each = self._limits.address_queue and max(self._limits.address_queue, self._limits.pictures)
        if self.waiting + count > self._limits.queue:
            status, what = HTTPStatus.SERVICE_UNAVAILABLE, tr("Too many pictures wait already.")
        elif each and self._waiting_of[whose] + count > each:
            status, what = HTTPStatus.TOO_MANY_REQUESTS, tr("More than {limit} pictures of this address would wait.", limit=each)
        else:
            return
        raise Refused(status, what, tr("Ask again in a moment."), retry_after_s=_SOON_S)

    def _done(self, whose: str, task: "asyncio.Task[Answer | None]") -> None:
        self._work.discard(task)
        self.waiting -= 1
        self._waiting_of[whose] -= 1
        if not self._waiting_of[whose]:
            del self._waiting_of[whose]  # nothing of a client is kept
        if not task.cancelled() and task.exception() is None:
            answer = task.result()
            self.answered += answer is not None and not answer.problem

    async def _answer(self, picture: Sent, asker: _Asker) -> Answer | None:
        """What is said of one picture; None where nobody waits for it any more."""
        if picture.problem:
            return Answer(name=picture.name, problem=tr(picture.problem), cure=tr(picture.cure), kind="unreadable")
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as held:
            async with self._turns.place(asker.whose):
                await held.enter_async_context(self._places)
                try:
                    pixels = await loop.run_in_executor(self._decoders, self._decode, picture.content, asker)
                except UnreadablePicture as error:
                    cure = tr(_CURES.get(error.kind, _ANOTHER))
                    return Answer(name=picture.name, problem=error.reason, cure=cure, kind=error.kind)
            if pixels is None or asker.gone:
                return None
            found: asyncio.Future[tuple[Floats, Floats]] = loop.create_future()
            self._decoded.put_nowait((pixels, found))
            return self._said(picture.name, *await found)

    def _decode(self, content: bytes, asker: _Asker) -> Pixels | None:
        return None if asker.gone else self._model.prepare(io.BytesIO(content))

    def _said(self, name: str, probabilities: Floats, logits: Floats) -> Answer:
        if not (np.isfinite(logits).all() and np.isfinite(probabilities).all()):
            return Answer(
                name=name,
                problem=tr("The model gives no usable answer for it."),
                cure=tr(_ANOTHER),
                kind="broken",
            )
        predicted = int(logits.argmax())
        return Answer(
            name=name,
            probabilities=tuple(probabilities.tolist()),
            predicted=predicted,
            sure=float(probabilities[predicted]) >= self._least,
        )

    async def _compute(self) -> None:
        """For ever: compute what has been decoded, so many at once as wait."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._decoded.get()]
            while len(batch) < self._batch and not self._decoded.empty():
                batch.append(self._decoded.get_nowait())
            try:
                pixels = [picture for picture, _ in batch]
                rows = zip(*await loop.run_in_executor(self._computer, self._model.run, pixels), strict=True)
                for (_, found), row in zip(batch, rows, strict=True):
                    _settle(found, row)
            except Exception as error:  # whatever it is: each of those who wait is told, and the next ones get their answer
                for _, found in batch:
                    if not found.done():
                        found.set_exception(error)


def _settle(found: "asyncio.Future[tuple[Floats, Floats]]", row: tuple[Floats, Floats]) -> None:
    if not found.done():
        found.set_result(row)
