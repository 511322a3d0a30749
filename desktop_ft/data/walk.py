"""Every file below a dataset folder, met once: links judged before they are followed, junk counted and passed over."""

import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.dataset import Problem, Severity, Subset
from desktop_ft.core.errors import Cancelled
from desktop_ft.core.language import tr

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
    """A regular file to look at, with what the system says of it.

    Attributes:
        path: relative to the root, `/`-separated. where: how it is opened.
    """

    path: str
    where: str
    place: Place
    stat: os.stat_result


@dataclass(frozen=True, slots=True)
class _Link:
    where: str
    place: Place
    is_place: bool = False


class Walker:
    """Walks below one root; what it comes upon that is no file to look at goes to `problems`.

    `places` are the class folders it was sent to, the empty ones too; `unfollowed` are those that are links it may not follow.

    Args:
        passed: told of each file that need not be looked at, as it is met.
    """

    def __init__(self, root: Path, cancel: threading.Event | None = None, passed: Callable[[], None] | None = None) -> None:
        self.root = str(root)
        self.problems: list[Problem] = []
        self.places: set[Place] = set()
        self.unfollowed: set[Place] = set()
        self._real_root = os.path.realpath(root)
        self._device = Path(root).stat().st_dev
        self._cancel = cancel
        self._passed = passed
        self._seen: set[int | tuple[int, int]] = set()

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
                links.append(_Link(folder, place, is_place=True))
            else:
                yield from self._folder(folder, place, links)
        while links:
            link = links.pop(0)
            if self._leads_inside(link.where, link.place.class_name):
                yield from self._any(link.where, link.place, links)
            elif link.is_place:
                self.unfollowed.add(link.place)

    def file(self, where: str, place: Place) -> Iterator[Found]:
        """The one file at `where`, if it can be looked at. No link on the way to it may leave the root."""
        self.places.add(place)
        if not os.path.lexists(where) or self._leads_inside(where, place.class_name):
            yield from self._regular(where, self.relative(where), place)

    def problem(self, where: str, class_name: str | None, kind: str, severity: Severity, reason: str, cure: str) -> None:
        """Take down a finding about the file or folder at `where`."""
        self._problem(self.relative(where), class_name, kind, severity, reason, cure)

    def relative(self, where: str) -> str:
        """`where` from the root, `/`-separated."""
        return os.path.relpath(where, self.root).replace(os.sep, "/")

    def entries(self, folder: str, class_name: str | None = None) -> list[os.DirEntry[str]]:
        """What lies in `folder`, by name; junk and folders that cannot be read become problems."""
        return sorted(self._entries(folder, class_name), key=lambda entry: entry.name)

    def _entries(self, folder: str, class_name: str | None) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    if self._cancel is not None and self._cancel.is_set():
                        raise Cancelled
                    if is_junk(entry.name):
                        self.problem(entry.path, class_name, "junk", Severity.IGNORED, "Is hidden or a system's own file.", "")
                    else:
                        yield entry
        except OSError as error:
            denied = isinstance(error, PermissionError)
            reason = tr("Permission denied.") if denied else tr("Cannot be read: {error}.", error=error.strerror)
            cure = tr("Allow yourself to read the folder.") if denied else tr("Check the disk, or remove it.")
            self.problem(folder, class_name, "unreadable", Severity.LEFT_OUT, reason, cure)

    def _folder(self, folder: str, place: Place, links: list[_Link]) -> Iterator[Found]:
        """Depth first, without recursion: a deep folder cannot exhaust the stack."""
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            if not self._first_time(current):
                reason = tr("Leads to a folder that has been looked at already.")
                self.problem(current, place.class_name, "link-loop", Severity.IGNORED, reason, tr("Remove the link."))
                continue
            # Names alone wait for their turn: a folder may hold a million.
            files: list[str] = []
            folders: list[str] = []
            linked: list[str] = []
            for entry in self._entries(current, place.class_name):
                (linked if entry.is_symlink() else folders if entry.is_dir() else files).append(entry.name)
            links.extend(_Link(os.path.join(current, name), place) for name in sorted(linked))  # noqa: PTH118 (quick)
            here = self.relative(current)
            start = "" if here == "." else f"{here}/"
            files.sort()
            for name in files:
                if self._cancel is not None and self._cancel.is_set():
                    raise Cancelled
                yield from self._regular(os.path.join(current, name), start + name, place)  # noqa: PTH118
            waiting.extend(os.path.join(current, name) for name in sorted(folders, reverse=True))  # noqa: PTH118

    def _any(self, where: str, place: Place, links: list[_Link]) -> Iterator[Found]:
        if Path(where).is_dir():
            yield from self._folder(where, place, links)
        else:
            yield from self._regular(where, self.relative(where), place)

    def _regular(self, where: str, path: str, place: Place) -> Iterator[Found]:
        try:
            found = os.stat(where)  # noqa: PTH116 (as above)
            trouble = self._trouble(found)
        except OSError as error:
            reason = tr("Cannot be found: {error}.", error=error.strerror)
            trouble = ("missing", Severity.LEFT_OUT, reason, tr("Bring it back."))
        if trouble is None:
            yield Found(path=path, where=where, place=place, stat=found)
            return
        self._problem(path, place.class_name, *trouble)
        if self._passed is not None:
            self._passed()

    def _trouble(self, found: os.stat_result) -> tuple[str, Severity, str, str] | None:
        """Why a file need not be looked at: kind, severity, reason, cure."""
        if not stat.S_ISREG(found.st_mode):
            folder = stat.S_ISDIR(found.st_mode)
            reason = tr("Is a folder.") if folder else tr("Is a pipe, socket or device, not a file.")
            return "not-a-file", Severity.LEFT_OUT, reason, tr("Remove it.")
        if not self._new(found):
            reason = tr("Is a link to a file that has been looked at already.")
            return "link-repeat", Severity.IGNORED, reason, tr("Remove the link.")
        if not found.st_size:
            return "empty", Severity.LEFT_OUT, tr("Is empty (0 bytes)."), tr("Copy it again, or remove it.")
        return None

    def _problem(self, path: str, class_name: str | None, kind: str, severity: Severity, reason: str, cure: str) -> None:
        self.problems.append(Problem(path=path, class_name=class_name, kind=kind, severity=severity, reason=reason, cure=cure))

    def _first_time(self, folder: str) -> bool:
        try:
            return self._new(Path(folder).stat())
        except OSError:
            return True  # listing it will say what is wrong

    def _new(self, found: os.stat_result) -> bool:
        # The number alone, nearly always: a million pairs would take twice the memory.
        identity = found.st_ino if found.st_dev == self._device else (found.st_dev, found.st_ino)
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True

    def _leads_inside(self, link: str, class_name: str | None) -> bool:
        """Whether the link may be followed. What lies outside the folder is not even looked at."""
        try:
            target = os.path.realpath(link, strict=True)
        except FileNotFoundError:
            reason = tr("Is a link to nothing.")
            self.problem(link, class_name, "broken-link", Severity.LEFT_OUT, reason, tr("Remove the link."))
            return False
        except OSError:
            reason = tr("Is a link that leads to itself.")
            self.problem(link, class_name, "link-loop", Severity.LEFT_OUT, reason, tr("Remove the link."))
            return False
        if target == self._real_root or target.startswith(self._real_root.rstrip(os.sep) + os.sep):
            return True
        reason = tr("Is a link that leaves the folder; not followed.")
        cure = tr("Put the folder itself in the link's place.") if Path(target).is_dir() else tr("Copy the file into the folder.")
        self.problem(link, class_name, "link-outside", Severity.LEFT_OUT, reason, cure)
        return False
