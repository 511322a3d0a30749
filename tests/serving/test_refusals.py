"""What is not answered is refused in a sentence, and the server goes on."""

import http.client
import json
import socket
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_ft.core.errors import UserError
from desktop_ft.export.onnx_model import OnnxModel
from desktop_ft.serving import bodies
from desktop_ft.serving.clients import Rates
from desktop_ft.serving.refusal import Refused
from desktop_ft.serving.server import address_of, listen
from tests.pictures import encoded, photo
from tests.serving.conftest import Gated, as_json, form, parsed, pictures, received, serving

HOST = b"Host: localhost\r\n"
IMAGE = b"Content-Type: image/png\r\n"


@pytest.fixture(scope="module")
def running(model_file: Path):
    with serving(OnnxModel(model_file), body_mb=0.1, pictures=3) as running:
        yield running


# The module's server outlives each test here, and its threads with it.
@pytest.fixture(autouse=True)
def no_thread_left_behind(running) -> None:
    return None


@pytest.mark.parametrize(
    ("request_bytes", "status", "words"),
    [
        (b"GET\r\n\r\n", 400, "first line"),
        (b"\r\n\r\n", 400, "first line"),
        (b"get /health HTTP/1.1\r\n" + HOST + b"\r\n", 400, "first line"),
        (b"GET health HTTP/1.1\r\n" + HOST + b"\r\n", 400, "first line"),
        (b"GET  /health HTTP/1.1\r\n" + HOST + b"\r\n", 400, "first line"),
        (b"GET /health HTTP/2.0\r\n" + HOST + b"\r\n", 400, "first line"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "first line"),
        (b"GET /he\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "first line"),
        (b"GET /health HTTP/1.1\r\n\r\n", 400, "no header Host"),
        (b"GET /health HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400, "twice"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b" folded: x\r\n\r\n", 400, "NAME: VALUE"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"a b: x\r\n\r\n", 400, "NAME: VALUE"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"a : x\r\n\r\n", 400, "NAME: VALUE"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"a: x\ry\r\n\r\n", 400, "NAME: VALUE"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"a: x\0y\r\n\r\n", 400, "NAME: VALUE"),
        (b"GET /health HTTP/1.1\n" + HOST + b"\r\n", 400, "first line"),
        (b"GET /predict?" + b"&".join(b"a=1" for _ in range(50)) + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400, "address"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"a: %s\r\n\r\n" % (b"x" * 20_000), 431, "head has more than"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"a: %s" % (b"x" * 40_000), 431, "head has more than"),
        (b"GET /%s HTTP/1.1\r\n" % (b"x" * 20_000) + HOST + b"\r\n", 431, "head has more than"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 150 + b"\r\n", 431, "headers"),
        (b"GET /other HTTP/1.1\r\n" + HOST + b"\r\n", 404, "nothing at this address"),
        (b"GET /predict/../health HTTP/1.1\r\n" + HOST + b"\r\n", 404, "nothing at this address"),
        (b"GET /predict HTTP/1.1\r\n" + HOST + b"\r\n", 405, "takes POST only"),
        (b"POST /model HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n", 405, "takes GET only"),
        (b"GET /model HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n\r\nx", 400, "takes no body"),
        (b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"\r\n", 411, "how long"),
        (b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "chunks"),
        (b"POST /predict HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400, "both"),
        (b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: -1\r\n\r\n", 400, "no number"),
        (b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: 1_0\r\n\r\n", 400, "no number"),
        (b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: %s\r\n\r\n" % (b"9" * 5000), 400, "no number"),
        (b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400, "twice"),
        (b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: 200000\r\n\r\n", 413, "larger than 0.1 MB"),
        (b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: 200000\r\n\r\n" + bytes(200_000), 413, "larger than"),
        (b"POST /predict HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n\r\nx", 415, "what its body is"),
        (b"POST /predict HTTP/1.1\r\n" + HOST + b"Content-Type: text/html\r\nContent-Length: 1\r\n\r\nx", 415, "text/html"),
        (b"POST /predict?top=0 HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: 1\r\n\r\nx", 400, "top=0"),
        (b"POST /predict?top=x HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: 1\r\n\r\nx", 400, "top=x"),
        (b"POST /predict?tip=1 HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: 1\r\n\r\nx", 400, "parameter tip"),
        (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, "another name"),
        (b"GET /health HTTP/1.1\r\nHost: localhost.evil.example:80\r\n\r\n", 403, "another name"),
        (b"GET /health HTTP/1.0\r\n\r\n", 403, "another name"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"Origin: https://evil.example\r\n\r\n", 403, "a web page from elsewhere"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"Origin: null\r\n\r\n", 403, "a web page from elsewhere"),
    ],
)
def test_each_is_refused_with_a_sentence_and_a_cure(running, request_bytes: bytes, status: int, words: str) -> None:
    found, headers, document = parsed(running.raw(request_bytes))
    assert (found, words in document["error"]) == (status, True), document
    assert document["error"].endswith(".") and document["cure"].endswith((".", "hex 32"))
    assert headers["Content-Type"] == "application/json"
    assert running.ask("GET", "/health")[0] == 200


def test_who_goes_on_sending_what_was_refused_is_not_cut_off_before_reading_why(running) -> None:
    with running.open() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: 200000\r\n\r\n")
        status, _, _ = parsed(received(connection))
        for _ in range(20):
            connection.sendall(bytes(10_000))
        assert status == 413


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "[::1]:80"])
def test_by_its_own_names_it_may_be_called(running, host: str) -> None:
    assert running.ask("GET", "/health", Host=host)[0] == 200
    assert running.ask("GET", "/health", Origin=f"http://{host}")[0] == 200


def test_the_method_to_take_is_named(running) -> None:
    status, document, headers = running.ask("DELETE", "/predict")
    assert (status, headers["Allow"]) == (405, "POST")
    status, document, headers = running.ask("HEAD", "/health")
    assert (status, document, headers["Allow"]) == (405, {}, "GET")


@pytest.mark.parametrize(
    ("kind", "body", "status", "words"),
    [
        ("application/json", b"{", 400, "not JSON"),
        ("application/json", b"\xff\xfe", 400, "not JSON"),
        ("application/json", b"[" * 100 + b"]" * 100, 400, "cannot be used"),
        ("application/json", b"[" * 50_000, 413, "more than 3 pictures"),
        ("application/json", b'{"pictures": []}', 400, "no picture"),
        ("application/json", b'{"pictures": [{"name": 1, "data": ""}]}', 400, "name"),
        ("application/json", b'{"pictures": [{"name": "a"}]}', 400, "data"),
        ("application/json", b'{"pictures": [], "other": 1}', 400, "other"),
        ("application/json", b'{"pictures": [], "%s": 1}' % (b"o" * 90_000), 400, "cannot be used"),
        ("application/json", as_json([("a", b"x")] * 4)[1], 413, "more than 3 pictures"),
        (*form([("a", b"x")] * 4), 413, "more than 3 pictures"),
        (*form([]), 400, "no picture"),
        ("multipart/form-data", b"x", 400, "boundary"),
        ("multipart/form-data; boundary=a", b"", 400, "begin with its boundary"),
        ("multipart/form-data; boundary=a", b"--a", 400, "line of its own"),
        ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data\r\n\r\n", 400, "cut off"),
        ("multipart/form-data; boundary=a", b"--a\r\nOther: form-data\r\n\r\nx\r\n--a--", 400, "Content-Disposition"),
        ("multipart/form-data; boundary=a", b"--a\r\nX: " + b"y" * 9000 + b"\r\n\r\nx\r\n--a--", 400, "cut off"),
    ],
)
def test_a_body_that_cannot_be_used_is_told(running, kind: str, body: bytes, status: int, words: str) -> None:
    found, document, _ = running.ask("POST", "/predict", body, Content_Type=kind)
    assert (found, words in document["error"]) == (status, True), document
    assert len(document["error"]) < 300


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=2000), st.sampled_from([b"", b"GET ", b"GET /health HTTP/1.1\r\n", b"POST /predict HTTP/1.1\r\n" + HOST])
)
def test_whatever_comes_is_refused_or_answered_and_the_server_lives(running, content: bytes, start: bytes) -> None:
    answered = running.raw(start + content)
    if answered:
        status, _, document = parsed(answered.partition(b"\nHTTP/1.1 ")[0])
        assert status < 500
        assert status == 200 or document["error"]
    assert running.ask("GET", "/health")[0] == 200


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_sound_request_with_bytes_changed_is_refused_or_answered(running, data: st.DataObject) -> None:
    kind, body = data.draw(st.sampled_from([form, as_json]))([("a.png", pictures(1)[0]), ("b", b"x")])
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    sound = bytearray(head + body)
    for at in data.draw(st.lists(st.integers(0, len(sound) - 1), min_size=1, max_size=4)):
        sound[at] = data.draw(st.integers(0, 255))
    answered = running.raw(bytes(sound))
    assert not answered or parsed(answered.partition(b"\nHTTP/1.1 ")[0])[0] < 500
    assert running.ask("GET", "/health")[0] == 200


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=200).filter(lambda body: b"xYz" not in body)), min_size=1, max_size=8))
def test_forms_and_documents_give_back_what_was_put_in(sent: list[tuple[str, bytes]]) -> None:
    for write in (form, as_json):
        kind, body = write(sent)
        batch = bodies.reader_for(kind)(body, 8)
        assert [(each.name, each.content) for each in batch.pictures] == sent
        assert not batch.single


