"""An exported file, without torch, or a run's own best model answers for pictures and folders, as it goes."""

from __future__ import annotations

import csv
import io
import os
import threading
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.jobs.running import Warn, device_of, open_run, silent, trained
from desktop_ft.plugin_manager import Plugins, load_plugins

if TYPE_CHECKING:
    from desktop_ft.data.files import Source
    from desktop_ft.export.answering import Floats, PictureAnswer, Pixels, Real
    from desktop_ft.export.onnx_model import OnnxModel


STATE = ".state.json"
"""How the name goes on of what lies beside a table of answers."""
DROPPED = ".dropped"
"""And of a table that is about to be begun anew."""
COPYING = ".copying"
"""And of what tells of copies whose rows are not written yet."""
TITLES = ("file", "answer", "confidence", "sure", "problem")
_SHARE_OF_MEMORY = 2
"""An exported file may take half of this machine's memory: anybody may have written it."""
_EITHER_END = "\r\n"
"""What a field is quoted for, either of them: who reads a table takes a bare one for the end of its row, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model says of one picture; or, in `problem`, why it says nothing.

    Attributes:
        label: the most likely class, sure or not.
        sure: whether it is as sure as it must be; where not, the answer is *don't know*.
    """

    path: Path
    label: str = ""
    confidence: float = 0.0
    sure: bool = True
    probabilities: tuple[float, ...] = ()
    problem: str = ""


class Model(Protocol):
    """What answers: its classes, how sure it must be (0 to 1), and its answers.

    Attributes:
        identity: the same for the same model alone: whatever it says of a picture, it says again.
    """

    classes: tuple[str, ...]
    threshold: float
    identity: str

    def prepare(self, picture: Source, /) -> Pixels:
        """The picture as the model takes it: uint8 (H, W, 3).

        Raises:
            UnreadablePicture: there is none in it.
        """

    def run(self, pictures: Sequence[Pixels], /) -> tuple[Real, Floats]:
        """As `answering.Ask`."""

    def answer(self, paths: Iterable[Path]) -> Iterator[PictureAnswer]:
        """An answer for every path, in order."""


def predict(
    model: Path,
    paths: Sequence[Path],
    plugins: Plugins | None = None,
    *,
    threshold: float | None = None,
    warn: Warn = silent,
    cancel: threading.Event | None = None,
) -> Iterator[Prediction]:
    """The model's answer for each picture named, and for each picture in each folder named, in order.

    Args:
        model: an exported file, which needs no torch, or the folder of a run.
        plugins: for a run; None: those there are.
        threshold: how sure an answer must be, 0 to 1; None: as kept with the run or written into the file.
        warn: told where a run's best checkpoint is damaged and another one stands in for it, and of links to folders that are
            gone through anyway.
        cancel: gives up opening the model.

    Raises:
        UserError: the model cannot be used, or a path is not there or empty.
        Cancelled: as asked.
        A picture that cannot be read is an answer with a problem.
    """
    must_be_there(paths)
    opened = opened_model(model, plugins, threshold=threshold, warn=warn, cancel=cancel)
    must_hold_files(paths)
    aside: list[Prediction] = []
    yield from opened.predictions(files(paths, aside, warn=warn), aside)


def must_be_there(paths: Iterable[Path]) -> None:
    """Refuse paths that are none.

    Raises:
        UserError: there is nothing at one of them.
    """
    for path in paths:
        if not path.exists():
            raise UserError(tr("There is nothing at {path}.", path=path), tr("Name a picture or a folder of pictures."))


