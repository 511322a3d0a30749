"""All that a run leaves behind, in one folder that can be moved, copied and looked into."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from desktop_ft.core.changes import Change
from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import CheckpointSaved, PlanChanged, RunEnded, RunStarted, TrainEvent, Warned
from desktop_ft.core.exporting import BUNDLE_FILES
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.language import marked, tr
from desktop_ft.core.metrics import Evaluation, ExportReport, MetricHistory, Threshold
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.run_note import RunNote
from desktop_ft.core.values import from_json, plain_json, to_json
from desktop_ft.runs import atomic, lock, seals

_BOUNDS = (b'"type":"run_started"', b'"type":"run_ended"')
_A_TAIL = 65_536
_LASTING = (b'"type":"checkpoint_saved"', b'"type":"run_ended"')
"""Marks of the events that are appended durably."""
_NAMED = 10
_Kept = TypeVar("_Kept")
_CHOOSE = marked("Choose one of your runs; `desktop-ft runs` lists them.")


class EventLog:
    """Appends a run's events to its folder, one line each."""

    def __init__(self, lines: atomic.LineFile) -> None:
        self._lines = lines

    def append(self, event: TrainEvent) -> None:
        """Keep `event`; a crash right after this call does not lose it.

        Nor does power loss after a checkpoint or the end.

        Raises:
            UserError: it cannot be written.
        """
        self._lines.append(seals.seal_line(to_json(event)), durable=isinstance(event, CheckpointSaved | RunEnded))

    def write(self, path: Path, *parts: bytes | memoryview) -> None:
        """As `atomic.write`, with all that was told so far on the disk first: a checkpoint never survives without its curves."""
        self._lines.flush()
        atomic.write(path, *parts)


