"""Export as OpenVINO IR in a .zip: fast on Intel processors, graphics and NPUs."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import ExportedFile, Exporter, ExportJob, FilePrecision, UserError, hookimpl

DESKTOP_FT_API = ">=1,<2"


@hookimpl
def register_exporters(register: Callable[[Exporter], None]) -> None:
    """Bring the exporter, where OpenVINO is installed."""
    if importlib.util.find_spec("openvino") is None:
        raise UserError("OpenVINO is not installed.", "Install it: pip install 'desktop-ft[openvino]'.")
    register(
        Exporter(
            name="openvino",
            title="OpenVINO: fast on Intel processors, graphics and NPUs",
            suffix=".openvino.zip",
            write=_write,
            precisions=(FilePrecision.FLOAT32, FilePrecision.FLOAT16),
            open=_open,
        )
    )


def _write(job: ExportJob) -> None:
    from .ir import write

    write(job)


def _open(path: Path) -> ExportedFile:
    from .ir import Model

    return Model(path)