def must_hold_files(paths: Sequence[Path], besides: Container[Path] = ()) -> None:
    """Refuse paths that lead to no file but `besides`, and to nothing that has a problem.

    Raises:
        UserError: there is none.
    """
    aside: list[Prediction] = []
    if next(files(paths, aside, besides), None) is None and not aside:
        raise UserError(tr("There is no file in {path}.", path=paths[0]), tr("Name a picture or a folder of pictures."))


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model that is ready to answer, and how sure an answer must be, 0 to 1."""

    model: Model
    threshold: float

    def predictions(self, paths: Iterable[Path], aside: list[Prediction]) -> Iterator[Prediction]:
        """The answer for each of the files `paths`, in order; and what lies in `aside` meanwhile, which is emptied."""
        for answer in self.model.answer(paths):
            yield from _emptied(aside)
            yield self._prediction(answer)
        yield from _emptied(aside)

    def says_of(self, picture: bytes) -> Prediction:
        """The answer for one picture that is in no file: the bytes of one, such as a camera gives."""
        from desktop_ft.export.answering import answers

        def prepare(nowhere: Path) -> Pixels:
            return self.model.prepare(io.BytesIO(picture))

        return self._prediction(next(answers(self.model.run, prepare, [Path()], batch=1)))

    def _prediction(self, answer: PictureAnswer) -> Prediction:
        if answer.problem:
            return Prediction(path=answer.path, problem=answer.problem)
        return Prediction(
            path=answer.path,
            label=self.model.classes[answer.predicted],
            confidence=answer.confidence,
            sure=answer.confidence >= self.threshold,
            probabilities=answer.probabilities,
        )


def opened_model(
    path: Path,
    plugins: Plugins | None = None,
    *,
    threshold: float | None = None,
    warn: Warn = silent,
    cancel: threading.Event | None = None,
) -> OpenedModel:
    """The model in `path`; the arguments are those of `predict`.

    Raises:
        UserError: it cannot be used.
        Cancelled: as asked.
    """
    is_run = path.is_dir()
    model: Model = _RunModel(path, plugins or load_plugins(), warn) if is_run else exported_model(path, cancel)
    least = model.threshold if threshold is None else threshold
    return OpenedModel(model, least if is_run else as_float32(least))


def as_float32(threshold: float) -> float:
    """The largest float32 that is not above `threshold`: what an exported file's answers, which are float32, are compared with.

    An answer exactly at the threshold is sure in the run's own double precision, and so it is when it is rounded.
    """
    import numpy as np

    near = np.float32(threshold)
    # float(): numpy would take the threshold for a float32, too, and find them equal.
    return float(near if float(near) <= threshold else np.nextafter(near, np.float32(0)))


def as_csv(predictions: Iterable[Prediction]) -> bytes:
    """The answers as comma-separated values with a line of titles; names that are not UTF-8 keep their bytes.

    A name that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    return b"".join(csv_line(row) for row in (TITLES, *map(csv_row, predictions)))


def csv_row(prediction: Prediction) -> tuple[str, ...]:
    """An answer under the `TITLES`."""
    confidence = "" if prediction.problem else f"{prediction.confidence:.6f}"
    sure = "" if prediction.problem else "yes" if prediction.sure else "no"
    return str(prediction.path), prediction.label, confidence, sure, prediction.problem


