"""The same graph in smaller numbers."""

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers import float16

from desktop_ft.api import UserError


def as_float16(proto: onnx.ModelProto) -> onnx.ModelProto:
    """`proto` with float16 weights and arithmetic; its inputs and outputs stay float32."""
    model = ONNXModel(float16.convert_float_to_float16(proto, keep_io_types=True))
    model.topological_sort()  # the casts of the inputs were put at the end
    found: onnx.ModelProto = model.model
    return found


def as_int8(proto: onnx.ModelProto, calibration: Callable[[], Iterable[NDArray[np.uint8]]]) -> onnx.ModelProto:
    """`proto` with 8-bit weights, a scale for each channel, and 8-bit values between, whose range `calibration` shows.

    Static quantisation with QDQ nodes, which every runtime reads. Weights take 7 of the 8 bits: on processors without VNNI, sums
    of full ones would overflow (ONNX Runtime's documentation on quantisation, "reduce_range"). The last layer stays float32.

    Raises:
        UserError: there is no photo to calibrate on.
    """
    reader = _Photos(calibration())
    if reader.first is None:
        raise UserError(
            "There is no training photo to fit the int8 file on.", "Put the run's pictures back in their folder, or take float32."
        )
    # Its tools speak to the root logger, of their own course.
    logging.disable(logging.WARNING)
    try:
        with TemporaryDirectory(prefix="desktop-ft-") as folder:
            whole, prepared, small = (Path(folder) / name for name in ("whole.onnx", "prepared.onnx", "small.onnx"))
            onnx.save(proto, whole)
            quantization.quant_pre_process(whole, prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared,
                small,
                reader,
                nodes_to_exclude=_answering(onnx.load(prepared).graph),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            return onnx.load(small)
    finally:
        logging.disable(logging.NOTSET)


def _answering(graph: onnx.GraphProto) -> list[str]:
    """The names of the nodes that give the answers: in 8 bits, classes that are nearly as likely would become equal."""
    outputs = {output.name for output in graph.output}
    return [node.name for node in graph.node if outputs & set(node.output)]


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Gives `pictures` one after the other, as the graph takes them."""

    def __init__(self, pictures: Iterable[NDArray[np.uint8]]) -> None:
        self._left: Iterator[NDArray[np.uint8]] = iter(pictures)
        self.first = next(self._left, None)
        self._next = self.first

    def get_next(self) -> dict[str, Any] | None:
        """The next input, or None at the end."""
        here, self._next = self._next, next(self._left, None)
        if here is None:
            return None
        return {"pictures": here.transpose(2, 0, 1)[None].astype(np.float32) / 255}
