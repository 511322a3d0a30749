"""Every file below a dataset folder, met once: links judged before they are followed, junk counted and passed over."""

import os
import stat
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.dataset import Problem, Severity, Subset
from desktop_ft.core.errors import Cancelled

_JUNK = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin", "lost+found"))

SUBSETS = {
    "train": Subset.TRAIN,
    "training": Subset.TRAIN,
    "val": Subset.VAL,
    "valid": Subset.VAL,
    "validation": Subset.VAL,
    "test": Subset.TEST,
    "testing": Subset.TEST,
}
"""What folders and tables call the subsets, in any letter case."""


def is_junk(name: str) -> bool:
    """Whether a file or folder called `name` is an operating system's or a tool's own, never a picture to learn from."""
    return name.startswith(".") or name.casefold() in _JUNK


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where files belong: the class, and the subset where the folder names one."""

    class_name: str
    subset: Subset | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A regular file to look at. `path` is relative to the root, `/`-separated; `where` is how it is opened."""

    path: str
    where: str
    place: Place


@dataclass(frozen=True, slots=True)
class _Link:
    where: str
    place: Place


class Walker:
    """Walks below one root; what it comes upon that is no file to look at goes to `problems`.

    `places` are the class folders it was sent to, the empty ones too.
    """

    def __init__(self, root: Path, cancel: threading.Event | None = None) -> None:
        self.root = str(root)
        self.problems: list[Problem] = []
        self.places: set[Place] = set()
        self._real_root = os.path.realpath(root)
        self._cancel = cancel
        self._seen: set[tuple[int, int]] = set()

    def walk(self, folders: Iterable[tuple[str, Place]]) -> Iterator[Found]:
        """Every regular file below each folder, in the order of names.

        Links come last, so that what they lead to keeps its own place.

        Raises:
            Cancelled: as asked.
        """
        links: list[_Link] = []
        for folder, place in folders:
            self.places.add(place)
            if Path(folder).is_symlink():
                links.append(_Link(folder, place))
            else:
                yield from self._folder(folder, place, links)
        while links:
            link = links.pop(0)
            if self._leads_inside(link.where, link.place.class_name):
                yield from self._any(link.where, link.place, links)

    def file(self, where: str, place: Place) -> Iterator[Found]:
        """The one file at `where`, if it can be looked at. No link on the way to it may leave the root."""
        self.places.add(place)
        if not os.path.lexists(where) or self._leads_inside(where, place.class_name):
            yield from self._regular(where, place)

    def problem(self, where: str, class_name: str | None, kind: str, severity: Severity, reason: str, cure: str) -> None:
        """Take down a finding about the file or folder at `where`."""
        self.problems.append(
            Problem(path=self.relative(where), class_name=class_name, kind=kind, severity=severity, reason=reason, cure=cure)
        )

    def relative(self, where: str) -> str:
        """`where` from the root, `/`-separated."""
        return os.path.relpath(where, self.root).replace(os.sep, "/")

    def entries(self, folder: str, class_name: str | None = None) -> list[os.DirEntry[str]]:
        """What lies in `folder`, by name; junk and folders that cannot be read become problems."""
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            reason = "Permission denied." if isinstance(error, PermissionError) else f"Cannot be read: {error.strerror}."
            self.problem(folder, class_name, "unreadable", Severity.LEFT_OUT, reason, "Allow yourself to read the folder.")
            return []
        for entry in entries:
            if is_junk(entry.name):
                self.problem(entry.path, class_name, "junk", Severity.IGNORED, "Is hidden or a system's own file.", "")
        return [entry for entry in entries if not is_junk(entry.name)]

    def _folder(self, folder: str, place: Place, links: list[_Link]) -> Iterator[Found]:
        """Depth first, without recursion: a deep folder cannot exhaust the stack."""
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            if not self._first_time(current):
                reason = "Leads to a folder that has been looked at already."
                self.problem(current, place.class_name, "link-loop", Severity.IGNORED, reason, "Remove the link.")
                continue
            inner: list[str] = []
            for entry in self.entries(current, place.class_name):
                if self._cancel is not None and self._cancel.is_set():
                    raise Cancelled
                if entry.is_symlink():
                    links.append(_Link(entry.path, place))
                elif entry.is_dir():
                    inner.append(entry.path)
                else:
                    yield from self._regular(entry.path, place)
            waiting.extend(reversed(inner))

    def _any(self, where: str, place: Place, links: list[_Link]) -> Iterator[Found]:
        if Path(where).is_dir():
            yield from self._folder(where, place, links)
        else:
            yield from self._regular(where, place)

    def _regular(self, where: str, place: Place) -> Iterator[Found]:
        try:
            found = Path(where).stat()
        except OSError as error:
            self.problem(
                where, place.class_name, "missing", Severity.LEFT_OUT, f"Cannot be found: {error.strerror}.", "Bring it back."
            )
            return
        if not stat.S_ISREG(found.st_mode):
            reason = "Is a pipe, socket or device, not a file." if not stat.S_ISDIR(found.st_mode) else "Is a folder."
            self.problem(where, place.class_name, "not-a-file", Severity.LEFT_OUT, reason, "Remove it.")
        elif not self._new(found):
            reason = "Is a link to a file that has been looked at already."
            self.problem(where, place.class_name, "link-repeat", Severity.IGNORED, reason, "Remove the link.")
        elif found.st_size == 0:
            reason, cure = "Is empty (0 bytes).", "Copy it again, or remove it."
            self.problem(where, place.class_name, "empty", Severity.LEFT_OUT, reason, cure)
        else:
            yield Found(path=self.relative(where), where=where, place=place)

    def _first_time(self, folder: str) -> bool:
        try:
            return self._new(Path(folder).stat())
        except OSError:
            return True  # listing it will say what is wrong

    def _new(self, found: os.stat_result) -> bool:
        identity = (found.st_dev, found.st_ino)
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True

    def _leads_inside(self, link: str, class_name: str | None) -> bool:
        """Whether the link may be followed. What lies outside the folder is not even looked at."""
        try:
            target = os.path.realpath(link, strict=True)
        except FileNotFoundError:
            self.problem(link, class_name, "broken-link", Severity.LEFT_OUT, "Is a link to nothing.", "Remove the link.")
            return False
        except OSError:
            self.problem(link, class_name, "link-loop", Severity.LEFT_OUT, "Is a link that leads to itself.", "Remove the link.")
            return False
        if target == self._real_root or target.startswith(self._real_root.rstrip(os.sep) + os.sep):
            return True
        reason = "Is a link that leaves the folder; not followed."
        self.problem(link, class_name, "link-outside", Severity.LEFT_OUT, reason, "Copy the file into the folder.")
        return False
