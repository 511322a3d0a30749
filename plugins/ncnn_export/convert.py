"""Writes a model for ncnn. Only the exporter itself imports this module: it needs torch and pnnx."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pnnx
import torch

from desktop_ft.api import ExportJob, FilePrecision, UserError, quiet, write_zip

from .files import METADATA, PARAM, WEIGHTS

_TRACED = "model.pt"
_TORCHS = ("pnnx.", "aten::", "prim::", "F.", "nn.", "torch.", "Tensor.")
"""How the names of operations begin that are torch's, and not ncnn's."""


def write(job: ExportJob) -> None:
    """Write `job.model` with the blobs `in0` (one picture), `out0` (probabilities) and `out1` (logits), and its metadata beside.

    Raises:
        UserError: the network has a part that cannot be traced, or that ncnn cannot express.
        OSError: the file cannot be written.
    """
    with TemporaryDirectory(prefix="desktop-ft-") as name:
        folder = Path(name)
        _trace(job, folder / _TRACED)
        _convert(folder, job)
        files = {each: (folder / each).read_bytes() for each in (PARAM, WEIGHTS)}
    files[METADATA] = json.dumps(dict(job.metadata), sort_keys=True).encode()
    write_zip(job.path, files)


def _trace(job: ExportJob, path: Path) -> None:
    """Write the model as the converter reads it."""
    example = torch.zeros(1, 3, job.size, job.size)
    try:
        with quiet(), torch.no_grad():
            torch.jit.trace(job.answering(), example, check_trace=False).save(path)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise _inexpressible(str(error).strip().partition("\n")[0]) from error


def _convert(folder: Path, job: ExportJob) -> None:
    """Have the converter read what was traced in `folder`, where it leaves what it writes."""
    half = int(job.precision is FilePrecision.FLOAT16)
    shape = f"inputshape=[1,3,{job.size},{job.size}]f32"
    done = subprocess.run(  # noqa: S603 (the package's own program, no shell)
        [pnnx.EXEC_PATH, _TRACED, shape, f"fp16={half}"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    graph = (folder / PARAM).read_text() if (folder / PARAM).exists() else ""
    # What ncnn lacks stays in the graph under torch's name, and the converter ends as if all were well.
    lacking = [line.split()[0] for line in graph.splitlines() if line.startswith(_TORCHS)]
    if done.returncode or not graph or lacking:
        raise _inexpressible(lacking[0] if lacking else f"its converter ended with code {done.returncode}")


def _inexpressible(why: str) -> UserError:
    return UserError(
        f"The network has a part that could not be written for ncnn: {why}",
        "Take another format, or train another backbone; the run itself is kept.",
    )
