"""Which plugins a person trusts: each is enabled by name, as its files are at that time, and is trusted no more once they change.

What is enabled is tried in a process of its own before it is imported here for the first time. While it is imported, its name
stands in a file that is held: where it takes the whole application with it, the file is left behind, and the next start knows.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.core.values import plain_json
from desktop_ft.runs import atomic, lock

_TRIED_WITHIN_S = 10
_ENDED = marked("It ended the application when it was last loaded.")
_ENDED_ITS_TRIAL = marked("It ended the process in which it was tried.")
_ENDLESS = marked("When it was tried, its import did not come to an end.")
_PROBE = "desktop_ft.plugin_manager.probe"


@dataclass(frozen=True, slots=True)
class Trust:
    """What is kept of the plugins that are not built in.

    Attributes:
        enabled: name to the fingerprint of what the person enabled; "" where that was not kept.
        tried: name to the fingerprint of what came well out of its trial.
        stopped: name to why it is not loaded again until it is enabled anew, in English.
    """

    enabled: dict[str, str] = field(default_factory=dict)
    tried: dict[str, str] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)

    def with_enabled(self, name: str, files: str) -> Trust:
        """The same with `name` enabled as it is now, whatever it did before."""
        return Trust({**self.enabled, name: files}, _without(self.tried, name), _without(self.stopped, name))

    def without(self, name: str) -> Trust:
        """The same without `name`."""
        return Trust(_without(self.enabled, name), _without(self.tried, name), _without(self.stopped, name))


def read() -> Trust:
    """What is kept.

    Raises:
        UserError: it cannot be read, or is damaged.
    """
    try:
        kept = plain_json(_kept().read_text())
        if isinstance(kept["enabled"], list):  # as it was before files were looked at
            kept["enabled"] = {name: "" for name in kept["enabled"] if isinstance(name, str)}
        return TypeAdapter(Trust).validate_python(kept)
    except FileNotFoundError:
        return Trust()
    except OSError as error:
        raise atomic.cannot_read(_kept(), error) from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise UserError(tr("{file} is damaged.", file=_kept()), tr("Delete it, then enable your plugins again.")) from error


def write(trust: Trust) -> None:
    """Keep it."""
    atomic.make_folder(_kept().parent)
    kept = {"enabled": trust.enabled, "tried": trust.tried, "stopped": trust.stopped}
    atomic.write(_kept(), json.dumps(kept, sort_keys=True).encode())


def fingerprint(files: Iterable[Path]) -> str:
    """A hash of the names and contents of `files`; what cannot be read counts as empty."""
    found = hashlib.sha256()
    for file in sorted(files):
        content = b""
        with suppress(OSError):
            content = file.read_bytes()
        found.update(json.dumps([str(file), hashlib.sha256(content).hexdigest()]).encode())
    return found.hexdigest()


def blamed(trust: Trust) -> Trust:
    """`trust`, and which plugins have taken the application with them since it was written."""
    for left in sorted(_loading().glob("*")) if _loading().is_dir() else ():
        if not lock.is_held(left):
            trust = replace(trust, stopped={**trust.stopped, left.name: _ENDED})
            left.unlink(missing_ok=True)
    return trust


@contextmanager
def loading(name: str) -> Iterator[None]:
    """The block imports the plugin `name`; should it end the process, the next one will know."""
    mark = _loading() / name
    with ExitStack() as stack:
        with suppress(UserError):  # another process is importing it just now, or nothing can be written: then there is no mark
            atomic.make_folder(mark.parent)
            stack.enter_context(lock.held(mark))
            stack.callback(mark.unlink, missing_ok=True)
        yield


def tried(name: str) -> str:
    """Import the plugin `name` in a process of its own; why it must not be imported here, in English, or "".

    What it raises is no reason: that is caught here as well, and told with its traceback.
    """
    import subprocess  # who has no plugins need not wait for it

    probe = [sys.executable, "-m", _PROBE, name]
    try:
        done = subprocess.run(  # noqa: S603 (our own module, no shell)
            probe,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=places.environment(),
            timeout=_TRIED_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _ENDLESS
    return "" if done.stdout.endswith(b"done\n") else _ENDED_ITS_TRIAL


def _without(names: dict[str, str], name: str) -> dict[str, str]:
    return {each: value for each, value in names.items() if each != name}


def _kept() -> Path:
    return places.data() / "plugins.json"


def _loading() -> Path:
    return places.data() / "plugins-loading"
