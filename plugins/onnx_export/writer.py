"""Writes a model as one ONNX file. Torch and onnx are imported here: only the exporter itself imports this module."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import onnx
import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from desktop_ft.api import Cancelled, ExportJob, FileInput, FilePrecision, UserError, quiet

from . import smaller, whole_picture

_LARGEST = (1 << 31) - 1
"""A protobuf message, and so a single ONNX file, holds less than 2 GiB."""

_CHATTY = ("torch.onnx", "torch.export", "torch._export", "torch.fx", "torch.utils._sympy", "onnxscript", "onnx_ir", "onnx")


def write(job: ExportJob) -> None:
    """Write `job.model` to `job.path`: input `pictures`, outputs `probabilities` and `logits`, the batch axis named `batch`.

    With the whole picture as its input: `picture`, uint8 (height, width, 3), RGB and upright, and a batch of one.

    Raises:
        UserError: the network has a part that ONNX cannot express, is too large for one file, or cannot be calibrated.
        OSError: the file cannot be written.
    """
    _must_fit(sum(held.nbytes for held in job.model.parameters()))  # before minutes, and copies of it all, go into it
    proto = _translated(job)
    _must_fit(proto.ByteSize())
    proto = _in_precision(proto, job)
    if job.input is FileInput.PICTURE:
        proto = whole_picture.before(proto, job.rule)
    _make_portable(proto)
    onnx.helper.set_model_props(proto, _sorted(job.metadata))
    onnx.checker.check_model(proto, full_check=True)
    job.path.write_bytes(proto.SerializeToString(deterministic=True))


class _AttentionOfFour(TorchFunctionMode):
    """While entered, attention is computed on tensors of four dimensions, the only ones for which it can be written as ONNX.

    Networks with windows have five, windows beside batch and heads (Twins, Hiera; where there is a mask they are left as they
    are), or three, batch and heads in one (SAM, whose mask has three as well).
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is scaled_dot_product_attention and len(args) == 3 and args[0].ndim == 3:
            mask = kwargs.get("attn_mask")
            four = kwargs | {"attn_mask": mask if mask is None or mask.ndim < 3 else mask.unsqueeze(0)}
            return function(*(each.unsqueeze(0) for each in args), **four).squeeze(0)
        if function is scaled_dot_product_attention and len(args) == 3 and args[0].ndim > 4 and kwargs.get("attn_mask") is None:
            answer = function(*(each.flatten(0, each.ndim - 4) for each in args), **kwargs)
            return answer.unflatten(0, args[0].shape[:-3])
        return function(*args, **kwargs)


def _must_fit(size: int) -> None:
    if size > _LARGEST:
        raise UserError(
            "The model is too large for one ONNX file (2 GiB).",
            "Turn on the plugin torch_export and export it as a PyTorch program (.pt2), or fine-tune a smaller backbone.",
        )


def _in_precision(proto: onnx.ModelProto, job: ExportJob) -> onnx.ModelProto:
    try:
        match job.precision:
            case FilePrecision.FLOAT16:
                return smaller.as_float16(proto, job.calibration)
            case FilePrecision.INT8:
                return smaller.as_int8(proto, job.calibration, job.path)
        return proto
    except (UserError, Cancelled, OSError):
        raise
    except Exception as error:  # the converters raise nearly anything on a graph that they do not know
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"The network cannot be written in {job.precision}: {lines[0]}", "Take float32; the run itself is kept."
        ) from error


def _translated(job: ExportJob) -> onnx.ModelProto:
    """The network as ONNX, made simpler by onnxscript's rewriting; as it is where that loses values.

    Of two bounds in a row it makes one, under a name that several such pairs of the same input share (onnxscript 0.7).
    """
    proto = _exported(job, optimize=True)
    return proto if _is_closed(proto.graph) else _exported(job, optimize=False)


def _is_closed(graph: onnx.GraphProto) -> bool:
    """Whether every input of a node is told somewhere."""
    told = {
        "",
        *(each.name for each in (*graph.input, *graph.initializer)),
        *(name for node in graph.node for name in node.output),
    }
    return all(name in told for node in graph.node for name in node.input)


def _exported(job: ExportJob, *, optimize: bool) -> onnx.ModelProto:
    # Two pictures: with one, tracing would take the batch axis for a constant.
    example = torch.zeros(2, 3, job.size, job.size)
    try:
        with quiet(*_CHATTY), torch.no_grad(), _AttentionOfFour():
            program = torch.onnx.export(
                job.answering(),
                (example,),
                dynamo=True,
                external_data=False,
                optimize=optimize,
                verbose=False,
                input_names=["pictures"],
                output_names=["probabilities", "logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
    except (torch.onnx.errors.OnnxExporterError, torch.onnx.errors.UnsupportedOperatorError) as error:
        lines = [line.strip() for line in str(error.__cause__ or error).splitlines() if line.strip()]
        raise UserError(
            f"The network has a part that could not be written as ONNX: {(lines or [type(error).__name__])[0]}",
            "Train another backbone to export it; the run itself is kept.",
        ) from error
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    proto: onnx.ModelProto = program.model_proto
    return proto


def _make_portable(proto: onnx.ModelProto) -> None:
    """Take out what tells of this machine: every node carries the source lines, with paths, that it came from."""
    proto.ClearField("doc_string")
    proto.ClearField("metadata_props")
    _clean_graph(proto.graph)
    for function in proto.functions:
        function.ClearField("doc_string")
        function.ClearField("metadata_props")
        _clean_nodes(function.node)


def _clean_graph(graph: onnx.GraphProto) -> None:
    graph.ClearField("doc_string")
    graph.ClearField("metadata_props")
    for values in (graph.input, graph.output, graph.value_info, graph.initializer):
        for value in values:
            value.ClearField("doc_string")
            value.ClearField("metadata_props")
    _clean_nodes(graph.node)


def _clean_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
            for graph in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                _clean_graph(graph)


def _sorted(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: metadata[key] for key in sorted(metadata)}
