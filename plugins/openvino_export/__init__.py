"""Export as OpenVINO IR in a .zip: fast on Intel processors, graphics and NPUs."""

from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import ExportedFile, Exporter, ExportJob, FilePrecision, hookimpl

DESKTOP_FT_API = ">=1,<2"
DESKTOP_FT_NEEDS = {"openvino": "desktop-ft[openvino]"}


@hookimpl
def register_exporters(register: Callable[[Exporter], None]) -> None:
    """Bring the exporter."""
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
