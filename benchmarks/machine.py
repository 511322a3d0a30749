"""What machine a benchmark ran on."""

import platform
from pathlib import Path


def cpu() -> str:
    """The processor's name, as far as it is told."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
