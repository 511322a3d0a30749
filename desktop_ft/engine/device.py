"""Where a run computes and in which arithmetic, decided once and told in words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import DeviceChoice, Precision

_one_at_a_time = threading.RLock()
_FEWEST, _MOST = 8, 64
_USUAL_PICTURE = 3 * 224 * 224
_AUTOCAST = {Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """A device and the arithmetic used on it.

    Attributes:
        precision: never AUTO.
        autocast: the type that autocast computes in; None for fp32.
        frozen_autocast: as `autocast`, for frozen layers that only answer.
        scaler: whether the loss must be scaled up, so that small gradients survive fp16.
        channels_last: whether pictures and convolutions lie in memory channels last, which is faster there.
        alternatives: other precisions that some networks train faster in here; none where the precision was named.
        words: the device for people, such as `CPU (2 threads)` or `NVIDIA H200`.
    """

    device: torch.device
    precision: Precision
    autocast: torch.dtype | None
    frozen_autocast: torch.dtype | None
    scaler: bool
    channels_last: bool
    alternatives: tuple[Precision, ...]
    words: str

    def computing_in(self, precision: Precision) -> Compute:
        """The same device, with training steps in `precision`. Frozen layers answer as before."""
        return replace(self, precision=precision, autocast=_AUTOCAST.get(precision), scaler=precision is Precision.FP16)


def choose(device: DeviceChoice = DeviceChoice.AUTO, precision: Precision = Precision.AUTO) -> Compute:
    """What to compute on, and how.

    AUTO takes CUDA, XPU or MPS where there is one, else the CPU; and bf16 on CUDA (fp16 where that is emulated) and XPU, else
    fp32, as MPS gains little. On a CPU that computes in bf16 some networks train faster in it and some slower: it is an
    alternative there, to be measured. Frozen layers only answer, which every network measured does 1.3 to 3 times faster in bf16
    on such a CPU; AUTO takes it for them there.

    Raises:
        UserError: the named device is not there, or cannot compute in that precision.
    """
    kind = _first_there() if device is DeviceChoice.AUTO else device
    if not _is_there(kind):
        cure = tr("Choose another device, or auto; `desktop-ft doctor` shows what there is.")
        raise UserError(
            tr(
                "There is no {kind} device here that torch {version} can use.", kind=kind.value.upper(), version=torch.__version__
            ),
            cure,
        )
    chosen = _best_precision(kind) if precision is Precision.AUTO else precision
    _check(kind, chosen)
    autocast = _AUTOCAST.get(chosen)
    free_in_bf16 = kind is DeviceChoice.CPU and precision is Precision.AUTO and _cpu_computes_in_bf16()
    return Compute(
        device=_device(kind),
        precision=chosen,
        autocast=autocast,
        frozen_autocast=torch.bfloat16 if free_in_bf16 else autocast,
        scaler=chosen is Precision.FP16,
        channels_last=kind is not DeviceChoice.MPS,
        alternatives=(Precision.BF16,) if free_in_bf16 else (),
        words=_words(kind),
    )


@contextmanager
def reproducible(compute: Compute) -> Iterator[None]:
    """Take deterministic algorithms on the CPU, where they cost nothing, and give torch's generators back as they were.

    Generators and algorithms are the whole process's, so there is one such block at a time: another thread waits for it.
    """
    on_accelerator = compute.device.type in ("cuda", "xpu")
    devices = [torch.get_device_module(compute.device).current_device()] if on_accelerator else []
    kind = compute.device.type if on_accelerator else "cuda"
    with _one_at_a_time, torch.random.fork_rng(devices=devices, device_type=kind):
        # `torch.use_deterministic_algorithms` would load the compiler to tell it too: two seconds.
        before = torch.get_deterministic_debug_mode()
        filling = _fill_new_memory(False)  # it would write every new tensor twice
        try:
            if compute.device.type == "cpu":
                torch.set_deterministic_debug_mode("warn")
            yield
        finally:
            torch.set_deterministic_debug_mode(before)
            _fill_new_memory(filling)


@contextmanager
def single_threads(count: int, name: str) -> Iterator[Executor]:
    """`count` threads in each of which torch computes with one thread alone, for the length of the block.

    The number that one thread sets is also that of all that meet torch for the first time afterwards: a run that starts
    meanwhile would have one thread for good. So it is put back as soon as these threads have theirs.
    """
    threads, started = torch.get_num_threads(), threading.Barrier(count + 1)

    def alone() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # now it is this thread's own, whatever others set
        started.wait()

    with ThreadPoolExecutor(count, name, initializer=alone) as pool:
        for _ in range(count):
            pool.submit(_nothing)  # a pool starts a thread only for work
        started.wait()
        torch.set_num_threads(threads)
        yield pool


def pass_size(device: torch.device, numbers: int) -> int:
    """How many inputs of so many `numbers` go through a network at once, where it only answers.

    On the CPU so many as have the numbers of eight pictures of 224 pixels, from 8 to 64. More may be slower, and take more
    memory: EfficientNet-Lite0 answered 32 such pictures by eights in 320 ms, all at once in 590 (2 cores; 168 and 218 in bf16).
    Fewer are slower where each is small: pictures of 64 pixels took 1.09 ms each by eights, and 0.41 by 64.
    """
    if device.type != "cpu":
        return 128
    return max(_FEWEST, min(_MOST, _FEWEST * _USUAL_PICTURE // numbers))


def free_memory(device: torch.device) -> int:
    """Bytes that may still be taken on `device`; on the CPU, without swapping."""
    match device.type:
        case "cuda" | "xpu":
            module = torch.get_device_module(device)
            idle = module.memory_reserved(device) - module.memory_allocated(device)  # torch holds it for what comes next
            return int(module.mem_get_info(device)[0]) + int(idle)
        case "mps":
            return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        case _:
            return int(psutil.virtual_memory().available)


def give_memory_back(device: torch.device) -> None:
    """Let other processes have what torch holds of `device` and nothing lies in any more."""
    if device.type in ("cuda", "xpu", "mps"):
        torch.get_device_module(device).empty_cache()


def _device(kind: DeviceChoice) -> torch.device:
    """Of several GPUs the one that is this process's: other threads would take the first."""
    return torch.device("cuda", torch.cuda.current_device()) if kind is DeviceChoice.CUDA else torch.device(kind.value)


