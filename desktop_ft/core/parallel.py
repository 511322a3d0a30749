"""Work in threads whose results come in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(pool: Executor, make: Callable[[Item], Result], items: Iterable[Item], ahead: int) -> Generator[Result, None, None]:
    """`make` of each item, in order, at most `ahead` of them before they are asked for. Left early, the rest is called off.

    Args:
        ahead: at least 1.
    """
    coming: deque[Future[Result]] = deque()
    remaining = iter(items)
    try:
        coming.extend(pool.submit(make, item) for item in islice(remaining, ahead))
        while coming:
            result = coming.popleft().result()
            coming.extend(pool.submit(make, item) for item in islice(remaining, 1))
            yield result
    finally:
        for future in coming:
            future.cancel()
