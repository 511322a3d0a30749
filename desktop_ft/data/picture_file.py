"""A picture's file before anything is decoded: opened, found unreadable, found unchanged. No numpy, no Pillow."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from desktop_ft.core.dataset import Sample
from desktop_ft.core.language import marked, tr
from desktop_ft.data.files import NotAFile, Source, open_regular, sha256


class UnreadablePicture(Exception):
    """A file that gives no picture.

    Attributes:
        kind: a short stable word: `missing`, `unreadable`, `not-a-file`, `empty`, `not-an-image`, `truncated`, `broken`,
            `too-large`.
        said: a sentence without the file's name, in English, with places for `values`. remedy: what to do about it, likewise.
    """

    def __init__(self, kind: str, said: str, remedy: str, values: Mapping[str, str | float] = MappingProxyType({})) -> None:
        super().__init__(kind, said, remedy, dict(values))
        self.kind = kind
        self.said = said
        self.remedy = remedy
        self.values = dict(values)

    @property
    def reason(self) -> str:
        """What is wrong with it, as it is told to the person."""
        return tr(self.said, **self.values)

    @property
    def cure(self) -> str:
        """What to do about it, likewise."""
        return tr(self.remedy)

    def __str__(self) -> str:
        return f"{self.reason} {self.cure}"


@contextmanager
def open_picture(path: Source) -> Iterator[BinaryIO]:
    """The file at `path`, open for reading; one that is open already stays so.

    Raises:
        UnreadablePicture: the operating system's refusal, in words.
    """
    if not isinstance(path, Path | str | bytes):
        yield path
        return
    try:
        file = open_regular(path)
    except NotAFile as error:
        raise UnreadablePicture(
            "not-a-file", marked("Is a pipe, socket, device or folder, not a file."), marked("Remove it.")
        ) from error
    except FileNotFoundError as error:
        raise UnreadablePicture(
            "missing", marked("Is not there any more."), marked("Bring it back, or scan the folder again.")
        ) from error
    except PermissionError as error:
        raise UnreadablePicture("unreadable", marked("Permission denied."), marked("Allow yourself to read it.")) from error
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnreadablePicture(
            "unreadable", marked("Cannot be opened: {error}."), marked("Check the disk, or remove it."), {"error": words}
        ) from error
    with file:
        yield file


def is_unchanged(path: Path, sample: Sample) -> bool:
    """Whether the file still holds the bytes that were scanned; a new date alone is no change.

    Raises:
        UnreadablePicture: it is gone, or cannot be opened.
    """
    with open_picture(path) as file:
        now = os.fstat(file.fileno())
        if (now.st_size, now.st_mtime_ns) == (sample.bytes, sample.mtime_ns):
            return True
        return now.st_size == sample.bytes and sha256(file) == sample.sha256
