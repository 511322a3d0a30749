"""A table of answers that grows while a model answers: whatever ends the process, the same work goes on where it stopped."""

import csv
import hashlib
import itertools
import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.core.values import from_json, to_json
from desktop_ft.jobs.predicting import COPYING, DROPPED, STATE, TITLES, bare, csv_line, inert
from desktop_ft.runs import atomic, lock, seals

COPIED_TO, COPY = "copied to", "copy"
MADE, FOUND = "made", "found"
"""Whether a copy was made for its row, or lay there already: what was found is never taken away."""
_PROBLEM = TITLES.index("problem")
_SORTED_TITLES = (*TITLES, COPIED_TO, COPY)
_COPIED_TO = _SORTED_TITLES.index(COPIED_TO)
_ALL_TITLES = (TITLES, _SORTED_TITLES[:-1], _SORTED_TITLES)
"""Those of every table of ours; an older one that was sorted does not say who made the copies."""
_FIRST_ROWS = tuple(map(csv_line, _ALL_TITLES))
WRITTEN = marked("The answers in {name} are being written by process {pid} on {host}, since {since}.")
_ANEW = marked("Name another file, or start it anew (--fresh).")
_ANOTHER = marked("Name another file.")
_SORTED = marked("Give --sort-into {folder} too, name another file, or start it anew (--fresh).")


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeWith:
    """What the answers of one table have in common; kept beside it.

    Attributes:
        model: the model's identity. name: what its file or folder is called.
        threshold: how sure an answer had to be, 0 to 1.
        sorted_into: where the pictures were copied to; "" if nowhere.
        folders: those in there that copies lie in.
    """

    model: str
    name: str
    threshold: float
    sorted_into: str = ""
    folders: tuple[str, ...] = ()

    def must_be(self, other: "MadeWith", table: Path) -> None:
        """Refuse to go on with a `table` that was made with something else.

        Raises:
            UserError: it says what differs.
        """
        said = {"table": table.name, "name": self.name}
        if self.model != other.model:
            raise UserError(tr("{table} was made with another model ({name}).", **said), tr(_ANEW))
        if self.threshold != other.threshold:
            raise UserError(tr("{table} was made with the threshold {value:g}.", value=self.threshold, **said), tr(_ANEW))
        if self.sorted_into != other.sorted_into:
            if not self.sorted_into:
                raise UserError(tr("{table} was made without copies of its pictures.", **said), tr(_ANEW))
            what = tr("The pictures of {table} were copied into {folder}.", folder=self.sorted_into, **said)
            raise UserError(what, tr(_SORTED, folder=self.sorted_into))


@dataclass(frozen=True, slots=True)
class ToldCopy:
    """What a row tells of its picture's copy.

    Attributes:
        place: where it is, from where the table's pictures were copied to.
        made: it was made for this row.
    """

    source: Path
    place: str
    made: bool


TakeAway = Callable[[MadeWith | None, Iterable[ToldCopy], int], None]


