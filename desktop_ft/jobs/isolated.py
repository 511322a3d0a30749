"""A process of its own trains a run, and this one supervises it: whatever ends that process takes nothing else with it.

The verbs are those of `training`, with the same events. The child is `isolated_child`, what goes between the two is in
`isolated_line`. What the child prints, and how it crashed, stands in the run's trainer.log.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Literal

from desktop_ft import places
from desktop_ft.core import language
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import Paused, RunEnded, RunStatus, Warned
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.values import to_json
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.children import APART, Emit, Wishes, let_go, tell_end
from desktop_ft.jobs.isolated_line import Alive, GivenUp, Order, Phase, Refused, Returned, Said, Unforeseen, understood
from desktop_ft.jobs.running import open_run
from desktop_ft.jobs.training import PhaseProgress, ended_before
from desktop_ft.plugin_manager import Plugins

_CHILD = "desktop_ft.jobs.isolated_child"
_LOOK_EVERY_S = 0.05
_QUIET_S = 30.0
_END_WITHIN_S = 2.0
_LAST_LINES = 4096
_LOST_GPU = "CUDA error"


class TrainerFailed(Exception):
    """An error in the child that nobody foresaw: its last sentence, with the traceback as a note."""

    def __init__(self, traceback: str) -> None:
        lines = [line for line in traceback.strip().splitlines() if line and not line.startswith(" ")]
        # What torch adds to an error of CUDA, on how to look for its cause, helps nobody here.
        super().__init__(next((line for line in lines if _LOST_GPU in line), lines[-1] if lines else ""))
        self.add_note(traceback)


def train(
    recipe: Recipe, run: Path, plugins: Plugins, emit: Emit, control: RunControl, *, progress: PhaseProgress | None = None
) -> RunEnded:
    """As `training.train`.

    Raises:
        As it does; and TrainerFailed where it raises what nobody foresaw.
    """
    order = Order(verb="train", run=str(run.absolute()), recipe=recipe.to_toml(), language=language.code())
    return _Supervisor(order, plugins, emit, control, progress).whole()


def resume(run: Path, plugins: Plugins, emit: Emit, control: RunControl, *, progress: PhaseProgress | None = None) -> RunEnded:
    """As `training.resume`, and `train` here."""
    order = Order(verb="resume", run=str(run.absolute()), language=language.code())
    return _Supervisor(order, plugins, emit, control, progress).whole()


def keep_best(run: Path, plugins: Plugins, emit: Emit, control: RunControl, *, progress: PhaseProgress | None = None) -> RunEnded:
    """As `training.keep_best`, and `train` here."""
    control.stop.set()  # here as well, or the child would be told otherwise
    order = Order(verb="keep_best", run=str(run.absolute()), language=language.code())
    return _Supervisor(order, plugins, emit, control, progress).whole()


def judge(run: Path, plugins: Plugins, emit: Emit, control: RunControl, *, progress: PhaseProgress | None = None) -> RunEnded:
    """As `training.judge`, and `train` here."""
    order = Order(verb="judge", run=str(run.absolute()), language=language.code())
    return _Supervisor(order, plugins, emit, control, progress, told=ended_before(run)).whole()


class _Supervisor:
    """Lets one child after another do a run: a pause ends one, which then holds neither memory nor GPU, and another goes on."""

    def __init__(
        self,
        order: Order,
        plugins: Plugins,
        emit: Emit,
        control: RunControl,
        progress: PhaseProgress | None,
        told: RunEnded | None = None,
    ) -> None:
        self._order = order
        self._run = Path(order.run)
        self._plugins = plugins
        self._emit = emit
        self._control = control
        self._progress = progress
        self._begun = order.verb != "train"
        self._told = told
        self._is_second = False

    def whole(self) -> RunEnded:
        """All of the run."""
        while True:
            try:
                with _child(self._order) as child:
                    ended = self._follow(child)
            except TrainerFailed as error:
                self._begin_anew(error)
                continue
            if ended is not None:
                return ended
            run = open_run(self._run, self._plugins)
            let_go(run)
            with run.folder.lock():  # nobody else may go on with it meanwhile
                self._wait()
            if self._control.cancel.is_set():
                return self._closed(RunEnded(status=RunStatus.CANCELLED))
            self._emit(Paused(paused=False))
            verb: Literal["keep_best", "resume"] = "keep_best" if self._control.stop.is_set() else "resume"
            self._order = replace(self._order, verb=verb, recipe="")

    def _begin_anew(self, error: TrainerFailed) -> None:
        """Let a new process go on, once, where a GPU has failed: whatever is asked of it in the old one fails from then on."""
        over = self._told is not None and self._told.status is not RunStatus.FAILED
        if self._is_second or over or not self._begun or _LOST_GPU not in str(error):
            raise error
        self._is_second, self._told = True, None
        self._warn(tr("The GPU has failed ({error}). A new process goes on from the last checkpoint.", error=error))
        self._order = replace(self._order, verb="resume", recipe="")

    def _warn(self, message: str) -> None:
        """Tell a person, and keep it with the run, that nobody trains now."""
        warned = Warned(message=message)
        run = open_run(self._run, self._plugins)
        let_go(run)
        with suppress(UserError), run.folder.lock(), run.folder.log() as log:
            log.append(warned)
        self._emit(warned)

    def _follow(self, child: _Child) -> RunEnded | None:
        """Pass on what is asked and what is told, until the end; None: it is paused, and all it knows is saved."""
        while True:
            said = child.hear(self._control)
            if said is None:
                if child.must_be_ended(self._control):
                    child.end()
                    for last in child.rest():
                        self._pass_on(last)
                    return self._given_up(child)
                if self._progress is not None and (seconds := child.silent_for()):
                    self._progress(tr("No sign of life from the training: Cancel ends it"), seconds, None)
            elif isinstance(said, _Gone):
                return self._gone(child, said)
            elif isinstance(said, Returned):
                return said.ended
            else:
                self._pass_on(said)
                if isinstance(said, Paused) and said.paused:
                    return None

    def _pass_on(self, said: Said) -> None:
        match said:
            case Alive() | Returned():
                return
            case Phase():
                if self._progress is not None:
                    self._progress(said.what, said.done, said.total)
            case Refused():
                raise UserError(said.what, said.cure)
            case GivenUp():
                raise Cancelled
            case Unforeseen():
                raise TrainerFailed(said.traceback)
            case _:
                self._begun = True
                self._told = said if isinstance(said, RunEnded) else self._told
                self._emit(said)

    def _given_up(self, child: _Child) -> RunEnded:
        """It did not end when it was asked to."""
        if self._control.cancel.is_set():
            if self._told is not None:
                raise Cancelled  # out of what follows training
            return self._closed(RunEnded(status=RunStatus.CANCELLED))
        if self._told is None and self._begun:
            child.keep_log(self._run)
            self._warn(tr("The training gave no sign of life, and was ended. What it had saved is kept."))
        if self._told is not None and self._told.status is RunStatus.COMPLETED:
            raise Cancelled  # out of its evaluation
        return self._told or self._closed(RunEnded(status=RunStatus.STOPPED))

    def _gone(self, child: _Child, gone: _Gone) -> RunEnded:
        """It died."""
        if self._begun:
            child.keep_log(self._run)
        if self._told is not None and self._told.status in (RunStatus.COMPLETED, RunStatus.STOPPED):
            cure = tr("The model is kept: evaluate the run on the page Results, or with `desktop-ft evaluate`.")
            raise UserError(gone.why, cure)
        if self._told is not None:
            return self._told
        cure = tr("Go on with the run from where it is saved.") if self._begun else tr("Start it again.")
        if child.has_log and self._begun:
            cure += " " + tr("The run's trainer.log has the details.")
        error = UserError(gone.why, cure)
        return self._closed(RunEnded(status=RunStatus.FAILED, error=str(error)), error)

    def _closed(self, ended: RunEnded, error: UserError | None = None) -> RunEnded:
        """The end of a run whose process can tell none."""
        if not self._begun:  # what lies in the folder, if anything, is not of this run
            raise error or Cancelled
        return tell_end(open_run(self._run, self._plugins), ended, self._emit)

    def _wait(self) -> None:
        control = self._control
        while control.pause.is_set() and not control.stop.is_set() and not control.cancel.wait(_LOOK_EVERY_S):
            pass


@dataclass(frozen=True, slots=True)
class _Gone:
    """It ended without a word; `why` is a sentence."""

    why: str


class _Child:
    """The process that trains, as its supervisor sees it."""

    def __init__(self, process: subprocess.Popen[bytes], line: IO[bytes], log: IO[bytes]) -> None:
        self._process = process
        self._line = line
        self._log = log
        self._said = queue.SimpleQueue[bytes]()
        self._heard_at = time.monotonic()
        self._silence_told = 0
        self.wishes = Wishes(line)
        self._reader = threading.Thread(target=self._read, name="what-the-trainer-says", daemon=True)
        self._reader.start()

    def hear(self, control: RunControl) -> Said | _Gone | None:
        """What it says next, after it was told what is asked; None: nothing for a moment."""
        self.wishes.tell(control)
        try:
            line = self._said.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            # What it has started may hold its end of the line, and say nothing.
            gone = self._process.poll() is not None and self.silence > _END_WITHIN_S
            return _Gone(self._why()) if gone else None
        self._heard_at, self._silence_told = time.monotonic(), 0
        if not line:
            return _Gone(self._why())
        try:
            return understood(line)
        except UserError as error:
            self.end()
            return _Gone(error.what)

    def rest(self) -> Iterator[Said]:
        """What it had said before it was ended, and nobody has heard."""
        while not self._said.empty():
            if line := self._said.get():
                with suppress(UserError):  # cut off in the middle
                    yield understood(line)

    @property
    def silence(self) -> float:
        """For how many seconds it has said nothing."""
        return time.monotonic() - self._heard_at

    def must_be_ended(self, control: RunControl) -> bool:
        """Whether it was asked to end and does not: at once for what is dropped anyway, else after a long silence."""
        patience = 0.0 if control.cancel.is_set() else _QUIET_S
        asked = control.cancel.is_set() or control.stop.is_set()
        return asked and time.monotonic() > self.wishes.told_at + _END_WITHIN_S and self.silence > patience

    def silent_for(self) -> int:
        """Whole seconds of a long silence, each once; else 0."""
        seconds = int(self.silence)
        if seconds < _QUIET_S or seconds == self._silence_told:
            return 0
        self._silence_told = seconds
        return seconds

    @property
    def has_log(self) -> bool:
        """Whether it has printed anything."""
        return self._log.seek(0, 2) > 0

    def keep_log(self, run: Path) -> None:
        """Add what it printed to the run's own log."""
        if not self.has_log:
            return
        self._log.seek(0)
        with suppress(OSError), (run / "trainer.log").open("ab") as kept:
            kept.write(self._log.read())

    def end(self) -> None:
        """See to it that it ends, with all that it has started, and that what it said is there to be heard."""
        with suppress(OSError):
            self._line.close()
        with suppress(OSError):  # it has ended already
            (self._process.kill if sys.platform == "win32" else partial(os.killpg, self._process.pid, signal.SIGKILL))()
        with suppress(subprocess.TimeoutExpired):  # it is stuck in the system, which will end it once it can
            self._process.wait(_END_WITHIN_S)
        self._reader.join(_END_WITHIN_S)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(line)
        self._said.put(b"")

    def _why(self) -> str:
        try:
            code = self._process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            return tr("The process that trains says nothing any more.")
        if code < 0 and -code == getattr(signal, "SIGKILL", None):
            return tr("The system has ended the process that trains (SIGKILL), as it does where memory runs out.")
        named = -code in set(signal.Signals)
        name = signal.Signals(-code).name if named else tr("exit code {code}", code=code)
        self._log.seek(max(0, self._log.seek(0, 2) - _LAST_LINES))
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        last = f": {lines[-1]}" if lines and code > 0 else ""
        return tr("The process that trains has ended ({how}).", how=f"{name}{last}")


@contextmanager
def _child(order: Order) -> Iterator[_Child]:
    """A new one; whatever happens in the block, it is gone after it."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 (our own module, no shell)
            [sys.executable, "-X", "faulthandler", "-m", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=places.environment(),
            **APART,
        )
        assert process.stdin is not None
        child = _Child(process, process.stdin, log)
        try:
            with suppress(OSError):  # it has died already, which is heard
                process.stdin.write(to_json(order) + b"\n")
                process.stdin.flush()
            yield child
        finally:
            child.end()
