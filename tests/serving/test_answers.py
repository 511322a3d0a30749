"""What is asked is answered, each by its own answer."""

import json
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from desktop_ft.data.files import Source
from desktop_ft.export.onnx_model import OnnxModel
from tests.pictures import HOSTILE, encoded, photo
from tests.serving.conftest import CLASSES, Gated, as_json, form, parsed, pictures, received, serving, truth, write_model


def same(said: dict[str, float], right: dict[str, float]) -> bool:
    return said.keys() == right.keys() and all(abs(said[name] - right[name]) < 1e-5 for name in right)


def test_health_and_model_say_what_is_served(model_file: Path) -> None:
    with serving(OnnxModel(model_file)) as running:
        status, health, _ = running.ask("GET", "/health")
        assert status == 200
        assert health.pop("uptime_s") >= 0
        assert health == {"status": "ok", "model": "model.onnx", "classes": 3, "answered": 0, "queue": 0, "refused": {}}
        status, about, _ = running.ask("GET", "/model")
        assert status == 200
        assert about["classes"] == list(CLASSES)
        assert about["input"] == {"crop": 32, "resize": 36, "interpolation": "bicubic"}
        assert (about["threshold"], about["weights_licence"], about["backbone"]) == (0.5, "CC0-1.0", "tiny")
        assert about["recipe_sha256"] == "ab" * 32
        assert about["version"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_a_picture_is_answered_as_by_the_model_itself(model_file: Path, kind: str) -> None:
    model, picture = OnnxModel(model_file), encoded(photo(7, 80, 60), kind)
    with serving(model) as running:
        status, said = running.predict(picture, Content_Type=f"image/{kind.lower()}")
        right = truth(model, picture)
        assert status == 200
        assert same(said["probabilities"], right)
        assert said["answer"] == max(right, key=right.__getitem__) == next(iter(said["probabilities"]))
        assert said["confidence"] == max(said["probabilities"].values())
        assert running.predict(picture, Content_Type="application/octet-stream") == (200, said)
        status, best = running.predict(picture, "/predict?top=2")
        assert list(best["probabilities"].items()) == list(said["probabilities"].items())[:2]


def test_less_sure_than_the_threshold_is_not_sure(model_file: Path, tmp_path: Path) -> None:
    (picture,) = pictures(1)
    confidence = max(truth(OnnxModel(model_file), picture).values())
    for threshold, sure in ((confidence - 0.001, True), (confidence + 0.001, False)):
        with serving(OnnxModel(write_model(tmp_path / "other.onnx", threshold))) as running:
            status, said = running.predict(picture)
            assert (status, said["sure"]) == (200, sure)


@pytest.mark.parametrize("write", [form, as_json])
def test_several_pictures_keep_order_and_name_and_a_broken_one_its_problem(model_file: Path, write) -> None:
    model = OnnxModel(model_file)
    good = pictures(6)
    sent = [(f'{index} ü "x" \\.png', content) for index, content in enumerate(good)]
    sent[2:2] = [("text.jpg", HOSTILE["text.jpg"]()), ("empty.png", b"")]
    sent.append(("bomb.png", HOSTILE["bomb.png"]()))
    kind, body = write(sent)
    with serving(model) as running:
        status, said, _ = running.ask("POST", "/predict?top=3", body, Content_Type=kind)
        assert status == 200
        assert [entry["name"] for entry in said["answers"]] == [name for name, _ in sent]
        for (_, content), entry in zip(sent, said["answers"], strict=True):
            if content in good:
                assert same(entry["probabilities"], truth(model, content))
            else:
                assert entry.keys() == {"name", "problem", "cure"} and entry["cure"].startswith("Send")
        assert running.server.answered == 6


def test_an_entry_that_is_no_base64_is_told_and_the_others_are_answered(model_file: Path) -> None:
    kind, body = as_json([("a", b"?"), ("b", pictures(1)[0])])
    with serving(OnnxModel(model_file)) as running:
        status, said, _ = running.ask("POST", "/predict", body.replace(b'"Pw=="', b'"P!"'), Content_Type=kind)
        assert (status, said["answers"][0]["problem"]) == (200, "Is not base64.")
        assert "answer" in said["answers"][1]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_usable_picture_is_refused_in_words(model_file: Path, name: str) -> None:
    with serving(OnnxModel(model_file)) as running:
        status, said = running.predict(HOSTILE[name]())
        assert status in (400, 413, 415)
        assert said["error"] and said["cure"].startswith("Send"), "what a client can do, not who keeps a folder"
        assert running.predict(pictures(1)[0])[0] == 200


def test_hundreds_of_different_pictures_at_once_get_their_own_answers(model_file: Path) -> None:
    model, sent = Gated(model_file), pictures(240)
    right = [truth(model, each) for each in sent]
    assert all(not same(one, other) for index, one in enumerate(right) for other in right[:index])
    with serving(model, connections=300, batch=16) as running, ThreadPoolExecutor(len(sent)) as clients:
        asked = [clients.submit(running.predict, each) for each in sent]
        assert model.begun.wait(30)
        model.gate.set()
        for future, expected in zip(asked, right, strict=True):
            status, said = future.result()
            assert status == 200
            assert same(said["probabilities"], expected)
        assert running.ask("GET", "/health")[1] | {"uptime_s": 0} == {
            "status": "ok",
            "model": "model.onnx",
            "classes": 3,
            "answered": 240,
            "queue": 0,
            "refused": {},
            "uptime_s": 0,
        }
    assert sum(model.batches) == 240
    assert 1 < max(model.batches) <= 16
    assert len(model.batches) < 120, "what waits together is computed together"


def test_a_file_that_takes_whole_pictures_gets_them_one_by_one_and_few_at_once(tmp_path: Path) -> None:
    class Counting(Gated):
        held = most = 0

        def prepare(self, path: Source) -> np.ndarray:
            with guard:
                self.held += 1
                self.most = max(self.most, self.held)
            return super().prepare(path)

        def run(self, pictures: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            found = super().run(pictures)
            with guard:
                self.held -= len(pictures)
            return found

    guard = threading.Lock()
    file, sent = write_model(tmp_path / "whole.onnx", whole=True), pictures(40)
    model, plain = Counting(file), OnnxModel(file)
    with serving(model, decoders=3) as running, ThreadPoolExecutor(len(sent)) as clients:
        assert running.ask("GET", "/model")[1]["takes"] == "picture"
        asked = [clients.submit(running.predict, each) for each in sent]
        while running.ask("GET", "/health")[1]["queue"] < len(sent):
            pass
        model.gate.set()
        for picture, future in zip(sent, asked, strict=True):
            status, said = future.result()
            assert status == 200 and same(said["probabilities"], truth(plain, picture))
    assert model.batches == [1] * 40
    assert 1 < model.most <= 5


def test_a_connection_takes_requests_one_after_another_even_all_at_once(model_file: Path) -> None:
    model, sent = OnnxModel(model_file), pictures(5)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
    with serving(model) as running:
        answered = running.raw(b"".join(head % len(each) + each for each in sent))
        found = [line for line in answered.split(b"\n") if line.startswith(b'{"answer"')]
        assert answered.count(b"HTTP/1.1 200 OK") == len(found) == 5
        for line, picture in zip(found, sent, strict=True):
            right = truth(model, picture)
            assert line.startswith(b'{"answer": ' + json.dumps(max(right, key=right.__getitem__)).encode())


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(model_file: Path) -> None:
    (picture,) = pictures(1)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    head += b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    with serving(OnnxModel(model_file), body_mb=1) as running:
        with running.open() as connection:
            connection.sendall(head % len(picture))
            assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(picture)
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
        assert running.raw(head % 2_000_000, hang_up=False).startswith(b"HTTP/1.1 413 ")


def test_a_model_that_cannot_be_computed_costs_those_who_asked_and_nobody_else(model_file: Path) -> None:
    class Failing(OnnxModel):
        fails = True

        def run(self, pictures: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            if self.fails:
                raise MemoryError
            return super().run(pictures)

    model = Failing(model_file)
    with serving(model) as running:
        status, said = running.predict(pictures(1)[0])
        assert (status, said["error"]) == (500, "The server failed: MemoryError.")
        model.fails = False
        assert running.predict(pictures(1)[0])[0] == 200


def test_an_answer_that_is_no_number_is_a_problem(model_file: Path) -> None:
    class Odd(OnnxModel):
        def run(self, pictures: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            probabilities, logits = super().run(pictures)
            return probabilities, logits * np.inf

    with serving(Odd(model_file)) as running:
        assert running.predict(pictures(1)[0]) == (
            400,
            {"error": "The model gives no usable answer for it.", "cure": "Send another picture."},
        )


def test_who_hangs_up_frees_the_place_and_the_others_are_answered(model_file: Path) -> None:
    model, sent = Gated(model_file), pictures(20)
    with serving(model, queue=64) as running:
        connections = []
        for each in sent[:10]:
            connection = running.open()
            connection.sendall(
                b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(each)
                + each
            )
            connections.append(connection)
        assert model.begun.wait(30)
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        model.gate.set()
        for each in sent[10:]:
            status, said = running.predict(each)
            assert status == 200 and same(said["probabilities"], truth(model, each))
        assert running.ask("GET", "/health")[1]["queue"] == 0


def test_what_was_sent_before_the_end_is_answered_though_it_was_not_read_yet(model_file: Path) -> None:
    asked = b"GET /model HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving(OnnxModel(model_file)) as running, running.open() as connection:
        connection.sendall(asked)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        with running.held_up():
            connection.sendall(asked)
            running.stop()
        status, headers, _ = parsed(received(connection))
        assert (status, headers["Connection"]) == (200, "close")


def test_the_end_answers_what_was_asked_and_takes_no_more(model_file: Path) -> None:
    model, sent = Gated(model_file), pictures(40)
    with serving(model) as running, ThreadPoolExecutor(len(sent)) as clients:
        asked = [clients.submit(running.ask, "POST", "/predict", each, Content_Type="image/png") for each in sent]
        while running.ask("GET", "/health")[1]["queue"] < len(sent):
            pass
        idle, half = running.open(), running.open()
        half.sendall(b"GET /model HTTP/1.1\r\nHost: ")
        running.ask("GET", "/health")
        running.stop()
        half.sendall(b"localhost\r\n\r\n")
        model.gate.set()
        for picture, future in zip(sent, asked, strict=True):
            status, said, _ = future.result()
            assert status == 200 and same(said["probabilities"], truth(model, picture))
        assert half.recv(12) == b"HTTP/1.1 200"
        half.close()
        assert idle.recv(1) == b""
        idle.close()
        running.ended()
        with pytest.raises(ConnectionError):
            running.open()
    assert threading.active_count() < 40
