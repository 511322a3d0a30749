"""A flat folder whose labels.csv names each picture's class, and perhaps its subset."""

import codecs
import csv
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from desktop_ft.core.dataset import Severity, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.data.walk import SUBSETS, Found, Place, Walker

NAME = "labels.csv"
_FILE = ("file", "path", "filename", "file_name", "filepath", "image")
_LABEL = ("label", "class", "classname", "class_name", "category")
_SPLIT = ("split", "subset", "set")


@dataclass(frozen=True, slots=True)
class _Columns:
    file: int
    label: int
    split: int | None


def find(inside: Iterable[os.DirEntry[str]]) -> str | None:
    """The labels.csv among a folder's entries, in any case of letters."""
    return next((entry.path for entry in inside if entry.name.casefold() == NAME and entry.is_file(follow_symlinks=False)), None)


def files(table: Path, walker: Walker, source: str) -> Iterator[Found]:
    """The files that the rows of `table` name, in its order; rows that name none become problems, and so do files in no row.

    Args:
        source: what the person named, for messages.

    Raises:
        UserError: the table cannot be read, or lacks a column.
    """
    folder = table.parent
    labelled: dict[str, str] = {}
    for number, row, columns in _rows(
        table, tr("The table {table} in {source}", table=walker.relative(str(table)), source=source)
    ):
        name, label = _cell(row, columns.file), _cell(row, columns.label)
        inner = _contained(name)
        where = str(folder / inner) if inner else str(folder / f"{NAME}:{number}")
        if trouble := _trouble(name, label, inner, labelled):
            walker.problem(where, label or None, *trouble)
            continue
        labelled[inner] = label
        place = Place(class_name=label, subset=_subset(row, columns, where, label, walker))
        yield from walker.file(where, place)
    _list_unnamed(folder, table, labelled, walker)


def _rows(table: Path, shown: str) -> Iterator[tuple[int, list[str], _Columns]]:
    """Line number, cells and columns of each row that is not blank."""
    cure = tr("Save it as CSV with a first line such as file,label and one line for each picture.")
    try:
        with table.open(encoding=_encoding(table), errors="surrogateescape", newline="") as file:
            first = file.readline()
            file.seek(0)
            separator = max(",;\t", key=first.count)
            reader = csv.reader(file, delimiter=separator)
            columns = _columns(next(reader, []), shown)
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, row, columns
    except (OSError, UnicodeError, csv.Error) as error:
        raise UserError(tr("{file} cannot be read: {error}.", file=shown, error=error), cure) from error


def _encoding(table: Path) -> str:
    """UTF-8, with or without its mark, unless the file is marked as UTF-16 (what Excel calls Unicode text)."""
    with table.open("rb") as file:
        return "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _columns(header: list[str], shown: str) -> _Columns:
    names = [name.strip().casefold() for name in header]

    def index(known: tuple[str, ...]) -> int | None:
        return next((names.index(name) for name in known if name in names), None)

    file, label = index(_FILE), index(_LABEL)
    if file is None or label is None:
        lacking = "file" if file is None else "label"
        raise UserError(
            tr(
                "{file} has no column '{lacking}'; its first line has {seen}.",
                file=shown,
                lacking=lacking,
                seen=", ".join(header) or tr("nothing"),
            ),
            tr("Name the columns file and label."),
        )
    return _Columns(file, label, index(_SPLIT))


def _cell(row: list[str], index: int) -> str:
    return row[index].strip() if index < len(row) else ""


def _contained(name: str) -> str:
    """`name` as a path below the folder, `/`-separated; "" where it leaves the folder or is none."""
    path = PurePosixPath(name.replace("\\", "/"))
    if not name or "\0" in name or path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts:
        return ""
    return "" if path == PurePosixPath() else str(path)


def _trouble(name: str, label: str, inner: str, labelled: dict[str, str]) -> tuple[str, Severity, str, str] | None:
    """What is wrong with a row: kind, severity, reason, cure."""
    if not inner:
        reason = tr("Names {path}, which is no place inside the folder.", path=name or tr("nothing"))
        cure = tr("Write the file's path as seen from {table}, without ...", table=NAME)
        return "outside-folder", Severity.LEFT_OUT, reason, cure
    if not label:
        return "no-label", Severity.LEFT_OUT, tr("Has no label in {table}.", table=NAME), tr("Fill it in.")
    if inner not in labelled:
        return None
    if labelled[inner] == label:
        reason = tr("Is named more than once in {table}; used once.", table=NAME)
        return "repeated-row", Severity.NOTE, reason, tr("Remove the other lines.")
    reason = tr("Is labelled both {one} and {other} in {table}; the first is used.", one=labelled[inner], other=label, table=NAME)
    return "contradicting-label", Severity.NOTE, reason, tr("Keep the line that is right.")


def _subset(row: list[str], columns: _Columns, where: str, label: str, walker: Walker) -> Subset | None:
    text = _cell(row, columns.split) if columns.split is not None else ""
    subset = SUBSETS.get(text.casefold())
    if text and subset is None:
        reason = tr(
            "The subset '{subset}' in {table} is not known; the picture is divided like those without one.",
            subset=text,
            table=NAME,
        )
        walker.problem(where, label, "unknown-split", Severity.NOTE, reason, tr("Write train, val or test."))
    return subset


def _list_unnamed(folder: Path, table: Path, labelled: dict[str, str], walker: Walker) -> None:
    named = {str(folder / inner) for inner in labelled}
    waiting = [str(folder)]
    while waiting:
        for entry in walker.entries(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif entry.path not in named and entry.path != str(table):
                reason = tr("Is not named in {table}, so its class is not known.", table=NAME)
                cure = tr("Add a line for it to {table}.", table=NAME)
                walker.problem(entry.path, None, "no-label", Severity.LEFT_OUT, reason, cure)
