"""Runs that are killed, or meet a fault of the disk, and what must be true of them afterwards."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.events import CheckpointSaved, RunEnded, RunStatus
from desktop_ft.models.checkpoint import CheckpointStore
from desktop_ft.runs import atomic
from desktop_ft.runs.run_folder import RunFolder
from tests.reliability.killed_run import Job

KILLED = -signal.SIGKILL
_PATIENCE_S = 60.0
"""A run takes less than a second; one that takes so long hangs."""
_ROOT = Path(__file__).parents[2]


class Children:
    """Starts children that train, and kills them."""

    def __init__(self, server: subprocess.Popen) -> None:
        self._server = server

    def train(self, folder: Path, *, kill_after_s: float | None = None, **how: int | str) -> int:
        """Exit status of one child in `folder`, `KILLED` where it was killed; `how` as `Job` says."""
        child = self._begin(folder, how)
        self._wait(child, _PATIENCE_S if kill_after_s is None else kill_after_s)
        return self._end()

    def traced(self, folder: Path, *options: str, **how: int | str) -> int:
        """The same with every call of the child under `strace OPTIONS`."""
        child = self._begin(folder, how | {"waits": True})
        try:
            _until_stopped(child)
            with subprocess.Popen(["strace", "-f", "-p", str(child), *options], stderr=subprocess.PIPE) as tracer:
                if not (said := tracer.stderr.readline()).endswith(b"attached\n"):
                    raise OSError(f"strace: {said.decode()}")
                os.kill(child, signal.SIGCONT)
                self._wait(child, _PATIENCE_S)
        except BaseException:  # strace is not there, or may not
            _kill(child)
            self._end()
            raise
        return self._end()

    def _begin(self, folder: Path, how: dict) -> int:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        self._server.stdin.write(Job(folder=str(folder), **how).line())
        self._server.stdin.flush()
        return self._hear("pid")

    def _wait(self, child: int, seconds: float) -> None:
        """Until the child has ended; what has not after so long is killed."""
        if not select.select([self._server.stdout], [], [], seconds)[0]:
            _kill(child)

    def _end(self) -> int:
        return self._hear("status")

    def _hear(self, what: str) -> int:
        said, _, number = self._server.stdout.readline().decode().partition(" ")
        assert said == what, f"{said} instead of {what}"
        return int(number)


@contextlib.contextmanager
def children() -> Iterator[Children]:
    """Children of one server, which has imported all they need."""
    command = [sys.executable, "-m", "tests.reliability.killed_run"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=_ROOT, env=environment, bufsize=0, **pipes) as server:
        yield Children(server)
        server.stdin.close()


@dataclass(frozen=True)
class Whole:
    """A run that nothing interrupted: what came of it, how long it took, in how many steps."""

    outcome: tuple
    seconds: float
    steps: int


def whole(children: Children, folder: Path, **how: int | str) -> Whole:
    """A run in `folder` from its beginning to its end."""
    children.train(folder / "warm-up", **how)
    began = time.monotonic()
    assert children.train(folder / "run", **how) == 0
    return Whole(outcome(folder / "run"), time.monotonic() - began, len(RunFolder(folder / "run").history().steps))


def outcome(folder: Path) -> tuple:
    """All that must be the same: the checkpoints to the byte, and the curves."""
    index = json.loads((folder / "checkpoints" / "index.json").read_bytes().split(b"\n")[0])
    history = RunFolder(folder).history()
    steps = [(step.epoch, step.step, step.loss, step.lr) for step in history.steps]
    epochs = [(epoch.epoch, epoch.train_loss, epoch.val_loss, epoch.best) for epoch in history.epochs]
    return index["last"]["sha256"], index["best"]["sha256"], steps, epochs


def said_in(notes: Path) -> list[str]:
    """What children wrote into `notes`."""
    return notes.read_text().splitlines() if notes.exists() else []


def check_what_is_left(folder: Path, notes: Path) -> None:
    """What was reported as saved can be loaded, or something later, and the curves know of it."""
    saved = [(int(epoch), int(step)) for verb, epoch, step in map(_split, said_in(notes)) if verb == "saved"]
    known = [(event.epoch, event.step) for event in RunFolder(folder).events() if isinstance(event, CheckpointSaved)]
    if saved:
        last = CheckpointStore(folder / "checkpoints", atomic.write).load("last")
        assert (last.progress.epoch, last.progress.step) >= saved[-1], "what was reported as saved is gone"
        assert not last.note, last.note
        assert max(known) >= saved[-1], "the curves do not know of what was saved"


def check_and_finish(children: Children, folder: Path, expected: Whole, **how: int | str) -> None:
    """Going on with what is there ends exactly as if nothing had happened."""
    assert len([event for event in RunFolder(folder).events() if isinstance(event, RunEnded)]) <= 1
    assert children.train(folder, **how) == 0, "it could not be gone on with"
    ended = RunFolder(folder).history().ended
    assert ended is not None and ended.status is RunStatus.COMPLETED, ended
    assert outcome(folder) == expected.outcome, "it went on differently"


def _split(line: str) -> tuple[str, str, str]:
    verb, _, rest = line.partition(" ")
    first, _, second = rest.partition(" ")
    return verb, first, second


def _kill(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended in the very moment
        os.kill(child, signal.SIGKILL)


def _until_stopped(child: int) -> None:
    """Wait until `child`, which is another process's, has stopped itself."""
    status = Path(f"/proc/{child}/stat")
    while (state := status.read_text().rpartition(")")[2].split()[0]) != "T":
        if state in "ZX":
            raise OSError(f"child {child} died before it began")
        time.sleep(0.001)
