"""Folders that go where the system keeps what was deleted, and come back from there."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QFile

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr, tr_n
from desktop_ft.gui import words
from desktop_ft.gui.faults import words_of
from desktop_ft.gui.widgets import Notice


@dataclass(frozen=True, slots=True)
class Trashed:
    """A folder in the trash: where it lay, and where it lies there; None where the system does not tell."""

    was: Path
    lies: Path | None

    def put_back(self) -> None:
        """Let it lie where it lay.

        Raises:
            UserError: it is not in the trash any more, something else lies where it lay, or it cannot be moved.
        """
        by_hand = tr("Take it out of the trash by hand.")
        folder = words.printable(str(self.was))
        if self.lies is None or not self.lies.is_dir():
            raise UserError(tr("{folder} is not found in the trash any more.", folder=folder), by_hand)
        if self.was.exists():
            raise UserError(tr("There is a folder {folder} again.", folder=folder), tr("Move that one away first."))
        try:
            self.was.parent.mkdir(parents=True, exist_ok=True)
            self.lies.rename(self.was)
        except OSError as error:
            raise UserError(tr("{folder} cannot be put back: {why}", folder=folder, why=error.strerror), by_hand) from error
        for note in _notes_of(self.lies):
            with suppress(OSError):  # the trash lists a folder more than it has, until it is emptied
                note.unlink()


def move(folder: Path) -> Trashed | None:
    """Move `folder` to the trash; None where that cannot be done."""
    file = QFile(str(folder))
    if not file.moveToTrash():
        return None
    lies = file.fileName()  # "", or as it was, where the system does not tell
    return Trashed(folder, Path(lies) if lies not in ("", str(folder)) else None)


def tell(notice: Notice, trashed: Sequence[Trashed], stayed: Sequence[Path], put_back: Callable[[Trashed], None]) -> None:
    """Tell which runs are in the trash now and which are not, and offer, where that can be done from here, to put them back.

    Args:
        put_back: as `Trashed.put_back`, for one of them.
    """
    left = ", ".join(words.printable(str(folder)) for folder in stayed)
    refused = UserError(
        tr("{folder} cannot be moved to the trash.", folder=left), tr("Wait for the run to end, or delete the folder by hand.")
    )
    if not trashed:
        notice.fail(refused)
        return
    moved = tr_n("{n:,} run moved to the trash.", "{n:,} runs moved to the trash.", n=len(trashed))
    if from_here := all(each.lies is not None for each in trashed):
        said, level = moved, "good"
    else:
        said, level = f"{moved} {tr('The trash of the system can put back what is in it.')}", "good"
    if stayed:
        said, level = f"{said}\n{' '.join(words_of(refused))}", "warn"
    if from_here:
        notice.offer(said, tr("Put back"), partial(_back, notice, trashed, put_back), level)
    else:
        notice.say(said, level)


def _back(notice: Notice, trashed: Sequence[Trashed], put_back: Callable[[Trashed], None]) -> None:
    """Each that can be; of those that cannot, why, and the way to try them again."""
    refused = dict[Trashed, str]()
    for each in trashed:
        try:
            put_back(each)
        except UserError as error:
            refused[each] = " ".join(words_of(error))
    if refused:
        again = partial(_back, notice, tuple(refused), put_back)
        notice.offer("\n".join(refused.values()), tr("Put back"), again, "bad")


def _notes_of(lies: Path) -> tuple[Path, ...]:
    """What the system wrote about what lies there: it would list what has gone. (Of freedesktop.org, and of Windows.)"""
    windows = lies.with_name(f"$I{lies.name.removeprefix('$R')}")
    return (lies.parent.parent / "info" / f"{lies.name}.trashinfo", *([windows] if lies.name.startswith("$R") else []))
