"""An exported file, without torch: what it is, and what it answers."""

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from numpy.typing import NDArray
from onnx.external_data_helper import uses_external_data

from desktop_ft.core.backbone import ResizeRule
from desktop_ft.core.errors import UserError
from desktop_ft.data.decode import UnreadablePicture, network_input
from desktop_ft.export.metadata import ModelFacts, read_metadata

INPUT = "pictures"
OUTPUTS = ["probabilities", "logits"]
_FATAL_ONLY = 4
_BYTE_LIMIT = 1 << 31
"""No ONNX file that is whole in itself is larger: a protobuf message holds less."""

_CHOOSE = "Choose a .onnx file that was exported by Desktop FT."

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureAnswer:
    """What the file says of one picture; or, in `problem`, why it says nothing.

    Attributes:
        predicted: index into the model's classes; -1 where there is a problem.
        confidence: probability of that class, 0 to 1.
        probabilities, logits: one a class.
    """

    path: Path
    predicted: int = -1
    confidence: float = 0.0
    probabilities: tuple[float, ...] = ()
    logits: tuple[float, ...] = ()
    problem: str = ""


class OnnxModel:
    """An ONNX file that Desktop FT exported, opened on the CPU.

    Attributes:
        classes: names, in the order of the outputs' columns.
        rule: how a picture becomes the input.
        metadata: all that the file carries along, as text by key.

    Raises:
        UserError: missing, not ONNX, in more than one file, not exported by Desktop FT, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.name
        content = _content(path)
        self.metadata = _checked_metadata(content, path.name)
        facts = read_metadata(self.metadata, path.name)
        self.classes, self.rule = facts.classes, facts.rule
        self._session = _session(content, path.name)
        _check_ends(self._session, facts, path.name)

    def run(self, pictures: Pixels) -> tuple[Floats, Floats]:
        """Probabilities and logits, both float32 (N, classes), of `pictures` uint8 (N, S, S, 3).

        Raises:
            UserError: the file's graph cannot be computed.
        """
        scaled = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32)
        scaled /= 255
        try:
            probabilities, logits = self._session.run(OUTPUTS, {INPUT: scaled})
        except Exception as error:  # onnxruntime's errors share no base but Exception
            raise UserError(
                f"{self._name} cannot be computed: {str(error).splitlines()[0]}", "Export the run again, or free some memory."
            ) from error
        return probabilities, logits

    def answer(self, paths: Iterable[Path], batch: int = 16) -> Iterator[PictureAnswer]:
        """An answer for every path, in order; `batch` pictures are computed at a time, while the next ones are decoded.

        A picture that cannot be read gives an answer with a problem.
        """
        remaining = iter(paths)
        with ThreadPoolExecutor(_cores(), thread_name_prefix="decode") as pool:
            coming = self._decoding(pool, itertools.islice(remaining, batch))
            while here := coming:
                coming = self._decoding(pool, itertools.islice(remaining, batch))
                yield from self._answered([(path, picture.result()) for path, picture in here])

    def _decoding(self, pool: ThreadPoolExecutor, paths: Iterable[Path]) -> list[tuple[Path, Future[Pixels | str]]]:
        return [(path, pool.submit(_decoded, path, self.rule)) for path in paths]

    def _answered(self, pictures: Sequence[tuple[Path, Pixels | str]]) -> Iterator[PictureAnswer]:
        readable = [picture for _, picture in pictures if not isinstance(picture, str)]
        found = iter(zip(*self.run(np.stack(readable)), strict=True) if readable else ())
        for path, picture in pictures:
            yield PictureAnswer(path=path, problem=picture) if isinstance(picture, str) else _answer(path, *next(found))


def _answer(path: Path, probabilities: Floats, logits: Floats) -> PictureAnswer:
    if not np.isfinite(logits).all():
        return PictureAnswer(path=path, problem="The model gives no usable answer for it.")
    predicted = int(logits.argmax())
    return PictureAnswer(
        path=path,
        predicted=predicted,
        confidence=float(probabilities[predicted]),
        probabilities=tuple(probabilities.tolist()),
        logits=tuple(logits.tolist()),
    )


def _decoded(path: Path, rule: ResizeRule) -> Pixels | str:
    try:
        return network_input(path, rule)
    except UnreadablePicture as error:
        return error.reason
    except OSError as error:
        return error.strerror or str(error)


def _content(path: Path) -> bytes:
    if not path.exists():
        raise UserError(f"There is no file {path}.", "Check the name, or export a run with `desktop-ft export`.")
    if not path.is_file():
        raise UserError(f"{path} is not a file.", _CHOOSE)
    try:
        if path.stat().st_size >= _BYTE_LIMIT:
            raise UserError(f"{path.name} is larger than any ONNX file (2 GiB).", _CHOOSE)
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.", "Check that you may read it.") from error


def _checked_metadata(content: bytes, name: str) -> Mapping[str, str]:
    """The metadata of the ONNX file `content`, which must hold all of itself."""
    not_onnx = UserError(f"{name} is not an ONNX file, or is damaged.", _CHOOSE)
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError as error:
        raise not_onnx from error
    if not proto.graph.node:
        raise not_onnx
    # From bytes, onnxruntime would look for external data in the working folder: nothing outside the file is ever read.
    nodes = [node for function in proto.functions for node in function.node]
    if any(uses_external_data(tensor) for tensor in (*_tensors(proto.graph), *_node_tensors(nodes))):
        raise UserError(f"{name} keeps its weights in a second file.", "Export the run again: Desktop FT writes a single file.")
    return {entry.key: entry.value for entry in proto.metadata_props}


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
            yield from _tensors(graph)


def _session(content: bytes, name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY  # errors are raised, and told in our words
    options.intra_op_num_threads = _cores()
    options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base but Exception
        raise UserError(
            f"{name} cannot be loaded: {str(error).splitlines()[0]}", "Export the run again, or update onnxruntime."
        ) from error


def _cores() -> int:
    """The processors this process may use: a container or batch system often grants fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _check_ends(session: onnxruntime.InferenceSession, facts: ModelFacts, name: str) -> None:
    """The graph must take what the resize rule makes, and give a column for every class."""
    inputs = {entry.name: entry.shape[1:] for entry in session.get_inputs()}
    outputs = {entry.name: entry.shape[1:] for entry in session.get_outputs()}
    side, columns = facts.rule.crop, len(facts.classes)
    if inputs != {INPUT: [3, side, side]} or any(outputs.get(output) != [columns] for output in OUTPUTS):
        raise UserError(f"{name} is damaged: its inputs or outputs are not those it tells of.", "Export the run again.")
