"""A quick look-up of many runs. Only an index: delete the file, scan again, and everything is back."""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from desktop_ft.core.dataset import Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunStarted, RunStatus
from desktop_ft.core.freezing import one_after_another
from desktop_ft.core.language import tr
from desktop_ft.core.metrics import Evaluation, MetricHistory
from desktop_ft.core.run_note import RunNote
from desktop_ft.runs import atomic
from desktop_ft.runs.run_folder import RunFolder, is_unpacked_bundle

_VERSION = 7
_COLUMNS = "path, name, created, dataset, backbone, preset, status, epochs, accuracy, tags, note, judged, rate, seconds"
_TABLE = f"CREATE TABLE IF NOT EXISTS runs ({_COLUMNS}, root, state, PRIMARY KEY (root, path))"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run in one row.

    Attributes:
        created: seconds since 1970, when its training first began (its recipe was written, where it never did).
        dataset: last part of the folder's name.
        preset: the freeze plans that it followed, one after another, in a few words.
        status: completed, stopped, cancelled or failed; `running`; `interrupted` where it ended without a word and can be
            resumed; `damaged` where its files cannot be read.
        epochs: finished ones.
        accuracy: on the validation pictures, 0 to 1: as evaluated, or else of the best epoch; None before the first.
        tags: those that the person gave it, in a line: `#night #good`.
        note: what the person wrote about it.
        judged: how many validation pictures the accuracy is of; 0 where that is not known.
        rate: the learning rate that it began with; 0 where that is not known.
        seconds: working time so far, of every start.
    """

    path: str
    name: str
    created: float
    dataset: str
    backbone: str
    preset: str
    status: str
    epochs: int
    accuracy: float | None
    tags: str = ""
    note: str = ""
    judged: int = 0
    rate: float = 0.0
    seconds: float = 0.0


class RunIndex:
    """The runs that lie directly in one folder, and some that lie elsewhere.

    Args:
        database: the SQLite file; made anew where it is missing, of another version or damaged.
        root: the folder that holds the run folders.
        others: more run folders; those that are not there now are left out.
    """

    def __init__(self, database: Path, root: Path, others: Iterable[Path] = ()) -> None:
        self._database = database
        self._root = root.absolute()
        self._others = tuple(others)
        atomic.make_folder(database.parent)

    def rescan(self) -> None:
        """Make the index agree with the folders. A run whose files did not change is not read again.

        Raises:
            UserError: the index cannot be written.
        """
        try:
            self._rescan()
        except sqlite3.DatabaseError:  # not a database, or an older layout: it holds nothing that the folders don't
            self._database.unlink(missing_ok=True)
            try:
                self._rescan()
            except sqlite3.Error as error:
                raise UserError(
                    tr("{file} cannot be written: {error}.", file=self._database, error=error),
                    tr("Free some space, or delete that file."),
                ) from error

    def rows(self) -> list[RunSummary]:
        """The runs as of the last scan, the newest first."""
        with self._connected() as connection:
            query = f"SELECT {_COLUMNS} FROM runs WHERE root = ? ORDER BY created DESC, path"  # noqa: S608 - our own constant
            found = connection.execute(query, (_packed(str(self._root)),)).fetchall()
        names = [field.name for field in fields(RunSummary)]
        return [RunSummary(**dict(zip(names, map(_unpacked, row), strict=True))) for row in found]

    def _rescan(self) -> None:
        there = {str(path): path for path in (*_run_folders(self._root), *filter(_is_run, self._others))}
        with self._connected() as connection:
            query = "SELECT path, state FROM runs WHERE root = ?"
            rows = connection.execute(query, (_packed(str(self._root)),)).fetchall()
            known = {_unpacked(path): _unpacked(state) for path, state in rows}
            gone = [(_packed(str(self._root)), _packed(path)) for path in known if path not in there]
            connection.executemany("DELETE FROM runs WHERE root = ? AND path = ?", gone)
            for name, path in there.items():
                state = _state(path)
                if known.get(name) != state:
                    row = (*astuple(_summary(path)), str(self._root), state)
                    insert = "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                    connection.execute(insert, [_packed(cell) for cell in row])

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._database, timeout=10)) as connection, connection:
            if connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                connection.execute("DROP TABLE IF EXISTS runs")
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute(_TABLE)
            yield connection


def _packed(cell: Any) -> Any:
    """Text as bytes: SQLite's own text cannot hold a path that is not UTF-8."""
    return cell.encode("utf-8", "surrogateescape") if isinstance(cell, str) else cell


