"""Which plugins a person trusts: each is enabled by name, as its files are at that time, and is trusted no more once they change.

What is enabled is tried in a process of its own before it is imported here for the first time. While it is imported, its name
stands in a file that is held: where the application ends meanwhile, the file is left behind, and the next start knows. (Not so in
a child of the application: that is ended, by whoever has given up what it was for, whatever it does.)
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.core.values import plain_json
from desktop_ft.data.files import NotAFile, open_regular, sha256
from desktop_ft.runs import atomic, lock

TRIED_WITHIN_S = 30
_ENDED = marked("the application ended while it was last loaded")
_ENDED_ITS_TRIAL = marked("it ended the process in which it was tried")
_ENDLESS = marked("when it was tried, its import did not come to an end")
MOST_FILES = 20_000
MOST_BYTES = 1 << 30
"""A plugin's files are looked at whenever the application starts: more of them are not trusted."""
_NAMED = 3
_PROBE = "desktop_ft.plugin_manager.probe"
_CHANGED = marked("The list of plugins is being changed by process {pid} on {host}, since {since}.")


@dataclass(frozen=True, slots=True)
class Trust:
    """What is kept of the plugins that are not built in.

    Attributes:
        enabled: name to the fingerprint of what the person enabled; "" where that is not known yet.
        tried: name to the fingerprint of what came well out of its trial.
        stopped: name to why it is not loaded again until it is enabled anew, in English.
        brought: name to the names of what it brought when it was last loaded, by their kind; kept when it is off or gone.
    """

    enabled: dict[str, str] = field(default_factory=dict)
    tried: dict[str, str] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    brought: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)

    def with_enabled(self, name: str, files: str) -> Trust:
        """The same with `name` enabled as it is now, whatever it did before."""
        cleared = self.without(name)
        return replace(cleared, enabled={**cleared.enabled, name: files})

    def with_tried(self, name: str, files: str) -> Trust:
        """The same with `name` as it is now out of its trial; so it is known from now on."""
        enabled = {**self.enabled, name: files} if self.enabled.get(name) == "" else self.enabled
        return replace(self, enabled=enabled, tried={**self.tried, name: files})

    def with_stopped(self, name: str, why: str) -> Trust:
        """The same with `name` not to be loaded again."""
        return replace(self, stopped={**self.stopped, name: why})

    def with_brought(self, name: str, brings: Mapping[str, tuple[str, ...]]) -> Trust:
        """The same with `name` known as what brought `brings`."""
        return replace(self, brought={**self.brought, name: dict(brings)})

    def without(self, name: str) -> Trust:
        """The same without trust in `name`; what it brought is still known."""
        trusted = (self.enabled, self.tried, self.stopped)
        enabled, tried, stopped = ({key: value for key, value in each.items() if key != name} for each in trusted)
        return replace(self, enabled=enabled, tried=tried, stopped=stopped)


class Damaged(UserError):
    """What is kept is no list of plugins; it is put aside as `aside` when it is next written."""

    def __init__(self) -> None:
        self.aside = _aside()
        cure = tr("Enable your plugins again; the damaged file is then kept as {name}.", name=self.aside.name)
        super().__init__(tr("{file} is damaged.", file=_kept()), cure)


