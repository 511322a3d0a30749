"""Export as a PyTorch program (.pt2): runs with torch alone, where neither the network's code nor Desktop FT is."""

from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import ExportedFile, Exporter, ExportJob, hookimpl

DESKTOP_FT_API = ">=1,<2"


@hookimpl
def register_exporters(register: Callable[[Exporter], None]) -> None:
    """Bring the exporter; torch is here anyway."""
    register(
        Exporter(
            name="torch",
            title="PyTorch program: runs with torch alone",
            suffix=".pt2",
            write=_write,
            open=_open,
            with_torch=True,
        )
    )


def _write(job: ExportJob) -> None:
    from .program import write

    write(job)


def _open(path: Path) -> ExportedFile:
    from .program import Program

    return Program(path)
