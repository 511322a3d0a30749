"""What an NVIDIA GPU says of itself, asked of the library that comes with its driver. No torch."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

_OK = 0
_AT_THE_CHIP = 0  # NVML_TEMPERATURE_GPU


class _Utilisation(ctypes.Structure):
    """nvmlUtilization_t."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class Gpu:
    """One GPU, by its UUID; where the driver's library is not there, or does not know the GPU, everything is None."""

    def __init__(self, uuid: str) -> None:
        self._handle = ctypes.c_void_p()
        self._library = _library()
        name = (uuid if uuid.startswith("GPU-") else f"GPU-{uuid}").encode()
        if self._library and self._library.nvmlDeviceGetHandleByUUID(name, ctypes.byref(self._handle)) != _OK:
            self._library = None

    @property
    def use(self) -> float | None:
        """The share of the last moments in which it was busy, 0 to 1."""
        told = _Utilisation()
        done = self._library and self._library.nvmlDeviceGetUtilizationRates(self._handle, ctypes.byref(told)) == _OK
        return told.gpu / 100 if done else None

    @property
    def celsius(self) -> float | None:
        """Its temperature."""
        told = ctypes.c_uint()
        done = self._library and self._library.nvmlDeviceGetTemperature(self._handle, _AT_THE_CHIP, ctypes.byref(told)) == _OK
        return float(told.value) if done else None


@cache
def _library() -> Any:
    """NVIDIA's management library, begun; None where there is none."""
    try:
        library = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
        return library if library.nvmlInit_v2() == _OK else None
    except (OSError, AttributeError):
        return None
