"""A manifest becomes batches. Decoding and augmentation run in threads; what comes out depends on seed, epoch and step alone."""

import hashlib
import os
import random
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from desktop_ft.api import BatchTransform, PictureTransform
from desktop_ft.core.backbone import ResizeRule
from desktop_ft.core.dataset import DatasetManifest, Sample, Subset
from desktop_ft.core.recipe import Balance
from desktop_ft.data import decode
from desktop_ft.data.health import class_weights
from desktop_ft.data.source import PictureSource, read_picture

CACHE_BYTES = 1 << 30
_BATCHES_AHEAD = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


class PictureBatches:
    """Batches of pictures, as the engine asks for them. A context manager: `close` ends its threads.

    Inputs are uint8 (N, 3, S, S), RGB; where there are batch transforms, training inputs are float32 in 0..1 and
    targets float32 (N, classes). A last batch of one picture joins the one before it: batch normalisation cannot learn from one.

    Args:
        manifest: with a subset for every sample.
        transforms: change each training picture, in order; without any, the middle of the picture is taken.
        balance: SAMPLER draws classes equally often, pictures with replacement; otherwise each is shown once an epoch.
        threads: that decode; None: one a core, at most 8. The batches do not depend on it.
        cache_bytes: decoded pixels to keep in memory.
    """

    def __init__(
        self,
        manifest: DatasetManifest,
        rule: ResizeRule,
        *,
        batch_size: int,
        seed: int,
        transforms: Sequence[PictureTransform] = (),
        batch_transforms: Sequence[BatchTransform] = (),
        balance: Balance = Balance.NONE,
        threads: int | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._train = manifest.of(Subset.TRAIN)
        self._val = manifest.of(Subset.VAL)
        self._classes = len(manifest.classes)
        self._weights = class_weights(manifest) if balance is Balance.SAMPLER else None
        self._size = rule.crop
        self._batch_size = batch_size
        self._seed = seed
        self._transforms = tuple(transforms)
        self._batch_transforms = tuple(batch_transforms)
        self._source = PictureSource(Path(manifest.root), rule, cache_bytes)
        self._pool = _pool(threads)
        self._bounds = _bounds(len(self._train), batch_size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the threads and give the memory back; the batches cannot be used after that."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._source.forget()

    @property
    def steps(self) -> int:
        """Training batches an epoch."""
        return len(self._bounds)

    def train(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of each training batch of `epoch` from `first_step` on.

        Raises:
            UserError: a picture is gone, or is no longer what was scanned.
        """
        order = self._order(epoch)
        bounds = self._bounds[first_step:]
        if not bounds:
            return
        wanted = ((position, self._train[order[position]]) for position in range(bounds[0][0], bounds[-1][1]))
        made = _in_threads(self._pool, lambda item: self._shown(epoch, *item), wanted, self._ahead)
        for step, (start, end) in enumerate(bounds, start=first_step):
            inputs = torch.stack(list(islice(made, end - start)))
            targets = torch.tensor([self._train[order[position]].label for position in range(start, end)])
            yield self._mixed(epoch, step, inputs, targets)

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and int64 targets of all validation samples, in manifest order.

        Raises:
            UserError: as `train`.
        """
        made = _in_threads(self._pool, lambda sample: _tensor(self._source.picture(sample, cropped=True)), self._val, self._ahead)
        for start in range(0, len(self._val), self._batch_size):
            samples = self._val[start : start + self._batch_size]
            yield torch.stack(list(islice(made, len(samples)))), torch.tensor([sample.label for sample in samples])

    @property
    def _ahead(self) -> int:
        return _BATCHES_AHEAD * self._batch_size

    def _order(self, epoch: int) -> list[int]:
        """Which training sample stands at each position of the epoch."""
        rng = _rng(self._seed, epoch, "order")
        if self._weights is not None:
            weights = [float(self._weights[sample.label]) for sample in self._train]
            return rng.choices(range(len(self._train)), weights, k=len(self._train))
        order = list(range(len(self._train)))
        rng.shuffle(order)
        return order

    def _shown(self, epoch: int, position: int, sample: Sample) -> Tensor:
        """The picture as training sees it. Its chance comes from its place in the epoch, not from who makes it when."""
        if not self._transforms:
            return _tensor(self._source.picture(sample, cropped=True))
        rng = _rng(self._seed, epoch, position, sample.sha256)
        return _augmented(self._source.picture(sample, cropped=False), self._transforms, rng, self._size)

    def _mixed(self, epoch: int, step: int, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if not self._batch_transforms:
            return inputs, targets
        rng = _rng(self._seed, epoch, "batch", step)
        inputs, targets = inputs.float() / 255, torch.nn.functional.one_hot(targets, self._classes).float()
        for transform in self._batch_transforms:
            inputs, targets = transform(inputs, targets, rng)
        return inputs, targets


def pictures(paths: Iterable[Path], rule: ResizeRule, *, batch_size: int, threads: int | None = None) -> Iterator[Tensor]:
    """The pictures at `paths` as the network sees them, in order: batches of uint8 (N, 3, S, S).

    Raises:
        UserError: one of them cannot be read.
    """
    with (
        _pool(threads) as pool,
        closing(_in_threads(pool, lambda path: _input(path, rule), paths, _BATCHES_AHEAD * batch_size)) as made,
    ):
        while batch := list(islice(made, batch_size)):
            yield torch.stack(batch)


def preview(path: Path, rule: ResizeRule, transforms: Sequence[PictureTransform], seed: int) -> np.ndarray:
    """The picture at `path` just as training would show it: uint8 (S, S, 3).

    Raises:
        UserError: it cannot be read.
    """
    if not transforms:
        return read_picture(path, lambda where: decode.network_input(where, rule))
    picture = read_picture(path, lambda where: decode.load(where, decode.shorter_side(rule), rule.interpolation))
    return _augmented(picture, transforms, _rng(seed), rule.crop).permute(1, 2, 0).numpy()


def _input(path: Path, rule: ResizeRule) -> Tensor:
    return _tensor(read_picture(path, lambda where: decode.network_input(where, rule)))


def _augmented(picture: np.ndarray, transforms: Sequence[PictureTransform], rng: random.Random, size: int) -> Tensor:
    tensor = _tensor(picture)
    for transform in transforms:
        tensor = transform(tensor, rng, size)
    height, width = tensor.shape[-2:]
    top, left = round((height - size) / 2), round((width - size) / 2)
    return tensor[:, top : top + size, left : left + size].contiguous()


def _tensor(picture: np.ndarray) -> Tensor:
    """(H, W, 3) as a tensor (3, H, W) of its own: nobody can change what is kept."""
    return torch.from_numpy(np.array(picture.transpose(2, 0, 1), order="C"))


def _bounds(count: int, batch_size: int) -> list[tuple[int, int]]:
    """First and last + 1 of each batch."""
    bounds = [(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]
    if batch_size > 1 and len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] == 1:
        bounds[-2:] = [(bounds[-2][0], count)]
    return bounds


def _rng(*parts: object) -> random.Random:
    """A generator of its own for `parts`: near seeds and neighbouring places have nothing in common."""
    return random.Random(hashlib.sha256(repr(parts).encode()).digest())  # noqa: S311 (chance, not secrecy)


def _pool(threads: int | None) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1), thread_name_prefix="pictures")


def _in_threads(
    pool: ThreadPoolExecutor, make: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Generator[Result, None, None]:
    """`make` of each item, in order, at most `ahead` of them before they are asked for. Left early, the rest is called off."""
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
