"""Places that are given in turns: a client who wants many of them does not keep one who wants few waiting."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """So many places, of one event loop. One that is free goes to each client who waits in turn, however many each waits for."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def place(self, whose: str) -> AsyncIterator[None]:
        """Hold a place for the client `whose` while the block runs; waits for it."""
        await self._take(whose)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, whose: str) -> None:
        if self._free:  # nobody waits then
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(whose, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it has come just now
                self._give_back()
            raise

    def _give_back(self) -> None:
        while self._waiting:
            whose, line = self._waiting.popitem(last=False)
            turn = line.popleft()
            if line:
                self._waiting[whose] = line  # behind all others
            if not turn.done():  # who was to have it has not gone
                turn.set_result(None)
                return
        self._free += 1
