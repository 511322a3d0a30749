"""Pictures are copied into a folder for each answer. Nothing is written over, and the pictures stay where they are."""

import filecmp
import os
import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.core.file_names import safe_names
from desktop_ft.core.language import marked, tr
from desktop_ft.data.picture_file import open_picture
from desktop_ft.export.verify import check_writable
from desktop_ft.jobs.answer_table import FOUND, MADE, MadeWith, ToldCopy, digest
from desktop_ft.jobs.predicting import Prediction, inert
from desktop_ft.jobs.running import Warn
from desktop_ft.runs import atomic

DONT_KNOW = "don't know"
_LONGEST = 255
_UNKNOWN = marked("Nothing says that the dropped answers made the copies in {folder} that they tell of; they stay: {count}.")
_CHANGED = marked(
    "Files that the dropped answers copied into {folder} are no copies of their pictures any more, and stay: {count}."
)


class SortedCopies:
    """Copies of pictures in `root`, each in the folder of its answer.

    Args:
        classes: the model's; each gets a folder of that name, made safe where it is none for a folder.
        table: what tells of them.
    """

    def __init__(self, root: Path, classes: Sequence[str], table: Path) -> None:
        self._root, self._table = root, table
        self._folders = dict(zip(classes, safe_names(classes, (DONT_KNOW,)), strict=True))

    @property
    def folders(self) -> tuple[str, ...]:
        """The names of all the folders that there may be."""
        return (*self._folders.values(), DONT_KNOW)

    def sign(self) -> None:
        """Leave a sign that the table tells of copies here: no other takes away what it may have found.

        Raises:
            UserError: it cannot be written.
        """
        atomic.make_folder(self._root)
        atomic.write(_sign(self._root, self._table), os.fsencode(self._table))

    def must_be_writable(self) -> None:
        """See that copies can be written, or the folders that they go into; none is made yet.

        Raises:
            UserError: they cannot.
        """
        there = next((folder for folder in (self._root, *self._root.parents) if os.path.lexists(folder)), self._root)
        check_writable(_sign(there, self._table))

    def must_lie_apart(self, asked: Sequence[Path]) -> None:
        """Refuse to copy into what is asked about: the copies would be asked about in their turn.

        Raises:
            UserError: a folder of copies lies in one of the folders `asked`, or that one in it.
        """
        if _among(self._root, self.folders, [path for path in asked if path.is_dir()]):
            raise UserError(
                tr("The copies would lie among the pictures that are asked about: {folder}.", folder=self._root),
                tr("Name a folder outside of them."),
            )

    def to_be_made(self, predictions: Iterable[Prediction], taken: Container[bytes]) -> Iterator[ToldCopy]:
        """The copies that adding `predictions` makes, in places where nothing is yet.

        Args:
            taken: as of `add`.
        """
        claimed = set[str]()
        for each in predictions:
            places = (place for place in self._places(each) if place not in claimed and digest(inert(place)) not in taken)
            free = next((place for place in places if not os.path.lexists(self._root / place)), None)
            if free is not None:
                claimed.add(free)
                yield ToldCopy(each.path, free, made=True)

    def add(self, prediction: Prediction, taken: set[bytes], begun: Container[ToldCopy] = ()) -> tuple[str, str]:
        """Copy the picture; where to, from the root, `/`-separated, and whether it was `MADE` or `FOUND`. "" without an answer.

        A name that another picture has gets letters that come from this one's path, so that another try gives the same name. A
        copy that is there already is taken as it is.

        Args:
            taken: digests of the copies that other pictures have; this one's is added.
            begun: what was about to be made where nothing was: there now, it was made.

        Raises:
            UnreadablePicture, OSError: the picture has gone. UserError: the copy cannot be written.
        """
        if prediction.problem:
            return "", ""
        folder = self._root / self._folder(prediction)
        atomic.make_folder(folder)
        for place in self._places(prediction):
            known = digest(inert(place))
            if known not in taken and (how := self._copied(prediction.path, self._root / place)):
                taken.add(known)
                return place, MADE if ToldCopy(prediction.path, place, made=True) in begun else how
        raise UserError(
            tr("There is no name left for {file} in {folder}.", file=prediction.path.name, folder=folder),
            tr("Name another folder."),
        )

    def _places(self, prediction: Prediction) -> Iterator[str]:
        """Where the picture's copy may go, best first; nowhere without an answer."""
        if not prediction.problem:
            yield from (f"{self._folder(prediction)}/{name}" for name in _names(prediction.path))

    def _folder(self, prediction: Prediction) -> str:
        return self._folders[prediction.label] if prediction.sure else DONT_KNOW

    def _copied(self, source: Path, target: Path) -> str:
        """How `target` is a copy of `source` now; "" where something else has that name."""
        temporary = target.with_name(f".desktop-ft-{_letters(source)}.tmp")
        if os.path.lexists(target):
            temporary.unlink(missing_ok=True)  # of a process that was killed just after it had given the copy its name
            same = not target.is_symlink() and target.is_file() and filecmp.cmp(source, target, shallow=False)
            return FOUND if same else ""
        with open_picture(source) as picture:
            size = os.fstat(picture.fileno()).st_size
            try:
                with temporary.open("wb") as copy:
                    shutil.copyfileobj(picture, copy)
                    copy.flush()
                    os.fsync(copy.fileno())
                with suppress(OSError):  # a disk that keeps no dates keeps the picture all the same
                    shutil.copystat(source, temporary)
                return MADE if _named(temporary, target) else ""
            except OSError as error:
                raise atomic.cannot_write(target, size, error) from error
            finally:
                temporary.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class CopiesOfBefore:
    """Takes away the copies that dropped answers made, and tells of those that stay: nothing goes but what is theirs alone.

    Attributes:
        table: what told of them.
        asked: what is asked about now.
        progress: told how many copies have been looked at, and of how many.
    """

    table: Path
    asked: Sequence[Path]
    warn: Warn
    progress: Callable[[int, int], None]

    def take_away(self, before: MadeWith | None, copies: Iterable[ToldCopy], count: int) -> None:
        """Take away the `count` `copies`, which a table told of that was made with `before`."""
        if before is None or not before.sorted_into:
            what = tr("Nothing says where the copies are that the dropped answers tell of; they stay: {count}.", count=count)
            self.warn(what)
            return
        root = Path(before.sorted_into)
        sign, said = _sign(root, self.table), {"folder": root, "count": count}
        others = [os.fsdecode(atomic.read(other)) for other in root.glob(_sign_name("*")) if other.name != sign.name]
        if not root.is_dir():
            self.warn(
                tr("{folder} is not there any more; copies of the dropped answers that lie elsewhere stay: {count}.", **said)
            )
        elif others:
            what = tr(
                "{table} tells of copies in {folder}, too; those of the dropped answers stay: {count}.", table=others[0], **said
            )
            self.warn(what)
        elif _among(root, before.folders, self.asked):
            self.warn(tr("The copies in {folder} are asked about; those of the dropped answers stay: {count}.", **said))
        elif not self._take_away(root, before.folders, self._told(copies, count)):
            sign.unlink(missing_ok=True)

    def _told(self, copies: Iterable[ToldCopy], count: int) -> Iterator[ToldCopy]:
        for number, each in enumerate(copies, 1):
            yield each
            self.progress(number, count)

    def _take_away(self, root: Path, folders: Sequence[str], copies: Iterable[ToldCopy]) -> int:
        """Take away what is in `folders` and made; how many stay."""
        unknown = changed = 0
        for each in copies:
            copy = root / each.place
            if not os.path.lexists(copy):
                continue
            if not each.made or not _lies_in(root, folders, each.place):
                unknown += 1
            elif not _taken_away(copy, each.source):
                changed += 1
        for count, what in ((unknown, _UNKNOWN), (changed, _CHANGED)):
            if count:
                self.warn(tr(what, folder=root, count=count))
        return unknown + changed