class AnswerTable:
    """The table at `path`, ours alone while the block runs; rows are on the disk for good when `add` returns.

    It is plain comma-separated values; `MadeWith` lies beside it. What a killed process left of its last row is cut off.

    Attributes:
        copies: digests of the places of the copies that its rows tell of.
        begun: copies that a process that was killed was about to make, where nothing was before.

    Args:
        fresh: drop what is there, if it is a table of ours.
        retry: drop the rows that tell of a problem.
        take_away: told, before the dropped rows are forgotten, what these were made with (None: nothing says it), of which copies
            they tell, and how many that is.

    Raises:
        UserError: it was made with something else, was not made here, is damaged, or another process writes it. Nothing is
            changed then.
    """

    def __init__(
        self, path: Path, made_with: MadeWith, *, fresh: bool = False, retry: bool = False, take_away: TakeAway | None = None
    ) -> None:
        self._path, self._made_with, self._fresh, self._retry = path, made_with, fresh, retry
        self._take_away = take_away
        self._titles: tuple[str, ...] = _SORTED_TITLES if made_with.sorted_into else TITLES
        self._beside = path.with_name(f"{path.name}{STATE}")
        self._dropped = path.with_name(f"{path.name}{DROPPED}")
        self._copying = path.with_name(f"{path.name}{COPYING}")
        self._lock = path.with_name(f".{path.name}.lock")
        self._files = set[bytes]()
        self.copies = set[bytes]()
        self.begun = frozenset[ToldCopy]()
        self._without_row = list[ToldCopy]()
        self._problems = set[bytes]()

    @property
    def own(self) -> Container[Path]:
        """The files that it consists of, however they are reached; none is a picture."""
        return _Together(self._path.parent, (self._path, self._beside, self._dropped, self._copying, self._lock))

    def __contains__(self, file: Path) -> bool:
        return digest(inert(str(file))) in self._files

    def has_problem(self, file: Path) -> bool:
        """Whether its row tells of a problem."""
        return digest(inert(str(file))) in self._problems

    def begin(self, copies: Sequence[ToldCopy]) -> None:
        """Keep until their rows are added that `copies` are about to be made, where nothing is: after a kill they are ours.

        Raises:
            UserError: it cannot be written.
        """
        self._without_row += copies
        if copies:
            with atomic.LineFile(self._copying) as begun:
                titles = () if self._copying.stat().st_size else (_SORTED_TITLES,)
                lines = b"".join(map(csv_line, (*titles, *map(_copy_row, copies))))
                begun.append(lines.removesuffix(b"\n"), durable=True)

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Add `rows`, under the titles.

        Raises:
            UserError: they cannot be written; none is there then.
        """
        self._lines.append(b"".join(map(csv_line, (row[: len(self._titles)] for row in rows))).removesuffix(b"\n"), durable=True)
        self._remember(map(inert, row) for row in rows)
        self._without_row = [each for each in self._without_row if each.source not in self]
        with suppress(OSError):  # a virus scanner may hold it; what has a row counts no more
            self._forget_begun()

    def _forget_begun(self) -> None:
        """Drop the copies that have their row by now from what was begun."""
        if not self._without_row:
            self._copying.unlink(missing_ok=True)
            return
        left = b"".join(map(csv_line, (_SORTED_TITLES, *map(_copy_row, self._without_row))))
        if self._copying.read_bytes().startswith(left):  # they came first: of pictures that have gone since
            os.truncate(self._copying, len(left))

    def __enter__(self) -> "AnswerTable":
        if self._path.exists() and not self._path.is_file():
            raise UserError(tr("{file} is not a file.", file=self._path), tr("Name a file to write to."))
        atomic.make_folder(self._path.parent)
        self._held = lock.held(self._lock, WRITTEN, name=self._path.name)
        self._held.__enter__()
        try:
            self._begin()
        except BaseException as error:
            self._held.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, *ending: object) -> None:
        try:
            self._lines.close()
        finally:
            self._held.__exit__(None, None, None)

    def _begin(self) -> None:
        try:
            _must_be_table(self._copying)
            self._drop()  # for a process that was killed meanwhile
            there = bool(self._path.exists() and self._path.stat().st_size)
            if there and self._fresh:
                self._begin_anew()
            elif there:
                self._go_on()
            if not there or self._fresh:
                self._copying.unlink(missing_ok=True)
                atomic.write(self._beside, seals.seal_line(to_json(self._made_with)) + b"\n")
            self._lines = atomic.LineFile(self._path)
            if not self._path.stat().st_size:
                self._lines.append(csv_line(self._titles).removesuffix(b"\n"), durable=True)
        except OSError as error:
            raise atomic.cannot_write(self._path, 0, error) from error

    def _begin_anew(self) -> None:
        self._must_be_ours()
        if _is_table(self._path):
            self._path.replace(self._dropped)
            self._drop()
        else:  # damaged, and not to be known for what it is once it is set aside
            self._tell_of_copies(self._path)
            self._path.unlink()

    def _drop(self) -> None:
        """Drop the rows that were set aside, once the copies that they tell of are taken away: these would contradict the new."""
        if not self._dropped.exists():
            return
        _must_be_table(self._dropped)
        self._tell_of_copies(self._dropped)
        self._dropped.unlink()

    def _must_be_ours(self) -> None:
        """Refuse to drop what may be the person's own: its titles are not ours, and nothing says what made it."""
        if _is_table(self._path):
            return
        try:
            self._was_made_with()
        except UserError as error:
            raise self._unknown(_ANOTHER) from error

    def _unknown(self, cure: str) -> UserError:
        return UserError(tr("{file} is there already, and nothing says what made it.", file=self._path), tr(cure))

    def _tell_of_copies(self, table: Path) -> None:
        try:
            before = self._was_made_with() if _is_table(table) else None
        except UserError:
            before = None
        root = before.sorted_into if before else ""
        begun = [each for each in self._begun_beside(table) if root and os.path.lexists(Path(root, each.place))]
        count = sum(1 for _ in _told_copies(table)) + len(begun)
        if self._take_away is not None and count:
            self._take_away(before, itertools.chain(_told_copies(table), begun), count)

    def _begun_beside(self, table: Path) -> list[ToldCopy]:
        """The copies that were begun, but for those of pictures whose copies `table` tells of."""
        begun = list(_told_copies(self._copying)) if self._copying.exists() else []
        sources = {each.source for each in begun}
        done = {each.source for each in _told_copies(table) if each.source in sources}
        return [each for each in begun if each.source not in done]

    def _was_made_with(self) -> MadeWith:
        text = seals.open_line(atomic.read(self._beside).removesuffix(b"\n"), str(self._beside))
        return from_json(MadeWith, text, str(self._beside))

    def _go_on(self) -> None:
        if not self._beside.is_file():
            raise self._unknown(_ANEW if _is_table(self._path) else _ANOTHER)
        self._was_made_with().must_be(self._made_with, self._path)
        if self._retry:
            self._drop_problems()
        whole = 0
        for end, row in self._rows():
            self._remember([row])
            whole = end
        os.truncate(self._path, whole)
        self._without_row = self._begun_beside(self._path)
        self.begun = frozenset(self._without_row)

    def _drop_problems(self) -> None:
        content, kept, start = atomic.read(self._path), list[memoryview](), 0
        for end, row in self._rows():
            if not row or not row[_PROBLEM]:
                kept.append(memoryview(content)[start:end])
            start = end
        atomic.write(self._path, *kept)

    def _rows(self) -> Iterator[tuple[int, Sequence[str]]]:
        """Each whole row, and how many bytes lie before its end. A hole that the disk has left ends the table."""
        end = 0
        for number, line in enumerate(_whole_rows(self._path)):
            if b"\0" in line:
                return
            row = _cells(line)
            if not number and self._made_with.sorted_into and tuple(row) in _ALL_TITLES[1:]:
                self._titles = tuple(row)
            if len(row) != len(self._titles) or (not number and tuple(row) != self._titles):
                raise UserError(tr("{file} is damaged, or was changed: row {row}.", file=self._path, row=number + 1), tr(_ANEW))
            end += len(line)
            yield end, row if number else ()

    def _remember(self, rows: Iterable[Iterable[str]]) -> None:
        for row in filter(None, map(tuple, rows)):
            file = row[0]
            self._files.add(digest(file))
            if row[_PROBLEM]:
                self._problems.add(digest(file))
            if self._made_with.sorted_into and row[_COPIED_TO]:
                self.copies.add(digest(row[_COPIED_TO]))


