"""The process that loads an exported file again, as its later users will: without torch, from the file and the photos alone.

Run as `python -m desktop_ft.export.check_child`. On stdin one line of JSON: `{"model": path, "paths": [...]}`. On stdout lines
of JSON: `{"ready": metadata}`, then for every path in order `{"predicted": index, "logits": base64 of float32}` or
`{"problem": sentence}`; or, where the file cannot be used at all, one `{"what": …, "cure": …}`.
"""

import base64
import json
import math
import sys
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from desktop_ft.core.errors import UserError
from desktop_ft.export.answering import PictureAnswer
from desktop_ft.export.onnx_model import OnnxModel

_TOLERANCE = 1e-4
"""Largest allowed distance of a probability from the one that the logits give."""


def main(asked: TextIO, told: TextIO) -> None:
    """Answer for the file and the photos named on `asked`."""

    def tell(**values: Any) -> None:
        told.write(json.dumps(values) + "\n")
        told.flush()

    request = json.loads(asked.readline())
    try:
        model = OnnxModel(Path(request["model"]))
        tell(ready=dict(model.metadata))
        for answer in model.answer(Path(path) for path in request["paths"]):
            tell(**_told(answer))
    except UserError as error:
        tell(what=error.what, cure=error.cure)
    # The proof is that the file stands alone: had anything here brought torch in, it would prove less.
    if "torch" in sys.modules:
        raise RuntimeError("torch was imported while the exported file was checked")


def _told(answer: PictureAnswer) -> dict[str, Any]:
    if answer.problem:
        return {"problem": answer.problem}
    largest = max(answer.logits)
    powers = [math.exp(logit - largest) for logit in answer.logits]
    gap = max(abs(p - power / sum(powers)) for p, power in zip(answer.probabilities, powers, strict=True))
    if not gap <= _TOLERANCE:
        return {"problem": "The file's probabilities are not those that its logits give."}
    logits = np.array(answer.logits, dtype="<f4").tobytes()
    return {"predicted": answer.predicted, "logits": base64.b64encode(logits).decode()}


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