def csv_line(row: Iterable[str]) -> bytes:
    """`row` with its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator=_EITHER_END).writerow(map(inert, row))
    return (text.getvalue().removesuffix(_EITHER_END) + "\n").encode("utf-8", "surrogateescape")


def inert(text: str) -> str:
    """`text` as no spreadsheet computes it: with an apostrophe in front where it could; no two texts become one."""
    return f"'{text}" if text.lstrip("'").startswith(("=", "+", "-", "@", "\t", "\r")) else text


def bare(text: str) -> str:
    """What `inert` made `text` of."""
    return text[1:] if text.startswith("'") and inert(text[1:]) == text else text


def exported_model(path: Path, cancel: threading.Event | None = None) -> OnnxModel:
    """The exported file at `path`, found sound in a process of its own first.

    Raises:
        UserError: it cannot be used.
        Cancelled: `cancel` was set meanwhile.
    """
    import psutil

    from desktop_ft.export.checking import must_open
    from desktop_ft.export.onnx_model import OnnxModel  # onnxruntime: not before it is needed

    if path.is_file():  # of what is none, the sentence comes from here
        must_open(path, cancel)
    return OnnxModel(path, memory=psutil.virtual_memory().total // _SHARE_OF_MEMORY)


class _RunModel:
    """The best model of the run in `path`, in exactly the arithmetic of its evaluation. Imports torch."""

    def __init__(self, path: Path, plugins: Plugins, warn: Warn) -> None:
        run = open_run(path, plugins)
        kept = run.folder.threshold
        self.classes, self.threshold = run.manifest.classes, kept.value if kept else 0.0
        self._rule, self._device = run.rule, device_of(run)
        learned = trained(run, warn)
        self.identity = f"{run.recipe.digest()} {learned.checkpoint}"
        self._network = learned.network

    def answer(self, paths: Iterable[Path]) -> Iterator[PictureAnswer]:
        from desktop_ft.export.answering import answers

        return answers(self.run, self.prepare, paths)

    def prepare(self, picture: Source, /) -> Pixels:
        from desktop_ft.data.decode import network_input

        return network_input(picture, self._rule)

    def run(self, pictures: Sequence[Pixels], /) -> tuple[Real, Floats]:
        import numpy as np
        import torch

        from desktop_ft.engine.inference import logits
        from desktop_ft.evaluation.score import softmax

        batch = torch.from_numpy(np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2)))
        # On the CPU each thread takes a batch of its own.
        parts = batch.chunk(torch.get_num_threads() if self._device.type == "cpu" else 1)
        found = logits(self._network, parts, device=self._device)
        return softmax(found), found


def _emptied(aside: list[Prediction]) -> Iterator[Prediction]:
    while aside:
        yield aside.pop(0)


def files(paths: Sequence[Path], aside: list[Prediction], besides: Container[Path] = (), warn: Warn = silent) -> Iterator[Path]:
    """Each file named, and each in the folders named, but for `besides` and for tables of answers in the folders, in order.

    Links in these that lead out of them, and folders that cannot be read, go to `aside` as problems; `warn` is told of links to a
    folder that was gone through already.
    """
    for path in paths:
        if path.is_dir():
            yield from _below(path, aside, besides, warn)
        elif path not in besides:
            yield path


def _below(root: Path, aside: list[Prediction], besides: Container[Path], warn: Warn) -> Iterator[Path]:
    """Each file in the folder `root` but for `besides`; what its links to folders lead to comes last, and each folder once."""
    from desktop_ft.data.scan import is_junk

    def unreadable(error: OSError) -> None:
        aside.append(Prediction(path=Path(error.filename), problem=error.strerror or str(error)))

    def stays(file: Path) -> bool:
        """Whether it is no link that leaves `root`; one that does is set aside."""
        inside = not file.is_symlink() or Path(os.path.realpath(file)).is_relative_to(real_root)
        if not inside:
            aside.append(Prediction(path=file, problem=tr("Is a link that leaves the folder; not followed.")))
        return inside

    real_root, waiting, seen, again = os.path.realpath(root), [root], set[str](), list[str]()
    while waiting:
        for folder, inside, names in os.walk(waiting.pop(0), onerror=unreadable):
            if (real := os.path.realpath(folder)) in seen:
                again.append(os.fspath(folder))
                inside.clear()
                continue
            seen.add(real)
            inside[:] = sorted(name for name in inside if not is_junk(name))
            waiting.extend(filter(stays, (link for name in inside if (link := Path(folder) / name).is_symlink())))
            tables = _tables(names)
            found = (Path(folder) / name for name in sorted(names) if not is_junk(name) and name not in tables)
            yield from filter(stays, (file for file in found if file not in besides))
    if len(again) == 1:
        warn(tr("{link} leads to a folder that has been looked at already, and is passed over.", link=again[0]))
    elif again:
        what = tr(
            "{link} leads to a folder that has been looked at already, and is passed over; so are others: {count} in all.",
            link=again[0],
            count=len(again),
        )
        warn(what)


def _tables(names: Iterable[str]) -> frozenset[str]:
    """Those among the `names` of a folder's files that are tables of answers, or lie beside one; none is a picture."""
    tables = [name.removesuffix(STATE) for name in names if name.endswith(f".csv{STATE}")]
    return frozenset(table + end for table in tables for end in ("", STATE, DROPPED, COPYING))
