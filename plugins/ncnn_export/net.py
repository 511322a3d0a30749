"""Reads what was written for ncnn, and asks it. Only the exporter itself imports this module: it needs ncnn, and no torch."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import ncnn
import numpy as np
from numpy.typing import NDArray

from desktop_ft.api import scaled

from .files import INPUT, LOGITS, METADATA, PARAM, PROBABILITIES, WEIGHTS


class Net:
    """A .zip that was just written, on the CPU."""

    def __init__(self, path: Path) -> None:
        self._net = ncnn.Net()
        option = self._net.opt
        # Else it computes in float16 or bfloat16 where the processor can.
        option.use_fp16_packed = option.use_fp16_storage = option.use_fp16_arithmetic = option.use_bf16_storage = False
        with zipfile.ZipFile(path) as archive, TemporaryDirectory(prefix="desktop-ft-") as name:
            folder = Path(archive.extract(PARAM, name)).parent
            archive.extract(WEIGHTS, folder)
            self.metadata: Mapping[str, str] = json.loads(archive.read(METADATA))
            if self._net.load_param(str(folder / PARAM)) or self._net.load_model(str(folder / WEIGHTS)):
                raise RuntimeError("ncnn could not load the network")

    def run(self, pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities and logits, both (N, classes), of N `pictures` uint8 (S, S, 3): one after the other, as ncnn does."""
        found = [self._one(picture) for picture in scaled(pictures)]
        return np.stack([answer[0] for answer in found]), np.stack([answer[1] for answer in found])

    def _one(self, picture: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        extractor = self._net.create_extractor()
        extractor.input(INPUT, ncnn.Mat(picture).clone())  # the network changes its input in place, and frees it
        return tuple(np.array(extractor.extract(blob)[1], dtype=np.float32) for blob in (PROBABILITIES, LOGITS))
