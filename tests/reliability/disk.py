"""What a disk may hold after the power failed: worked out from the calls that a process made."""

import os
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

_CALLS = ("openat", "write", "writev", "fsync", "rename", "unlink", "ftruncate", "mkdir")
_LINE = re.compile(r"^\d+ +(?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>\d+)(?:<.*>)?$")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FOLDERS = ("", "checkpoints")
"""Those that are there before the process begins."""
_HANDLE = re.compile(r"^\d+<((?:\\x[0-9a-f]{2})*)>")


@dataclass
class _File:
    """What a file holds for good, and what was done to it since: data at a place, or a new length."""

    flushed: bytes = b""
    since: list[tuple[int, bytes | None]] = field(default_factory=list)

    @property
    def now(self) -> bytes:
        return _applied(self.flushed, self.since)

    def after_power_failed(self, chance: random.Random) -> bytes:
        """What was flushed; each change since may have come, come in part, or be lost."""
        kept = []
        for place, data in self.since:
            share = chance.choice((0.0, 1.0, chance.random()))
            if data is None:
                kept += [(place, data)] if share > 0.5 else []
            elif share:
                kept.append((place, data[: round(share * len(data))]))
        return _applied(self.flushed, kept)


@dataclass
class _State:
    """A moment: the files, all changes of names so far, how many of those are there for good, and what the process said."""

    files: dict[int, _File] = field(default_factory=dict)
    names: list[tuple[str, str, int | str]] = field(default_factory=list)
    for_good: int = 0
    notes: bytes = b""


class DiskLog:
    """The calls that a process made to change `folder`.

    The order of changes to names is kept, as by every file system with a journal: a beginning of them survives, at least up to
    the last that was made in a folder before that was flushed. Data survives where it was flushed; where not, any part may.

    Args:
        log: what `strace` wrote with `options`.
        notes: the file in which the process said what it had saved.
    """

    def __init__(self, log: Path, folder: Path, notes: Path) -> None:
        self._folder, self._notes = os.fspath(folder), os.fspath(notes)
        lines = log.read_text().splitlines()
        assert not any("unfinished" in line for line in lines), "calls of several threads are told in parts"
        self._calls = [found for line in lines if (found := _LINE.match(line))]
        assert len(self._calls) > 100, "strace recorded next to nothing"

    @staticmethod
    def options(log: Path) -> tuple[str, ...]:
        """What makes `strace` record all that is needed in `log`."""
        return ("-y", "-xx", "-s", "100000000", "-e", f"trace={','.join(_CALLS)}", "-o", str(log))

    def lose_power(self, chance: random.Random, into: Path, notes: Path) -> None:
        """Put into `into` what may be left where the power fails at a random moment, and into `notes` what was said by then."""
        state = _State()
        for call in self._calls[: chance.randrange(len(self._calls) + 1)]:
            self._apply(state, call["call"], call["arguments"])
        names: dict[str, int] = {}
        folders = set(_FOLDERS)
        for kind, name, what in state.names[: chance.randint(state.for_good, len(state.names))]:
            _change(names, folders, kind, name, what)
        for name in folders:
            (into / name).mkdir(parents=True, exist_ok=True)
        for name, number in names.items():
            (into / name).write_bytes(state.files[number].after_power_failed(chance))
        notes.write_bytes(state.notes)

    def _apply(self, state: _State, call: str, arguments: str) -> None:
        paths = [self._inside(text) for text in _texts(arguments)]
        handle = self._inside(_decoded(found[1])) if (found := _HANDLE.match(arguments)) else None
        if call == "writev":
            self._hear(state, arguments)
        elif call == "openat" and paths[0] is not None and "O_CREAT" in arguments:
            self._open(state, paths[0], cut="O_TRUNC" in arguments)
        elif call == "rename" and None not in paths:
            state.names.append(("rename", paths[0], paths[1]))
        elif call == "unlink" and paths[0] is not None:
            state.names.append(("unlink", paths[0], ""))
        elif call == "mkdir" and paths[0] is not None:
            state.names.append(("mkdir", paths[0], ""))
        elif handle is not None:
            self._change_file(state, call, handle, arguments)

    def _open(self, state: _State, name: str, *, cut: bool) -> None:
        number = _names_now(state).get(name)
        if number is None:
            number = len(state.files)
            state.files[number] = _File()
            state.names.append(("create", name, number))
        elif cut:
            state.files[number].since.append((0, None))

    def _change_file(self, state: _State, call: str, name: str, arguments: str) -> None:
        number = _names_now(state).get(name)
        if number is None:
            if call == "fsync" and name in _FOLDERS:
                made = [place for place, change in enumerate(state.names, start=1) if _folder_of(change) == name]
                state.for_good = max([state.for_good, *made])
            return
        file = state.files[number]
        if call == "write":
            file.since.append((len(file.now), _decoded(_TEXT.search(arguments)[1])))
        elif call == "ftruncate":
            file.since.append((int(arguments.rpartition(", ")[2]), None))
        elif call == "fsync":
            file.flushed, file.since = file.now, []

    def _hear(self, state: _State, arguments: str) -> None:
        if _decoded(_HANDLE.match(arguments)[1]) == self._notes.encode():
            state.notes += _decoded(_TEXT.search(arguments)[1])

    def _inside(self, path: bytes) -> str | None:
        """`path` as seen from the folder; None where it lies elsewhere."""
        text = os.fsdecode(path)
        if text == self._folder:
            return ""
        return text.removeprefix(f"{self._folder}/") if text.startswith(f"{self._folder}/") else None


def _folder_of(change: tuple[str, str, int | str]) -> str:
    kind, name, what = change
    return str(what if kind == "rename" else name).rpartition("/")[0]


def _names_now(state: _State) -> dict[str, int]:
    names: dict[str, int] = {}
    for kind, name, what in state.names:
        _change(names, set(), kind, name, what)
    return names


def _change(names: dict[str, int], folders: set[str], kind: str, name: str, what: int | str) -> None:
    if kind == "create":
        names[name] = what
    elif kind == "mkdir":
        folders.add(name)
    elif kind == "rename":
        names[what] = names.pop(name)
    else:
        del names[name]


def _applied(content: bytes, changes: list[tuple[int, bytes | None]]) -> bytes:
    found = bytearray(content)
    for place, data in changes:
        if data is None:
            del found[place:]
        else:
            found.extend(bytes(max(0, place + len(data) - len(found))))  # a hole reads as zeros
            found[place : place + len(data)] = data
    return bytes(found)


def _texts(arguments: str) -> list[bytes]:
    return [_decoded(text) for text in _TEXT.findall(arguments)]


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
