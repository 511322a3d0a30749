"""Several processes train one run: how many, and how they are started, followed and ended.

torchrun starts them, and starts them anew from the last checkpoint when one of them dies. This process reads what the first of
them adds to the run's events, and passes it on as if it trained itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from desktop_ft import places
from desktop_ft.api import TrainEvent
from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunEnded, RunStarted, RunStatus
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.recipe import DeviceChoice, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.engine.team import DESK, LAST_WORDS, size_here
from desktop_ft.jobs.children import APART, Emit, Wishes, tell_end
from desktop_ft.jobs.running import OpenRun
from desktop_ft.runs.run_folder import EventFollower

_MEMBER = "desktop_ft.jobs.team_member"
_ERRORS = "error.json"
_RESTARTS = 3
_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
_LOOK_EVERY_S = 0.05
_CANCEL_WITHIN_S = 30.0
_END_WITHIN_S = 5.0


def processes(recipe: Recipe, manifest: DatasetManifest) -> int:
    """How many processes are to be started for `recipe`; 1: none, this one trains. Imports torch.

    Raises:
        UserError: more are asked for than there are GPUs, or than can have a part of every batch.
    """
    from desktop_ft.engine.device import choose

    most = min(recipe.optimisation.batch_size, len(manifest.of(Subset.TRAIN)), len(manifest.of(Subset.VAL)))
    if (count := max(size_here(), recipe.processes)) > most and count > 1:
        what = tr("{count} processes cannot each have a part of every batch.", count=count)
        raise UserError(
            what, tr("Take at most {most}: as many as there are pictures in a batch, to train on and to validate on.", most=most)
        )
    if size_here() > 1 or recipe.processes == 1:
        return 1
    if sys.platform == "win32" and recipe.processes:
        raise UserError(tr("Several processes have not been tried on Windows yet."), tr("Take --processes 1."))
    gpus = 0 if sys.platform == "win32" else _gpus(recipe.device)
    if not recipe.processes:
        return max(1, min(gpus, most))
    if gpus and recipe.processes > gpus:
        what = tr_n(
            "There is {n} GPU here for {count} processes.",
            "There are {n} GPUs here for {count} processes.",
            n=gpus,
            count=recipe.processes,
        )
        raise UserError(what, tr("Take --processes {gpus}, or --device cpu.", gpus=gpus))
    if (kind := choose(recipe.device).device.type) not in ("cpu", "cuda"):
        raise UserError(tr("Several processes cannot train on {kind}.", kind=kind), tr("Take --processes 1, or --device cpu."))
    return recipe.processes


def fit(run: OpenRun, count: int, emit: Emit, control: RunControl, *, cut: bool = True) -> RunEnded:
    """Let `count` processes on this machine train `run`, from its last checkpoint or its start, and tell of it as they do.

    Args:
        emit: called with every event, from this thread; the last one is RunEnded.
        cut: as in `training.train`.
    """
    news = run.folder.follow()
    ended: RunEnded | None = None

    def closed(untold: RunEnded) -> RunEnded:
        """The end that they have told, or else `untold`, passed on."""
        if ended is None:
            return tell_end(run, untold, emit)
        emit(ended)
        return ended

    try:
        with _started(run, count, cut) as team:
            ended = _followed(team, news, emit, control)
            team.let_end()
            untold = team.untold_end(control)
    except UserError as error:
        return closed(RunEnded(status=RunStatus.FAILED, error=str(error)))
    except KeyboardInterrupt:
        closed(RunEnded(status=RunStatus.CANCELLED))
        raise
    except BaseException as error:
        closed(RunEnded(status=RunStatus.FAILED, error=f"{type(error).__name__}: {error}"))
        raise
    return closed(untold)


def _followed(team: _Launched, news: EventFollower, emit: Emit, control: RunControl) -> RunEnded | None:
    """Pass on what is asked and what is told, until the end is told, which is returned; None where they end without."""
    while True:
        running = team.is_running  # looked at before the news, so that the last ones are heard
        team.ask(control)
        for event in news.news():
            if isinstance(event, RunEnded):
                return event
            team.hear(event)
            emit(event)
        if not running:
            return None
        time.sleep(_LOOK_EVERY_S)


class _Launched:
    """torchrun, and through it the processes that it has started."""

    def __init__(self, torchrun: subprocess.Popen[bytes], line: IO[bytes], desk: Path) -> None:
        self._torchrun = torchrun
        self._line = line
        self._wishes = Wishes(line)
        self._desk = desk

    @property
    def is_running(self) -> bool:
        """Whether they train, or are being started anew."""
        return self._torchrun.poll() is None

    def ask(self, control: RunControl) -> None:
        """Pass on what is asked of the run, if it is something new. Who does not heed a cancellation in time is ended."""
        self._wishes.tell(control)
        if control.cancel.is_set() and time.monotonic() > self._wishes.told_at + _CANCEL_WITHIN_S:
            self.end()

    def hear(self, event: TrainEvent) -> None:
        """Take notice of what they told."""
        if isinstance(event, RunStarted):
            self._wishes.tell_anew()

    def untold_end(self, control: RunControl) -> RunEnded:
        """How a run ended of which they told no end."""
        if control.cancel.is_set():
            return RunEnded(status=RunStatus.CANCELLED)
        with suppress(OSError, UnicodeDecodeError):
            return RunEnded(status=RunStatus.FAILED, error=(self._desk / LAST_WORDS).read_text(encoding="utf-8"))
        why = tr("torchrun's exit code is {code}", code=self._torchrun.poll())
        with suppress(OSError, ValueError, KeyError, TypeError):
            why = json.loads((self._desk / _ERRORS).read_text(encoding="utf-8"))["message"]["message"]
        what = tr("The processes that train together have ended: {why}.", why=why.rstrip("."))
        error = UserError(what, tr("What was saved is safe: go on with the run. Its team.log has the details."))
        return RunEnded(status=RunStatus.FAILED, error=str(error))

    def let_end(self) -> None:
        """Give them a little time to end by themselves."""
        with suppress(subprocess.TimeoutExpired):
            self._torchrun.wait(_END_WITHIN_S)

    def end(self) -> None:
        """See to it that they end."""
        with suppress(OSError):
            self._line.close()
        for end_it in (self._torchrun.terminate, self._torchrun.kill):
            end_it()
            self.let_end()


@contextmanager
def _started(run: OpenRun, count: int, cut: bool) -> Iterator[_Launched]:
    """Start the processes; whatever happens in the block, they are gone after it."""
    log = run.folder.path / "team.log"
    with tempfile.TemporaryDirectory(prefix="desktop-ft-", ignore_cleanup_errors=True) as desk, log.open("ab") as said:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
        torchrun += ["--max-restarts", str(_RESTARTS), "--log-dir", desk, "--local-addr", "127.0.0.1"]
        # They find each other in files that are this person's alone: a port would be open to all machines around.
        torchrun += ["--rdzv-backend", "c10d", "--rdzv-endpoint", str(Path(desk) / "torchrun"), "--rdzv-conf", "store_type=file"]
        member = ["-m", _MEMBER, str(run.folder.path.resolve()), *([] if cut else ["--whole"])]
        around = _environment(count) | {"TORCHELASTIC_ERROR_FILE": str(Path(desk) / _ERRORS), DESK: desk}
        launched = subprocess.Popen(  # noqa: S603 (our own module, no shell)
            [*torchrun, *member], stdin=subprocess.PIPE, stdout=said, stderr=said, env=around, **APART
        )
        assert launched.stdin is not None
        team = _Launched(launched, launched.stdin, Path(desk))
        try:
            yield team
        finally:
            team.end()


def _environment(count: int) -> dict[str, str]:
    """What they find around them, so that they share the processors and speak with each other alone."""
    threads = str(max(1, (os.cpu_count() or 1) // count))
    usual = {"OMP_NUM_THREADS": threads, **dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), _LOOPBACK)}
    return usual | places.environment() | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


def _gpus(device: DeviceChoice) -> int:
    """GPUs of this machine that processes can share by number; 0 where `device` is another."""
    import torch

    if device not in (DeviceChoice.AUTO, DeviceChoice.CUDA) or not torch.cuda.is_available():
        return 0
    return torch.cuda.device_count() if torch.distributed.is_available() and torch.distributed.is_nccl_available() else 1
