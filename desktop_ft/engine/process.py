"""What this process asks of the C library and of OpenMP, so that its steps run at the processor's speed. No torch.

Measured on two cores of a virtual machine, full training steps of EfficientNet-Lite0, batch 32:

- glibc gives freed memory back and pays for fresh pages at every step. Told to keep it, a step takes half the time or less.
- A thread that got an arena of its own cannot be told, as tensors do not fit into its heaps: its steps took 1.5 to 1.7 times
  as long, with 330,000 page faults each. So threads must share the first arena from the start.
- OpenMP's threads spin while they wait. Beside one busy core a step took 2.7 s that takes 1.05 alone; with threads that
  sleep instead it took 1.9, and alone 3 to 10 % more.
"""

import ctypes
import mmap
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # malloc.h
_USUAL_TRIM, _USUAL_MMAPS = 128 << 10, 65536
_NEVER = (1 << 31) - 1
_BACK = 10
_PIECE = 1 << 20


class _Heap(ctypes.Structure):
    """`struct mallinfo2` of malloc.h; `fordblks` is what is free, in bytes."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    )


@dataclass(slots=True)
class _Keeping:
    """How many blocks under way want memory kept."""

    blocks: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_keeping = _Keeping()


def prepare() -> None:
    """To be called before torch is imported and before any thread starts; what the person set in the environment stays."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if library := _glibc():
        library.mallopt(_ARENA_MAX, 1)


def stand_back() -> None:
    """Let the calling thread, and those that it starts, compute only where the window's thread does not want to.

    Where there are fewer cores than threads, a window beside a run waits for its turn otherwise: 39 ms instead of 23 in 1 of 100
    turns while a folder is scanned, at the same speed. Linux alone has a priority for each thread, and never gives it back.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):  # a thread that may not is as good as before
            os.setpriority(os.PRIO_PROCESS, thread, max(os.getpriority(os.PRIO_PROCESS, thread), _BACK))


@contextmanager
def memory_kept() -> Iterator[bool]:
    """Keep freed memory in this process while the block runs, and give it back after the last such block; whether it could."""
    library = _glibc()
    if library is None:
        yield False
        return
    with _keeping.lock:
        _keeping.blocks += 1
        library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield True
    finally:
        with _keeping.lock:
            _keeping.blocks -= 1
            if not _keeping.blocks:
                _give_back(library)
                library.mallopt(_TRIM_THRESHOLD, _USUAL_TRIM)
                library.mallopt(_MMAP_MAX, _USUAL_MMAPS)


def trim() -> None:
    """Give the system back what this process has freed and the C library kept."""
    if library := _glibc():
        _give_back(library)


def _give_back(library: Any) -> None:
    """Give back piece by piece, then what is left. To be called while large blocks come from the heap, or no piece would.

    All at once it takes 0.4 s for 3 GB, and until then no other thread, not even the window's, gets or frees memory: the library
    does it with the arena locked. It locks nothing for the pages of a piece that it has lent to us; 13 ms are left.
    """
    pieces, end = [], library.sbrk(0)
    for _ in range(library.mallinfo2().fordblks // _PIECE if hasattr(library, "mallinfo2") else 0):  # glibc 2.33
        pieces.append(piece := library.malloc(_PIECE))
        if piece is None or library.sbrk(0) != end:
            break  # that was no free memory but a new piece of the heap
        start = -(-piece // mmap.PAGESIZE) * mmap.PAGESIZE
        library.madvise(start, (piece + _PIECE - start) // mmap.PAGESIZE * mmap.PAGESIZE, mmap.MADV_DONTNEED)
    for piece in pieces:
        library.free(piece)
    library.malloc_trim(0)


@cache
def _glibc() -> Any:
    """The C library where it is glibc, else None."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    if not (hasattr(library, "mallopt") and hasattr(library, "malloc_trim")):
        return None
    if hasattr(library, "mallinfo2"):
        library.mallinfo2.restype = _Heap
    library.malloc.restype = library.sbrk.restype = ctypes.c_void_p
    library.malloc.argtypes, library.free.argtypes = (ctypes.c_size_t,), (ctypes.c_void_p,)
    library.sbrk.argtypes = (ctypes.c_ssize_t,)
    library.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return library
