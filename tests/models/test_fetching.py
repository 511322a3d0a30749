"""Downloads, against a server on this machine."""

import hashlib
import http.client
import io
import json
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from desktop_ft import places
from desktop_ft.api import Backbone
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.models import fetching
from desktop_ft.models.fetching import Opener, Response, download
from desktop_ft.models.weights import is_local, load_tensors, local_file, verified_file
from tests.models.tiny import tiny_backbone

URL = "https://weights.example/models/tiny-abcdef01.pth"


def weights_file() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(200_000)}, buffer)
    return buffer.getvalue()


CONTENT = weights_file()
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path == "/short" else CONTENT)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESKTOP_FT_HOME", str(tmp_path))
    return tmp_path


def opener_to(address: str) -> Opener:
    def open_there(url: str, timeout: float) -> Response:
        assert url == URL
        response: Response = urllib.request.urlopen(address, timeout=timeout)
        return response

    return open_there


def backbone(*, prefix: str = DIGEST[:8], size: int = len(CONTENT)) -> Backbone:
    return tiny_backbone(url=URL, prefix=prefix, size=size)


def files() -> list[str]:
    return sorted(path.name for path in (places.cache() / "weights").rglob("*") if path.is_file())


def test_a_download_arrives_is_remembered_and_loads(address: str) -> None:
    told: list[tuple[int, int]] = []
    assert not is_local(backbone())
    path = download(backbone(), progress=lambda done, total: told.append((done, total)), opener=opener_to(f"{address}/ok"))
    assert path.read_bytes() == CONTENT
    assert files() == ["tiny-abcdef01.pth", "tiny-abcdef01.pth.json"]
    assert json.loads(fetching.record_of(path).read_text())["sha256"] == DIGEST
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert local_file(backbone()) == path == verified_file(backbone())
    assert load_tensors(path)["a"].shape == (200_000,)


def test_another_hash_than_the_publishers_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="another SHA-256"):
        download(backbone(prefix="00000000"), opener=opener_to(f"{address}/ok"))
    assert files() == []


def test_a_short_answer_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="broke off"):
        download(backbone(), opener=opener_to(f"{address}/short"))
    assert files() == []


def test_an_answer_larger_than_published_is_refused_while_it_comes(address: str) -> None:
    with pytest.raises(UserError, match="larger than"):
        download(backbone(size=1000), opener=opener_to(f"{address}/ok"))
    assert files() == []


@pytest.mark.parametrize("size", [len(CONTENT), 0])
def test_an_answer_that_never_ends_is_refused(size: int) -> None:
    class Endless:
        headers = Message()

        def read1(self, size: int, /) -> bytes:
            return bytes(size)

        def close(self) -> None:
            return

    with pytest.raises(UserError, match="larger than"):
        download(backbone(size=size), opener=lambda url, timeout: Endless())
    assert files() == []


def test_cancelling_leaves_nothing(address: str) -> None:
    cancel = threading.Event()
    with pytest.raises(Cancelled):
        download(backbone(), progress=lambda done, total: cancel.set(), cancel=cancel, opener=opener_to(f"{address}/ok"))
    assert files() == []


def test_a_failed_download_leaves_the_earlier_file(address: str) -> None:
    path = download(backbone(), opener=opener_to(f"{address}/ok"))
    with pytest.raises(UserError):
        download(backbone(), opener=opener_to(f"{address}/short"))
    assert verified_file(backbone()) == path


def test_no_network_is_told_in_a_sentence() -> None:
    def unreachable(url: str, timeout: float) -> Response:
        raise urllib.error.URLError(OSError("no route"))

    with pytest.raises(UserError) as told:
        download(backbone(size=12_000_000), opener=unreachable)
    assert told.value.what == (
        "The weights of tiny are not on this machine (12 MB, from weights.example), and the network cannot be reached."
    )
    assert files() == []


@pytest.mark.parametrize(
    "fault", [ssl.SSLError("handshake"), TimeoutError(), http.client.BadStatusLine("?"), ConnectionResetError()]
)
def test_a_connection_that_fails_is_the_networks_fault(fault: Exception) -> None:
    def failing(url: str, timeout: float) -> Response:
        assert timeout <= 10
        raise fault

    with pytest.raises(UserError, match="network cannot be reached"):
        download(backbone(), opener=failing)


def test_a_place_that_cannot_be_written_is_told(address: str, home: Path) -> None:
    (home / "cache").mkdir()
    (home / "cache" / "weights").write_text("in the way")
    with pytest.raises(UserError, match="cannot be kept in"):
        download(backbone(), opener=opener_to(f"{address}/ok"))


def test_equal_file_names_of_different_backbones_do_not_meet(address: str) -> None:
    one = backbone()
    other = replace(one, spec=replace(one.spec, name="other/../tiny"))
    assert fetching.cached_path(one) != fetching.cached_path(other)
    assert (places.cache() / "weights").resolve() in fetching.cached_path(other).resolve().parents


def test_a_refusing_server_is_told(address: str) -> None:
    with pytest.raises(UserError, match=r"weights\.example answered 404"):
        download(backbone(), opener=opener_to(f"{address}/missing"))


@pytest.mark.parametrize("url", ["http://weights.example/w-00000000.pth", "file:///etc/passwd", "ftp://weights.example/w.pth"])
def test_only_https_is_fetched(url: str) -> None:
    with pytest.raises(UserError, match="https only"):
        download(tiny_backbone(url=url))


def test_a_redirect_away_from_https_is_refused() -> None:
    there = Message()
    there["Location"] = "http://weights.example/w.pth"
    with pytest.raises(UserError, match="https only"):
        fetching.https_opener().error("http", urllib.request.Request(URL), io.BytesIO(), 302, "Found", there)


@pytest.mark.parametrize("change", ["content", "record", "no record"])
def test_weights_changed_after_the_download_are_refused(change: str, address: str) -> None:
    path = download(backbone(prefix=""), opener=opener_to(f"{address}/ok"))
    if change == "content":
        path.write_bytes(CONTENT[:-1] + b"!")
    elif change == "record":
        fetching.record_of(path).write_text('{"sha256": ""}')
    else:
        fetching.record_of(path).unlink()
        assert not is_local(backbone())
    with pytest.raises(UserError):
        verified_file(backbone(prefix=""))


def test_a_package_is_not_downloaded() -> None:
    with pytest.raises(UserError, match="come with tiny-weights"):
        download(tiny_backbone())
