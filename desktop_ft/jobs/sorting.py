"""Pictures are copied into a folder for each answer. Nothing is written over, and the pictures stay where they are."""

import filecmp
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.core.file_names import safe_names
from desktop_ft.core.language import tr
from desktop_ft.data.picture_file import open_picture
from desktop_ft.jobs.answer_table import digest
from desktop_ft.jobs.predicting import Prediction, inert
from desktop_ft.runs import atomic

DONT_KNOW = "don't know"
_LONGEST = 255


class SortedCopies:
    """Copies of pictures in `root`, each in the folder of its answer.

    Args:
        classes: the model's; each gets a folder of that name, made safe where it is none for a folder.

    Attributes:
        left: copies that were not taken away, as they are none of their picture any more.
    """

    def __init__(self, root: Path, classes: Sequence[str]) -> None:
        self._root, self.left = root, 0
        self._folders = dict(zip(classes, safe_names(classes, (DONT_KNOW,)), strict=True))

    def must_lie_apart(self, asked: Sequence[Path]) -> None:
        """Refuse to copy into what is asked about: the copies would be asked about in their turn.

        Raises:
            UserError: a folder of copies lies in one of the folders `asked`, or that one in it.
        """
        targets = [Path(os.path.realpath(self._root / name)) for name in (*self._folders.values(), DONT_KNOW)]
        for folder in (Path(os.path.realpath(path)) for path in asked if path.is_dir()):
            if any(target.is_relative_to(folder) or folder.is_relative_to(target) for target in targets):
                raise UserError(
                    tr("The copies would lie among the pictures that are asked about: {folder}.", folder=self._root),
                    tr("Name a folder outside of them."),
                )

    def add(self, prediction: Prediction, taken: set[bytes]) -> str:
        """Copy the picture; where to, from the root, `/`-separated. "" where there is no answer.

        A name that another picture has gets letters that come from this one's path, so that another try gives the same name. A
        copy that is there already is taken as it is.

        Args:
            taken: digests of the copies that other pictures have; this one's is added.

        Raises:
            UnreadablePicture, OSError: the picture has gone. UserError: the copy cannot be written.
        """
        if prediction.problem:
            return ""
        folder = self._folders[prediction.label] if prediction.sure else DONT_KNOW
        atomic.make_folder(self._root / folder)
        for name in _names(prediction.path):
            place = f"{folder}/{name}"
            known = digest(inert(place))
            if known not in taken and self._is_copied(prediction.path, self._root / folder / name):
                taken.add(known)
                return place
        raise UserError(
            tr("There is no name left for {file} in {folder}.", file=prediction.path.name, folder=self._root / folder),
            tr("Name another folder."),
        )

    def take_away(self, source: Path, place: str) -> None:
        """Take away the copy of `source` that an answer which counts no more put at `place`; nothing but a true copy goes."""
        copy = self._root / place
        if len(Path(place).parts) != 2 or copy.parent.parent != self._root or not os.path.lexists(copy):
            return
        try:
            if copy.is_symlink() or copy.samefile(source) or not filecmp.cmp(source, copy, shallow=False):
                self.left += 1
            else:
                copy.unlink()
        except OSError:  # the picture has gone, and this may be all that there is of it; or the copy cannot be deleted
            self.left += 1

    def _is_copied(self, source: Path, target: Path) -> bool:
        """Whether `target` is a copy of `source` now; False where something else has that name."""
        temporary = target.with_name(f".desktop-ft-{_letters(source)}.tmp")
        if os.path.lexists(target):
            temporary.unlink(missing_ok=True)  # of a process that was killed just after it had given the copy its name
            return not target.is_symlink() and target.is_file() and filecmp.cmp(source, target, shallow=False)
        with open_picture(source) as picture:
            size = os.fstat(picture.fileno()).st_size
            try:
                with temporary.open("wb") as copy:
                    shutil.copyfileobj(picture, copy)
                    copy.flush()
                    os.fsync(copy.fileno())
                with suppress(OSError):  # a disk that keeps no dates keeps the picture all the same
                    shutil.copystat(source, temporary)
                return _named(temporary, target)
            except OSError as error:
                raise atomic.cannot_write(target, size, error) from error
            finally:
                temporary.unlink(missing_ok=True)


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
