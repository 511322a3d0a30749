"""An exported file answers for pictures and folders, without torch."""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.export.onnx_model import OnnxModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What an exported model says of one picture; or, in `problem`, why it says nothing."""

    path: Path
    label: str = ""
    confidence: float = 0.0
    probabilities: tuple[float, ...] = ()
    problem: str = ""


def predict(model: Path, paths: Sequence[Path]) -> Iterator[Prediction]:
    """The model's answer for each picture named, and for each picture in each folder named, in order. Imports no torch.

    Raises:
        UserError: the model cannot be used, or a path is not there or empty.
        A picture that cannot be read is an answer with a problem.
    """
    for path in paths:
        if not path.exists():
            raise UserError(f"There is nothing at {path}.", "Name a picture or a folder of pictures.")
    opened = OnnxModel(model)
    found = _files(paths)
    first = next(found, None)
    if first is None:
        raise UserError(f"There is no file in {paths[0]}.", "Name a picture or a folder of pictures.")
    for answer in opened.answer(itertools.chain([first], found)):
        if answer.problem:
            yield Prediction(path=answer.path, problem=answer.problem)
        else:
            yield Prediction(
                path=answer.path,
                label=opened.classes[answer.predicted],
                confidence=answer.confidence,
                probabilities=answer.probabilities,
            )


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    from desktop_ft.data.scan import is_junk

    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, inside, files in os.walk(path):
            inside[:] = sorted(name for name in inside if not is_junk(name))
            yield from (Path(folder) / name for name in sorted(files) if not is_junk(name))
