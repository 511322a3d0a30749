"""A process that trains tiny runs in children, to be killed; each child goes on from what the one before it left.

A line of JSON on standard input starts a child, a `Job`. Its pid is printed (`pid 7`), and its exit status when it has ended
(`status 0`).
"""

import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch._dynamo  # noqa: F401 - an optimiser imports it when first made, for a second: once here, not in every child

from desktop_ft.core.errors import UserError
from desktop_ft.core.events import CheckpointSaved, RunEnded, RunStatus, StepDone, TrainEvent
from desktop_ft.runs.run_folder import RunFolder
from tests.engine.tiny import PLAN, Run


@dataclass(frozen=True)
class Job:
    """What a child does.

    Attributes:
        epochs: how long the whole run is.
        die_at_call: it dies by its own SIGKILL just before its N-th call that changes the disk; 0: never.
        die_at_step: just after its N-th step.
        notes: the file in which it writes what was saved and what was told, by calls that no injected fault meets.
        waits: it stops itself before it begins, until somebody lets it go on.
    """

    folder: str
    epochs: int = PLAN.epochs
    die_at_call: int = 0
    die_at_step: int = 0
    notes: str = ""
    waits: bool = False

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


class Notes:
    """What a child has to say, line by line."""

    def __init__(self, path: str) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if path else -1

    def add(self, line: str) -> None:
        if self._handle >= 0:
            os.writev(self._handle, [line.encode() + b"\n"])


def train(job: Job, notes: Notes) -> None:
    """The whole run, or what is left of it, saved after every step."""
    folder = Path(job.folder)
    ended = RunFolder(folder).history().ended
    if ended is not None and ended.status is RunStatus.COMPLETED:
        return  # killed after its last word: there is nothing to go on with, as `jobs.training.resume` says
    run = Run(folder / "checkpoints", PLAN.model_copy(update={"epochs": job.epochs}), save_every_s=0)
    steps = 0

    def hear(event: TrainEvent) -> None:
        nonlocal steps
        log.append(event)
        if isinstance(event, CheckpointSaved):
            notes.add(f"saved {event.epoch} {event.step}")
        if isinstance(event, RunEnded) and event.error:
            notes.add(f"told {event.error}")
        if isinstance(event, StepDone):
            steps += 1
            if steps == job.die_at_step:
                os.kill(os.getpid(), signal.SIGKILL)

    with RunFolder(folder).lock(), RunFolder(folder).log() as log:
        run.on_event, run.write = hear, log.write
        try:
            checkpoint = run.store.load("last")
        except UserError:  # killed before the first save
            checkpoint = None
        run.fit(checkpoint)


def die_at_call(number: int) -> None:
    """Kill this process just before its `number`-th call of those that make a write last."""
    calls = [0]

    def counted(original):
        def call(*arguments, **named):
            calls[0] += 1
            if calls[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)

        return call

    os.fsync = counted(os.fsync)
    for name in ("replace", "unlink"):
        setattr(Path, name, counted(getattr(Path, name)))


def live(job: Job) -> None:
    """Be a child."""
    notes = Notes(job.notes)
    if job.waits:
        os.kill(os.getpid(), signal.SIGSTOP)
    if job.die_at_call:
        die_at_call(job.die_at_call)
    try:
        train(job, notes)
    except UserError as error:
        notes.add(f"told {error}")
    except Exception as error:
        notes.add(f"crashed {type(error).__name__}: {error}")
        os._exit(1)
    os._exit(0)


def tell(what: str, number: int) -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{what} {number}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve children until standard input ends."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            live(Job(**json.loads(line)))
        tell("pid", child)
        tell("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
