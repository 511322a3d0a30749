"""What this machine can compute on."""

import os


def devices() -> list[str]:
    """The devices, in words, the processor first. Imports torch."""
    import torch

    found = [f"CPU ({os.cpu_count()} cores)"]
    found += [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("Apple GPU (MPS)")
    if torch.xpu.is_available():
        found += [torch.xpu.get_device_name(number) for number in range(torch.xpu.device_count())]
    return found


def accelerated() -> bool:
    """Whether runs compute on something faster than the processor, where nothing else is asked for. Imports torch."""
    from desktop_ft.engine.device import choose

    return choose().device.type != "cpu"
