"""Pictures of a manifest as pixels, each checked against what the scan saw, and kept in memory as far as that goes."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from desktop_ft.core.backbone import ResizeRule
from desktop_ft.core.dataset import Sample
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.data import decode
from desktop_ft.data.picture_file import UnreadablePicture, is_unchanged


def read_picture(path: Path, make: Callable[[Path], np.ndarray], cure: str = "") -> np.ndarray:
    """`make(path)`, with a picture that cannot be read told to the person by name.

    Args:
        cure: what to do about it; "": what is to be done about one of a dataset.

    Raises:
        UserError: the picture at `path` cannot be read.
    """
    try:
        return make(path)
    except UnreadablePicture as error:
        what = tr("The picture {path} cannot be read: {reason}", path=path, reason=error.reason)
        raise UserError(what, cure or error.cure) from error


class PictureSource:
    """Decodes and resizes samples; thread-safe.

    Args:
        root: folder that the samples' paths start from.
        cache_bytes: pixels kept in memory. What came first stays: of pictures asked for in turn, epoch after epoch, a
            cache that drops the oldest would keep none in time.
    """

    def __init__(self, root: Path, rule: ResizeRule, cache_bytes: int) -> None:
        self._root = root
        self._rule = rule
        self._room = cache_bytes
        self._kept: dict[tuple[str, bool], np.ndarray] = {}
        self._lock = threading.Lock()

    def picture(self, sample: Sample, *, cropped: bool, keep: bool = True) -> np.ndarray:
        """uint8 (crop, crop, 3) where `cropped`, else the whole picture with its shorter side as the rule says; read only.

        Raises:
            UserError: it cannot be read, or is no longer the picture that was scanned.
        """
        key = (sample.path, cropped)
        kept = self._kept.get(key)
        if kept is None:
            kept = read_picture(self._root / sample.path, lambda path: self._decode(path, sample, cropped))
            kept.setflags(write=False)
            if keep:
                self._keep(key, kept)
        return kept

    def forget(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._room += sum(picture.nbytes for picture in self._kept.values())
            self._kept.clear()

    def _decode(self, path: Path, sample: Sample, cropped: bool) -> np.ndarray:
        if not is_unchanged(path, sample):
            raise UserError(
                tr("The picture {path} has changed since the folder was looked at.", path=path), tr("Scan the folder again.")
            )
        if cropped:
            return np.ascontiguousarray(decode.network_input(path, self._rule))
        return decode.load(path, decode.shorter_side(self._rule), self._rule.interpolation)

    def _keep(self, key: tuple[str, bool], picture: np.ndarray) -> None:
        with self._lock:
            if key not in self._kept and picture.nbytes <= self._room:
                self._kept[key] = picture
                self._room -= picture.nbytes