def _unpacked(cell: Any) -> Any:
    return cell.decode("utf-8", "surrogateescape") if isinstance(cell, bytes) else cell


def _run_folders(root: Path) -> list[Path]:
    try:
        return sorted(filter(_is_run, root.iterdir()))
    except OSError:  # not there, or not to be reached now
        return []


def _is_run(path: Path) -> bool:
    try:
        return (path / "recipe.toml").is_file() and not is_unpacked_bundle(path)
    except OSError:  # on a disk or a machine that cannot be reached now
        return False


def _is_locked(run: RunFolder) -> bool:
    try:
        return run.is_locked
    except (UserError, OSError):  # it is told where somebody wants to train the run
        return False


def _state(path: Path) -> str:
    """Changes whenever the run's row may change."""
    facts = [str(_is_locked(RunFolder(path)))]
    for name in ("recipe.toml", "events.jsonl", "note.json", "evaluation.json"):
        found = _stat(path / name)
        facts.append(f"{found.st_mtime_ns}/{found.st_size}" if found else "")
    return " ".join(facts)


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None


def _summary(path: Path) -> RunSummary:
    run = RunFolder(path)
    found = _stat(path / "recipe.toml")
    written = found.st_mtime if found else 0.0
    note = _note(run)
    try:
        events = run.events()
    except UserError:
        events = []
    try:
        recipe = run.recipe
    except UserError:
        recipe = None
    history = MetricHistory.of(events)
    best = max((event.val_accuracy for event in history.epochs), default=None)
    evaluated = _evaluated(run, history)
    later = [plan for told in history.replanned if (plan := told.change.freeze)]  # its best model may be from before
    return RunSummary(
        path=str(path),
        name=run.name,
        created=next((event.time for event in events if isinstance(event, RunStarted)), written),
        dataset=recipe.portable().dataset.folder if recipe else "",
        backbone=recipe.backbone.name if recipe else "",
        preset=one_after_another([*([recipe.freeze] if recipe else []), *later]),
        status=_status(run, history) if recipe else "damaged",
        epochs=len(history.epochs),
        accuracy=best if evaluated is None else evaluated.accuracy.value,
        tags=note.words,
        note=note.text,
        judged=len(evaluated.answers) if evaluated is not None else 0 if best is None else _judged(run),
        rate=recipe.optimisation.lr if recipe else 0.0,
        seconds=history.work_seconds,
    )


def _status(run: RunFolder, history: MetricHistory) -> str:
    if _is_locked(run):
        return "running"
    return history.ended.status.value if history.ended else "interrupted"


def _evaluated(run: RunFolder, history: MetricHistory) -> Evaluation | None:
    """The run's evaluation, where it is of its best model and of validation pictures: in the network's exact arithmetic."""
    if history.ended is None or history.ended.status not in (RunStatus.COMPLETED, RunStatus.STOPPED):
        return None
    try:
        found = run.evaluation
    except UserError:
        return None
    is_of_the_best = found is not None and bool(found.checkpoint) and found.checkpoint == run.best_checkpoint
    return found if found is not None and is_of_the_best and found.subset == Subset.VAL else None


def _judged(run: RunFolder) -> int:
    try:
        return len(run.manifest.of(Subset.VAL))
    except UserError:
        return 0


def _note(run: RunFolder) -> RunNote:
    try:
        return run.note
    except (UserError, OSError):  # it is told where somebody wants to change it
        return RunNote()