class EventFollower:
    """Reads the events that another process appends to `path` from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = len(_joined(atomic.whole_lines(path)))

    def news(self) -> list[TrainEvent]:
        """The events since the last call, oldest first; a line that is not whole yet comes next time.

        Raises:
            UserError: a line is damaged, or the file cannot be read.
        """
        lines = atomic.whole_lines(self._path, self._read)
        self._read += len(_joined(lines))
        return [_from_line(TrainEvent, line, str(self._path)) for line in lines]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exports:
    """What is known of the files exported from a run, the oldest first."""

    reports: tuple[ExportReport, ...]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run's folder; make one with `create` or `open`."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> "RunFolder":
        """A new run in `path`, which is not there yet or is empty.

        Raises:
            UserError: something is there, or the folder cannot be made.
        """
        if (path / "recipe.toml").exists():
            raise UserError(
                tr("{path} already holds a run.", path=path),
                tr('Go on with it (desktop-ft resume "{path}"), or name another folder.', path=path),
            )
        atomic.make_folder(path)
        if any(path.iterdir()):
            raise UserError(tr("{path} is not empty.", path=path), tr("Name a folder that is new or empty."))
        run = cls(path)
        for folder in (run.checkpoints, run.exports):
            atomic.make_folder(folder)
        return run

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The run that is in `path`.

        Raises:
            UserError: there is none.
        """
        if not path.is_dir():
            raise UserError(tr("There is no folder '{source}'.", source=path), tr(_CHOOSE))
        if not (path / "recipe.toml").is_file():
            raise UserError(tr("{path} is not a run: it holds no recipe.toml.", path=path), tr(_CHOOSE))
        if is_unpacked_bundle(path):
            raise UserError(
                tr("{path} is an unpacked bundle, not a run.", path=path),
                tr(
                    'Ask its model (desktop-ft predict "{model}" PICTURE), or see what it is (desktop-ft card "{model}").',
                    model=path / "model.onnx",
                ),
            )
        run = cls(path)
        run._take_over_asked_plan()
        return run

    @property
    def name(self) -> str:
        """What people call the run: the folder's name."""
        return self.path.resolve().name

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def exports(self) -> Path:
        """The folder for exported files, and for what is known of them."""
        return self.path / "exports"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    @property
    def recipe(self) -> Recipe:
        """What the run follows, the changes made while it went on included.

        Raises:
            UserError: it is damaged or written by a newer version.
        """
        path = self.path / "recipe.toml"
        try:
            text = seals.open_text(atomic.read(path), str(path)).decode()
        except UnicodeDecodeError as error:
            raise UserError(
                tr("{path} is not a recipe: it is not text ({error}).", path=path, error=error.reason),
                tr("Restore it from a copy."),
            ) from error
        recipe = Recipe.from_toml(text, str(path))
        # A recipe that names its changes, be it none, holds them all: the events, which may be long, are left alone.
        for told in () if "changes" in recipe.model_fields_set else self._told_alone():
            if recipe.change_in(told.epoch) is None:
                recipe = recipe.with_change(told.epoch, told.change)
        return recipe

    def _told_alone(self) -> list[PlanChanged]:
        """Changes told as they were while no recipe held any; of one epoch's, the latest comes first."""
        path = self.path / "events.jsonl"
        lines = [line for line in atomic.whole_lines(path) if b'"plan_changed"' in line and b'"plan":' in line]
        return [_from_line(PlanChanged, line, str(path)) for line in reversed(lines)]

    def _take_over_asked_plan(self) -> None:
        """What was asked for while only a plan could be."""
        asked = self.path / "asked_plan.json"
        if not asked.is_file():
            return
        try:
            self.ask_change(Change(freeze=_read(FreezePlan, asked)))
            asked.unlink(missing_ok=True)
        except UserError:  # damaged, which whoever trains the run tells; or nobody may write here
            with suppress(OSError):
                asked.replace(self._asked)

    def write_recipe(self, recipe: Recipe) -> None:
        """Keep what the run follows; this is what makes the folder a run."""
        atomic.write(self.path / "recipe.toml", seals.seal_text(recipe.to_toml().encode()))

    def asked_change(self) -> Change | None:
        """What is asked for, whether or not it is taken up yet, as far as it can be read."""
        asked, taken = (_readable(path) for path in (self._asked, self._taken))
        return asked.after(taken) if asked is not None else taken

    def ask_change(self, change: Change) -> None:
        """Ask for `change`, beside what is asked for already: the process that trains the run, now or later, will see it."""
        _write(self._asked, change.after(_readable(self._asked)))

    def withdraw(self) -> bool:
        """Ask for nothing any more; whether there was something that nobody had taken up."""
        try:
            self._asked.unlink()
        except FileNotFoundError:
            return False
        return True

    def take_asked(self) -> Change | None:
        """Take up what is asked for, if anything: it cannot be withdrawn any more, and is kept until `forget_taken`.

        Raises:
            UserError: it is damaged.
        """
        if self._asked.is_file():
            if (earlier := _readable(self._taken)) is not None and (later := _readable(self._asked)) is not None:
                _write(self._asked, later.after(earlier))
            with suppress(FileNotFoundError):  # withdrawn meanwhile
                self._asked.replace(self._taken)
        return _read(Change, self._taken) if self._taken.is_file() else None

    def forget_taken(self) -> None:
        """What was taken up is done, or cannot be."""
        self._taken.unlink(missing_ok=True)

    @property
    def _asked(self) -> Path:
        return self.path / "asked_change.json"

    @property
    def _taken(self) -> Path:
        return self.path / "taken_change.json"

    @property
    def manifest(self) -> DatasetManifest:
        """The pictures of the run, as they were when it began. Raises UserError where the file is missing or damaged."""
        return _read(DatasetManifest, self.path / "manifest.json")

    def write_manifest(self, manifest: DatasetManifest) -> None:
        """Keep which pictures the run is about."""
        _write(self.path / "manifest.json", manifest)

    @property
    def note(self) -> RunNote:
        """What the person wrote about the run. Raises UserError where the file is damaged."""
        return _read(RunNote, self._note) if self._note.exists() else RunNote()

    def write_note(self, note: RunNote) -> None:
        """Keep what the person wrote about the run. A damaged file may be mended by hand: it raises UserError, as `note` does."""
        if self.note != note:
            _write(self._note, note)

    @property
    def _note(self) -> Path:
        return self.path / "note.json"

    @property
    def result_bytes(self) -> int:
        """How large what `history`, `manifest`, `evaluation`, and `exported` for every report, read is."""
        found = 0
        for name in ("events.jsonl", "manifest.json", "evaluation.json"):
            with suppress(OSError):  # whoever reads it tells
                found += (self.path / name).stat().st_size
        with suppress(UserError, OSError):
            reports = self.export_reports
            found += sum(report.bytes for report in reports for place in self._places(report) if _must_be_read(place, report))
        return found

    @property
    def evaluation(self) -> Evaluation | None:
        """What the model gets right and wrong; None while nobody has asked."""
        path = self.path / "evaluation.json"
        return _read(Evaluation, path) if path.exists() else None

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Keep what the model gets right and wrong."""
        _write(self.path / "evaluation.json", evaluation)

    @property
    def threshold(self) -> Threshold | None:
        """How sure an answer of the run's model must be; None: it answers always. Raises UserError where the file is damaged."""
        return _read(Threshold, self._threshold) if self._threshold.exists() else None

    def write_threshold(self, threshold: Threshold | None) -> None:
        """Keep how sure an answer must be; None: the model answers always."""
        if threshold is None:
            self._threshold.unlink(missing_ok=True)
        else:
            _write(self._threshold, threshold)

    @property
    def _threshold(self) -> Path:
        return self.path / "threshold.json"

    @property
    def export_reports(self) -> tuple[ExportReport, ...]:
        """What is known of the files exported from this run, the oldest first."""
        path, older = self.exports / "reports.json", self.exports / "reports.jsonl"
        if path.exists():
            return _read(_Exports, path).reports
        return tuple(_from_line(ExportReport, line, str(older)) for line in atomic.whole_lines(older))

    def exported(self, report: ExportReport) -> Path | None:
        """Where the file of `report` is: where it was put, or among the exports of this run, which may have been moved since.

        None where it is gone, or another file is in its place.
        """
        return next((place for place in self._places(report) if _is_of(place, report)), None)

    def has_learned_since(self, report: ExportReport) -> bool:
        """Whether the run's best model is a later one by now than that in the file of `report`, as far as both are known."""
        held, best = _place(report.checkpoint), _place(self.best_checkpoint)
        return held is not None and best is not None and held < best

    @property
    def best_checkpoint(self) -> str:
        """The name of the file of the best model, as the index of the checkpoints says; "" where nobody can tell."""
        try:
            index = cast(dict[str, Any], plain_json((self.checkpoints / "index.json").read_bytes().partition(b"\n")[0].decode()))
            return str((index["best"] or index["last"])["file"])
        except (OSError, ValueError, LookupError, TypeError):
            return ""

    def wrote(self, file: Path) -> bool:
        """Whether `file` is known to have been exported from this run: by its content, or, where an older version kept no
        digest, by its place and size.

        Raises:
            UserError: what is known of the exports is damaged.
            OSError: the file, or what is known of the exports, cannot be reached.
        """
        file, found = file.absolute(), file.stat()
        return any(
            (_sha256(file, found.st_mtime_ns) == report.sha256 if report.sha256 else file in self._places(report))
            for report in self.export_reports
            if report.bytes == found.st_size
        )

    def _places(self, report: ExportReport) -> tuple[Path, Path]:
        file = Path(report.file).absolute()
        return file, self.exports.absolute() / file.name

    def add_export_report(self, report: ExportReport) -> None:
        """Keep what is known of an exported file; it replaces what was known of an older file at the same place."""
        atomic.make_folder(self.exports)
        kept = [known for known in self.export_reports if known.file != report.file]
        _write(self.exports / "reports.json", _Exports(reports=(*kept, report)))

    def forget_export(self, report: ExportReport) -> None:
        """Keep no more what is known of an exported file. The file itself, where there is one, stays."""
        kept = tuple(known for known in self.export_reports if known != report)
        _write(self.exports / "reports.json", _Exports(reports=kept))

    def events(self) -> list[TrainEvent]:
        """All that the run told, in order. A last line that a crash cut short never counted.

        Lines that are damaged are left out, and a warning at the end says which: they must not keep anybody from what is whole.

        Raises:
            UserError: the file cannot be read.
        """
        path = self.path / "events.jsonl"
        found, damaged = list[TrainEvent](), list[int]()
        for number, line in enumerate(atomic.whole_lines(path, lasting=_LASTING), start=1):
            try:
                found.append(_from_line(TrainEvent, line, str(path)))
            except UserError:
                damaged.append(number)
        if damaged:
            lines = ", ".join(map(str, damaged[:_NAMED])) + ("…" if len(damaged) > _NAMED else "")
            found.append(Warned(message=tr("{file}: damaged lines are left out ({lines}).", file=path, lines=lines)))
        return found

    def follow(self) -> EventFollower:
        """Hear what another process tells of this run from now on."""
        return EventFollower(self.path / "events.jsonl")

    def history(self) -> MetricHistory:
        """The curves of the run."""
        return MetricHistory.of(self.events())

    @property
    def ended(self) -> RunEnded | None:
        """How the run came to its last end; None where it goes on, or has broken off. What lies between is not parsed.

        Raises:
            UserError: the file cannot be read.
        """
        path = self.path / "events.jsonl"
        start, told_of = _size(path), _A_TAIL
        while start > 0:  # an end is among the last lines: of a run of days the rest is not even read
            start = max(0, start - told_of)
            told_of *= 8
            lines = atomic.whole_lines(path, start, _LASTING)
            for line in reversed(lines[1:] if start else lines):
                if any(mark in line for mark in _BOUNDS):
                    with suppress(UserError):  # a damaged one tells nothing: `events` says so
                        told = _from_line(TrainEvent, line, str(path))
                        if isinstance(told, RunStarted | RunEnded):
                            return told if isinstance(told, RunEnded) else None
        return None

    @contextmanager
    def log(self) -> Iterator[EventLog]:
        """Append events while the block runs."""
        with atomic.LineFile(self.path / "events.jsonl", _LASTING) as lines:
            yield EventLog(lines)

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes from training this run while the block runs.

        Raises:
            UserError: on entry, when another process holds it.
        """
        return lock.held(self.path / "run.lock")

    @property
    def is_locked(self) -> bool:
        """Whether some process is training this run now."""
        return lock.is_held(self.path / "run.lock")


def _size(path: Path) -> int:
    """0 where there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise atomic.cannot_read(path, error) from error


