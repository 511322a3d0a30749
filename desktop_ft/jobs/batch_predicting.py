"""Very many pictures are answered into a table on the disk, and sorted by their answers; stopped at any moment, it goes on."""

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.data.picture_file import UnreadablePicture
from desktop_ft.jobs.answer_table import AnswerTable, MadeWith
from desktop_ft.jobs.predicting import Prediction, csv_row, files, must_be_there, must_hold_files, opened_model
from desktop_ft.jobs.running import Warn, silent
from desktop_ft.jobs.sorting import CopiesOfBefore, SortedCopies
from desktop_ft.plugin_manager import Plugins

CHUNK = 64
"""So many answers are written at once: what a process that is killed loses at most, twice."""

Phase = Callable[[str, int, int | None], None]


@dataclass(slots=True, kw_only=True)
class Tally:
    """What has come of it so far, on the disk: numbers of pictures.

    Attributes:
        total: all that are asked about.
        before: those that the table had answers for when it was opened.
        unsure: of those that are answered now, *don't know*. problems: files without an answer, not among the answered.
        problems_before: of those before, files that the table has a problem for.
    """

    total: int = 0
    before: int = 0
    answered: int = 0
    unsure: int = 0
    problems: int = 0
    problems_before: int = 0

    @property
    def done(self) -> int:
        """Those that have a row."""
        return self.before + self.answered + self.problems

    def count(self, predictions: Iterable[Prediction]) -> None:
        """Count what was written."""
        for each in predictions:
            self.problems += bool(each.problem)
            self.answered += not each.problem
            self.unsure += not each.problem and not each.sure


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWork:
    """What is asked, and where the answers go; the fields are those of `predict`, besides:

    Attributes:
        out: the table.
        sort_into: where each picture is copied to, into the folder of its answer.
        fresh: drop the answers that the table holds, and take away the copies that they made, wherever that was.
        retry: ask again about the files that the table has a problem for.
    """

    model: Path
    paths: Sequence[Path]
    out: Path
    sort_into: Path | None = None
    threshold: float | None = None
    fresh: bool = False
    retry: bool = False

    def run(self, tally: Tally, plugins: Plugins | None = None, *, warn: Warn = silent, progress: Phase | None = None) -> None:
        """Answer what has no answer in the table yet. However it ends, `tally` says what is on the disk.

        Args:
            progress: told the phase in words, how much of it is done, and of how much.

        Raises:
            UserError: as `predict`; or the table was made with another model, or cannot be written.
        """
        tell = progress or (lambda *_: None)
        tell(tr("Opening the model"), 0, None)
        must_be_there(self.paths)
        asked = [_absolute(path) for path in self.paths]
        opened = opened_model(self.model, plugins, threshold=self.threshold, warn=warn)
        out, copies = _absolute(self.out), None
        if self.sort_into is not None:
            copies = SortedCopies(_absolute(self.sort_into), opened.model.classes, out)
            copies.must_lie_apart(asked)
        made_with = MadeWith(
            model=opened.model.identity,
            name=self.model.name,
            threshold=opened.threshold,
            sorted_into="" if self.sort_into is None else str(_absolute(self.sort_into)),
            folders=copies.folders if copies else (),
        )
        taking = partial(tell, tr("Taking away the copies of before"))
        take_away = CopiesOfBefore(out, asked, warn, taking).take_away
        table = AnswerTable(out, made_with, fresh=self.fresh, retry=self.retry, take_away=take_away)
        # Whatever can be refused is refused before old answers are dropped.
        must_hold_files(self.paths, table.own)
        if copies:
            copies.must_be_writable()
        aside: list[Prediction] = []
        answers = opened.predictions((path for path in files(asked, aside, table.own) if path not in table), aside)
        if self.fresh:  # no row counts, so the first can be answered before the table is opened
            answers = itertools.chain(list(itertools.islice(answers, 1)), answers)
        with table:
            answering = tr("Answering")
            tell(answering, 0, None)
            if copies:
                copies.sign()
            _count(asked, table, tally, warn)
            tell(answering, tally.done, tally.total)
            with _Writing(table, copies, tally) as writing:
                for number, answer in enumerate(answers, tally.done + 1):
                    if not answer.problem or answer.path not in table:  # what was set aside may have been told before
                        writing.add(answer)
                    tell(answering, min(number, tally.total), tally.total)


def _absolute(path: Path) -> Path:
    """Rows name files wherever the next try is started from. Links stay: they are what was named."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (Path.absolute keeps "..")


def _count(asked: Sequence[Path], table: AnswerTable, tally: Tally, warn: Warn) -> None:
    aside: list[Prediction] = []

    # The second is empty until the first has been gone through.
    for path in itertools.chain(files(asked, aside, table.own, warn), (each.path for each in aside)):
        tally.total += 1
        tally.before += path in table
        tally.problems_before += table.has_problem(path)


class _Writing:
    """Writes chunks in a thread of its own, one after another, while the next pictures are answered."""

    def __init__(self, table: AnswerTable, copies: SortedCopies | None, tally: Tally) -> None:
        self._table, self._copies, self._tally = table, copies, tally
        self._waiting: list[Prediction] = []
        self._before: Future[None] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="answers")

    def add(self, prediction: Prediction) -> None:
        self._waiting.append(prediction)
        if len(self._waiting) >= CHUNK:
            self._pass_on()

    def __enter__(self) -> "_Writing":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with self._pool:
            try:
                self._pass_on()
                self._written()
            except UserError:
                if error is None:  # else that one says more
                    raise

    def _pass_on(self) -> None:
        self._written()
        chunk, self._waiting = self._waiting, []
        self._before = self._pool.submit(self._write, chunk)

    def _written(self) -> None:
        before, self._before = self._before, None
        if before is not None:
            before.result()

    def _write(self, chunk: Sequence[Prediction]) -> None:
        # One picture named twice may be on its way twice.
        new = list({each.path: each for each in chunk if each.path not in self._table}.values())
        if not new:
            return
        if self._copies:
            self._table.begin(list(self._copies.to_be_made(new, self._table.copies)))
        placed = [self._placed(each) for each in new]
        self._table.add([csv_row(each) + place for each, place in placed])
        self._tally.count(each for each, _ in placed)

    def _placed(self, prediction: Prediction) -> tuple[Prediction, tuple[str, ...]]:
        """The answer, and where its picture was copied to, for the last column if there is one."""
        if self._copies is None:
            return prediction, ()
        try:
            return prediction, self._copies.add(prediction, self._table.copies, self._table.begun)
        except UnreadablePicture as error:
            return replace(prediction, problem=error.reason), ("", "")
        except OSError as error:
            return replace(prediction, problem=error.strerror or str(error)), ("", "")