@given(st.binary(max_size=400), st.sampled_from(["application/json", "multipart/form-data; boundary=a"]))
def test_a_body_of_any_bytes_is_read_or_refused(body: bytes, kind: str) -> None:
    for content in (body, b"--a\r\n" + body, b'{"pictures": ' + body):
        try:
            assert bodies.reader_for(kind)(content, 3).pictures
        except Refused as refused:
            assert refused.what and refused.cure


def test_asking_too_often_is_told_with_when_to_ask_again(model_file: Path) -> None:
    with serving(OnnxModel(model_file), rate=3) as running:
        found = [running.ask("GET", "/health") for _ in range(12)]
        assert [status for status, _, _ in found[:3]] == [200] * 3
        refused = [(document, headers) for status, document, headers in found if status == 429]
        assert refused
        assert all(headers["Retry-After"] == "1" and document["cure"] for document, headers in refused)
        assert running.server.refused == {429: len(refused)}


def test_more_pictures_than_may_wait_are_told_to_come_again(model_file: Path) -> None:
    model, sent = Gated(model_file), pictures(5)
    with serving(model, queue=4, pictures=4) as running:
        kind, body = form([("x", each) for each in sent[:4]])
        answered: list[int] = []
        waiting = threading.Thread(
            target=lambda: answered.append(running.ask("POST", "/predict", body, Content_Type=kind)[0]), name="waiting"
        )
        waiting.start()
        assert model.begun.wait(30)
        status, document, headers = running.ask("POST", "/predict", sent[4], Content_Type="image/png")
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "wait already" in document["error"]
        assert running.ask("GET", "/health")[1]["queue"] == 4
        model.gate.set()
        waiting.join()
        assert answered == [200]
        assert running.predict(sent[4])[0] == 200


