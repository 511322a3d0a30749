"""What the command line shows: results on standard output, progress and words on standard error."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_NAME = "desktop-ft"
_UNBOUNDED = 10_000
_TOLD_EVERY_S = 0.05
_ROOM_BELOW = 4
"""Lines of the terminal that bars leave free, for notes above them."""
_LINE_EVERY_S = 10.0
_SAID_AGAIN_AFTER = 6
ProgressCallback = Callable[[int, int | None], None]
PhaseCallback = Callable[[str, int, int | None], None]


class Terminal:
    """Where a command speaks. With `json`, standard output holds one JSON document and nothing else; `quiet` is silent.

    rich is imported when something is said: the window, which says nothing here, need not wait for it.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self._quiet = quiet

    @cached_property
    def out(self) -> "Console":
        """Standard output."""
        from rich.console import Console

        # Into a pipe or a file every row goes whole: what reads it can cut it as it likes.
        width = None if sys.stdout.isatty() else _UNBOUNDED
        return Console(highlight=False, soft_wrap=True, markup=False, width=width, quiet=self._quiet)

    @cached_property
    def err(self) -> "Console":
        """Standard error."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, soft_wrap=True, markup=False, quiet=self._quiet)

    def say(self, text: str) -> None:
        """A line for a person; silent when a machine listens."""
        if not self.json:
            self.out.print(_printable_lines(text))

    def note(self, text: str) -> None:
        """A line about the work, on standard error."""
        self.err.print(_printable_lines(text))

    def document(self, value: Any) -> None:
        """The JSON document, when a machine listens."""
        if self.json and not self._quiet:
            sys.stdout.write(json.dumps(value, ensure_ascii=True, indent=1) + "\n")

    def line(self, value: Any) -> None:
        """A line of JSON at once, when a machine listens to a command that goes on."""
        if self.json and not self._quiet:
            sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")
            sys.stdout.flush()

    def fail(self, sentence: str, code: int) -> int:
        """One line that says what is wrong and what to do; returns `code`."""
        self.err.print(printable(f"desktop-ft: {' '.join(sentence.split())}"))
        return code

    def table(self, titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
        """A plain table; the columns numbered in `right` are set flush right."""
        if self.json or self._quiet:
            return
        if not sys.stdout.isatty():  # thousands of rows take seconds to lay out for a screen
            self._plain_table([titles, *rows], right)
            return
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, title in enumerate(titles):
            last = number == len(titles) - 1
            table.add_column(title, justify="right" if number in right else "left", overflow="fold", no_wrap=not last)
        for row in rows:
            table.add_row(*(escape(printable(cell)) for cell in row))
        self.out.print(table, markup=True)

    def _plain_table(self, rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
        """Every row whole, whatever its width: what reads it can cut it as it likes."""
        from rich.cells import cell_len

        shown = [[printable(cell) for cell in row] for row in rows]
        widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
        for row in shown:
            gaps = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
            cells = [gap + cell if n in right else cell + gap for n, (cell, gap) in enumerate(zip(row, gaps, strict=True))]
            sys.stdout.write("  ".join(cells).rstrip() + "\n")

    @contextmanager
    def progress(self, what: str) -> Iterator[ProgressCallback]:
        """A bar with the time left, on a terminal; elsewhere a line now and then, where it takes long."""
        with self.phases() as tell:
            tell(what, 0, None)
            yield lambda done, total: tell(what, done, total)

    @contextmanager
    def phases(self) -> Iterator[PhaseCallback]:
        """As `progress`, for work in several named phases: one bar each."""
        with self._bars() if self.err.is_terminal else self._lines() as tell:
            yield tell

    @contextmanager
    def _bars(self) -> Iterator[PhaseCallback]:
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        # A bar as wide as what is left, so that figures beside a long description are never cut.
        bar = BarColumn(bar_width=None)
        columns = (TextColumn("{task.description}"), bar, MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.err) as bars:
            tasks: dict[str, Any] = {}
            told_at = 0.0

            def tell(what: str, done: int, total: int | None) -> None:
                nonlocal told_at
                now = time.monotonic()
                if what not in tasks:
                    self._make_way(bars, list(tasks.values()))
                    tasks[what] = bars.add_task(escape(what), total=total)
                elif done != total and now - told_at < _TOLD_EVERY_S:
                    return  # a million files are not told one by one
                told_at = now
                bars.update(tasks[what], completed=done, total=total)

            yield tell

    def _make_way(self, bars: Any, tasks: list[Any]) -> None:
        """End what nobody knew the end of, now that another phase begins, and hide what would push that one off the screen."""
        for task in bars.tasks:
            if task.id == tasks[-1] and task.total is None:
                bars.update(task.id, total=max(1, task.completed), completed=max(1, task.completed))
        if len(tasks) >= (room := max(1, self.err.height - _ROOM_BELOW)):
            bars.update(tasks[-room], visible=False)

    @contextmanager
    def _lines(self) -> Iterator[PhaseCallback]:
        """Where no terminal shows bars a line now and then, from a thread: work that is silent for long looks like a halt."""
        last: list[tuple[str, int, int | None]] = []
        over = threading.Event()
        said = ""

        def tell(what: str, done: int, total: int | None) -> None:
            last[:] = [(what, done, total)]

        def say(*, again: bool = False) -> bool:
            nonlocal said
            for what, done, total in tuple(last):
                now = f"{what}: {done:,} of {total:,}" if total else f"{what} …"
                if now != said or again:
                    self.note(now)
                    said = now
                    return True
            return False

        def speak() -> None:
            silent = 0
            while not over.wait(_LINE_EVERY_S):
                silent += 1
                if say(again=silent >= _SAID_AGAIN_AFTER):
                    silent = 0

        speaker = threading.Thread(target=speak, name="progress", daemon=True)
        speaker.start()
        try:
            yield tell
        finally:
            over.set()
            speaker.join()
        if said:  # whoever read how far it was reads that it came to its end
            say()


def _printable_lines(text: str) -> str:
    """`printable`, with the line ends and tabs that we put there ourselves."""
    return "\n".join("\t".join(printable(cell) for cell in line.split("\t")) for line in text.split("\n"))


def printable(text: str) -> str:
    """`text` with control characters and undecodable bytes shown escaped, so that a file's name cannot play with the terminal."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    byte = ord(char) - 0xDC00  # how Python keeps a byte that is not UTF-8 (PEP 383)
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else char.encode("unicode_escape").decode("ascii")


def call(*words: str) -> str:
    """What a person types to call this program with `words`, wherever they are, quoted where a shell needs it.

    It is called by its name where that is found, else by where it lies beside Python, else by Python.
    """
    beside = shutil.which(_NAME, path=os.path.dirname(sys.executable))  # noqa: PTH120 - a link to Python has its own neighbours
    whole = [os.path.abspath(beside)] if beside else [sys.executable, "-m", "desktop_ft"]  # noqa: PTH100 - it follows no link
    line = [*([_NAME] if shutil.which(_NAME) else whole), *words]
    return subprocess.list2cmdline(line) if os.name == "nt" else shlex.join(line)
