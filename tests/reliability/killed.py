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

from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.models.checkpoint import CheckpointStore
from desktop_ft.runs import atomic
from desktop_ft.runs.run_folder import RunFolder
from tests.reliability.killed_run import Job

KILLED = -signal.SIGKILL
_ROOT = Path(__file__).parents[2]


class Children:
    """Starts children that train, and kills them."""

    def __init__(self, server: subprocess.Popen) -> None:
        self._server = server

    def train(self, folder: Path, *, kill_after_s: float | None = None, **how: int | str) -> int:
        """Exit status of one child in `folder`, `KILLED` where it was killed; `how` as `Job` says."""
        child = self._begin(folder, how)
        if kill_after_s is not None and not select.select([self._server.stdout], [], [], kill_after_s)[0]:
            with contextlib.suppress(ProcessLookupError):  # it ended in the very moment
                os.kill(child, signal.SIGKILL)
        return self._end()

    def traced(self, folder: Path, *options: str, **how: int | str) -> int:
        """The same with every call of the child under `strace OPTIONS`."""
        child = self._begin(folder, how | {"waits": True})
        _until_stopped(child)
        command = ["strace", "-f", "-p", str(child), *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
            if not (said := tracer.stderr.readline()).endswith(b"attached\n"):
                os.kill(child, signal.SIGKILL)
                self._end()
                raise OSError(f"strace: {said.decode()}")
            os.kill(child, signal.SIGCONT)
            tracer.stderr.read()
        return self._end()

    def _begin(self, folder: Path, how: dict) -> int:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        self._server.stdin.write(Job(folder=str(folder), **how).line())
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def _end(self) -> int:
        return int(self._server.stdout.readline())


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


def check_and_finish(children: Children, folder: Path, expected: Whole, **how: int | str) -> None:
    """What is there can be loaded, and going on with it ends exactly as if nothing had happened."""
    store = CheckpointStore(folder / "checkpoints", atomic.write)
    if store.best:
        assert not store.load("last").note, store.load("last").note
    assert len([event for event in RunFolder(folder).events() if isinstance(event, RunEnded)]) <= 1
    assert children.train(folder, **how) == 0, "it could not be gone on with"
    ended = RunFolder(folder).history().ended
    assert ended is not None and ended.status is RunStatus.COMPLETED, ended
    assert outcome(folder) == expected.outcome, "it went on differently"


def _until_stopped(child: int) -> None:
    """Wait until `child`, which is another process's, has stopped itself."""
    status = Path(f"/proc/{child}/stat")
    while status.read_text().rpartition(")")[2].split()[0] != "T":
        os.sched_yield()
