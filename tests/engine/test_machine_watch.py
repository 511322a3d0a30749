"""What a run takes of the machine."""

import time

import psutil
import torch

from desktop_ft.engine import machine_watch
from desktop_ft.engine.machine_watch import watched
from desktop_ft.engine.nvidia import Gpu

CPU = torch.device("cpu")


def test_it_is_looked_at_beside_the_run_and_told_when_asked(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(machine_watch, "LOOK_EVERY_S", 0.01)
    with watched(CPU) as watch:
        until = time.monotonic() + 30
        while (told := watch.due()) is None and time.monotonic() < until:
            sum(range(10_000))
        assert told is not None
        assert 0 <= told.cpu <= 1 and 0 < told.memory < psutil.virtual_memory().total and told.seconds > 0
        assert (told.gpu, told.gpu_memory, told.gpu_celsius) == (None, None, None)


def test_means_of_use_and_the_most_memory_are_told(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    watch = machine_watch.MachineWatch(CPU)
    memory = iter([30, 70, 50])
    monkeypatch.setattr(machine_watch.psutil, "cpu_percent", iter([10.0, 30.0, 20.0]).__next__)
    monkeypatch.setattr(watch._process, "memory_info", lambda: type("Info", (), {"rss": next(memory)}))
    for _ in range(3):
        watch.look()
    assert watch.due() is None  # not so soon
    monkeypatch.setattr(machine_watch, "LOOK_EVERY_S", 0.0)
    told = watch.due()
    assert told is not None and (told.cpu, told.memory) == (0.2, 70)
    assert watch.due() is None  # nothing was seen since


def test_news_grow_rare_so_that_a_long_run_tells_few(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    now = [0.0]
    monkeypatch.setattr(machine_watch.time, "monotonic", lambda: now[0])
    watch, told = machine_watch.MachineWatch(CPU), 0
    for second in range(8 * 3600):
        now[0] = float(second)
        watch._looks.seen.append(machine_watch.MachineUse(seconds=now[0], cpu=0.5, memory=1))
        told += watch.due() is not None
    assert 500 < told < 3600


def test_a_gpu_that_nobody_knows_says_nothing() -> None:
    gpu = Gpu("GPU-00000000-0000-0000-0000-000000000000")
    assert gpu.use is None and gpu.celsius is None
