"""The person's runs: which there are, wherever they lie, and what is written about them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from desktop_ft import places
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import CheckpointSaved, RunStatus
from desktop_ft.core.language import tr
from desktop_ft.core.metrics import Interval
from desktop_ft.core.run_note import RunNote, changed
from desktop_ft.core.values import explain
from desktop_ft.evaluation.intervals import share_of
from desktop_ft.jobs.kept import is_kept_elsewhere
from desktop_ft.runs.index import RunIndex, RunSummary
from desktop_ft.runs.known import KnownRuns
from desktop_ft.runs.run_folder import RunFolder


def known_runs() -> KnownRuns:
    """The runs that were given a folder of their own."""
    return KnownRuns(places.data() / "run-folders.jsonl")


def remember(run: Path) -> None:
    """Let the run be listed, wherever it lies. Where that cannot be written down, it is remembered the next time."""
    with suppress(UserError):
        if not (is_kept_elsewhere() or is_listed(run)):
            known_runs().add(run)


def listed(root: Path | None = None) -> list[RunSummary]:
    """The runs that lie directly in the folder `root`; without one the person's: those in their folder of runs, and all that were
    ever started or opened elsewhere and are there now. The newest first.

    Raises:
        UserError: the index cannot be written.
    """
    others = known_runs().folders() if root is None else ()
    index = RunIndex(places.data() / "runs.sqlite", root or places.runs(), others)
    index.rescan()
    return index.rows()


def is_listed(run: Path) -> bool:
    """Whether `run` is one of those that `listed` tells of by itself, as a part of a comparison is not.

    Raises:
        UserError: it cannot be read which ones lie elsewhere.
    """
    whole = run.absolute()
    return whole.parent == places.runs().absolute() or whole in known_runs().folders()


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenOff:
    """A run that did not come to its end.

    Attributes:
        place: how far it had come, in words. saved: how far it is saved; "" where nothing is.
        has_best: whether an epoch was judged and is saved, so that there is a best model to keep.
        failed: whether it told why; otherwise its process was killed, or the power failed.
    """

    run: Path
    place: str
    saved: str
    has_best: bool
    failed: bool


def interrupted() -> BrokenOff | None:
    """The run of the person's that was begun last, if it was interrupted.

    Raises:
        UserError: the index cannot be written.
    """
    last = next(iter(listed()), None)
    return broken_off(Path(last.path)) if last is not None and last.status == "interrupted" else None


def broken_off(run: Path) -> BrokenOff | None:
    """How far `run` has come, which nobody trains and is not complete; else None, as where it cannot be read."""
    try:
        folder = RunFolder.open(run)
        history = folder.history()
        if folder.is_locked or (history.ended is not None and history.ended.status is RunStatus.COMPLETED):
            return None
    except UserError:  # the page Runs tells of it
        return None
    if history.epochs and history.steps and history.epochs[-1].epoch == history.steps[-1].epoch:
        place = tr("the end of epoch {epoch}", epoch=history.epochs[-1].epoch + 1)
    elif history.steps:
        place = tr("epoch {epoch}, batch {batch}", epoch=history.steps[-1].epoch + 1, batch=history.steps[-1].step + 1)
    else:
        place = tr("its beginning")
    return BrokenOff(
        run=run,
        place=place,
        saved=saved_words(history.saved),
        has_best=history.best is not None and history.saved is not None,
        failed=history.ended is not None,
    )


def saved_words(last: CheckpointSaved | None) -> str:
    """How far a run is saved whose last checkpoint this is, in words; "" where nothing is."""
    if last is None:
        return ""
    if last.step:
        return tr("epoch {epoch}, batch {batch}", epoch=last.epoch + 1, batch=last.step)
    return tr("the end of epoch {epoch}", epoch=last.epoch)


def accuracy_of(run: RunSummary) -> Interval | None:
    """The run's accuracy with its 95 % interval; None before the first epoch, and where it is not known of how many pictures."""
    return share_of(run.accuracy, run.judged)


def annotate(run: Path, *, text: str | None = None, add: Iterable[str] = (), remove: Iterable[str] = ()) -> RunNote:
    """Write about a run: another text (None: as it is), tags added, tags removed. Returns what is written about it now.

    Raises:
        UserError: it is no run, something is no tag, or it cannot be written.
    """
    folder = RunFolder.open(run)
    try:
        note = changed(folder.note, text=text, add=add, remove=remove)
    except ValidationError as error:
        raise UserError(tr("That cannot be noted: {error}.", error=explain(error)), tr("Correct it and try again.")) from error
    folder.write_note(note)
    remember(run)
    return note
