"""Memory is kept while a run works, in every thread, and given back after it. In processes of their own: it lasts for life."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")

FAULTS = """
import resource, sys, threading
from desktop_ft.engine.process import memory_kept, prepare
if "prepared" in sys.argv:
    prepare()
import torch

SIZE = 100_000_000  # bytes: more than a heap of a thread's own arena holds
faults = []

def faults_now():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    torch.zeros(1000)  # an arena of its own, were there more than one
    with memory_kept() as kept:
        assert kept
        for _ in range(12):  # the first ones find their places
            before = faults_now()
            several = [torch.ones(SIZE, dtype=torch.uint8) for _ in range(3)]
            del several
            faults.append(faults_now() - before)

thread = threading.Thread(target=work)
thread.start()
thread.join()
print(min(faults))
"""

GIVEN_BACK = """
import psutil
import sys
from desktop_ft.engine.process import _glibc, memory_kept, prepare
prepare()
import torch

if "untrimmed" in sys.argv:
    _glibc().malloc_trim = lambda pad: 0

def resident():
    return psutil.Process().memory_info().rss

before = resident()
with memory_kept():
    with memory_kept():
        # In pieces that are freed apart from each other, too: what is left between them is given back as well.
        apart = [torch.ones(8_000_000 + each, dtype=torch.uint8) for each in range(12)]
        several = [torch.ones(8_000_000, dtype=torch.uint8) for _ in range(24)]
        last = torch.ones(1000)
        del several, apart[::2]
    kept = resident() - before
print(kept, resident() - before)
"""

PRIORITY = """
import os, threading
from desktop_ft.engine.process import stand_back

def priority():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

def work():
    stand_back()
    own = threading.Thread(target=lambda: print(priority()))
    own.start()
    own.join()
    print(priority())

thread = threading.Thread(target=work)
before = priority()
thread.start()
thread.join()
print(before, priority())
"""


def _run(code: str, *arguments: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.slow
def test_steps_in_any_thread_take_no_fresh_pages() -> None:
    (faults,) = _run(FAULTS, "prepared")
    assert faults < 100
    (unprepared,) = _run(FAULTS)
    assert unprepared > 10_000  # else the above proves nothing


def test_a_thread_and_those_it_starts_stand_back_and_the_window_s_does_not() -> None:
    started, own, before, after = _run(PRIORITY)
    assert own == started == max(before, 10) and after == before


def test_memory_is_given_back_when_the_last_one_ends() -> None:
    kept, after = _run(GIVEN_BACK)
    assert kept > 150e6
    assert after < 60e6


def test_nearly_all_is_given_back_before_the_c_library_locks_everybody_out() -> None:
    kept, after = _run(GIVEN_BACK, "untrimmed")
    assert kept > 150e6
    assert after < 60e6