def read() -> Trust:
    """What is kept.

    Raises:
        Damaged: it is no list of plugins.
        UserError: it cannot be read.
    """
    try:
        with open_regular(_kept()) as file:
            kept = plain_json(file.read())
        if isinstance(kept["enabled"], list):  # as it was before files were looked at
            kept["enabled"] = {name: "" for name in kept["enabled"] if isinstance(name, str)}
        return TypeAdapter(Trust).validate_python({**kept, "brought": _usable(kept.get("brought"))})
    except FileNotFoundError:
        return Trust()
    except OSError as error:
        raise atomic.cannot_read(_kept(), error) from error
    except (NotAFile, ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise Damaged from error


def _usable(brought: object) -> dict[str, object]:
    """Of what is known of what plugins brought, what can be used: it is known anew when they are next loaded."""
    found = dict[str, object]()
    for name, brings in brought.items() if isinstance(brought, dict) else ():
        with suppress(ValidationError):
            found[name] = TypeAdapter(dict[str, tuple[str, ...]]).validate_python(brings)
    return found


def change(to: Callable[[Trust], Trust]) -> None:
    """Keep what `to` makes of what is kept; what another process keeps meanwhile stays. What is damaged is put aside.

    Raises:
        UserError: it cannot be read or written.
    """
    atomic.make_folder(_kept().parent)
    with lock.held_soon(_kept().with_suffix(".lock"), _CHANGED):
        aside = None
        try:
            before = read()
        except Damaged as damaged:
            before, aside = Trust(), damaged.aside
        if (after := to(before)) == before:
            return
        if aside is not None:
            try:
                _kept().rename(aside)
            except OSError as error:
                raise atomic.cannot_write(aside, 0, error) from error
        atomic.write(_kept(), json.dumps(asdict(after), sort_keys=True).encode())


def unfit(files: Mapping[str, Path]) -> str:
    """Why nobody can vouch for `files`: they are too many or too large, or one is no file; "" where one can."""
    if len(files) > MOST_FILES:
        return tr("it holds more than {limit:,} files", limit=MOST_FILES)
    size, odd = 0, list[str]()
    for name, file in sorted(files.items()):
        with suppress(OSError):  # it counts as empty
            found = file.stat()
            size += found.st_size
            if not stat.S_ISREG(found.st_mode):
                odd.append(name)
    if odd:
        names = ", ".join((*odd[:_NAMED], *(("…",) if len(odd) > _NAMED else ())))
        return tr("it holds what is no file, cannot be read or leads too far: {names}", names=names)
    return tr("it is larger than {limit:.0f} GB", limit=MOST_BYTES / (1 << 30)) if size > MOST_BYTES else ""


def fingerprint(files: Mapping[str, Path]) -> str:
    """A hash of names and contents of `files`, which are not `unfit`; what cannot be read counts as empty."""
    found = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest = ""
        with suppress(OSError, NotAFile), open_regular(file) as content:
            digest = sha256(content)
        found.update(json.dumps([name, digest]).encode())
    return found.hexdigest()


def blamed() -> dict[str, str]:
    """The plugins while which the application ended, with the reason, in English; until `forget_blame`."""
    marks, found = list[Path](), dict[str, str]()
    with suppress(OSError):
        marks = sorted(_loading().iterdir())
    for mark in marks:
        with suppress(OSError, UserError):
            if mark.stat().st_size and not lock.is_held(mark):  # who lets go of it leaves it empty
                found[mark.name] = _ENDED
    return found


def forget_blame(names: Mapping[str, str]) -> None:
    """It is kept elsewhere now."""
    for name in names:
        with suppress(OSError):
            (_loading() / name).unlink(missing_ok=True)


@contextmanager
def loading(name: str) -> Iterator[None]:
    """The block imports the plugin `name`; should the process end meanwhile, unless it is a child, the next one will know."""
    if places.is_child():
        yield
        return
    mark = _loading() / name
    try:
        atomic.make_folder(mark.parent)
        held = lock.held(mark)
        held.__enter__()
    except UserError:  # another process is importing it just now, or nothing can be written: then there is no mark
        yield
        return
    try:
        yield
    finally:
        held.__exit__(None, None, None)
        forget_blame({name: ""})


def tried(name: str) -> str:
    """Import the plugin `name` in a process of its own; why it must not be imported here, in English, or "".

    What it raises is no reason: that is caught here as well, and told with its traceback.
    """
    import subprocess  # who has no plugins need not wait for it

    try:
        done = subprocess.run(  # noqa: S603 (our own module, no shell)
            [sys.executable, "-m", _PROBE, name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=places.environment(),
            timeout=TRIED_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _ENDLESS
    return "" if done.stdout.endswith(b"done\n") else _ENDED_ITS_TRIAL


def _kept() -> Path:
    return places.data() / "plugins.json"


def _aside() -> Path:
    """Where a damaged list is put: no name that is taken."""
    names = (f"plugins-damaged{number}.json" for number in itertools.chain([""], itertools.count(2)))
    return next(path for path in map(_kept().with_name, names) if not os.path.lexists(path))


def _loading() -> Path:
    return places.data() / "plugins-loading"
