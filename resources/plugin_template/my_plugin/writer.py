"""The exporter: an ONNX file that also answers by name, so that whoever uses it needs no list of the classes.

Desktop FT opens what an exporter has written with ONNX Runtime, in a process without torch, and keeps it only if it answers like
the trained network on the person's own photos. So the file must be ONNX, whole in itself, and have the input and the two outputs
that are named below; what else it has is up to the exporter.
"""

import json

import onnx
import torch
from onnx import TensorProto, helper

from desktop_ft.api import ExportJob, quiet

INPUT, OUTPUTS = "pictures", ["probabilities", "logits"]
ANSWER = "answer"


def write(job: ExportJob) -> None:
    """Write `job.model` to `job.path`."""
    proto = _translated(job)
    _add_answer(proto.graph, json.loads(job.metadata["desktop_ft.classes"]))
    helper.set_model_props(proto, dict(job.metadata))
    onnx.checker.check_model(proto, full_check=True)
    job.path.write_bytes(proto.SerializeToString())


def _translated(job: ExportJob) -> onnx.ModelProto:
    """The model as ONNX, with the number of pictures left open."""
    with quiet("torch.onnx"):
        program = torch.onnx.export(
            job.program(),
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=[INPUT],
            output_names=OUTPUTS,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    assert program is not None
    proto: onnx.ModelProto = program.model_proto
    return proto


def _add_answer(graph: onnx.GraphProto, classes: list[str]) -> None:
    """Let `graph` give a third output: the name of the likeliest class, text (N,)."""
    names = [name.encode() for name in classes]
    graph.initializer.append(TensorProto(name="class_names", data_type=TensorProto.STRING, dims=[len(names)], string_data=names))
    graph.node.append(helper.make_node("ArgMax", ["logits"], ["likeliest"], axis=1, keepdims=0))
    graph.node.append(helper.make_node("Gather", ["class_names", "likeliest"], [ANSWER]))
    graph.output.append(helper.make_tensor_value_info(ANSWER, TensorProto.STRING, ["batch"]))
