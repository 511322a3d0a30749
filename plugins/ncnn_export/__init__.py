"""Export for ncnn, as .param and .bin in a .zip: small and fast on phones and boards."""

from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import ExportedFile, Exporter, ExportJob, FilePrecision, hookimpl

DESKTOP_FT_API = ">=1,<2"
DESKTOP_FT_NEEDS = {"ncnn": "desktop-ft[ncnn]", "pnnx": "desktop-ft[ncnn]"}


@hookimpl
def register_exporters(register: Callable[[Exporter], None]) -> None:
    """Bring the exporter."""
    register(
        Exporter(
            name="ncnn",
            title="ncnn: small and fast on phones and boards",
            suffix=".ncnn.zip",
            write=_write,
            precisions=(FilePrecision.FLOAT32, FilePrecision.FLOAT16),
            open=_open,
        )
    )


def _write(job: ExportJob) -> None:
    from .convert import write

    write(job)


def _open(path: Path) -> ExportedFile:
    from .net import Net

    return Net(path)
