"""An exported file, without torch: what it is, and what it answers."""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from numpy.typing import NDArray
from onnx.external_data_helper import uses_external_data

from desktop_ft.api import scaled
from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import FileInput
from desktop_ft.core.language import marked, tr
from desktop_ft.data.files import Source
from desktop_ft.data.model_files import not_opened
from desktop_ft.export.answering import Floats, PictureAnswer, Pixels, answers, cores
from desktop_ft.export.metadata import VERSION, ModelFacts, read_metadata

INPUT, WHOLE_INPUT = "pictures", "picture"
OUTPUTS = ["probabilities", "logits"]
_FATAL_ONLY = 4
_BYTE_LIMIT = 1 << 31
"""No ONNX file that is whole in itself is larger: a protobuf message holds less."""

_CHOOSE = marked("Choose a .onnx file that was exported by Desktop FT.")
_opening = threading.Lock()
"""What bounds a session's memory is said for all that are opened next, so they are opened one by one."""


class OnnxModel:
    """An ONNX file that Desktop FT exported, opened on the CPU.

    Args:
        path: the file.
        memory: bytes that it may take, its weights and what it computes of a batch; None: as many as there are. How much a
            graph takes can depend on what a picture shows, so that no trial tells.

    Attributes:
        classes: names, in the order of the outputs' columns.
        rule: how a picture becomes the input.
        threshold: how sure an answer must be, 0 to 1; a less sure one is *don't know*.
        metadata: all that the file carries along, as text by key.
        identity: the file's SHA-256 in hex.

    Raises:
        UserError: missing, not ONNX, in more than one file, not exported by Desktop FT, or damaged.
    """

    def __init__(self, path: Path, memory: int | None = None) -> None:
        self._name = path.name
        content = _content(path)
        self.identity = hashlib.sha256(content).hexdigest()
        self.metadata = _checked_metadata(content, path)
        self._facts = facts = read_metadata(self.metadata, path.name)
        self.classes, self.rule, self.threshold = facts.classes, facts.rule, facts.threshold
        self._session = _session(content, path.name, memory)
        _check_ends(self._session, facts, path.name)

    def run(self, pictures: Sequence[Pixels]) -> tuple[Floats, Floats]:
        """Probabilities and logits, both float32 (N, classes), of N `pictures` uint8 as `prepare` gives them.

        Raises:
            UserError: the file's graph cannot be computed.
        """
        if self._facts.input is FileInput.PICTURE:
            each = [self._run(WHOLE_INPUT, picture) for picture in pictures]
            return np.concatenate([found[0] for found in each]), np.concatenate([found[1] for found in each])
        return self._run(INPUT, scaled(pictures))

    def _run(self, name: str, value: NDArray[Any]) -> tuple[Floats, Floats]:
        try:
            probabilities, logits = self._session.run(OUTPUTS, {name: value})
        except Exception as error:  # onnxruntime's errors share no base but Exception
            raise UserError(
                tr("{file} cannot be computed: {error}", file=self._name, error=str(error).splitlines()[0]),
                tr("Export the run again, or free some memory."),
            ) from error
        return probabilities, logits

    def answer(self, paths: Iterable[Path], batch: int | None = None) -> Iterator[PictureAnswer]:
        """An answer for every path, in order; a picture that cannot be read gives an answer with a problem."""
        return answers(self.run, self.prepare, paths, batch or self._facts.batch)

    def prepare(self, path: Source) -> Pixels:
        """The picture at `path` as the file takes it: uint8 (S, S, 3), or (H, W, 3) of any size where it resizes itself.

        Raises:
            UnreadablePicture: there is no picture in it.
        """
        return self._facts.prepared(path)


def is_exported(path: Path) -> bool:
    """Whether the file at `path` is ONNX that Desktop FT wrote, by what it says of itself; nothing of it is run."""
    try:
        return VERSION in _checked_metadata(_content(path), path)
    except UserError:
        return False