def _lies_in(root: Path, folders: Sequence[str], place: str) -> bool:
    """Whether `place` is that of a file in one of the `folders` of `root`, and nowhere else by a link."""
    parts = Path(place).parts
    return len(parts) == 2 and parts[0] in folders and ".." not in parts and not (root / parts[0]).is_symlink()


def _taken_away(copy: Path, source: Path) -> bool:
    """Take `copy` away if it is a true copy of `source`; whether it was."""
    try:
        if copy.is_symlink() or copy.samefile(source) or not filecmp.cmp(source, copy, shallow=False):
            return False
        copy.unlink()
    except OSError:  # the picture has gone, and this may be all that there is of it; or the copy cannot be deleted
        return False
    return True


def _among(root: Path, folders: Sequence[str], asked: Sequence[Path]) -> bool:
    """Whether one of the `folders` of `root` lies in what is `asked` about, or that in it."""
    targets = [Path(os.path.realpath(root / name)) for name in folders]
    found = [Path(os.path.realpath(path)) for path in asked]
    return any(target.is_relative_to(path) or path.is_relative_to(target) for target in targets for path in found)


def _sign(root: Path, table: Path) -> Path:
    return root / _sign_name(digest(os.path.realpath(table)).hex())


def _sign_name(letters: str) -> str:
    return f".desktop-ft-{letters}.table"


def _named(temporary: Path, target: Path) -> bool:
    """Give a finished copy its name; False where something else took it meanwhile."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError:  # a disk without hard links
        if os.path.lexists(target):
            return False
        temporary.rename(target)
    return True


def _names(source: Path) -> tuple[str, str]:
    """What the copy may be called: as the picture, or with letters that come from its path."""
    letters = f"-{_letters(source)[:12]}"
    stem, suffix = os.fsencode(source.stem), os.fsencode(source.suffix)
    room = max(0, _LONGEST - len(suffix) - len(letters))
    return source.name, os.fsdecode(stem[:room]) + letters + os.fsdecode(suffix[: _LONGEST - len(letters)])


def _letters(source: Path) -> str:
    return digest(str(source)).hex()
