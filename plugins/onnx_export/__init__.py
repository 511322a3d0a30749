"""ONNX files: one file, normalisation and softmax inside, the batch axis free."""

from collections.abc import Callable

from desktop_ft.api import Exporter, ExportJob, FileInput, FilePrecision, hookimpl

DESKTOP_FT_API = ">=1,<2"


def _write(job: ExportJob) -> None:
    from .writer import write

    write(job)


@hookimpl
def register_exporters(register: Callable[[Exporter], None]) -> None:
    """Bring the ONNX exporter."""
    register(
        Exporter(
            name="onnx",
            title="ONNX: runs nearly everywhere, without Python",
            suffix=".onnx",
            write=_write,
            precisions=tuple(FilePrecision),
            inputs=tuple(FileInput),
        )
    )
