"""What a run takes of the machine, looked at once a second beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch

from desktop_ft.core.events import MachineUse
from desktop_ft.engine.nvidia import Gpu

LOOK_EVERY_S = 1.0
_TELL_EVERY_S = 10.0
_SHARE = 0.01


@dataclass(slots=True)
class _Looks:
    """What was seen since it was last told."""

    seen: list[MachineUse]
    told_at: float
    lock: threading.Lock


class MachineWatch:
    """Looks at the machine; made by `watched`. What it saw is told when the trainer's thread asks: all news come from there.

    They come every second to begin with, every ten after a quarter of an hour: a run of a night tells about 3,000.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._process = psutil.Process()
        self._gpu = Gpu(str(torch.cuda.get_device_properties(device).uuid)) if device.type == "cuda" else None
        self._began = time.monotonic()
        self._looks = _Looks([], self._began, threading.Lock())

    def due(self) -> MachineUse | None:
        """What was seen since the last news, if that is long enough ago."""
        looks, now = self._looks, time.monotonic()
        if now - looks.told_at < max(LOOK_EVERY_S, min(_TELL_EVERY_S, _SHARE * (now - self._began))):
            return None
        with looks.lock:
            seen, looks.seen = looks.seen, []
        if not seen:
            return None
        looks.told_at = now
        return _together(seen)

    def now(self) -> MachineUse:
        """What is to be seen just now."""
        with self._looks.lock:
            self._looks.seen.clear()
        self._looks.told_at = time.monotonic()
        return self._look()

    def look(self) -> None:
        """See, and keep it until it is told."""
        seen = self._look()
        with self._looks.lock:
            self._looks.seen.append(seen)

    def _look(self) -> MachineUse:
        seen = MachineUse(
            seconds=time.monotonic() - self._began,
            cpu=psutil.cpu_percent() / 100,
            memory=self._process.memory_info().rss,
            gpu_memory=_held(self._device),
        )
        return replace(seen, gpu=self._gpu.use, gpu_celsius=self._gpu.celsius) if self._gpu is not None else seen


@contextmanager
def watched(device: torch.device) -> Iterator[MachineWatch]:
    """Look at the machine once a second, in a thread of its own, while the block runs."""
    watch, over = MachineWatch(device), threading.Event()
    psutil.cpu_percent()  # the first answer means nothing

    def look_on() -> None:
        psutil.cpu_percent()  # as above, for this thread
        while not over.wait(LOOK_EVERY_S):
            watch.look()

    thread = threading.Thread(target=look_on, name="machine-watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _together(seen: list[MachineUse]) -> MachineUse:
    """Means, and the most memory."""
    last, gpu = seen[-1], [each.gpu for each in seen if each.gpu is not None]
    return replace(
        last,
        cpu=round(sum(each.cpu for each in seen) / len(seen), 3),
        memory=max(each.memory for each in seen),
        gpu=round(sum(gpu) / len(gpu), 3) if gpu else None,
        gpu_memory=max((each.gpu_memory for each in seen if each.gpu_memory is not None), default=None),
    )


def _held(device: torch.device) -> int | None:
    """Bytes that torch holds of `device`, used or not; None on the CPU."""
    match device.type:
        case "cuda" | "xpu":
            module: Any = torch.get_device_module(device)
            return int(module.memory_reserved(device))
        case "mps":
            return torch.mps.driver_allocated_memory()
        case _:
            return None
