"""Faults, what a person sees of each, and what came of trying them.

`make reliability` tries every fault as often as was promised and writes docs/reliability.md; the tests try each a few times.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SEED = 20260101
_TOLD = 5


class Shared(ExitStack):
    """What is slow to begin, and is begun once for all faults that need it."""

    def __init__(self) -> None:
        super().__init__()
        self._begun: dict[object, object] = {}

    def get(self, begin: Callable[[], AbstractContextManager]):
        """What `begin` gives; it ends with this."""
        if begin not in self._begun:
            self._begun[begin] = self.enter_context(begin())
        return self._begun[begin]


@dataclass
class Trial:
    """One fault, tried again and again.

    Attributes:
        folder: an empty folder for whatever is needed.
        whole: as often as promised; otherwise a few times.
        shared: what outlives this trial.
        chance: where and when; the same at every trial of this fault.
    """

    folder: Path
    whole: bool
    shared: Shared
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    tried: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def patience(self) -> float:
        """How many times as long something may take: beside other tests the machine is not its own."""
        return 1.0 if self.whole else 5.0

    def count(self, promised: int, few: int) -> int:
        """How often to try."""
        return promised if self.whole else few

    def some(self, all_of: list, few: int) -> list:
        """All of them, or a few that are spread over them."""
        if self.whole or len(all_of) <= few:
            return all_of
        return [all_of[place * (len(all_of) - 1) // (few - 1)] for place in range(few)]

    @contextmanager
    def attempt(self, what: str, counts: int = 1) -> Iterator[None]:
        """One try, or `counts` of them that are judged together, named by `what`.

        Whatever is raised in it makes it a failure, and the next is tried nevertheless.
        """
        self.tried += counts
        try:
            yield
        except Exception as error:
            self.failed += counts
            self.failures.append(f"{what}: {type(error).__name__}: {error}".strip())

    @property
    def survived(self) -> int:
        """How many tries ended well."""
        return self.tried - self.failed

    @property
    def verdict(self) -> str:
        """What failed, as far as it can be read; "" if nothing did, and something was tried."""
        if not self.tried:
            return "nothing was tried"
        more = [f"and {len(self.failures) - _TOLD} more"] if len(self.failures) > _TOLD else []
        return "\n".join([*self.failures[:_TOLD], *more])


@dataclass(frozen=True)
class Fault:
    """Something that can go wrong.

    Attributes:
        name: what happens.
        seen: what a person sees then.
        tried: how it is tried, for the table.
        run: tries it.
    """

    name: str
    seen: str
    tried: str
    run: Callable[[Trial], None]

    @property
    def id(self) -> str:
        return self.run.__name__


@dataclass(frozen=True)
class Outcome:
    """What came of a fault."""

    fault: Fault
    trial: Trial
    seconds: float


def attempted(fault: Fault, folder: Path, shared: Shared, *, whole: bool) -> Outcome:
    """Try `fault`. What is raised outside its attempts counts as one that failed: nothing is skipped silently."""
    trial = Trial(folder, whole, shared)
    began = time.monotonic()
    try:
        fault.run(trial)
    except Exception as error:
        trial.tried += 1
        trial.failed += 1
        trial.failures.append(f"it could not be tried: {type(error).__name__}: {error}")
    return Outcome(fault, trial, time.monotonic() - began)


class Faults(list):
    """The faults of one part of the application; `fault` adds the function that tries one."""

    def fault(self, name: str, *, seen: str, tried: str) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
        def add(run: Callable[[Trial], None]) -> Callable[[Trial], None]:
            self.append(Fault(name, seen, tried, run))
            return run

        return add
