"""`desktop-ft serve`, as a process that is started, asked and ended."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from desktop_ft.cli import main
from desktop_ft.export.onnx_model import OnnxModel
from desktop_ft.serving.limits import Limits
from installer import serve_requirements
from tests.reliability import hostile_onnx
from tests.serving.conftest import pictures, truth

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "desktop_ft"]
UNBOUND = ("--rate", "0", "--address-connections", "0")


@contextmanager
def served(model_file: Path, *options: str, program: Sequence[str] = COMMAND) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """The command, and the port that it told."""
    command = [*program, "serve", str(model_file), "--port", "0", "--json", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            assert (told["event"], told["host"], told["model"], told["classes"]) == ("listening", told["host"], "model.onnx", 3)
            yield process, told["port"]
        finally:
            process.kill()


def ask(port: int, picture: bytes) -> dict[str, float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/predict", picture, {"Content-Type": "image/png"})
        response = connection.getresponse()
        document = json.loads(response.read())
        assert response.status == 200, document
        return document["probabilities"]
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_once_all_that_was_asked_is_answered(model_file: Path, number: signal.Signals) -> None:
    model, sent = OnnxModel(model_file), pictures(150)
    with (
        served(model_file, *UNBOUND, "--connections", "300", "--batch", "2") as (
            process,
            port,
        ),
        ThreadPoolExecutor(len(sent)) as clients,
    ):
        connections = []
        for each in sent:  # all of them are connected, and half of them have asked in whole, when it is to end
            connections.append(http.client.HTTPConnection("127.0.0.1", port, timeout=30))
            connections[-1].putrequest("POST", "/predict")
            connections[-1].putheader("Content-Type", "image/png")
            connections[-1].putheader("Content-Length", str(len(each)))
            connections[-1].endheaders(each[:-1])
        ask(port, sent[0])
        process.send_signal(number)
        for connection, each in zip(connections, sent, strict=True):
            connection.send(each[-1:])
        answered = list(clients.map(lambda connection: connection.getresponse().read(), connections))
        for content, each in zip(answered, sent, strict=True):
            assert json.loads(content)["probabilities"] == pytest.approx(truth(model, each), abs=1e-5)
        for connection in connections:
            connection.close()
        out, err = process.communicate(timeout=30)
        assert json.loads(out) == {"event": "stopped", "answered": 151, "refused": {}}
        assert (process.returncode, err) == (0, "")


def test_for_a_person_it_says_where_it_answers_and_what_it_refused(model_file: Path) -> None:
    command = [*COMMAND, "serve", str(model_file), "--port", "0", "--host", "0.0.0.0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"model\.onnx answers on every address of this machine, port (\d+) ", line)
        assert found, line
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
            connection.request("GET", "/secret-path?of=a-client")
            assert connection.getresponse().status == 404
            connection.close()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert out == "Stopped: 0 pictures answered, 3 requests refused.\n"
    warning, *refused = err.splitlines()
    assert (
        warning.startswith(f"Warning: whoever reaches port {found[1]} of this machine may ask")
        and "without a password" in warning
    )
    assert 1 <= len(refused) <= 3
    assert all(line.startswith("Refused with 404") for line in refused)
    assert "secret" not in err and "127.0.0.1" not in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rate", "x"], "--rate: is not a number"),
        (["--rate", "-1"], "--rate: must be at least 0"),
        (["--body-mb", "0"], "--body-mb: must be more than 0"),
        (["--body-mb", "nan"], "--body-mb: "),
        (["--body-mb", "500"], "must be at least"),
        (["--pictures", "1.5"], "--pictures: is not a whole number"),
        (["--queue", "1"], "must be at least"),
        (["--connections", "1000000"], "--connections: must be at most 4096"),
        (["--port", "70000"], "70000 is no port"),
        (["--host", "192.0.2.1"], "Nobody can be served at 192.0.2.1"),
        (["--token-file", "nowhere"], "The token in nowhere cannot be read"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(model_file: Path, capfd, options: list[str], words: str) -> None:
    try:
        code = main(["serve", str(model_file), *options])
    except SystemExit as error:
        code = error.code
    out, err = capfd.readouterr()
    assert (code, out, words in err, err.count("\n")) == (2, "", True, 1), err


def test_more_connections_than_the_system_allows_open_files_are_told(model_file: Path, capfd, monkeypatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (400, 400))  # a limit that is really lowered stays so
    assert main(["serve", str(model_file)]) == 2
    assert "--connections 256 is more than this process may have" in capfd.readouterr().err


@pytest.mark.parametrize(
    "token", ["", "tiny-secret", "with blanks in the middle", "höher als alle anderen", "line\nanother line of it"]
)
def test_a_token_that_is_none_is_told(model_file: Path, capfd, tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token, encoding="utf-8")
    assert main(["serve", str(model_file), "--token-file", str(tmp_path / "token")]) == 2
    err = capfd.readouterr().err
    assert "The token in" in err and (not token or token not in err)


def test_a_model_that_is_none_is_told(tmp_path: Path, capfd) -> None:
    assert main(["serve", str(tmp_path / "none.onnx")]) == 2
    assert "There is no file" in capfd.readouterr().err


def test_a_file_that_fills_the_memory_is_refused_before_it_is_served(tmp_path: Path, capfd) -> None:
    file = tmp_path / "large.onnx"
    file.write_bytes(hostile_onnx.hostile(tmp_path)["an array of 2^31 values"])
    assert OnnxModel(file).classes, "it opens: only computing fills the memory"
    assert main(["serve", str(file), "--port", "0"]) == 2
    out, err = capfd.readouterr()
    assert not out and err.count("\n") == 1 and "large.onnx cannot be computed" in err


def test_every_limit_is_an_option_and_in_the_page() -> None:
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    for name, field in Limits.model_fields.items():
        assert f"| `--{name.replace('_', '-')}` | {field.default} |" in page


def test_what_serve_needs_is_in_its_requirements_as_locked_and_nothing_besides(model_file: Path) -> None:
    lock = serve_requirements.LOCK.read_text(encoding="utf-8")
    written = serve_requirements.SERVE.read_text(encoding="utf-8")
    assert written == serve_requirements.derived(lock), "run installer/serve_requirements.py"
    listed = set(serve_requirements.entries(written))
    assert not listed & {"torch", "torchvision", "pyside6-essentials", "scikit-learn", "scipy"}
    code = (
        "import importlib.metadata, json, sys\n"
        "from desktop_ft.cli import main\n"
        "code = main()\n"
        "known = importlib.metadata.packages_distributions()\n"
        "tops = {name.partition('.')[0] for name in sys.modules}\n"
        "print(json.dumps({top: known.get(top, []) for top in tops}))\n"
        "sys.exit(code)\n"
    )
    with served(model_file, program=[sys.executable, "-c", code]) as (process, port):
        ask(port, pictures(1)[0])
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    tops = {top: {canonicalize_name(name) for name in packages} for top, packages in json.loads(out.splitlines()[-1]).items()}
    beside = {"desktop-ft", "setuptools"}  # setuptools: Python's start, not ours
    # Several packages may share a name, such as `google`: one of them is what was imported.
    assert not {top: packages for top, packages in tops.items() if packages and not packages & (listed | beside)}
    assert {canonicalize_name(name) for name in serve_requirements.NEEDED} <= set().union(*tops.values())
    assert not {"torch", "torchvision", "PySide6", "plugins"} & tops.keys()


def test_the_image_holds_what_the_dockerfile_copies() -> None:
    place = ROOT / "installer" / "serve"
    let_in = (place / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    dockerfile = (place / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (\S+)", dockerfile, re.MULTILINE)
    assert copied == ["requirements/serve.txt", "LICENSE", "desktop_ft"]
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}\n" in let_in
    assert re.search(r"^USER serve$", dockerfile, re.MULTILINE)