class _Together(Container[Path]):
    """Files of one folder, under whatever path: a link may lead to the folder."""

    def __init__(self, folder: Path, files: Iterable[Path]) -> None:
        self._folder, self._names = os.path.realpath(folder), frozenset(file.name for file in files)

    def __contains__(self, file: object) -> bool:
        return isinstance(file, Path) and file.name in self._names and os.path.realpath(file.parent) == self._folder


def digest(text: str) -> bytes:
    """What is remembered of a name: a million take little memory."""
    return hashlib.blake2b(os.fsencode(text), digest_size=12).digest()


def _told_copies(table: Path) -> Iterator[ToldCopy]:
    """What the rows of `table` tell of copies, as far as they are sound."""
    for row in map(_cells, _whole_rows(table)):
        if _COPIED_TO < len(row) <= len(_SORTED_TITLES) and row[_COPIED_TO] not in ("", COPIED_TO):
            yield ToldCopy(Path(bare(row[0])), bare(row[_COPIED_TO]), row[_COPIED_TO + 1 :] == [MADE])


def _copy_row(copy: ToldCopy) -> tuple[str, ...]:
    """`copy` in a row as that of its picture, but without an answer."""
    return (str(copy.source), *("" for _ in TITLES[1:]), copy.place, MADE if copy.made else FOUND)


def _must_be_table(path: Path) -> None:
    """Refuse to write over a file at `path` that is none of ours."""
    if path.exists() and path.stat().st_size and not _is_table(path):
        raise UserError(tr("{file} is no table of answers.", file=path), tr("Move it away: such a table needs that name."))


def _is_table(path: Path) -> bool:
    """Whether the file at `path` begins as a table of ours does; only its beginning is read, whatever it is."""
    with path.open("rb") as file:
        return file.read(max(map(len, _FIRST_ROWS))).startswith(_FIRST_ROWS)


def _cells(line: bytes) -> list[str]:
    """What is in one row; nothing where it is none."""
    try:
        (row,) = csv.reader([line.decode("utf-8", "surrogateescape")])
    except (csv.Error, ValueError):
        return []
    return row


def _whole_rows(path: Path) -> Iterator[bytes]:
    """The rows of `path` with their ends, one of several lines in one piece; without one that was cut off."""
    waiting, quoted = list[bytes](), False
    with path.open("rb") as file:
        for line in file:
            waiting.append(line)
            quoted ^= bool(line.count(b'"') % 2)
            if not quoted and line.endswith(b"\n"):
                yield b"".join(waiting)
                waiting.clear()
