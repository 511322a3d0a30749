"""The log of the window: everything that was told, in memory and in a file of bounded size; no Qt here."""

import contextlib
import json
import logging
import logging.handlers
import platform
import re
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from desktop_ft import __version__, places
from desktop_ft.core.errors import UserError
from desktop_ft.core.values import from_json
from desktop_ft.runs import atomic

OURS = "desktop_ft"
_FILE_BYTES = 1_000_000
_IN_MEMORY = 5_000
_SAME_WITHIN_S = 2.0
_SECRETS = (
    # With a scheme before it or without one, whatever stands behind such a header is secret.
    (re.compile(r"""(authorization(?:["']?\s*[=:]|["']\s*,)\s*)[^\n]+""", re.IGNORECASE), r"\1***"),
    (
        re.compile(
            r"""((?:token|passw|pwd|secret|credential|signature|(?:api|access|account|private)[_-]?key"""
            r"""|(?<![a-z])(?:sig|key)(?=["']?\s*=))[\w-]*["']?\s*[=:]\s*["']?)[^\s,;&"']+""",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
    (re.compile(r"\bhf_(?!hub)\w+"), "***"),
    (re.compile(r"(?<=://)[^/\s]+@"), "***@"),
)
"""What looks like a secret, and what to put there."""


class Level(StrEnum):
    """How serious an entry is."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that was told: when (seconds since 1970), how serious, by what, in what words, and with what traceback."""

    time: float
    level: Level
    origin: str
    text: str
    details: str = ""

    @classmethod
    def of(cls, record: logging.LogRecord) -> "Entry":
        """What `record` says. Secrets are taken out here, so that they reach neither file nor clipboard."""
        error = record.exc_info[1] if record.exc_info else None
        return cls(
            time=record.created,
            level=_level(record.levelno),
            origin=str(getattr(record, "origin", record.name)),
            text=without_secrets(record.getMessage().strip()),
            details=without_secrets("".join(traceback.format_exception(error))) if error is not None else "",
        )

    @property
    def when(self) -> str:
        """Its time here, as `2026-01-31 14:05:09`."""
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.time))

    @property
    def body(self) -> str:
        """All of it, as text."""
        return "\n".join(filter(None, (f"{self.when}  {self.level.value}  {self.origin}", self.text, self.details)))

    @property
    def report(self) -> str:
        """All of it for a report to others: with version and system, with the home folder as `~`."""
        return report(self.body)


def report(text: str) -> str:
    """`text` as it may be shown to others, below the versions of what is used here."""
    head = f"Desktop FT {__version__}, Python {platform.python_version()}, {platform.platform()}"
    return f"{head}\n{shareable(text)}".strip()


def shareable(text: str) -> str:
    """`text` without secrets, and with the home folder as `~`."""
    text, home = without_secrets(text), str(Path.home())
    if len(home) < 3:  # no home of its own: "/" is in every path
        return text
    for form in (home, home.replace("\\", "\\\\")):
        text = re.sub(rf"{re.escape(form)}(?![\w.-])", "~", text)
    return text


def without_secrets(text: str) -> str:
    """`text` without what looks like a password, a token, or a name in an address."""
    for secret, instead in _SECRETS:
        text = secret.sub(instead, text)
    return text


def tell(level: int, text: str, origin: str, error: BaseException | None = None) -> None:
    """Put into the log that `origin` (a page, or what works) said `text`; a foreseen error needs no traceback."""
    traced = None if error is None or isinstance(error, UserError) else error
    logging.getLogger(f"{OURS}.window").log(level, "%s", text, exc_info=traced, extra={"origin": origin})


def file() -> Path:
    """Where the log is kept; the older half lies beside it, with `.1` behind its name."""
    return places.data() / "logs" / "window.log"


def kept(before: float) -> list[Entry]:
    """What the file holds from before the time `before`, oldest first. Lines that cannot be read are left out."""
    found: list[Entry] = []
    for path in (file().with_name(f"{file().name}.1"), file()):
        try:
            lines = path.read_bytes().splitlines()
        except OSError:
            continue
        for line in lines:
            try:
                found.append(from_json(Entry, line, path.name))
            except UserError:
                continue
    return [entry for entry in found if entry.time < before]


class LogBook(logging.Handler):
    """Takes what is logged: all of ours from INFO on, and of other packages what is a warning or worse.

    The same words within two seconds count once: they come from the work that failed, and from the notice that tells of it.

    Args:
        news: called after each new entry, in whatever thread that came from.
    """

    def __init__(self, news: Callable[[], None]) -> None:
        super().__init__(logging.INFO)
        self.began = time.time()
        self._news = news
        self._entries: deque[Entry] = deque(maxlen=_IN_MEMORY)
        self._count = 0
        self._file = _LogFile(file(), maxBytes=_FILE_BYTES, backupCount=1, encoding="utf-8", delay=True)

    @property
    def fault(self) -> str:
        """Why the log is kept in memory only; "" where the file is written."""
        return self._file.fault

    def open(self) -> None:
        """Begin to listen, and to write."""
        logging.getLogger(OURS).setLevel(logging.INFO)
        logging.getLogger().addHandler(self)

    def close(self) -> None:
        """Listen no more."""
        logging.getLogger().removeHandler(self)
        logging.getLogger(OURS).setLevel(logging.NOTSET)
        self._file.close()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Take in one record. Never raises: what tells of faults must make none."""
        if record.levelno < logging.WARNING and record.name.partition(".")[0] != OURS:
            return
        # A record whose arguments do not fit, or a window that is gone.
        with contextlib.suppress(Exception):
            self._take(Entry.of(record))

    def since(self, count: int) -> tuple[list[Entry], int]:
        """The entries behind the first `count` of this session, oldest first, and how many there are by now."""
        self.acquire()
        try:
            new = min(self._count - count, len(self._entries))
            return (list(self._entries)[-new:] if new > 0 else []), self._count
        finally:
            self.release()

    def _take(self, entry: Entry) -> None:
        if not self._is_repeated(entry):
            self._entries.append(entry)
            self._count += 1
            self._file.add(entry)
            self._news()

    def _is_repeated(self, entry: Entry) -> bool:
        words = entry.text.split()
        for before in reversed(self._entries):
            if entry.time - before.time > _SAME_WITHIN_S:
                return False
            if before.text.split() == words and (before.details or not entry.details):
                return True
        return False


class _LogFile(logging.handlers.RotatingFileHandler):
    """One entry a line, as JSON. What cannot be written is in memory still; `fault` says why it could not."""

    fault = ""

    def add(self, entry: Entry) -> None:
        """Write `entry`; the first makes the folder."""
        try:
            atomic.make_folder(file().parent)
            self.emit(logging.makeLogRecord({"msg": "%s", "args": (json.dumps(asdict(entry)),)}))
        except (UserError, OSError) as error:
            self.fault = str(error)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Keep why, instead of printing it."""
        self.fault = str(sys.exception())


def _level(number: int) -> Level:
    return Level.ERROR if number >= logging.ERROR else Level.WARNING if number >= logging.WARNING else Level.NOTE
