"""Faults of sharing: several processes want one run."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.runs import lock
from tests.reliability.trial import Faults, Trial

FAULTS = Faults()
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Holder:
    """A process that can hold locks."""

    process: subprocess.Popen

    def tell(self, line: str) -> None:
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        return self.process.stdout.readline().decode().rstrip("\n")


@contextlib.contextmanager
def holder() -> Iterator[Holder]:
    """A new one."""
    command = [sys.executable, "-m", "tests.reliability.holder"]
    with subprocess.Popen(command, cwd=_ROOT, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Holder(process)
        process.stdin.close()


@FAULTS.fault(
    "Two processes want to train one run",
    seen="The second is told which process has it, on which machine and since when, and does nothing to it.",
    tried="two processes ask for the run at the same moment: one gets it, the other is told the first one's number",
)
def two_want_one(trial: Trial) -> None:
    with holder() as one, holder() as other:
        for number in range(trial.count(100, 5)):
            path = trial.folder / str(number)
            for each in (one, other):
                each.tell(f"hold {path}")
            said = [each.hear() for each in (one, other)]
            with trial.attempt(f"race {number}: {said}"):
                winner = said.index("held")
                assert said[1 - winner].startswith("refused ")
                assert str((one, other)[winner].process.pid) in said[1 - winner]
            for each in (one, other):
                each.tell("release")
                each.hear()


@FAULTS.fault(
    "A lock is left behind",
    seen="By a process of this machine that died: nothing, the lock is taken over. By another machine: who holds it, and which "
    "file to delete if nothing runs there any more.",
    tried="a holder is killed by SIGKILL; in turn the lock names another machine",
)
def a_lock_is_left(trial: Trial) -> None:
    for number in range(trial.count(20, 2)):
        path = trial.folder / str(number)
        with holder() as one, trial.attempt(f"killed {number}"):
            one.tell(f"hold {path}")
            assert one.hear() == "held"
            os.kill(one.process.pid, signal.SIGKILL)
            one.process.wait()
            with lock.held(path):
                assert lock.is_held(path)
        with trial.attempt(f"elsewhere {number}"):
            left = json.dumps({"pid": 7, "host": f"elsewhere-{number}", "since": "2026-01-01 10:00"})
            path.write_text(left)
            assert f"elsewhere-{number}" in _refusal(path) and str(path) in _refusal(path)
            assert path.read_text() == left and lock.is_held(path)


def _refusal(path: Path) -> str:
    try:
        with lock.held(path):
            return ""
    except UserError as error:
        return str(error)
