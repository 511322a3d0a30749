"""A process that trains tiny runs in children, to be killed; each child goes on from what the one before it left.

A line of JSON on standard input starts a child: {"folder": …, "die_at_call": N}. It dies by its own SIGKILL just before its
N-th call that changes the disk (0: never). Its pid is printed, and its exit status when it has ended.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch._dynamo  # noqa: F401 - an optimiser imports it when first made, for a second: once here, not in every child

from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunStatus
from desktop_ft.runs.run_folder import RunFolder
from tests.engine.tiny import Run


def train(folder: Path) -> None:
    """The whole run, or what is left of it, saved after every step."""
    ended = RunFolder(folder).history().ended
    if ended is not None and ended.status is RunStatus.COMPLETED:
        return  # killed after its last word: there is nothing to go on with, as `jobs.training.resume` says
    run = Run(folder / "checkpoints", save_every_s=0)
    with RunFolder(folder).lock(), RunFolder(folder).log() as log:
        run.on_event = log.append
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


def tell(number: int) -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve children until standard input ends."""
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if not child:
            die_at_call(job["die_at_call"])
            train(Path(job["folder"]))
            os._exit(0)
        tell(child)
        tell(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
