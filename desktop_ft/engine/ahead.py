"""Inputs that are made while the frozen layers are still being found: that is one thread's work, and other cores are idle."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor

from desktop_ft.engine.batches import RecurringBatches

_AT_MOST = 256
"""How many inputs wait for their turn: some 40 MB of pictures of 224 pixels."""


class Ahead:
    """Gives inputs by key, those that are made already at once.

    Args:
        keys: what will be asked for, each once, in the order in which it will be.
    """

    def __init__(self, batches: RecurringBatches, keys: Sequence[str]) -> None:
        self._batches = batches
        self._keys = keys[:_AT_MOST]
        self._made: dict[str, Future[Tensor]] = {}

    def inputs(self, keys: Sequence[str]) -> Tensor:
        """As `RecurringBatches.inputs`."""
        if not any(key in self._made for key in keys):
            return self._batches.inputs(keys)
        return torch.cat([self._one(key) for key in keys])

    @contextmanager
    def making(self) -> Iterator[None]:
        """Make the first of them while the block runs. What is not begun when it ends is made when it is asked for."""
        threads = max(1, (os.cpu_count() or 1) - 1)
        with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
            self._made = {key: pool.submit(self._batches.inputs, [key]) for key in self._keys}
            try:
                yield
            finally:
                self._made = {key: future for key, future in self._made.items() if not future.cancel()}

    def _one(self, key: str) -> Tensor:
        made = self._made.pop(key, None)
        return made.result() if made is not None else self._batches.inputs([key])
