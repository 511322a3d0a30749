"""What exporters have in common. Torch and numpy are imported where they are used."""

from __future__ import annotations

import logging
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The first time that a .zip can tell."""


def scaled(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """`pictures`, uint8 (S, S, 3) each, as networks take them: float32 (N, 3, S, S) in 0..1."""
    import numpy as np

    found = np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2), dtype=np.float32)
    found /= 255
    return found


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a format of several files as one: a .zip of `files`, stored as they are, the same bytes each time.

    Raises:
        OSError: it cannot be written.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), files[name])


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """In the block what `loggers` say below an error is not told, nor is any warning.

    A converter's notes about its own insides are not the person's concern; errors are raised, not logged.
    """
    silenced = [logging.getLogger(name) for name in loggers]
    before = [logger.level for logger in silenced]
    for logger in silenced:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(silenced, before, strict=True):
            logger.setLevel(level)
