"""What is kept on this machine for the next run, what each of it saves, and how it is dropped. Imports no torch by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_ft import places
from desktop_ft.core.language import tr
from desktop_ft.runs import kept
from desktop_ft.runs.kept import KeptFolder, KeptMeasurements

if TYPE_CHECKING:
    from desktop_ft.engine.feature_store import FeatureStore

_SHARE_OF_MEMORY = 4
_DISK_BYTES = 20 * 10**9
_elsewhere: ContextVar[Path | None] = ContextVar("elsewhere", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One thing that is kept.

    Attributes:
        name: what the command line calls it. title: what it is.
        saves: what it is good for, and what becomes of it when it is dropped, in a sentence.
        path: a file or a folder, which need not be there.
        lightly: whether it is dropped when nothing is named: it comes back by itself, wherever the person is.
    """

    name: str
    title: str
    saves: str
    path: Path
    lightly: bool

    def size(self) -> int:
        """Bytes on the disk."""
        return kept.size(self.path)

    def drop(self) -> int:
        """Drop it; returns how many bytes are free again."""
        return kept.drop(self.path)


def all_kept() -> tuple[Kept, ...]:
    """All that is kept on this machine so that the next run is quick."""
    from desktop_ft.data.known_pictures import KnownPictures  # SQLite: the window needs no part of it to open

    return (
        Kept(
            name="answers",
            title=tr("Answers of frozen layers"),
            saves=tr("The next run on the same pictures starts at once. They are made again by the run that needs them."),
            path=kept_features().path,
            lightly=True,
        ),
        Kept(
            name="scans",
            title=tr("What scans found out"),
            saves=tr("Pictures that have not changed are not decoded again when their folder is opened."),
            path=places.cache() / KnownPictures.FILE,
            lightly=True,
        ),
        Kept(
            name="measurements",
            title=tr("Measurements of this machine"),
            saves=tr("A run need not measure again which precision is the fastest."),
            path=measurements().path,
            lightly=True,
        ),
        Kept(
            name="archives",
            title=tr("Unpacked .zip files"),
            saves=tr("Opening the .zip again unpacks it again. Where the .zip itself is gone, these are the only copies here."),
            path=places.cache() / "archives",
            lightly=False,
        ),
        Kept(
            name="weights",
            title=tr("Downloaded weights"),
            saves=tr("Without them a backbone must be downloaded again before it can be trained. Runs keep their own."),
            path=places.cache() / "weights",
            lightly=False,
        ),
    )


def kept_features() -> KeptFolder:
    """All that frozen layers have answered: at most 20 GB."""
    return KeptFolder(_place() / "features", _DISK_BYTES)


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Let what this thread does in the block keep all that in `folder`: a benchmark starts from nothing and leaves nothing."""
    token = _elsewhere.set(folder)
    try:
        yield
    finally:
        _elsewhere.reset(token)


def is_kept_elsewhere() -> bool:
    """Whether what this thread does is to leave nothing in the person's own folders; see `kept_in`."""
    return _elsewhere.get() is not None


def feature_store(processes: int = 1) -> FeatureStore:
    """What a run keeps its answers in; its `processes` here may hold a quarter of this machine's memory. Imports torch."""
    import psutil

    from desktop_ft.engine.feature_store import FeatureStore

    return FeatureStore(kept_features(), memory_bytes=psutil.virtual_memory().total // _SHARE_OF_MEMORY // processes)


def measurements() -> KeptMeasurements:
    """What earlier runs measured of this machine."""
    return KeptMeasurements(_place() / "measured")


def _place() -> Path:
    return _elsewhere.get() or places.cache()
