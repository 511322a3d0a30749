"""Pictures are first decoded in child processes: one that crashes or hangs its decoder is named, and the rest goes on."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from desktop_ft import places
from desktop_ft.core.errors import Cancelled
from desktop_ft.core.language import tr
from desktop_ft.data.files import AnyPath

CHILD = (sys.executable, "-m", "desktop_ft.data.inspect_child")
SECONDS_LIMIT = 30.0
_AHEAD = 16
_TICK = 0.1
_LEAVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a file cannot be used: a short stable word, a sentence, and what to do."""

    kind: str
    reason: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a full decode of one file told; with a `problem`, nothing else is known.

    Attributes:
        width, height: in pixels, upright. format: Pillow's name, such as `JPEG`.
        notes: (kind, sentence) pairs of what was changed to make it RGB; in English, with a place for the `frames`.
    """

    sha256: str = ""
    width: int = 0
    height: int = 0
    bytes: int = 0
    mtime_ns: int = 0
    format: str = ""
    frames: int = 1
    notes: tuple[tuple[str, str], ...] = ()
    problem: Trouble | None = None


class Inspector:
    """Looks at pictures in `workers` child processes (None: one a core, at most 8). A context manager.

    Args:
        command: what is started; it speaks as `inspect_child` does.
        seconds: how long one picture may take by the clock on the wall.
    """

    def __init__(self, workers: int | None = None, *, command: Sequence[str] = CHILD, seconds: float = SECONDS_LIMIT) -> None:
        count = workers or min(8, os.cpu_count() or 1)
        self._children = [_Child(command) for _ in range(count)]
        self._idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        for child in self._children:
            self._idle.put(child)
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="inspect")
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._kill_the_late, name="inspect-watch", daemon=True)
        self._watch.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def inspect(self, paths: Iterable[AnyPath], cancel: threading.Event | None = None) -> Iterator[Inspection]:
        """What each of `paths` is, in their order; takes them from the iterable only a little ahead.

        Raises:
            Cancelled: `cancel` was set. RuntimeError: the child processes cannot be started at all.
        """
        coming: deque[Future[Inspection]] = deque()
        for path in paths:
            coming.append(self._pool.submit(self._look_at, os.fsdecode(path)))
            if len(coming) >= _AHEAD * len(self._children):
                yield _wait(coming.popleft(), cancel)
        while coming:
            yield _wait(coming.popleft(), cancel)

    def close(self) -> None:
        """End the child processes and threads."""
        self._closed.set()
        for child in self._children:
            child.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._watch.join()
        for child in self._children:
            child.end()

    def _look_at(self, path: str) -> Inspection:
        if self._closed.is_set():
            raise Cancelled
        child = self._idle.get()
        try:
            return child.ask(path, self._seconds)
        finally:
            self._idle.put(child)

    def _kill_the_late(self) -> None:
        while not self._closed.wait(_TICK):
            for child in self._children:
                if child.is_late():
                    child.kill()


class _Child:
    """One child process, started when first asked and again after each death."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline = float("inf")

    def ask(self, path: str, seconds: float) -> Inspection:
        """What the child says of `path`; its death is an answer too."""
        if self._process is not None and self._process.poll() is not None:
            self.end()  # it died while it had nothing to look at: not the next picture's fault
        process = self._process or self._start()
        self._deadline = time.monotonic() + seconds
        answer = _exchange(process, {"path": path})
        late, self._deadline = self.is_late(), float("inf")
        if answer is not None:
            return _inspection(answer)
        return Inspection(problem=_death(self.end(), late))

    def is_late(self) -> bool:
        """Whether the picture being looked at has taken too long."""
        return time.monotonic() > self._deadline

    def kill(self) -> None:
        """End the process now; `ask` returns."""
        if (process := self._process) is not None:
            process.kill()

    def end(self) -> int:
        """Wait for the process's end and close its pipes; its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                _close(pipe)
        try:
            return process.wait(_LEAVE_SECONDS)  # the end of its input ends it; its own exit code tells more than ours
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = process = subprocess.Popen(  # noqa: S603 (our own module, no shell)
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        if _exchange(process, None) is None:
            raise RuntimeError(f"the process that looks at pictures does not start (exit code {self.end()})")
        return process


def _close(pipe: Any) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return  # the unsent question died with the child


def _exchange(process: subprocess.Popen[bytes], question: dict[str, str] | None) -> dict[str, Any] | None:
    """Send `question`, if any, and read one answer; None where the child died."""
    if process.stdin is None or process.stdout is None:
        return None
    try:
        if question is not None:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        return None
    return json.loads(line) if line.endswith(b"\n") else None


def _environment() -> dict[str, str]:
    """The child's environment, in which it computes in one thread."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return places.environment() | one


def _inspection(answer: dict[str, Any]) -> Inspection:
    if "kind" in answer:
        reason = tr(answer["reason"], **answer.get("values", {}))
        return Inspection(problem=Trouble(kind=answer["kind"], reason=reason, cure=tr(answer["cure"])))
    return Inspection(**{**answer, "notes": tuple((kind, reason) for kind, reason in answer["notes"])})


def _death(code: int, late: bool) -> Trouble:
    if late or code == -24:  # SIGXCPU
        return Trouble(
            kind="too-slow", reason=tr("Takes too long to decode."), cure=tr("Save it anew with another program, or remove it.")
        )
    return Trouble(
        kind="crashes-decoder",
        reason=tr("Crashes the picture decoder (signal {number}); it may be damaged on purpose.", number=-code)
        if code < 0
        else tr("Crashes the picture decoder (exit code {number}); it may be damaged on purpose.", number=code),
        cure=tr("Remove it unless you trust where it comes from."),
    )


def _wait(future: Future[Inspection], cancel: threading.Event | None) -> Inspection:
    while cancel is not None:
        if cancel.is_set():
            raise Cancelled
        try:
            return future.result(_TICK)
        except NotYet:
            continue
    return future.result()
