"""What a person has said is right in the check-up of a dataset, so that it is not shown at the next one."""

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked
from desktop_ft.core.values import from_json
from desktop_ft.runs import atomic, lock

_WRITTEN = marked("Process {pid} on {host} writes down what is right in these pictures, since {since}.")


@dataclass(frozen=True, slots=True)
class CheckedPictures:
    """The findings of one dataset that are right as they are, by kind and a mark: of what was looked at, not of where it lies.

    Attributes:
        home: where the files of all datasets lie.
        source: the folder or .zip that the pictures are from.
    """

    home: Path
    source: str

    def of(self, kind: str) -> frozenset[str]:
        """The marks of the findings of `kind` that are right.

        Raises:
            UserError: what is kept cannot be read, or is damaged.
        """
        return self.all().get(kind, frozenset())

    def all(self) -> dict[str, frozenset[str]]:
        """The marks of all findings that are right, by kind. Raises UserError as `of` does."""
        if not self._file.is_file():
            return {}
        return _marks(atomic.read(self._file), str(self._file))

    def add(self, kind: str, marks: Collection[str]) -> None:
        """Remember these, too.

        Raises:
            UserError: they cannot be written down, or what is kept cannot be read.
        """
        self._put(kind, lambda before: before | frozenset(marks))

    def forget(self, kind: str, marks: Collection[str]) -> None:
        """Remember these no more. Raises UserError as `add` does."""
        self._put(kind, lambda before: before - frozenset(marks))

    def put_damaged_aside(self) -> Path | None:
        """Begin anew where what is kept is damaged; returns where that lies from then on, None where it is whole.

        Raises:
            UserError: it cannot be read, or cannot be moved.
        """
        if not self._is_damaged():
            return None
        with lock.held_soon(self._file.with_suffix(".lock"), _WRITTEN):
            if not self._is_damaged():  # another window was quicker
                return None
            names = (self._file.with_suffix(f".damaged-{number}") for number in itertools.count(1))
            aside = next(path for path in names if not path.exists())
            try:
                self._file.rename(aside)
            except OSError as error:
                raise atomic.cannot_write(aside, 0, error) from error
            return aside

    def _put(self, kind: str, change: Callable[[frozenset[str]], frozenset[str]]) -> None:
        atomic.make_folder(self.home)
        with lock.held_soon(self._file.with_suffix(".lock"), _WRITTEN):  # another window may have the same pictures
            kept = self.all()
            kept[kind] = change(kept.get(kind, frozenset()))
            atomic.write(self._file, json.dumps({name: sorted(each) for name, each in kept.items()}).encode())

    def _is_damaged(self) -> bool:
        if not self._file.is_file():
            return False
        data = atomic.read(self._file)
        try:
            _marks(data, "")
        except UserError:
            return True
        return False

    @property
    def _file(self) -> Path:
        return self.home / f"{hashlib.sha256(self.source.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"


def checked_pictures(source: str) -> CheckedPictures:
    """What is right of the pictures from `source`, a folder or .zip, in the window and on the command line alike."""
    return CheckedPictures(places.data() / "checked", os.path.abspath(source))  # noqa: PTH100 - as a scan names its source


def _marks(data: bytes, where: str) -> dict[str, frozenset[str]]:
    return from_json(dict[str, frozenset[str]], data, where)