def test_one_connection_too_many_is_told_so_and_later_taken(model_file: Path) -> None:
    with serving(OnnxModel(model_file), connections=4) as running:
        with ExitStack() as stack:
            taken = [stack.enter_context(running.open()) for _ in range(4)]
            for each in taken:
                each.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
                assert each.recv(12) == b"HTTP/1.1 200"
            status, headers, document = parsed(running.raw(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"))
            assert (status, headers["Retry-After"], headers["Connection"]) == (503, "1", "close")
            assert "More than 4 connections" in document["error"]
        while running.ask("GET", "/health")[0] != 200:
            pass  # the server has not seen them go yet
        assert set(running.server.refused) == {503}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address of this machine")
def test_one_address_leaves_connections_for_others(model_file: Path) -> None:
    with serving(OnnxModel(model_file), connections=4, address_connections=2) as running:
        with ExitStack() as stack:
            for each in [stack.enter_context(running.open()) for _ in range(2)]:
                each.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
                assert each.recv(12) == b"HTTP/1.1 200"
            status, headers, document = parsed(running.raw(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"))
            assert (status, headers["Retry-After"], headers["Connection"]) == (429, "1", "close")
            assert "More than 2 connections of this address" in document["error"]
            other = stack.enter_context(socket.create_connection(("127.0.0.1", running.port), source_address=("127.0.0.2", 0)))
            other.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
            assert other.recv(12) == b"HTTP/1.1 200", "another address is taken"
        while running.ask("GET", "/health")[0] != 200:
            pass  # the server has not seen them go yet
        assert set(running.server.refused) == {429}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address of this machine")
def test_one_address_leaves_room_in_the_queue_for_others(model_file: Path) -> None:
    model, (one, *sent) = Gated(model_file), pictures(6)
    head = b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: %d\r\n\r\n"
    with serving(model, queue=8, pictures=5, address_queue=5) as running:
        kind, body = form([("x", each) for each in sent])
        answered: list[int] = []
        many = threading.Thread(
            target=lambda: answered.append(running.ask("POST", "/predict", body, Content_Type=kind)[0]), name="many"
        )
        many.start()
        while running.ask("GET", "/health")[1]["queue"] < len(sent):
            pass
        status, said, headers = running.ask("POST", "/predict", one, Content_Type="image/png")
        assert (status, headers["Retry-After"]) == (429, "1") and "More than 5 pictures of this address" in said["error"]
        with socket.create_connection(("127.0.0.1", running.port), source_address=("127.0.0.2", 0)) as other:
            other.sendall(head % len(one) + one)
            while running.ask("GET", "/health")[1]["queue"] < len(sent) + 1:
                pass
            model.gate.set()
            assert parsed(received(other))[0] == 200
        many.join()
        assert answered == [200]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address of this machine")
def test_one_address_with_many_slow_pictures_does_not_keep_another_waiting(model_file: Path) -> None:
    class Slow(OnnxModel):
        """Decodes only as many pictures but the first as it is let."""

        def prepare(self, path: BinaryIO) -> np.ndarray:
            if path.read() != one:
                assert let.acquire(timeout=30)
            path.seek(0)
            return super().prepare(path)

    let, (one, *sent) = threading.Semaphore(0), pictures(41)
    head = b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: %d\r\n\r\n"
    with serving(Slow(model_file)) as running:
        kind, body = form([("x", each) for each in sent])
        many = threading.Thread(target=running.ask, args=("POST", "/predict", body), kwargs={"Content_Type": kind}, name="many")
        many.start()
        while running.ask("GET", "/health")[1]["queue"] < len(sent):
            pass
        with socket.create_connection(("127.0.0.1", running.port), source_address=("127.0.0.2", 0)) as other:
            other.sendall(head % len(one) + one)
            while running.ask("GET", "/health")[1]["queue"] < len(sent) + 1:
                pass
            let.release(6)
            assert parsed(received(other))[0] == 200
        assert running.ask("GET", "/health")[1]["queue"] >= len(sent) - 6
        let.release(len(sent))
        many.join()


def test_bodies_together_are_limited_whoever_sends_them(model_file: Path) -> None:
    head = b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: 90000\r\n\r\n"
    with serving(OnnxModel(model_file), body_mb=0.1, bodies_mb=0.15) as running:
        with running.open() as slow:
            slow.sendall(head + bytes(80_000))
            while (found := running.raw(head + bytes(89_000), hang_up=False))[9:12] != b"503":
                assert found[9:12] == b"408"  # pragma: no cover - the first has not all come yet
            assert "large requests" in parsed(found)[2]["error"]
        assert running.predict(pictures(1)[0])[0] == 200


@pytest.mark.parametrize(
    "begun",
    [
        b"G",
        b"GET /health HTTP/1.1\r\nHost: loc",
        b"POST /predict HTTP/1.1\r\n" + HOST + IMAGE + b"Content-Length: 100\r\n\r\nabc",
    ],
)
def test_a_request_that_does_not_come_to_its_end_is_ended(model_file: Path, begun: bytes) -> None:
    with serving(OnnxModel(model_file), timeout=0.2) as running:
        status, headers, document = parsed(running.raw(begun, hang_up=False))
        assert (status, headers["Connection"]) == (408, "close")
        assert "too long to come" in document["error"]


def test_a_request_that_drips_is_ended_too(model_file: Path) -> None:
    with serving(OnnxModel(model_file), timeout=0.3) as running, running.open() as connection:
        connection.settimeout(0.02)
        answered = b""
        for byte in b"GET /health HTTP/1.1\r\nX: " + b"y" * 3000:
            try:
                connection.sendall(bytes([byte]))
                answered = connection.recv(12)
                break
            except TimeoutError:
                continue
        assert answered == b"HTTP/1.1 408"


def test_a_connection_without_a_request_is_closed(model_file: Path) -> None:
    with serving(OnnxModel(model_file), idle=0.1) as running, running.open() as connection:
        assert received(connection) == b""
        assert running.server.refused == {}


def test_an_answer_that_takes_too_long_is_given_up_and_the_next_one_comes(model_file: Path) -> None:
    model, sent = Gated(model_file), pictures(1)
    with serving(model, timeout=1) as running:
        status, document = running.predict(sent[0])
        assert (status, "took too long" in document["error"]) == (503, True)
        assert running.ask("GET", "/health")[1]["queue"] == 1, "what is being computed still takes a place"
        model.gate.set()
        while running.ask("GET", "/health")[1]["queue"]:
            pass
        while running.predict(sent[0])[0] != 200:
            pass  # a machine that is busy may need longer than the time limit here


def test_a_client_that_does_not_read_its_answer_holds_nobody_up(model_file: Path) -> None:
    asked = b"GET /model HTTP/1.1\r\n" + HOST + b"\r\n"
    with serving(OnnxModel(model_file), timeout=0.3) as running, running.open() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(0.5)
        try:
            while True:
                deaf.sendall(asked * 200)
        except (TimeoutError, ConnectionError):
            pass
        while running.predict(pictures(1)[0])[0] != 200:
            pass  # a machine that is busy may need longer than the time limit here


TOKEN = "correct-horse-battery-staple"


@pytest.mark.parametrize(
    ("brought", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        ("", 401),
        (TOKEN, 401),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        ("Bearer \xff", 401),
    ],
)
def test_only_who_brings_the_token_is_answered(model_file: Path, brought: str, status: int) -> None:
    with serving(OnnxModel(model_file), token=TOKEN) as running:
        for method, path, body in (("GET", "/model", None), ("POST", "/predict", pictures(1)[0])):
            found, document, headers = running.ask(method, path, body, Authorization=brought, Content_Type="image/png")
            assert found == status
            assert (headers["WWW-Authenticate"] == "Bearer") == (status == 401)
            assert TOKEN not in json.dumps(document)
        assert running.ask("GET", "/health")[0] == 200
        assert not any(TOKEN in line for line in running.told)


@pytest.mark.parametrize(
    ("path", "kind", "body", "quoted"),
    [
        ("/predict?%1b%5b2J%0aRefused%20secret=1", "image/png", b"x", True),
        ("/predict?top=secret%0a", "image/png", b"x", True),
        ("/secret%0a", "image/png", b"x", False),
        ("/predict", "x\x9bsecret/private", b"x", True),
        ("/predict", "multipart/form-data; secret", b"x", False),
        ("/predict", "multipart/form-data; boundary=secret", b"secret", False),
        ("/predict", "application/json", b'{"pictures": [{"patient-secret\\n": 1}]}', True),
        ("/predict", "application/json", b"secret", False),
        ("/predict", "application/json", b'{"pictures": "secret"}', False),
        ("/predict", "image/png", b"secret", False),
        ("/predict", "image/png", encoded(photo())[:60] + b"secret", False),
        ("/predict", "image/svg+xml", b"<svg>secret</svg>", False),
    ],
)
def test_nothing_of_a_client_is_told_but_to_itself(running, path: str, kind: str, body: bytes, quoted: bool) -> None:
    running.told.clear()
    status, document, _ = running.ask("POST", path, body, Content_Type=kind)
    assert status in (400, 404, 415) and ("secret" in document["error"]) == quoted
    (told,) = running.told
    assert told.startswith(f"{status}: ") and told.isprintable() and "secret" not in told


def test_reached_from_elsewhere_it_may_be_called_by_any_name(model_file: Path) -> None:
    with serving(OnnxModel(model_file), host="0.0.0.0") as running:
        assert running.ask("GET", "/health", Host="camera.example")[0] == 200


def test_it_answers_at_an_address_of_ipv6(model_file: Path) -> None:
    try:
        listening = listen("::1", 0)
    except UserError:
        pytest.skip("no IPv6 here")
    assert address_of(listening).url == f"http://[::1]:{listening.getsockname()[1]}"
    listening.close()
    with serving(OnnxModel(model_file), host="::1") as running:
        connection = http.client.HTTPConnection("::1", running.port, timeout=30)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()


def test_a_port_that_is_taken_and_an_address_that_is_not_here_are_told() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(UserError, match="Nobody can be served"):
        listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(UserError, match=r"Nobody can be served at 192\.0\.2\.1, port 0"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\na: %s" % (b"x" * 20_000), 431),
    ],
)
def test_what_is_no_request_counts_against_the_rate_as_one(model_file: Path, sent: bytes, status: int) -> None:
    whole = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
    with serving(OnnxModel(model_file), rate=0.001) as running:
        assert [parsed(running.raw(each))[0] for each in (sent, sent, whole)] == [status, 429, 429]
        assert running.server.refused == {status: 1, 429: 2}


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from("abc")), max_size=80), st.sampled_from([0.5, 1.0, 7.0]))
def test_no_client_gets_more_than_its_rate_nor_is_kept_longer_than_it_matters(asked, rate: float) -> None:
    now = 0.0
    rates = Rates(rate, clock=lambda: now)
    taken: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    for pause, client in asked:
        now += pause
        wait = rates.wait(client)
        if not wait:
            taken[client].append(now)
        else:
            assert taken[client], "the first is always taken"
            assert 0 < wait <= 1 / rate + 1e-9
        for times in taken.values():
            since = [each for each in times if each > now - 10]
            assert len(since) <= max(1, rate) + rate * 10 + 1e-6
    now += 10
    rates.wait("other")
    assert len(rates) == 1


def test_one_client_commands_all_of_its_network_and_is_one() -> None:
    rates = Rates(1, clock=lambda: 0.0)
    assert not rates.wait("2001:db8::1")
    assert rates.wait("2001:db8::2")
    assert not rates.wait("2001:db8:0:1::2")
    assert not rates.wait("10.0.0.1")
    assert not rates.wait("10.0.0.2")
