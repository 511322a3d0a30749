"""Writes and reads OpenVINO's intermediate representation: `model.xml` and `model.bin`, in one .zip.

Only the exporter itself imports this module: it needs OpenVINO.
"""

import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desktop_ft.api import ExportJob, FilePrecision, UserError, quiet, scaled, write_zip

# Where this package is, importing OpenVINO tells its makers so over the network. None makes its import fail, as it may.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402

METADATA = "desktop_ft"
"""The entry of the model's runtime information that holds the job's metadata, as JSON."""
_XML, _BIN = "model.xml", "model.bin"
_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
"""On processors with bfloat16, the CPU plugin would else compute in that."""


def write(job: ExportJob) -> None:
    """Write `job.model` with input `pictures` and outputs `probabilities` and `logits`; in float16 the weights alone are so.

    Raises:
        UserError: the network has a part that cannot be traced, or that OpenVINO cannot express.
        OSError: the file cannot be written.
    """
    program = job.program()
    try:
        with quiet():
            model = openvino.convert_model(program, input=[("pictures", [-1, 3, job.size, job.size])])
    except RuntimeError as error:  # all its errors are
        raise UserError(
            f"The network has a part that could not be written for OpenVINO: {str(error).strip().splitlines()[-1]}",
            "Take another format, or train another backbone; the run itself is kept.",
        ) from error
    for output, name in zip(model.outputs, ("probabilities", "logits"), strict=True):
        output.get_tensor().set_names({name})
    model.set_rt_info(json.dumps(dict(job.metadata), sort_keys=True), METADATA)
    with TemporaryDirectory(prefix="desktop-ft-") as folder:
        openvino.save_model(model, Path(folder) / _XML, compress_to_fp16=job.precision is FilePrecision.FLOAT16)
        write_zip(job.path, {name: (Path(folder) / name).read_bytes() for name in (_XML, _BIN)})


class Model:
    """A .zip that was just written, on the CPU."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            xml, weights = archive.read(_XML), archive.read(_BIN)
        core = openvino.Core()
        model = core.read_model(xml, weights)
        self.metadata: Mapping[str, str] = json.loads(model.get_rt_info(METADATA).astype(str))
        self._compiled: Any = core.compile_model(model, "CPU", _EXACT)

    def run(self, pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities and logits, both (N, classes), of N `pictures` uint8 (S, S, 3)."""
        found = self._compiled({"pictures": scaled(pictures)})
        return found["probabilities"], found["logits"]
