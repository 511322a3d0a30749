"""A manifest becomes batches. Decoding and augmentation run in threads; what comes out depends on seed, epoch and step alone."""

import hashlib
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import Tensor

from desktop_ft.api import BatchTransform, PictureTransform
from desktop_ft.core.backbone import ResizeRule
from desktop_ft.core.dataset import DatasetManifest, Sample, Subset
from desktop_ft.core.parallel import in_order
from desktop_ft.core.recipe import Balance
from desktop_ft.data import decode
from desktop_ft.data.device_pictures import DevicePictures
from desktop_ft.data.health import class_weights
from desktop_ft.data.source import PictureSource, read_picture

CACHE_BYTES = 1 << 30
_BATCHES_AHEAD = 3


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a picture.

    Attributes:
        view: where the chance of its changes comes from: (epoch or view, time within it); None: it is shown unchanged.
    """

    sample: Sample
    view: tuple[int, int] | None


class PictureBatches:
    """Batches of pictures, as the engine asks for them. A context manager: `close` ends its threads.

    Inputs are uint8 (N, 3, S, S), RGB; where there are batch transforms, training inputs are float32 in 0..1 and
    targets float32 (N, classes). A last batch of one picture joins the one before it: batch normalisation cannot learn from one.
    So does one of fewer pictures than `parts`: each part of a batch holds some.

    Args:
        manifest: with a subset for every sample.
        transforms: change each training picture, in order; without any, the middle of the picture is taken.
        transforms_id: what the transforms are, as text: pictures changed by others have other keys.
        views: how many looks at a picture the transforms make, which take turns from epoch to epoch; 0: each epoch is new.
        balance: SAMPLER draws classes equally often, pictures with replacement; otherwise each is shown once an epoch.
        threads: that decode; None: one a core, at most 8. The batches do not depend on it.
        cache_bytes: decoded pixels to keep in memory.
        device: where batches are used. On a CUDA device pictures are changed too, and kept, so that an epoch after the first asks
            nothing of the processor but to say what is to be done.
        device_bytes: decoded pixels to keep there.
        part, parts: which of so many parts of every batch to make, from 0; the others are made by other processes. Batch
            transforms are given their part alone, with a chance of its own.
    """

    def __init__(
        self,
        manifest: DatasetManifest,
        rule: ResizeRule,
        *,
        batch_size: int,
        seed: int,
        transforms: Sequence[PictureTransform] = (),
        transforms_id: str = "",
        views: int = 0,
        batch_transforms: Sequence[BatchTransform] = (),
        balance: Balance = Balance.NONE,
        threads: int | None = None,
        cache_bytes: int = CACHE_BYTES,
        device: torch.device | None = None,
        device_bytes: int = 0,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self._train = manifest.of(Subset.TRAIN)
        self._val = manifest.of(Subset.VAL)
        self._classes = len(manifest.classes)
        self._weights = class_weights(manifest) if balance is Balance.SAMPLER else None
        self._rule = rule
        self._batch_size = batch_size
        self._seed = seed
        self._transforms = tuple(transforms)
        self._transforms_id = transforms_id
        self._views = views
        self._looks: dict[str, _Look] = {}
        self._batch_transforms = tuple(batch_transforms)
        self._source = PictureSource(Path(manifest.root), rule, cache_bytes)
        on_gpu = device is not None and device.type == "cuda"
        self._device = DevicePictures(self._source, device, device_bytes) if device is not None and on_gpu else None
        self._pool = _pool(threads)
        self._part, self._parts = part, parts
        self._bounds = _bounds(len(self._train), batch_size, max(parts, min(2, batch_size)))
        self._validation_bounds = _bounds(len(self._val), batch_size, parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the threads and give the memory back; the batches cannot be used after that."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._source.forget()
        self.release()

    def release(self) -> None:
        """Give back what a device holds of pictures; those that are asked for again are brought there again."""
        if self._device is not None:
            self._device.forget()

    @property
    def steps(self) -> int:
        """Training batches an epoch."""
        return len(self._bounds)

    def train(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of each training batch of `epoch` from `first_step` on.

        Raises:
            UserError: a picture is gone, or is no longer what was scanned.
        """
        batches = self._train_looks(epoch)[first_step:]
        made = self._made(look for batch in batches for look in batch)
        for step, looks in enumerate(batches, start=first_step):
            yield self._mixed(epoch, step, *self._batch(looks, made))

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and int64 targets of all validation samples, in manifest order.

        Raises:
            UserError: as `train`.
        """
        batches = self._validation_looks()
        made = self._made(look for batch in batches for look in batch)
        for looks in batches:
            yield self._batch(looks, made)

    @property
    def training_keys(self) -> Sequence[str] | None:
        """Every training picture as any epoch will show it, each once; None where every epoch shows new ones."""
        if self._batch_transforms or (self._transforms and not self._views):
            return None
        views = [(view, 0) for view in range(self._views)] if self._transforms else [None]
        return list(dict.fromkeys(self._key(_Look(sample, view)) for view in views for sample in self._train))

    @property
    def validation_keys(self) -> Sequence[str]:
        """Every validation picture, in manifest order, those of the other parts too."""
        return [self._key(_Look(sample, None)) for sample in self._val]

    def keyed_train(self, epoch: int, first_step: int = 0) -> Iterator[tuple[tuple[str, ...], Tensor]]:
        """What `train` gives, by key: a digest of the picture's bytes and of all that is done to it."""
        return map(self._keyed, self._train_looks(epoch)[first_step:])

    def keyed_validation(self) -> Iterator[tuple[tuple[str, ...], Tensor]]:
        """What `validation` gives, by key."""
        return map(self._keyed, self._validation_looks())

    def inputs(self, keys: Sequence[str]) -> Tensor:
        """The pictures of `keys`, which a batch or `training_keys` named before, in order: uint8 (len(keys), 3, S, S).

        Made in the calling thread, and not kept in memory: who asks by key keeps what comes of them.

        Raises:
            UserError: as `train`.
        """
        return torch.stack([self._shown(self._looks[key], keep=False) for key in keys])

    def _made(self, looks: Iterable[_Look]) -> Iterator[Tensor]:
        """Each look (3, S, S), as the network sees it; made ahead in threads, but for what a device makes in no time."""
        ahead = _BATCHES_AHEAD * self._batch_size
        if self._device is None:
            return in_order(self._pool, self._shown, looks, ahead)
        looks = list(looks)
        pictures = self._device.pictures(self._pool, [(look.sample, look.view is None) for look in looks], ahead)
        # A transform is given a picture of its own, as ever: what is kept must not change.
        own = (picture.contiguous() if look.view else picture for look, picture in zip(looks, pictures, strict=True))
        return map(self._changed, looks, own)

    def _batch(self, looks: Sequence[_Look], made: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
        inputs = torch.stack(list(islice(made, len(looks))))
        return inputs, torch.tensor([look.sample.label for look in looks], device=inputs.device)

    def _train_looks(self, epoch: int) -> list[Sequence[_Look]]:
        """What each step of the epoch shows, in this part. A picture that comes again in an epoch is looked at anew each time."""
        times: Counter[str] = Counter()
        looks = []
        for sample in (self._train[place] for place in self._order(epoch)):
            time = times[sample.sha256]
            times[sample.sha256] += 1
            view = ((epoch + time) % self._views, 0) if self._views else (epoch, time)
            looks.append(_Look(sample, view if self._transforms else None))
        return self._divided(looks, self._bounds)

    def _validation_looks(self) -> list[Sequence[_Look]]:
        return self._divided([_Look(sample, None) for sample in self._val], self._validation_bounds)

    def _divided(self, looks: Sequence[_Look], bounds: Sequence[tuple[int, int]]) -> list[Sequence[_Look]]:
        """This part of every batch."""
        edges = [[start + (end - start) * part // self._parts for part in (self._part, self._part + 1)] for start, end in bounds]
        return [looks[start:end] for start, end in edges]

    def _keyed(self, looks: Sequence[_Look]) -> tuple[tuple[str, ...], Tensor]:
        return tuple(map(self._key, looks)), _targets(looks)

    def _key(self, look: _Look) -> str:
        changed = (self._transforms_id, self._seed, look.view) if look.view is not None else None
        parts = (decode.IDENTITY, look.sample.sha256, self._rule, changed)
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
        self._looks[key] = look
        return key

    def _order(self, epoch: int) -> list[int]:
        """Which training sample stands at each position of the epoch."""
        rng = _rng(self._seed, epoch, "order")
        if self._weights is not None:
            weights = [float(self._weights[sample.label]) for sample in self._train]
            return rng.choices(range(len(self._train)), weights, k=len(self._train))
        order = list(range(len(self._train)))
        rng.shuffle(order)
        return order

    def _shown(self, look: _Look, *, keep: bool = True) -> Tensor:
        """The picture as the network sees it. Its chance comes from the look, not from who makes it when."""
        return self._changed(look, _tensor(self._source.picture(look.sample, cropped=look.view is None, keep=keep)))

    def _changed(self, look: _Look, picture: Tensor) -> Tensor:
        if look.view is None:
            return picture
        return _augmented(picture, self._transforms, _rng(self._seed, *look.view, look.sample.sha256), self._rule.crop)

    def _mixed(self, epoch: int, step: int, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if not self._batch_transforms:
            return inputs, targets
        rng = _rng(self._seed, epoch, "batch", step, *([self._part] if self._part else []))
        return _mix(self._batch_transforms, inputs, torch.nn.functional.one_hot(targets, self._classes).float(), rng)


def pictures(
    paths: Iterable[Path], rule: ResizeRule, *, batch_size: int, threads: int | None = None, draft: bool = True
) -> Iterator[Tensor]:
    """The pictures at `paths` as the network sees them, in order: batches of uint8 (N, 3, S, S). `draft`: as `decode.load`.

    Raises:
        UserError: one of them cannot be read.
    """
    with (
        _pool(threads) as pool,
        closing(in_order(pool, lambda path: _input(path, rule, draft), paths, _BATCHES_AHEAD * batch_size)) as made,
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
    return _augmented(_tensor(picture), transforms, _rng(seed), rule.crop).permute(1, 2, 0).numpy()


def preview_mixed(shown: Sequence[np.ndarray], transforms: Sequence[BatchTransform], seed: int) -> list[np.ndarray]:
    """`shown`, uint8 (S, S, 3) each, as training would show them were they a batch, in the same form."""
    inputs = torch.stack([_tensor(picture) for picture in shown])
    mixed, _ = _mix(transforms, inputs, torch.eye(len(shown)), _rng(seed, "batch"))
    return list((255 * mixed).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())


def _mix(transforms: Sequence[BatchTransform], inputs: Tensor, targets: Tensor, rng: random.Random) -> tuple[Tensor, Tensor]:
    """A batch of `inputs`, uint8 (N, 3, S, S), and its `targets`, float (N, classes), mixed: both float, the one in 0..1."""
    inputs = inputs.float() / 255
    for transform in transforms:
        inputs, targets = transform(inputs, targets, rng)
    return inputs, targets


def _input(path: Path, rule: ResizeRule, draft: bool) -> Tensor:
    return _tensor(read_picture(path, lambda where: decode.network_input(where, rule, draft=draft)))


def _augmented(picture: Tensor, transforms: Sequence[PictureTransform], rng: random.Random, size: int) -> Tensor:
    for transform in transforms:
        picture = transform(picture, rng, size)
    height, width = picture.shape[-2:]
    top, left = round((height - size) / 2), round((width - size) / 2)
    return picture[:, top : top + size, left : left + size].contiguous()


def _targets(looks: Sequence[_Look]) -> Tensor:
    return torch.tensor([look.sample.label for look in looks])


def _tensor(picture: np.ndarray) -> Tensor:
    """(H, W, 3) as a tensor (3, H, W) of its own: nobody can change what is kept."""
    return torch.from_numpy(np.array(picture.transpose(2, 0, 1), order="C"))


def _bounds(count: int, batch_size: int, smallest: int) -> list[tuple[int, int]]:
    """First and last + 1 of each batch. A last one of fewer than `smallest` joins the one before."""
    bounds = [(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]
    if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] < smallest:
        bounds[-2:] = [(bounds[-2][0], count)]
    return bounds


def _rng(*parts: object) -> random.Random:
    """A generator of its own for `parts`: near seeds and neighbouring places have nothing in common."""
    return random.Random(hashlib.sha256(repr(parts).encode()).digest())  # noqa: S311 (chance, not secrecy)


def _pool(threads: int | None) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1), thread_name_prefix="pictures")
