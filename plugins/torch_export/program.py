"""Writes and reads `.pt2` archives. Only the exporter itself imports this module: it needs torch."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from desktop_ft.api import ExportJob, quiet, scaled

METADATA = "desktop_ft.json"
"""The extra file in the archive that holds the job's metadata."""


def write(job: ExportJob) -> None:
    """Write `job.model` as a program of `pictures` that gives probabilities and logits. Nothing in the file is pickled.

    Raises:
        UserError: the network has a part that cannot be traced.
        OSError: the file cannot be written.
    """
    content = io.BytesIO()  # in a file, the archive's folder would be called after it
    with quiet("torch.export", "torch._export"):
        torch.export.save(job.program(), content, extra_files={METADATA: json.dumps(dict(job.metadata), sort_keys=True)})
    job.path.write_bytes(content.getbuffer())


class Program:
    """A `.pt2` file that was just written.

    `torch.export.load` unpickles what a file holds of pickles, which can run anything: never open one from elsewhere.
    """

    def __init__(self, path: Path) -> None:
        extra = {METADATA: ""}
        self._module = torch.export.load(path, extra_files=extra).module()
        self.metadata: Mapping[str, str] = json.loads(extra[METADATA])

    def run(self, pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities and logits, both (N, classes), of N `pictures` uint8 (S, S, 3)."""
        with torch.inference_mode():
            probabilities, logits = self._module(torch.from_numpy(scaled(pictures)))
        return probabilities.numpy(), logits.numpy()
