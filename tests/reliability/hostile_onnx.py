"""ONNX files that are damaged, that reach for other files, or that are made to exhaust whoever computes them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, TensorProto, external_data_helper, helper, numpy_helper

from desktop_ft.export import metadata
from desktop_ft.export.onnx_model import INPUT, OUTPUTS
from tests.export.conftest import METADATA

Change = Callable[[ModelProto], object]
_SIDE, _CLASSES = 32, 3
_FLOAT, _INT64 = TensorProto.FLOAT, TensorProto.INT64


def sound() -> ModelProto:
    """A small file that answers: its logits are the means of the colours."""
    nodes = [
        helper.make_node("ReduceMean", [INPUT], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "weight"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(INPUT, _FLOAT, ["batch", 3, _SIDE, _SIDE])],
        [helper.make_tensor_value_info(name, _FLOAT, ["batch", _CLASSES]) for name in OUTPUTS],
        [numpy_helper.from_array(np.eye(3, _CLASSES, dtype=np.float32), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, METADATA)
    return model


def hostile(outside: Path) -> dict[str, bytes]:
    """What each file holds, by its name; `outside` is a file that none of them may reach."""
    found = {}
    for name, change in {**_changes(), **_reaching(outside), **_saying()}.items():
        model = sound()
        change(model)
        found[name] = model.SerializeToString()
    whole = sound().SerializeToString()
    return found | {
        "nothing": b"",
        "text": b"hello" * 100,
        "a pickle": b"cos\nsystem\n(Vtrue\ntR.",
        "a zip before it": b"PK\x03\x04" + whole,
        "cut in half": whole[: len(whole) // 2],
        "cut at its end": whole[:-9],
        "a length of 8 EiB": b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + whole,
        "ten thousand messages in one another": _nested(10_000),
        "graphs in one another": _nested(24),
        "bytes of chance": np.random.default_rng(0).bytes(20_000),
    }


def _changes() -> dict[str, Change]:
    """Graphs that cannot be, or must not be, computed."""
    return {
        "a cycle": lambda model: _node(model, 0).input.__setitem__(0, "means"),
        "a cycle of two": lambda model: _node(model, 0).input.__setitem__(0, "logits"),
        "a value made twice": lambda model: model.graph.node.append(helper.make_node("Relu", ["means"], ["logits"])),
        "a value of nowhere": lambda model: _node(model, 1).input.__setitem__(1, "nowhere"),
        "a node without a type": lambda model: setattr(_node(model, 0), "op_type", ""),
        "an unknown operation": lambda model: setattr(_node(model, 0), "op_type", "System"),
        "an operation of another domain": lambda model: _foreign(model, "evil.example"),
        "an operation in Python": lambda model: _foreign(model, "ai.onnx.contrib", "PyOp"),
        "an operation of onnxruntime that loads a file": lambda model: _foreign(model, "com.microsoft", "EPContext"),
        "a version of the far future": lambda model: setattr(model.opset_import[0], "version", 1 << 40),
        "a negative version": lambda model: setattr(model.opset_import[0], "version", -1),
        "no version": lambda model: model.ClearField("opset_import"),
        "another format": lambda model: setattr(model, "ir_version", 1 << 31),
        "no graph": lambda model: model.ClearField("graph"),
        "no node": lambda model: model.graph.ClearField("node"),
        "a size of 2^62": lambda model: setattr(_dims(model)[2], "dim_value", 1 << 62),
        "a size of zero": lambda model: setattr(_dims(model)[2], "dim_value", 0),
        "a negative size": lambda model: setattr(_dims(model)[2], "dim_value", -7),
        "a batch of one only": lambda model: setattr(_dims(model)[0], "dim_value", 1 << 40),
        "another input": lambda model: setattr(model.graph.input[0], "name", "sound"),
        "input of text": lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", TensorProto.STRING),
        "input without a type": lambda model: model.graph.input[0].ClearField("type"),
        "one input more": lambda model: model.graph.input.append(helper.make_tensor_value_info("more", _FLOAT, [1])),
        "no output": lambda model: model.graph.ClearField("output"),
        "the outputs' names changed over": lambda model: (
            model.graph.output[0].type.tensor_type.shape.dim[1].__setattr__("dim_value", 5)
        ),
        "weights with too few bytes": lambda model: setattr(_weight(model), "raw_data", b"1234"),
        "weights of 2^60 values": lambda model: (
            _weight(model).ClearField("dims"),
            _weight(model).dims.extend([1 << 30, 1 << 30]),
        ),
        "weights of negative size": lambda model: (_weight(model).ClearField("dims"), _weight(model).dims.extend([-3, 3])),
        "weights whose sizes overflow": lambda model: (
            _weight(model).ClearField("dims"),
            _weight(model).dims.extend([1 << 33] * 4),
        ),
        "weights of an unknown type": lambda model: setattr(_weight(model), "data_type", 99),
        "weights of text": lambda model: setattr(_weight(model), "data_type", TensorProto.STRING),
        "weights that are not numbers": lambda model: setattr(_weight(model), "raw_data", b"\xff" * 36),
        "weights of 2^60 in few places": _sparse,
        "an array of 2^50 values": lambda model: _filled(model, [1 << 50]),
        "an array of 2^31 values": lambda model: _filled(model, [1 << 31]),
        "an array of negative size": lambda model: _filled(model, [-5]),
        "a tile of 2^40": _tiled,
        "a range of 2^60": _ranged,
        "a stride of zero": _strided,
        "a picture resized 10^6 times": _resized,
        "a function that calls itself": lambda model: _functions(model, "A", "A"),
        "functions that call one another": lambda model: _functions(model, "A", "B", "A"),
        "a function within a function, doubled 40 times": _doubled,
        "a loop without an end": _endless,
        "2^38 values for some pictures only": _by_the_picture,
        "up to 2^38 values, by the contrast": lambda model: sized_by_the_picture(model, 1 << 38),
        "a subgraph that is missing": lambda model: model.graph.node.append(helper.make_node("If", ["means"], ["x"])),
        "a subgraph that uses itself": _self_using,
        "an attribute of the wrong kind": lambda model: setattr(_node(model, 0).attribute[0], "type", AttributeProto.GRAPH),
        "an axis that is not there": lambda model: _node(model, 0).attribute[0].ints.append(1 << 40),
        "a name of a megabyte": lambda model: setattr(_node(model, 0), "name", "n" * (1 << 20)),
        "a name with markup and NUL": lambda model: setattr(_node(model, 0), "op_type", "<img src=x>\0"),
        "twenty thousand nodes": _long,
    }


def _reaching(outside: Path) -> dict[str, Change]:
    """Files that keep something in another file, in each place where that can be said."""
    up = f"../{outside.parent.name}/{outside.name}"

    def weight(place: str, **facts: int) -> Change:
        return lambda model: _elsewhere(_weight(model), place, **facts)

    return {
        "weights beside it": weight("weights.bin"),
        "weights above it": weight(up),
        "weights by a whole path": weight(str(outside)),
        "weights of the system": weight("/etc/passwd"),
        "weights by an address": weight("https://example.org/weights.bin"),
        "weights by a file's address": weight(outside.as_uri()),
        "weights from an offset": weight(str(outside), offset=1 << 60, length=36),
        "weights from a negative offset": weight(str(outside), offset=-36, length=1 << 40),
        "weights of a device": weight("/dev/zero"),
        "weights of memory": weight("*/_ORT_MEM_ADDR_/*", offset=4096, length=36),
        "weights nowhere": weight(""),
        "weights in few places, elsewhere": lambda model: (
            _sparse(model),
            _elsewhere(model.graph.sparse_initializer[0].values, up),
        ),
        "a constant elsewhere": lambda model: model.graph.node.insert(0, _constant(up)),
        "a constant elsewhere, in a branch": lambda model: model.graph.node.append(_branch(_constant(up))),
        "a constant elsewhere, two branches down": lambda model: model.graph.node.append(_branch(_branch(_constant(up)))),
        "a constant elsewhere, in a function": lambda model: _function_of(model, _constant(up)),
        "a constant elsewhere, in a function's branch": lambda model: _function_of(model, _branch(_constant(up))),
        "weights elsewhere, in a branch": lambda model: model.graph.node.append(
            _branch(helper.make_node("Identity", ["w"], ["y"]), up)
        ),
        "weights elsewhere, for training": lambda model: _training(model, up),
    }


def _saying() -> dict[str, Change]:
    """Files that say of themselves what cannot be."""

    def says(**changed: str | None) -> Change:
        return lambda model: _say(model, {getattr(metadata, name): value for name, value in changed.items()})

    rule = {"crop": _SIDE, "resize": 36, "interpolation": "bilinear"}
    return {
        "says nothing": lambda model: model.ClearField("metadata_props"),
        "no classes": says(CLASSES=None),
        "classes: nested 10^5 deep": says(CLASSES="[" * 100_000),
        "classes: nested and whole": says(CLASSES="[" * 5_000 + "]" * 5_000),
        "classes: a number of 10^5 digits": says(CLASSES="9" * 100_000),
        "classes: code": says(CLASSES="__import__('os').system('true')"),
        "classes: of numbers": says(CLASSES="[1, 2, 3]"),
        "classes: none": says(CLASSES="[]"),
        "classes: a million": says(CLASSES=json.dumps(["x"] * 1_000_000)),
        "classes: two, for three answers": says(CLASSES='["a", "b"]'),
        "a threshold above all": says(THRESHOLD="1.5"),
        "a threshold that is no number": says(THRESHOLD="nan"),
        "a threshold of code": says(THRESHOLD="__import__('os')"),
        "a threshold of 10^5 digits": says(THRESHOLD="0" * 100_000 + "9" * 1000),
        "a rule that is none": says(RESIZE="{}"),
        "a rule nested 10^5 deep": says(RESIZE='{"crop":' * 100_000),
        "a rule of another size": says(RESIZE=json.dumps(rule | {"crop": 64, "resize": 64})),
        "a rule of 10^9 pixels": says(RESIZE=json.dumps(rule | {"resize": 10**9})),
        "a rule of negative size": says(RESIZE=json.dumps(rule | {"crop": -1})),
        "a rule of infinite size": says(RESIZE='{"crop": 32, "resize": Infinity, "interpolation": "bilinear"}'),
        "a rule of an unknown kind": says(RESIZE=json.dumps(rule | {"interpolation": "os.system"})),
    }


def _say(model: ModelProto, changed: dict[str, str | None]) -> None:
    said = {entry.key: entry.value for entry in model.metadata_props} | changed
    helper.set_model_props(model, {key: value for key, value in said.items() if value is not None})


def _node(model: ModelProto, place: int):
    return model.graph.node[place]


def _weight(model: ModelProto) -> TensorProto:
    return model.graph.initializer[0]


def _dims(model: ModelProto):
    return model.graph.input[0].type.tensor_type.shape.dim


def _foreign(model: ModelProto, domain: str, operation: str = "Run") -> None:
    model.opset_import.append(helper.make_opsetid(domain, 1))
    _node(model, 0).domain = domain
    _node(model, 0).op_type = operation
    _node(model, 0).ClearField("attribute")


def _use(model: ModelProto, name: str) -> None:
    """Let the answers depend on the value `name`: what nothing uses is never computed."""
    model.graph.node.extend(
        [
            helper.make_node("ReduceSum", [name], ["sum of it"], keepdims=0),
            helper.make_node("Add", ["means", "sum of it"], ["both"]),
        ]
    )
    nodes = list(model.graph.node)
    nodes[1].input[0] = "both"
    order = [nodes[0], *nodes[3:], nodes[1], nodes[2]]
    model.graph.ClearField("node")
    model.graph.node.extend(order)


def _filled(model: ModelProto, sizes: list[int]) -> None:
    model.graph.initializer.append(helper.make_tensor("sizes", _INT64, [len(sizes)], sizes))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["sizes"], ["large"]))
    _use(model, "large")


def _tiled(model: ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("times", _INT64, [4], [1 << 10] * 4))
    model.graph.node.append(helper.make_node("Tile", [INPUT, "times"], ["large"]))
    _use(model, "large")


def _ranged(model: ModelProto) -> None:
    for name, value in (("from", 0.0), ("to", float(1 << 60)), ("by", 1.0)):
        model.graph.initializer.append(helper.make_tensor(name, _FLOAT, [], [value]))
    model.graph.node.append(helper.make_node("Range", ["from", "to", "by"], ["large"]))
    _use(model, "large")


def _strided(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("MaxPool", [INPUT], ["large"], kernel_shape=[1, 1], strides=[0, 0]))
    _use(model, "large")


def _resized(model: ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("scales", _FLOAT, [4], [1, 1, 1e6, 1e6]))
    model.graph.node.append(helper.make_node("Resize", [INPUT, "", "scales"], ["large"], mode="nearest"))
    _use(model, "large")


def _sparse(model: ModelProto) -> None:
    values = helper.make_tensor("weight", _FLOAT, [1], [1.0])
    indices = helper.make_tensor("places", _INT64, [1], [(1 << 60) - 1])
    model.graph.ClearField("initializer")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [1 << 30, 1 << 30]))


def _functions(model: ModelProto, first: str, *calls: str) -> None:
    """`first` calls the next of `calls`, and so on; the graph calls `first`."""
    model.opset_import.append(helper.make_opsetid("f", 1))
    imports = list(model.opset_import)
    for name, called in zip((first, *calls), calls, strict=False):
        node = helper.make_node(called, ["x"], ["y"], domain="f")
        model.functions.append(helper.make_function("f", name, ["x"], ["y"], [node], imports))
    model.graph.node.append(helper.make_node(first, ["means"], ["called"], domain="f"))
    _use(model, "called")


def _doubled(model: ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("f", 1))
    imports = list(model.opset_import)
    for level in range(40):
        below = f"F{level + 1}" if level < 39 else "Relu"
        domain = "f" if level < 39 else ""
        nodes = [
            helper.make_node(below, ["x"], ["z"], domain=domain),
            helper.make_node(below, ["z"], ["y"], domain=domain),
        ]
        model.functions.append(helper.make_function("f", f"F{level}", ["x"], ["y"], nodes, imports))
    model.graph.node.append(helper.make_node("F0", ["means"], ["called"], domain="f"))
    _use(model, "called")


def _function_of(model: ModelProto, node: onnx.NodeProto) -> None:
    model.opset_import.append(helper.make_opsetid("f", 1))
    made = helper.make_function("f", "F", ["x"], ["y"], [node], list(model.opset_import))
    model.functions.append(made)
    model.graph.node.append(helper.make_node("F", ["means"], ["called"], domain="f"))


def _self_using(model: ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Identity", ["y"], ["y"])], "inner", [], [_float("y")])
    condition = helper.make_tensor("condition", TensorProto.BOOL, [], [True])
    model.graph.initializer.append(condition)
    model.graph.node.append(helper.make_node("If", ["condition"], ["branched"], then_branch=inner, else_branch=inner))
    _use(model, "branched")


def _endless(model: ModelProto) -> None:
    going_on = helper.make_node("Identity", ["on"], ["still on"])
    step = [helper.make_tensor_value_info("turn", _INT64, []), helper.make_tensor_value_info("on", TensorProto.BOOL, [])]
    body = helper.make_graph(
        [going_on, helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [*step, _float("x")],
        [helper.make_tensor_value_info("still on", TensorProto.BOOL, []), _float("y")],
    )
    model.graph.initializer.append(helper.make_tensor("go", TensorProto.BOOL, [], [True]))
    model.graph.node.append(helper.make_node("Loop", ["", "go", "means"], ["looped"], body=body))
    _use(model, "looped")


def _by_the_picture(model: ModelProto) -> None:
    """A branch that is taken for pictures of more than one colour, and fills the memory; the other one costs nothing."""
    large = [
        helper.make_node("ConstantOfShape", ["sizes"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["much"], keepdims=0),
    ]
    heavy = helper.make_graph(large, "heavy", [], [_float("much")])
    light = helper.make_graph([helper.make_node("Identity", ["little"], ["none"])], "light", [], [_float("none")])
    model.graph.initializer.extend(
        [helper.make_tensor("sizes", _INT64, [1], [1 << 38]), helper.make_tensor("little", _FLOAT, [], [0.01])]
    )
    model.graph.node.extend(
        [
            helper.make_node("ReduceMax", [INPUT], ["brightest"], keepdims=0),
            helper.make_node("ReduceMin", [INPUT], ["darkest"], keepdims=0),
            helper.make_node("Sub", ["brightest", "darkest"], ["contrast"]),
            helper.make_node("Greater", ["contrast", "little"], ["several colours"]),
            helper.make_node("If", ["several colours"], ["chosen"], then_branch=heavy, else_branch=light),
        ]
    )
    _use(model, "chosen")


def sized_by_the_picture(model: ModelProto, most: int) -> None:
    """Without a branch: the more contrast, the more values; `most` from black to white, none where all is of one colour."""
    model.graph.initializer.extend(
        [helper.make_tensor("most", _FLOAT, [], [float(most)]), helper.make_tensor("one size", _INT64, [1], [1])]
    )
    model.graph.node.extend(
        [
            helper.make_node("ReduceMax", [INPUT], ["brightest"], keepdims=0),
            helper.make_node("ReduceMin", [INPUT], ["darkest"], keepdims=0),
            helper.make_node("Sub", ["brightest", "darkest"], ["contrast"]),
            helper.make_node("Mul", ["contrast", "most"], ["wanted"]),
            helper.make_node("Cast", ["wanted"], ["whole"], to=_INT64),
            helper.make_node("Reshape", ["whole", "one size"], ["size"]),
            helper.make_node("ConstantOfShape", ["size"], ["large"]),
        ]
    )
    _use(model, "large")


def _elsewhere(tensor: TensorProto, place: str, **facts: int) -> None:
    tensor.raw_data = tensor.raw_data or b"\0"
    external_data_helper.set_external_data(tensor, place, **facts)
    for name in ("raw_data", "float_data"):
        tensor.ClearField(name)


def _constant(place: str) -> onnx.NodeProto:
    tensor = helper.make_tensor("c", _FLOAT, [9], [0.0] * 9)
    _elsewhere(tensor, place)
    return helper.make_node("Constant", [], ["y"], value=tensor)


def _branch(node: onnx.NodeProto, place: str = "") -> onnx.NodeProto:
    """An `If` with `node`, which makes "y", in a branch; with weights "w" at `place`."""
    weights = []
    if place:
        weights.append(helper.make_tensor("w", _FLOAT, [9], [0.0] * 9))
        _elsewhere(weights[0], place)
    inner = helper.make_graph([node], "inner", [], [_float("y")], weights)
    return helper.make_node("If", ["condition"], ["y"], then_branch=inner, else_branch=inner)


def _training(model: ModelProto, place: str) -> None:
    tensor = helper.make_tensor("w", _FLOAT, [9], [0.0] * 9)
    _elsewhere(tensor, place)
    info = model.training_info.add()
    info.initialization.CopyFrom(
        helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "t", [], [_float("y")], [tensor])
    )


def _float(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _FLOAT, None)


def _long(model: ModelProto) -> None:
    nodes = [helper.make_node("Relu", ["means" if n == 0 else f"r{n - 1}"], [f"r{n}"]) for n in range(20_000)]
    model.graph.node.extend(nodes)


def _nested(depth: int) -> bytes:
    """Graphs within attributes of nodes of graphs, written by hand: the library itself makes none so deep."""

    def field(number: int, content: bytes) -> bytes:
        return _varint(number << 3 | 2) + _varint(len(content)) + content

    graph = field(1, field(4, b"Relu"))
    for _ in range(depth):
        graph = field(1, field(4, b"If") + field(5, field(1, b"then_branch") + field(6, graph)))
        if len(graph) > 1 << 20:
            break
    return sound().SerializeToString() + field(7, graph)


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


COMPUTABLE = frozenset(
    {
        "weights that are not numbers",
        "a name of a megabyte",
        "twenty thousand nodes",
        "weights elsewhere, for training",
    }
)
"""What is odd, and can be answered all the same."""
