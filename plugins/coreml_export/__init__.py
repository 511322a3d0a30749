"""Export as a Core ML package in a .zip: for apps on iPhone, iPad and Mac."""

import sys
from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import ExportedFile, Exporter, ExportJob, FilePrecision, hookimpl

DESKTOP_FT_API = ">=1,<2"
DESKTOP_FT_NEEDS = {"coremltools": "desktop-ft[coreml]"}
_ELSEWHERE = "Core ML runs on macOS only, so the file could not be run here."


@hookimpl
def register_exporters(register: Callable[[Exporter], None]) -> None:
    """Bring the exporter."""
    register(
        Exporter(
            name="coreml",
            title="Core ML: for apps on iPhone, iPad and Mac",
            suffix=".mlpackage.zip",
            write=_write,
            precisions=(FilePrecision.FLOAT32, FilePrecision.FLOAT16),
            open=_open,
            with_torch=True,  # its tools import torch wherever it is
            unverified="" if sys.platform == "darwin" else _ELSEWHERE,
        )
    )


def _write(job: ExportJob) -> None:
    from .package import write

    write(job)


def _open(path: Path) -> ExportedFile:
    from .package import Package

    return Package(path)