def _place(checkpoint: str) -> tuple[int, int] | None:
    """The epoch and step that the name of a checkpoint tells; None where it tells none."""
    told = re.match(r"epoch(\d+)-step(\d+)-", checkpoint)
    return (int(told[1]), int(told[2])) if told else None


def is_unpacked_bundle(folder: Path) -> bool:
    """Whether an unpacked bundle lies in `folder`, whose recipe makes it no run."""
    return not (folder / "manifest.json").exists() and all((folder / name).is_file() for name in BUNDLE_FILES)


def _write(path: Path, value: object) -> None:
    atomic.write(path, seals.seal_line(to_json(value)))


def _read(kind: type[_Kept], path: Path) -> _Kept:
    return cast(_Kept, _from_line(kind, atomic.read(path), str(path)))


def _from_line(kind: Any, line: bytes, where: str) -> Any:
    return from_json(kind, seals.open_line(line, where), where)


def _readable(path: Path) -> Change | None:
    with suppress(UserError):  # a damaged one is replaced by the next
        if path.is_file():
            return _read(Change, path)
    return None


def _is_of(place: Path, report: ExportReport) -> bool:
    """Whether the file that `report` tells of is at `place`, and not another."""
    try:
        if not place.is_file():
            return False
        found = place.stat()
        if not report.sha256 or (found.st_size, found.st_mtime_ns) == (report.bytes, report.modified_ns):
            return True
        return found.st_size == report.bytes and _sha256(place, found.st_mtime_ns) == report.sha256
    except OSError:
        return False


def _must_be_read(place: Path, report: ExportReport) -> bool:
    """Whether only its content tells whether the file at `place` is that of `report`, as when it was copied without its date."""
    try:
        found = place.stat()
    except OSError:
        return False
    return bool(report.sha256) and found.st_size == report.bytes and found.st_mtime_ns != report.modified_ns


@lru_cache(maxsize=64)
def _sha256(path: Path, modified_ns: int) -> str:
    """Of a file as it was changed last at `modified_ns`: large ones are read once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _joined(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