def _nothing() -> None:
    return


def _fill_new_memory(wanted: bool) -> bool:
    """Whether deterministic mode fills new memory with NaN; returns what it was. torch's stubs leave this setting out."""
    module: Any = torch.utils.deterministic
    before = bool(module.fill_uninitialized_memory)
    module.fill_uninitialized_memory = wanted
    return before


def _is_there(kind: DeviceChoice) -> bool:
    match kind:
        case DeviceChoice.CUDA:
            return torch.cuda.is_available()
        case DeviceChoice.MPS:
            return torch.backends.mps.is_available()
        case DeviceChoice.XPU:
            return torch.xpu.is_available()
        case _:
            return True


def _first_there() -> DeviceChoice:
    wanted = (DeviceChoice.CUDA, DeviceChoice.XPU, DeviceChoice.MPS)
    return next((kind for kind in wanted if _is_there(kind)), DeviceChoice.CPU)


def _best_precision(kind: DeviceChoice) -> Precision:
    if kind is DeviceChoice.CUDA:
        return Precision.BF16 if torch.cuda.is_bf16_supported(including_emulation=False) else Precision.FP16
    return Precision.BF16 if kind is DeviceChoice.XPU else Precision.FP32


def _cpu_computes_in_bf16() -> bool:
    """Whether this processor has instructions for bf16; others can only act as if."""
    cpu: Any = torch.cpu  # torch's own test has no public name yet
    return any(bool(getattr(cpu, name, lambda: False)()) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))


def _check(kind: DeviceChoice, precision: Precision) -> None:
    if kind is DeviceChoice.CPU and precision is Precision.FP16:
        raise UserError(tr("The CPU does not train in fp16."), tr("Choose fp32, bf16 or auto."))
    if kind is DeviceChoice.CUDA and precision is Precision.BF16 and not torch.cuda.is_bf16_supported():
        raise UserError(tr("{device} does not compute in bf16.", device=_words(kind)), tr("Choose fp16, fp32 or auto."))


def _words(kind: DeviceChoice) -> str:
    match kind:
        case DeviceChoice.CUDA:
            return torch.cuda.get_device_name()
        case DeviceChoice.XPU:
            return torch.xpu.get_device_name()
        case DeviceChoice.MPS:
            return "Apple GPU"
        case _:
            threads = torch.get_num_threads()
            return f"CPU ({threads} thread{'s' * (threads > 1)})"
