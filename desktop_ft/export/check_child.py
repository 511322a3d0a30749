"""The process that loads an exported file again, as its later users will: without torch, from the file and the photos alone.

Run as `python -m desktop_ft.export.check_child`. On stdin one line of JSON: `{"model": path, "paths": [...], "time": whether}`,
with `"bounded": true` for a file that nobody here wrote: it is asked about a grey picture too, with bounded memory and time.
On stdout lines of JSON: `{"ready": metadata}`, then for every path in order `{"predicted": index, "logits": base64 of float32}`
or `{"problem": sentence}`, and at the end, where that is asked for, `{"latency": [[batch, milliseconds], ...]}`; or, where the
file cannot be used at all, one `{"what": …, "cure": …}`.
"""

import base64
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from desktop_ft.api import ExportedFile
from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import FileInput
from desktop_ft.core.language import marked
from desktop_ft.export.answering import Ask, PictureAnswer, Pixels, answers
from desktop_ft.export.metadata import ModelFacts, read_metadata

_TOLERANCE = 1e-4
"""Largest allowed distance of a probability from the one that the logits give."""

_ROOM, _COPIES, _SECONDS = 1 << 30, 8, 120
"""What a file that nobody here wrote may take: so many bytes, and so many times its own size; so many seconds of computing."""

_BATCHES = (1, 8, 32)
_CALLS, _SPAN_S, _MOST_S = 5, 0.3, 3.0
"""A batch is timed this often at least, and for this long, but no more once it took the most of seconds."""
_LONGEST_S = 10.0
"""A batch that takes longer, as one of fewer pictures tells, is not timed."""


def require_no_torch() -> None:
    """The proof is that the file stands alone: had anything here brought torch in, it would prove less.

    Raises:
        UserError: something has.
    """
    if "torch" in sys.modules:
        raise UserError(
            marked("torch was imported where it was opened, so that nobody knows whether it answers without."),
            marked("Tell the makers of its format: only what writes a file may import torch, unless `with_torch` is said."),
        )


def main(
    asked: TextIO,
    told: TextIO,
    opening: Callable[[dict[str, Any]], ExportedFile],
    require: Callable[[], None] = require_no_torch,
) -> None:
    """Answer for the file and the photos named on `asked`; `opening` opens what is asked for, `require` has the last word."""

    def tell(**values: Any) -> None:
        told.write(json.dumps(values) + "\n")
        told.flush()

    request = json.loads(asked.readline())
    paths = [Path(path) for path in request["paths"]]
    try:
        bounded = bool(request.get("bounded"))
        if bounded:
            _limit(Path(request["model"]).stat().st_size)
        model = opening(request)
        facts = read_metadata(model.metadata, Path(request["model"]).name)
        if bounded:
            model.run([np.full((facts.rule.crop, facts.rule.crop, 3), 128, dtype=np.uint8)])
        tell(ready=dict(model.metadata))
        for answer in answers(model.run, facts.prepared, paths, facts.batch):
            tell(**_told(answer))
        if request["time"] and paths:
            tell(latency=list(_latency(model.run, facts, paths[0])))
        require()
    except UserError as error:
        tell(what=error.what, cure=error.cure)


def _limit(size: int) -> None:
    """Bound what a file of `size` bytes may take here: computing time, and memory where the system says how much is used."""
    if sys.platform == "win32":
        return
    import resource

    import desktop_ft.export.onnx_model  # noqa: F401 (what it needs itself does not count)

    used = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime)
    resource.setrlimit(resource.RLIMIT_CPU, (used + _SECONDS, used + _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (most := mapped + _ROOM + _COPIES * size, most))


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


def _latency(ask: Ask, facts: ModelFacts, path: Path) -> Iterator[tuple[int, float]]:
    """The median time of a call in milliseconds, by batch size. A file that takes whole pictures takes one at a time.

    Larger batches are left out where they would take long, or more memory than the proof, which nothing of this may spoil.
    """
    picture = facts.prepared(path)
    most = 2 * facts.batch if facts.input is FileInput.TENSOR else 1
    a_picture = 0.0
    for batch in (size for size in _BATCHES if size <= most):
        if batch * a_picture > _LONGEST_S:
            return
        try:
            took = _median(ask, [picture] * batch)
        except UserError:
            return
        a_picture = took / batch
        yield batch, 1000 * took


def _median(ask: Ask, pictures: list[Pixels]) -> float:
    """The median time of a call, in seconds."""
    first = _seconds(ask, pictures)  # it prepares memory for its size, so it counts only where there is no time for more
    times = list[float]()
    while (spent := sum(times)) < _SPAN_S or len(times) < _CALLS:
        if first + spent >= _MOST_S:
            break
        times.append(_seconds(ask, pictures))
    return statistics.median(times or [first])


def _seconds(ask: Ask, pictures: list[Pixels]) -> float:
    began = time.perf_counter()
    ask(pictures)
    return time.perf_counter() - began


def _onnx_file(request: dict[str, Any]) -> ExportedFile:
    from desktop_ft.export.onnx_model import OnnxModel

    return OnnxModel(Path(request["model"]))


if __name__ == "__main__":
    main(sys.stdin, sys.stdout, _onnx_file)
