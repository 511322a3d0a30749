"""The same graph in smaller numbers."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers import float16

from desktop_ft.api import UserError, scaled

Pictures = Callable[[], Iterable[NDArray[np.uint8]]]

_IN_FLOAT32 = [*float16.DEFAULT_OP_BLOCK_LIST, "LayerNormalization"]
"""ONNX Runtime dies of LayerNormalization in float16 on a processor; its sums want float32 everywhere."""

_SAFE = 8192.0
"""Larger values keep a node in float32: float16 ends at 65504, and other photos may go beyond those that were tried."""

_TRIED = 16
"""Photos that show how large the values between layers become."""


def as_float16(proto: onnx.ModelProto, calibration: Pictures) -> onnx.ModelProto:
    """`proto` with float16 weights and arithmetic, but for the nodes whose values would be too large for it.

    Its inputs and outputs stay float32. Processors compute it in float32, so that what overflows would never show there: the
    values between the layers are looked at instead.
    """
    converted = float16.convert_float_to_float16(
        proto,
        keep_io_types=True,
        disable_shape_infer=True,
        op_block_list=_IN_FLOAT32,
        node_block_list=_overflowing(proto, calibration),
    )
    _join_float32(converted.graph)
    model = ONNXModel(converted)
    model.topological_sort()  # the casts of the inputs were put at the end
    _tell_types(model.model)
    found: onnx.ModelProto = model.model
    return found


def _tell_types(model: onnx.ModelProto) -> None:
    """Correct what is said of the values between: the converter calls float16 what stays float32."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    types = {value.name: value.type.tensor_type.elem_type for value in onnx.shape_inference.infer_shapes(bare).graph.value_info}
    for value in list(model.graph.value_info):
        if value.name in types:
            value.type.tensor_type.elem_type = types[value.name]
        else:
            model.graph.value_info.remove(value)  # of weights, which tell it themselves, and of what is gone


def _join_float32(graph: onnx.GraphProto) -> None:
    """Let nodes that stay float32 pass values on to one another as they are: the converter puts float16 between them."""
    casts = {node.output[0]: node for node in graph.node if node.op_type == "Cast"}

    def target(node: onnx.NodeProto) -> int:
        return next(int(attribute.i) for attribute in node.attribute if attribute.name == "to")

    origin = {
        name: casts[node.input[0]].input[0]
        for name, node in casts.items()
        if target(node) == onnx.TensorProto.FLOAT
        and node.input[0] in casts
        and target(casts[node.input[0]]) == onnx.TensorProto.FLOAT16
        and casts[node.input[0]].name.endswith("_cast_to_fp16_node")
    }
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = origin.get(name, name)
    # A cast back may have been all that wanted the cast before it.
    for _ in ("back", "there"):
        used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
        for name in sorted(casts.keys() - used):
            graph.node.remove(casts.pop(name))


def _overflowing(proto: onnx.ModelProto, calibration: Pictures) -> list[str]:
    """The names of the nodes that take or give values beyond `_SAFE`, for some photos and for none at all."""
    watched = onnx.ModelProto()
    watched.CopyFrom(proto)
    known = {output.name for output in watched.graph.output}
    names = [name for node in watched.graph.node for name in node.output if name and name not in known]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    side = session.get_inputs()[0].shape[-1]
    large = {tensor.name for tensor in proto.graph.initializer if _beyond(onnx.numpy_helper.to_array(tensor))}
    for picture in (np.zeros((side, side, 3), np.uint8), *islice(calibration(), _TRIED)):
        values = session.run(None, {"pictures": scaled([picture])})
        large |= {output.name for output, value in zip(session.get_outputs(), values, strict=True) if _beyond(value)}
    return [node.name for node in proto.graph.node if large & {*node.input, *node.output}]


def _beyond(values: NDArray[Any]) -> bool:
    return values.dtype == np.float32 and values.size > 0 and not float(np.abs(values).max()) < _SAFE


def as_int8(proto: onnx.ModelProto, calibration: Pictures, beside: Path) -> onnx.ModelProto:
    """`proto` with 8-bit weights, a scale for each channel, and 8-bit values between, whose range `calibration` shows.

    Static quantisation with QDQ nodes, which every runtime reads. Weights take 7 of the 8 bits: on processors without VNNI, sums
    of full ones would overflow (ONNX Runtime's documentation on quantisation, "reduce_range"). The last layer stays float32.

    Args:
        beside: where there is room for three more such files while it works.

    Raises:
        UserError: there is no photo to calibrate on.
    """
    reader = _Photos(calibration())
    if reader.first is None:
        raise UserError(
            "There is no training photo to fit the int8 file on.", "Put the run's pictures back in their folder, or take float32."
        )
    with _root_logger_silent(), TemporaryDirectory(prefix=f"{beside.stem}-", dir=beside.parent) as folder:
        whole, prepared, small = (Path(folder) / name for name in ("whole.onnx", "prepared.onnx", "small.onnx"))
        onnx.save(proto, whole)
        quantization.quant_pre_process(whole, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            small,
            reader,
            nodes_to_exclude=_last_layer(onnx.load(prepared).graph),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(small)


def _last_layer(graph: onnx.GraphProto) -> list[str]:
    """The names of the nodes from the last one with weights on: in 8 bits, classes nearly as likely would become equal."""
    weights = {tensor.name for tensor in graph.initializer if len(tensor.dims) > 1}
    makers = {output: node for node in graph.node for output in node.output}
    names, waiting = list[str](), [output.name for output in graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.name in names:
            continue
        names.append(node.name)
        if not weights & set(node.input):
            waiting.extend(node.input)
    return names


@contextmanager
def _root_logger_silent() -> Iterator[None]:
    """In the block what this thread logs to the root logger below an error is not told: the quantiser speaks to that one."""
    here, root = threading.get_ident(), logging.getLogger()

    def wanted(record: logging.LogRecord) -> bool:
        return record.thread != here or record.levelno >= logging.ERROR

    root.addFilter(wanted)
    try:
        yield
    finally:
        root.removeFilter(wanted)


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Gives `pictures` one after the other, as the graph takes them."""

    def __init__(self, pictures: Iterable[NDArray[np.uint8]]) -> None:
        self._left: Iterator[NDArray[np.uint8]] = iter(pictures)
        self.first = next(self._left, None)
        self._next = self.first

    def get_next(self) -> dict[str, Any] | None:
        """The next input, or None at the end."""
        here, self._next = self._next, next(self._left, None)
        return None if here is None else {"pictures": scaled([here])}
