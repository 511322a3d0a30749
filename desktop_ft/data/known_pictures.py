"""What earlier scans found out about pictures that have not changed since: they are not decoded again."""

import json
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from desktop_ft.data.inspector import Inspection

MOST = 3_000_000
"""Pictures that are remembered; what was decoded longest ago goes first."""

_SETTLED_NS = 2_000_000_000
"""A file that was written less than two seconds before may be written again without a new date: some disks count in seconds."""

_ROWS_A_WRITE = 200
_TABLE = (
    "CREATE TABLE IF NOT EXISTS pictures (path BLOB PRIMARY KEY, bytes INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, "
    "decoder TEXT, sha256 TEXT, width INTEGER, height INTEGER, format TEXT, frames INTEGER, notes TEXT)"
)
_GET = "SELECT bytes, mtime_ns, ctime_ns, decoder, sha256, width, height, format, frames, notes FROM pictures WHERE path = ?"
_PUT = "INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_DROP_OLDEST = (
    "DELETE FROM pictures WHERE rowid IN "
    "(SELECT rowid FROM pictures ORDER BY rowid LIMIT max(0, (SELECT count(*) FROM pictures) - ?))"
)
_BUSY_S = 1.0


class KnownPictures:
    """Remembers inspections by path, size and dates. A context manager; a memory that fails remembers nothing and tells nobody.

    Only what is a good picture is remembered: trouble may be gone the next time.

    Args:
        database: the SQLite file; made anew where it is missing or damaged.
    """

    FILE = "pictures.sqlite"

    def __init__(self, database: Path, most: int = MOST) -> None:
        self._database = database
        self._most = most
        self._connection: sqlite3.Connection | None = None
        self._pending: list[tuple[object, ...]] = []

    def __enter__(self) -> Self:
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            self._give_up()
            if _is_damaged(error):
                with suppress(sqlite3.Error, OSError):
                    self._database.unlink(missing_ok=True)
                    self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._write()
        if self._connection is not None:
            with suppress(sqlite3.Error), self._connection:
                self._connection.execute(_DROP_OLDEST, (self._most,))
        self._give_up()

    def get(self, where: str, now: os.stat_result) -> Inspection | None:
        """What was found out about the file at `where`, if it is `now` as it was then."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute(_GET, (os.fsencode(where),)).fetchone()
        except (sqlite3.Error, OverflowError):
            self._give_up()
            return None
        if row is None or row[:4] != (now.st_size, now.st_mtime_ns, now.st_ctime_ns, _decoder()):
            return None
        size, mtime_ns, _, _, sha256, width, height, format_, frames, notes = row
        return Inspection(
            sha256=sha256,
            width=width,
            height=height,
            bytes=size,
            mtime_ns=mtime_ns,
            format=format_,
            frames=frames,
            notes=tuple((kind, sentence) for kind, sentence in json.loads(notes)) if notes else (),
        )

    def put(self, where: str, before: os.stat_result, found: Inspection) -> None:
        """Remember what was `found` out about the file at `where`, which was as in `before` when its turn came."""
        same = (before.st_size, before.st_mtime_ns) == (found.bytes, found.mtime_ns)
        settled = time.time_ns() - found.mtime_ns > _SETTLED_NS
        if self._connection is None or found.problem is not None or not (same and settled):
            return
        dates = (found.bytes, found.mtime_ns, before.st_ctime_ns, _decoder())
        facts = (
            found.sha256,
            found.width,
            found.height,
            found.format,
            found.frames,
            json.dumps(found.notes) if found.notes else "",
        )
        self._pending.append((os.fsencode(where), *dates, *facts))
        if len(self._pending) >= _ROWS_A_WRITE:
            self._write()

    def _write(self) -> None:
        """Write what was put, in one short transaction: another scan may want to write as well. What fails is decoded again."""
        rows, self._pending = self._pending, []
        if self._connection is not None and rows:
            with suppress(sqlite3.Error, OverflowError), self._connection:
                self._connection.executemany(_PUT, rows)

    def _open(self) -> None:
        self._database.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(self._database, timeout=_BUSY_S)
        with self._connection:
            self._connection.execute(_TABLE)
        self._connection.execute(_GET, (b"",))  # another layout shows here

    def _give_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _is_damaged(error: Exception) -> bool:
    """Whether the file is no database, a broken one, or of another layout; busy or read-only it is as good as ever."""
    code = getattr(error, "sqlite_errorcode", None)
    return code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT) or "no such column" in str(error)


def _decoder() -> str:
    """All that decides what is found out of a file besides its bytes."""
    from desktop_ft.data.decode import IDENTITY  # Pillow: not before it is needed

    return IDENTITY
