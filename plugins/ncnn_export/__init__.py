"""Export for ncnn, as .param and .bin in a .zip: small and fast on phones and boards."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import ExportedFile, Exporter, ExportJob, FilePrecision, UserError, hookimpl

DESKTOP_FT_API = ">=1,<2"


@hookimpl
def register_exporters(register: Callable[[Exporter], None]) -> None:
    """Bring the exporter, where ncnn and its converter are installed."""
    if importlib.util.find_spec("ncnn") is None or importlib.util.find_spec("pnnx") is None:
        raise UserError("ncnn or its converter pnnx is not installed.", "Install both: pip install 'desktop-ft[ncnn]'.")
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