def _content(path: Path) -> bytes:
    if not path.exists():
        raise UserError(
            tr("There is no file {file}.", file=path), tr("Check the name, or export a run with `desktop-ft export`.")
        )
    if not path.is_file():
        raise UserError(tr("{file} is not a file.", file=path), tr(_CHOOSE))
    try:
        if path.stat().st_size >= _BYTE_LIMIT:
            raise UserError(tr("{file} is larger than any ONNX file (2 GiB).", file=path.name), tr(_CHOOSE))
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            tr("{file} cannot be read: {error}.", file=path, error=error.strerror), tr("Check that you may read it.")
        ) from error


def _checked_metadata(content: bytes, path: Path) -> Mapping[str, str]:
    """The metadata of the ONNX file `content`, read from `path`, which must hold all of itself."""
    name = path.name
    not_onnx = not_opened(path) or UserError(tr("{file} is not an ONNX file, or is damaged.", file=name), tr(_CHOOSE))
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError as error:
        raise not_onnx from error
    if not proto.graph.node:
        raise not_onnx
    # Functions that call one another twice are inlined for ever, a loop may have no end, and a branch may be taken for some
    # pictures only, which nobody has asked it about here: of them all, those that hold graphs of their own, we write none.
    if proto.functions or any(attribute.HasField("g") or attribute.graphs for attribute in _attributes(proto.graph)):
        raise UserError(tr("{file} holds functions, loops or branches, which no network here needs.", file=name), tr(_CHOOSE))
    # From bytes, onnxruntime would look for external data in the working folder: nothing outside the file is ever read.
    if any(uses_external_data(tensor) for tensor in _tensors(proto.graph)):
        raise UserError(
            tr("{file} keeps its weights in a second file.", file=name),
            tr("Export the run again: Desktop FT writes a single file."),
        )
    return {entry.key: entry.value for entry in proto.metadata_props}


def _attributes(graph: onnx.GraphProto) -> Iterator[onnx.AttributeProto]:
    return (attribute for node in graph.node for attribute in node.attribute)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for attribute in _attributes(graph):
        yield from (attribute.t, *attribute.tensors)
    sparse = (each for attribute in _attributes(graph) for each in (attribute.sparse_tensor, *attribute.sparse_tensors))
    for tensor in (*graph.sparse_initializer, *sparse):
        yield from (tensor.values, tensor.indices)


def _session(content: bytes, name: str, memory: int | None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY  # errors are raised, and told in our words
    options.intra_op_num_threads = cores()
    options.inter_op_num_threads = 1
    # Threads that spin while they wait keep the next pictures' decoders waiting: with two cores, 35 pictures a second for 45.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        with _opening:
            if memory is not None:
                _bound(options, memory)
            return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base but Exception
        raise UserError(
            tr("{file} cannot be loaded: {error}", file=name, error=str(error).splitlines()[0]),
            tr("Export the run again, or update onnxruntime."),
        ) from error


def _bound(options: onnxruntime.SessionOptions, memory: int) -> None:
    """Let a session that is opened with `options` now have so many bytes: an arena of its own, gone when the session is."""
    of_the_processor = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(of_the_processor, onnxruntime.OrtArenaCfg({"max_mem": memory}))
    options.add_session_config_entry("session.use_env_allocators", "1")


def _check_ends(session: onnxruntime.InferenceSession, facts: ModelFacts, name: str) -> None:
    """The graph must take what the resize rule makes, and give a column for every class."""
    inputs = {entry.name: entry.shape[1:] for entry in session.get_inputs()}
    outputs = {entry.name: entry.shape[1:] for entry in session.get_outputs()}
    side, columns = facts.rule.crop, len(facts.classes)
    # Of a whole picture height and width are free, and have names; of several pictures their number is, which is left out here.
    whole = facts.input is FileInput.PICTURE
    expected = {WHOLE_INPUT: ["width", 3]} if whole else {INPUT: [3, side, side]}
    if inputs != expected or any(outputs.get(output) != [columns] for output in OUTPUTS):
        raise UserError(
            tr("{file} is damaged: its inputs or outputs are not those it tells of.", file=name), tr("Export the run again.")
        )
