"""One process at a time trains a run, or works at the queue: a lock that the system itself lets go of when its holder dies."""

import datetime
import errno
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.core.values import plain_json
from desktop_ft.runs.atomic import cannot_read, cannot_write

TRAINED = marked("The run {name} is being trained by process {pid} on {host}, since {since}.")
_CHANGED_WITHIN_S = 2.0
_BEYOND = 1 << 30
"""Windows locks bytes, and nobody else can read those: so the byte lies far behind the holder's name."""


@contextmanager
def held(path: Path, held_by: str = TRAINED, name: str = "") -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    Args:
        held_by: what another holder does, in a sentence to be looked up with places for `pid`, `host` and `since`; by default
            it trains the run that the file lies in, `name`.
        name: what is held; "": the folder that the file lies in.

    A lock left by a process that died on this machine is taken over. One from another machine is not: a shared disk
    may not pass the system's lock on.

    Raises:
        UserError: another process holds it; names the process, the machine and the time.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise cannot_write(path, 0, error) from error
    try:
        try:
            free = _take_soon(handle)
        except OSError as error:  # such as on a disk of a network that knows no locks
            raise cannot_write(path, 0, error) from error
        holder = _holder(handle)
        if not free or holder.get("host", platform.node()) != platform.node():
            who = {key: holder.get(key, "?") for key in ("pid", "host", "since")}
            raise _taken(path, tr(held_by, name=name or path.parent.name, **who), free)
        _name_holder(path, handle)
        try:
            yield
        finally:
            with suppress(OSError):  # the system lets go of it all the same
                os.ftruncate(handle, 0)
    finally:
        os.close(handle)


@contextmanager
def held_soon(path: Path, held_by: str) -> Iterator[None]:
    """Hold the lock file `path` for a small change, as `held` does; others that do take a moment at most, which is waited for."""
    until = time.monotonic() + _CHANGED_WITHIN_S
    while True:
        changing = held(path, held_by)
        try:
            changing.__enter__()
        except UserError:
            if time.monotonic() > until:
                raise
            continue
        break
    try:
        yield
    finally:
        changing.__exit__(None, None, None)


def is_held(path: Path) -> bool:
    """Whether a live process on this machine, or one on another machine, holds the lock file `path`."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise cannot_read(path, error) from error
    try:
        return not _take(handle) or _holder(handle).get("host", platform.node()) != platform.node()
    finally:
        os.close(handle)


def _take_soon(handle: int) -> bool:
    """Take the lock; somebody who only looks whether it is held (see `is_held`) has it for an instant."""
    for _ in range(5):
        if _take(handle):
            return True
        time.sleep(0.02)
    return False


def _name_holder(path: Path, handle: int) -> None:
    since = datetime.datetime.now().isoformat(sep=" ", timespec="minutes")
    me = json.dumps({"pid": os.getpid(), "host": platform.node(), "since": since}).encode()
    try:
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, me)
    except OSError as error:
        raise cannot_write(path, len(me), error) from error


def _holder(handle: int) -> dict[str, object]:
    os.lseek(handle, 0, os.SEEK_SET)
    try:
        found = plain_json(os.read(handle, 1000) or b"{}")
    except ValueError:  # killed while it wrote its name
        return {}
    return found if isinstance(found, dict) else {}


def _taken(path: Path, what: str, free: bool) -> UserError:
    if free:
        return UserError(what, tr("If nothing runs there any more, delete {file}.", file=path))
    return UserError(what, tr("Wait until it ends, or stop it there."))


if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> bool:
        os.lseek(handle, _BEYOND, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True

else:
    import fcntl

    def _take(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
