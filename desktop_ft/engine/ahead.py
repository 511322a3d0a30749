"""Inputs that are made while the frozen layers are still being found: that is one thread's work, and other cores are idle."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor

from desktop_ft.engine.batches import RecurringBatches


class Ahead:
    """Gives inputs by key, those that are made already at once.

    Args:
        keys: what to make, in the order in which it will be asked for; all of it may lie in memory at once.
    """

    def __init__(self, batches: RecurringBatches, keys: Sequence[str]) -> None:
        self._batches = batches
        self._keys = keys
        self._made: dict[str, Future[Tensor]] = {}

    def inputs(self, keys: Sequence[str]) -> Tensor:
        """As `RecurringBatches.inputs`."""
        if not any(key in self._made for key in keys):
            return self._batches.inputs(keys)
        return torch.cat([self._one(key) for key in keys])

    @contextmanager
    def making(self) -> Iterator[None]:
        """Make them while the block runs. What is not begun when it ends is made when it is asked for."""
        threads = max(1, torch.get_num_threads() - 1)
        with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
            self._made = {key: pool.submit(self._batches.inputs, [key]) for key in self._keys}
            try:
                yield
            finally:
                self._made = {key: future for key, future in self._made.items() if not future.cancel()}

    def _one(self, key: str) -> Tensor:
        made = self._made.pop(key, None)
        return made.result() if made is not None else self._batches.inputs([key])
