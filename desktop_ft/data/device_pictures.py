"""Decoded pictures on a GPU: brought there by threads, and kept there as far as room was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing

import torch
from torch import Tensor

from desktop_ft.core.dataset import Sample
from desktop_ft.core.parallel import in_order
from desktop_ft.data.source import PictureSource


class DevicePictures:
    """Gives samples' pictures as tensors on `device`, a CUDA device, uint8 (3, H, W), not to be changed in place.

    Args:
        source: decodes them. What is kept here it need not keep.
        room: bytes of pictures to keep. What came first stays, as in `PictureSource`.
    """

    def __init__(self, source: PictureSource, device: torch.device, room: int) -> None:
        self._source = source
        self._device = device
        self._room = room
        self._full = False
        # A copy must not wait for the steps that are under way.
        self._copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._kept: dict[tuple[str, bool], Tensor] = {}

    def pictures(self, pool: Executor, wanted: Sequence[tuple[Sample, bool]], ahead: int) -> Iterator[Tensor]:
        """The picture of each sample, in order; True: cropped as `PictureSource.picture` does.

        Args:
            pool: decodes what is not here yet, at most `ahead` of them before they are asked for.
        """
        here = [(sample.path, cropped) in self._kept for sample, cropped in wanted]
        missing = (each for each, is_here in zip(wanted, here, strict=True) if not is_here)
        with closing(in_order(pool, self._brought, missing, ahead)) as coming:
            for (sample, cropped), is_here in zip(wanted, here, strict=True):
                key = sample.path, cropped
                if is_here and key in self._kept:
                    yield self._kept[key]
                    continue
                picture = self._brought((sample, cropped)) if is_here else next(coming)  # given back meanwhile
                picture.record_stream(torch.cuda.current_stream(self._device))  # its memory is not free before that is done
                self._keep(key, picture)
                yield picture

    def forget(self) -> None:
        """Give the memory back."""
        self._room += sum(picture.nbytes for picture in self._kept.values())
        self._kept.clear()
        self._full = False

    def _keep(self, key: tuple[str, bool], picture: Tensor) -> None:
        if key in self._kept:
            return
        if picture.nbytes > self._room:
            self._full = True  # from now on the source keeps what it decodes
            return
        self._kept[key] = picture
        self._room -= picture.nbytes

    def _brought(self, wanted: tuple[Sample, bool]) -> Tensor:
        """One picture, on the device; its rows lie as decoders give them, which is the order that networks compute fastest in."""
        sample, cropped = wanted
        picture = self._source.picture(sample, cropped=cropped, keep=self._full)
        with torch.cuda.stream(self._copying):
            return torch.from_numpy(picture.copy()).to(self._device).permute(2, 0, 1)
