"""A small model, and a server of it on a thread of its own."""

import asyncio
import base64
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from desktop_ft.core.backbone import Interpolation, ResizeRule
from desktop_ft.core.exporting import FileInput
from desktop_ft.core.values import to_json
from desktop_ft.export import metadata
from desktop_ft.export.onnx_model import INPUT, WHOLE_INPUT, OnnxModel
from desktop_ft.serving.limits import Limits
from desktop_ft.serving.server import Server, address_of, listen
from tests.pictures import encoded, photo

CLASSES = ("ant", 'a "bee", or\nso', "猫 café")
SIDE = 32
RULE = ResizeRule(crop=SIDE, resize=36, interpolation=Interpolation.BICUBIC)
FREE = {"rate": 0, "address_connections": 0, "address_queue": 0}
PATIENCE_S = 30


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("served") / "model.onnx")


def write_model(path: Path, threshold: float = 0.5, *, whole: bool = False) -> Path:
    """A file such as is exported, of a network of a few numbers: its answer is another one for every picture.

    Args:
        whole: it takes decoded pictures of any size, one at a time.
    """
    chance = np.random.default_rng(0)
    weights = numpy_helper.from_array(chance.normal(0, 2, (3 if whole else 12, len(CLASSES))).astype(np.float32), "weights")
    bias = numpy_helper.from_array(-weights_mean(weights), "bias")
    scaled = [
        helper.make_node("Cast", [WHOLE_INPUT], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["real", "most"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled", "sides"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "first"], ["flat"]),
    ]
    pooled = [
        helper.make_node("AveragePool", [INPUT], ["means"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["means"], ["flat"]),
    ]
    nodes = [
        *(scaled if whole else pooled),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    real = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "small",
        [
            helper.make_tensor_value_info(WHOLE_INPUT, TensorProto.UINT8, ["height", "width", 3])
            if whole
            else helper.make_tensor_value_info(INPUT, real, ["batch", 3, SIDE, SIDE])
        ],
        [helper.make_tensor_value_info(name, real, ["batch", len(CLASSES)]) for name in ("probabilities", "logits")],
        [weights, bias, *(_constants() if whole else ())],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    said = {
        metadata.VERSION: "0.1.0",
        metadata.CLASSES: json.dumps(CLASSES),
        metadata.RESIZE: to_json(RULE).decode(),
        metadata.BACKBONE: "tiny",
        metadata.WEIGHTS_LICENCE: "CC0-1.0",
        metadata.RECIPE_SHA256: "ab" * 32,
        metadata.THRESHOLD: repr(threshold),
        metadata.INPUT: FileInput.PICTURE if whole else FileInput.TENSOR,
    }
    helper.set_model_props(proto, said)
    onnx.save(proto, path)
    return path


def _constants() -> tuple[TensorProto, ...]:
    return (
        numpy_helper.from_array(np.float32(255), "most"),
        numpy_helper.from_array(np.array([0, 1], np.int64), "sides"),
        numpy_helper.from_array(np.array([0], np.int64), "first"),
    )


def weights_mean(weights: TensorProto) -> np.ndarray:
    """The logits of a grey picture."""
    return numpy_helper.to_array(weights).sum(0) / 2


class Gated(OnnxModel):
    """The model, which computes nothing while its gate is closed.

    Attributes:
        batches: how many pictures were computed at a time. begun: set once something is to be computed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate, self.begun = threading.Event(), threading.Event()
        self.batches: list[int] = []

    def run(self, pictures: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        self.batches.append(len(pictures))
        self.begun.set()
        assert self.gate.wait(PATIENCE_S)
        return super().run(pictures)


class Running:
    """A server that runs, and how to ask it."""

    def __init__(self, server: Server, port: int, loop: asyncio.AbstractEventLoop, stop: Any, thread: threading.Thread) -> None:
        self.server, self.port, self.stop, self._loop, self._thread = server, port, stop, loop, thread
        self.told: list[str] = []

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, Any], http.client.HTTPMessage]:
        """One request on a connection of its own: HTTP's number, document and headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content else {}, response.headers
        finally:
            connection.close()

    def predict(self, picture: bytes, path: str = "/predict", **headers: str) -> tuple[int, dict[str, Any]]:
        """One picture."""
        status, document, _ = self.ask("POST", path, picture, **({"Content_Type": "image/png"} | headers))
        return status, document

    def open(self) -> socket.socket:
        """A connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def raw(self, content: bytes, *, hang_up: bool = True) -> bytes:
        """All that is answered to these bytes until the server closes."""
        with self.open() as connection:
            try:
                connection.sendall(content)
                if hang_up:
                    connection.shutdown(socket.SHUT_WR)
            except ConnectionError:
                pass  # it has refused already: what it said is there all the same
            return received(connection)

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """The server does nothing meanwhile, as on a machine that is busy."""
        begun, over = threading.Event(), threading.Event()
        self._loop.call_soon_threadsafe(lambda: (begun.set(), over.wait(PATIENCE_S)))
        assert begun.wait(PATIENCE_S)
        try:
            yield
        finally:
            over.set()

    def ended(self) -> None:
        """Wait for the server to end by itself."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    content = b""
    try:
        while part := connection.recv(1 << 16):
            content += part
    except ConnectionError:
        pass
    return content


def parsed(answer: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """HTTP's number, headers and document of one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), json.loads(body) if body else {}


@contextmanager
def serving(model: OnnxModel, *, token: str = "", host: str = "127.0.0.1", **limits: float) -> Iterator[Running]:
    """A server of `model` on a thread, ended at the end."""
    listening = listen(host, 0)
    told: list[str] = []
    server = Server("model.onnx", model, listening, Limits.model_validate(FREE | limits), token=token, tell=told.append)
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    faults: list[str] = []
    loop.set_exception_handler(lambda _, context: faults.append(str(context)))

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(server.serve(stop.wait()))

    def end() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    thread = threading.Thread(target=run, name="server")
    running = Running(server, address_of(listening).port, loop, end, thread)
    running.told = told
    thread.start()
    try:
        yield running
    finally:
        if isinstance(model, Gated):
            model.gate.set()
        end()
        running.ended()
    assert not faults, faults


def pictures(count: int, *, start: int = 0) -> list[bytes]:
    """Pictures as files, no two alike."""
    return [encoded(photo(seed, 40 + seed % 7, 36 + seed % 5)) for seed in range(start, start + count)]


def truth(model: OnnxModel, picture: bytes) -> dict[str, float]:
    """What the model itself says: its probabilities by class."""
    probabilities, _ = OnnxModel.run(model, [model.prepare(BytesIO(picture))])
    return dict(zip(model.classes, probabilities[0].tolist(), strict=True))


def form(sent: Sequence[tuple[str, bytes]], boundary: str = "xYz") -> tuple[str, bytes]:
    """Content-Type and body of a form."""
    parts = []
    for name, content in sent:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"').encode()
        parts.append(b'--%s\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\n\r\n' % (boundary.encode(), quoted))
        parts.append(content + b"\r\n")
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + b"--%s--\r\n" % boundary.encode()


def as_json(sent: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Content-Type and body of a JSON document."""
    entries = [{"name": name, "data": base64.b64encode(content).decode()} for name, content in sent]
    return "application/json", json.dumps({"pictures": entries}).encode()
