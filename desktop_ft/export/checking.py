"""Asks a process of its own what an exported file answers."""

import base64
import json
import math
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from desktop_ft import places
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.core.metrics import Latency

_ASK_CANCEL_EVERY_S = 0.1
_LONGEST_S = 600
"""No file that nobody here wrote is waited for longer, whatever it waits for itself: its child bounds what it computes alone."""
_AGAIN = marked("Export once more; if it happens again, choose another backbone.")

Progress = Callable[[str, int, int | None], None]
"""Told what is done now, how much of it, and of how much: None where nobody knows."""

_COMPARING = marked("Comparing the answers")
_TIMING = marked("Measuring how fast it answers")


_SOUND = set[tuple[Path, int, int]]()
"""The files that were found sound: where each lies, its size in bytes and the nanosecond of its last change."""


class _Died(UserError):
    """The process did, with these last words."""

    def __init__(self, why: str, cure: str) -> None:
        super().__init__(tr("The process that checks the exported file ended too early: {why}.", why=why), cure)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnswers:
    """What a file answers, and how fast.

    Attributes:
        logits: (N, classes).
        predicted: the most likely classes (N,).
        latency: by batch size; empty where it was not asked for.
    """

    logits: NDArray[np.float32]
    predicted: NDArray[np.int64]
    latency: tuple[Latency, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """How the process is started: its module, and what it is told besides the file and the photos."""

    module: str = "desktop_ft.export.check_child"
    told: Mapping[str, str] = field(default_factory=dict)


ONNX_CHILD = Child()
"""It opens ONNX files, without torch."""


def answers_of_file(
    model: Path,
    paths: Sequence[Path],
    metadata: Mapping[str, str],
    *,
    child: Child = ONNX_CHILD,
    timed: bool = False,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> FileAnswers:
    """What the file `model` answers for the photos `paths`, found in a process of its own.

    Args:
        metadata: what the file must say of itself: classes, sizes, recipe.
        timed: measure its latency as well.
        progress: told the photos that were answered.

    Raises:
        UserError: the file cannot be used or says something else, a photo cannot be read, or the process died.
        Cancelled: `cancel` was set; the process is gone.
    """
    logits: list[NDArray[np.float32]] = []
    predicted: list[int] = []
    latency: tuple[Latency, ...] = ()
    request = {"model": os.fspath(model), "paths": [os.fspath(path) for path in paths], "time": timed, **child.told}
    if progress:
        progress(tr(_COMPARING), 0, len(paths))
    for told in _conversation(child.module, request, cancel):
        if "what" in told:
            raise UserError(tr("The exported file cannot be used: {what}", what=tr(told["what"])), tr(told["cure"]))
        if "ready" in told:
            _must_say(told["ready"], metadata)
            continue
        if "latency" in told:
            latency = tuple(Latency(batch=batch, milliseconds=spent) for batch, spent in told["latency"])
            continue
        if "problem" in told:
            raise UserError(
                tr(
                    "The exported file gives no answer for {file}: {problem}",
                    file=paths[len(logits)],
                    problem=tr(told["problem"]),
                ),
                tr(_AGAIN),
            )
        logits.append(np.frombuffer(base64.b64decode(told["logits"]), dtype="<f4"))
        predicted.append(int(told["predicted"]))
        if progress:
            progress(tr(_COMPARING), len(logits), len(paths))
        if progress and timed and len(logits) == len(paths):
            progress(tr(_TIMING), 0, None)
    if len(logits) != len(paths):
        raise RuntimeError(f"{len(logits)} answers for {len(paths)} photos")
    return FileAnswers(logits=np.stack(logits).astype(np.float32), predicted=np.array(predicted, dtype=np.int64), latency=latency)


def must_open(model: Path, cancel: threading.Event | None = None) -> None:
    """Refuse an ONNX file that cannot be opened and asked about one picture within bounds, found out in a process of its own.

    What was found sound, and was not changed since, is not asked again, for as long as this process lives.

    Raises:
        UserError: the file cannot be used, or takes more memory or time than any network here.
        Cancelled: `cancel` was set; the process is gone.
    """
    found = model.stat()
    asked = model.resolve(), found.st_size, found.st_mtime_ns
    if asked in _SOUND:
        return
    request = {"model": os.fspath(asked[0]), "paths": [], "time": False, "bounded": True}
    try:
        for told in _conversation(ONNX_CHILD.module, request, cancel, longest_s=_LONGEST_S):
            if "what" in told:
                raise UserError(tr(told["what"]), tr(told["cure"]))
    except _Died as error:
        raise UserError(
            tr("{file} could not be opened within bounds of memory and time: {why}.", file=model.name, why=error.why),
            tr("Take a file that Desktop FT exported, or free some memory."),
        ) from error
    _SOUND.add(asked)


def _must_say(said: Mapping[str, str], metadata: Mapping[str, str]) -> None:
    if wrong := [key for key, value in metadata.items() if said.get(key) != value]:
        raise UserError(
            tr("The exported file does not say what the trained model is: its {key} is another one.", key=wrong[0]),
            tr("Export with another format, and tell the exporter's makers."),
        )


def _conversation(
    module: str, request: dict[str, Any], cancel: threading.Event | None, *, longest_s: float = math.inf
) -> Iterator[dict[str, Any]]:
    """What the child says to `request`, for `longest_s` seconds at most."""
    until = time.monotonic() + longest_s
    with tempfile.TemporaryFile() as complaints, _start(module, complaints) as child:
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=_ask, args=(child, json.dumps(request) + "\n"), name="export-check-ask"),
            threading.Thread(target=_listen, args=(child, lines), name="export-check-listen"),
        ]
        for thread in threads:
            thread.start()
        try:
            while (line := _next(lines, cancel, until)) is not None:
                yield json.loads(line)
            _must_have_ended_well(child.wait(), complaints)
        finally:
            child.kill()
            for thread in threads:
                thread.join()


def _start(module: str, complaints: IO[bytes]) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 (our own module, no shell)
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
        encoding="utf-8",
        env=places.environment() | {"PYTHONIOENCODING": "utf-8"},
    )


def _ask(child: subprocess.Popen[str], request: str) -> None:
    if child.stdin is None:
        raise RuntimeError("the child was started without a way to ask it")
    try:
        with child.stdin as asked:
            asked.write(request)
    except BrokenPipeError:
        return  # it died before it heard all; its exit code is looked at where its answers end


def _listen(child: subprocess.Popen[str], lines: "queue.SimpleQueue[str | None]") -> None:
    try:
        for line in child.stdout or ():
            lines.put(line)
    finally:
        lines.put(None)


def _next(lines: "queue.SimpleQueue[str | None]", cancel: threading.Event | None, until: float) -> str | None:
    while True:
        if cancel and cancel.is_set():
            raise Cancelled
        if time.monotonic() >= until:
            raise _Died(tr("it took too long"), tr(_AGAIN))
        try:
            return lines.get(timeout=_ASK_CANCEL_EVERY_S)
        except queue.Empty:
            continue


def _must_have_ended_well(code: int, complaints: IO[bytes]) -> None:
    if code == 0:
        return
    complaints.seek(0)
    last = complaints.read().decode(errors="replace").strip().splitlines()[-1:]
    why = last[0] if last else tr("it ended with code {code}", code=code)
    killed = code == -getattr(signal, "SIGKILL", 9) or "MemoryError" in why
    cure = marked("Close other programs to free memory, and export again.") if killed else _AGAIN
    raise _Died(why, tr(cure))
