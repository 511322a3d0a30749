"""Writes and reads Core ML packages, in one .zip. Only the exporter itself imports this module: it needs Core ML Tools."""

import contextlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from desktop_ft.api import ExportJob, FilePrecision, UserError, quiet, scaled, write_zip

with quiet("coremltools"):  # it warns of every torch that is newer than itself
    import coremltools

METADATA = "desktop_ft"
"""The entry of the model's own metadata that holds the job's, as JSON."""
_DATE = "com.github.apple.coremltools.conversion_date"
_PACKAGE = "model.mlpackage"
_PRECISIONS = {
    FilePrecision.FLOAT32: coremltools.precision.FLOAT32,
    FilePrecision.FLOAT16: coremltools.precision.FLOAT16,
}


def write(job: ExportJob) -> None:
    """Write `job.model` with input `pictures` and outputs `probabilities` and `logits`, for iOS 16, macOS 13 and newer.

    Raises:
        UserError: the network has a part that cannot be traced, or that Core ML cannot express.
        OSError: the file cannot be written.
    """
    # A bar of the converter's progress goes to standard error.
    with TemporaryDirectory(prefix="desktop-ft-") as folder, quiet("coremltools"), contextlib.redirect_stderr(io.StringIO()):
        try:
            model = coremltools.convert(
                job.program().run_decompositions({}),
                outputs=[coremltools.TensorType(name=name) for name in ("probabilities", "logits")],
                convert_to="mlprogram",
                compute_precision=_PRECISIONS[job.precision],
                minimum_deployment_target=coremltools.target.iOS16,
                skip_model_load=True,
            )
        except (NotImplementedError, ValueError) as error:
            raise UserError(
                f"The network has a part that could not be written for Core ML: {str(error).strip().partition(chr(10))[0]}",
                "Take another format, or train another backbone; the run itself is kept.",
            ) from error
        model.user_defined_metadata[METADATA] = json.dumps(dict(job.metadata), sort_keys=True)
        del model.user_defined_metadata[_DATE]
        model.save(str(Path(folder) / _PACKAGE))
        files = [each for each in (Path(folder) / _PACKAGE).rglob("*") if each.is_file()]
        write_zip(job.path, {each.relative_to(folder).as_posix(): each.read_bytes() for each in files})


class Package:
    """A .zip that was just written, on the CPU of a Mac."""

    def __init__(self, path: Path) -> None:
        with TemporaryDirectory(prefix="desktop-ft-") as folder, zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
            units = coremltools.ComputeUnit.CPU_ONLY  # the others compute in float16
            self._model = coremltools.models.MLModel(str(Path(folder) / _PACKAGE), compute_units=units)
        self.metadata: Mapping[str, str] = json.loads(self._model.user_defined_metadata[METADATA])

    def run(self, pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities and logits, both (N, classes), of N `pictures` uint8 (S, S, 3)."""
        found = self._model.predict({"pictures": scaled(pictures)})
        return found["probabilities"], found["logits"]
