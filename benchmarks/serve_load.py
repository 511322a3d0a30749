"""`desktop-ft serve` under more than it can take, for minutes; every answer is checked against the model itself.

    python -m benchmarks.serve_load [--minutes N] [--clients N]

The server is a process of its own with the limits it has by default, but for connections; the model is EfficientNet-Lite0 with a
head drawn at random. Of the clients, each at an address of its own on the loopback device (Linux), most ask as they should: one
picture, or eight as form or JSON. The others ask without pause, send bodies that are too large, broken pictures, what is no HTTP,
a byte a second, hang up in the middle, or open connections and say nothing. Prints one line of JSON.
"""

import argparse
import asyncio
import base64
import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

PICTURES = 200
CLASSES = 10
TOLERANCE = 1e-4
PATIENCE_S = 120.0
BATCH = 8
KINDS = {
    "single": 10,
    "form": 1,
    "json": 1,
    "greedy": 1,
    "oversize": 1,
    "broken": 1,
    "malformed": 1,
    "drip": 2,
    "leaver": 1,
    "silent": 2,
}
"""How the clients are divided."""
OPEN_FILES = 8192


@dataclass
class Tally:
    """What became of what was asked.

    Attributes:
        answered: pictures. mixed: answers that are not the asked picture's. lost: requests that got nothing in two minutes.
        refused: by client's kind and HTTP's number. cut: connections that were ended before anything was said.
    """

    answered: int = 0
    mixed: int = 0
    lost: int = 0
    cut: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


class Cut(Exception):
    """The connection ended before an answer began."""


def export(path: Path) -> None:
    """The model that is served."""
    import torch

    from desktop_ft.api import ExportJob
    from desktop_ft.core.recipe import DatasetChoice, Recipe
    from desktop_ft.export.metadata import build_metadata
    from desktop_ft.models.build import build_network
    from desktop_ft.plugin_manager import load_plugins

    plugins = load_plugins()
    backbone = plugins.backbones.get("efficientnet_lite0")
    network = build_network(backbone, CLASSES, pretrained=True).eval()
    with torch.no_grad():
        network.backbone.get_submodule(backbone.spec.head).get_parameter("weight").mul_(
            20
        )  # far apart, so that an answer tells whose it is
    rule = backbone.spec.resize
    names = tuple(f"class {number}" for number in range(CLASSES))
    metadata = build_metadata(Recipe(dataset=DatasetChoice(folder="photos")), names, rule, backbone.spec)
    exporter = plugins.exporters.get("onnx")
    exporter.write(ExportJob(model=network, rule=rule, metadata=metadata, path=path))


def drawn() -> list[bytes]:
    """Photos that no two are alike."""
    chance = np.random.default_rng(0)
    found = []
    for _ in range(PICTURES):
        coarse = Image.fromarray(chance.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((400, 300), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        coarse.save(buffer, "JPEG", quality=85)
        found.append(buffer.getvalue())
    return found


def truths(model: Path, pictures: list[bytes]) -> np.ndarray:
    """Probabilities (N, classes) that the model itself gives."""
    from desktop_ft.export.onnx_model import OnnxModel

    opened = OnnxModel(model)
    rows = [opened.run([opened.prepare(io.BytesIO(each))])[0][0] for each in pictures]
    found = np.stack(rows)
    apart = np.abs(found[:, None] - found[None]).max(-1) + np.eye(len(found))
    if apart.min() < 10 * TOLERANCE:
        raise SystemExit(f"two pictures have nearly one answer: {apart.min()}")
    return found


class Client:
    """One client: an address, and at most one connection."""

    def __init__(self, number: int, port: int, tally: Tally, pictures: list[bytes], truth: np.ndarray) -> None:
        self.chance = random.Random(number)
        self._from = f"127.0.{1 + number // 250}.{1 + number % 250}"
        self._port, self.tally, self.pictures, self._truth = port, tally, pictures, truth
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._from, 0))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def post(self, kind: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Ask on the connection there is, or on a new one where that has ended."""
        head = (
            f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        again = self._open is not None
        if self._open is None:
            self._open = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._from, 0))
        reader, writer = self._open
        try:
            writer.write(head + body)
            status, headers, document = await asyncio.wait_for(answer(reader), PATIENCE_S)
        except (Cut, ConnectionError) as error:
            self.leave()
            if again:  # it was closed for being idle just when it was used: what HTTP clients ask again
                return await self.post(kind, body)
            raise Cut from error
        if headers.get("connection") == "close":
            self.leave()
        return status, document

    def leave(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open[1].transport.abort()
            self._open = None

    def check(self, number: int, said: dict[str, Any]) -> None:
        """Hold an answer against the truth."""
        self.tally.answered += 1
        given = said.get("probabilities", {})
        row = np.array([given.get(f"class {each}", np.inf) for each in range(CLASSES)])
        self.tally.mixed += int(not np.abs(row - self._truth[number]).max() <= TOLERANCE)


def _head(kind: str, length: int) -> bytes:
    return f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], dict[str, Any]]:
    """An answer: HTTP's number, headers and document."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError as error:
        raise Cut from error
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    content = await reader.readexactly(int(headers["content-length"]))
    return int(first.split()[1]), headers, json.loads(content)


def form(pictures: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Content-Type and body of a form of pictures by name."""
    parts = [
        b'--X\r\nContent-Disposition: form-data; name="picture"; filename="' + name.encode() + b'"\r\n\r\n' + content + b"\r\n"
        for name, content in pictures
    ]
    return "multipart/form-data; boundary=X", b"".join(parts) + b"--X--\r\n"


def as_json(pictures: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Content-Type and body of a document of pictures by name."""
    entries = [{"name": name, "data": base64.b64encode(content).decode()} for name, content in pictures]
    return "application/json", json.dumps({"pictures": entries}).encode()


async def single(client: Client, kind: str, pause: float) -> None:
    """One picture, asked for and checked."""
    number = client.chance.randrange(PICTURES)
    began = time.perf_counter()
    status, said = await client.post("image/jpeg", client.pictures[number])
    if status == 200:
        client.tally.seconds.append(time.perf_counter() - began)
        client.check(number, said)
    else:
        client.tally.refused[f"{kind} {status}"] += 1
    await asyncio.sleep(pause if status == 200 else 4 * pause)


async def several(client: Client, kind: str, write: Callable[[list[tuple[str, bytes]]], tuple[str, bytes]]) -> None:
    """Eight pictures, one of them broken, asked for and checked in order and by name."""
    numbers = [client.chance.randrange(PICTURES) for _ in range(BATCH)]
    broken = client.chance.randrange(BATCH)
    sent = [
        (f"{place}-{number}.jpg", client.pictures[number][: 600 if place == broken else None])
        for place, number in enumerate(numbers)
    ]
    status, said = await client.post(*write(sent))
    if status == 200:
        entries = said["answers"]
        client.tally.mixed += int([entry["name"] for entry in entries] != [name for name, _ in sent])
        for place, (number, entry) in enumerate(zip(numbers, entries, strict=True)):
            if place == broken:
                client.tally.wrong["broken answered"] += int("problem" not in entry)
            else:
                client.check(number, entry)
    else:
        client.tally.refused[f"{kind} {status}"] += 1
    await asyncio.sleep(0.5 if status == 200 else 2)


async def oversize(client: Client) -> None:
    """A body larger than any that is taken: the refusal is seen, whether it is sent or not."""
    async with client.connection() as (reader, writer):
        writer.write(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 50000000\r\n\r\n")
        with suppress(ConnectionError):
            for _ in range(client.chance.randrange(60)):
                writer.write(bytes(1 << 16))
                await writer.drain()
        await refusal(client, "oversize", reader, {413, 429, 503})
    await asyncio.sleep(0.5)


async def broken(client: Client) -> None:
    """What is no picture."""
    content = client.pictures[client.chance.randrange(PICTURES)]
    content = client.chance.choice([content[:500], b"hello", client.chance.randbytes(1000), b"", content[:10] + bytes(3000)])
    status, _ = await client.post("image/jpeg", content)
    client.tally.refused[f"broken {status}"] += 1
    client.tally.wrong["broken answered"] += int(status == 200)
    await asyncio.sleep(0.3)


async def malformed(client: Client) -> None:
    """What is no HTTP."""
    told = client.chance.choice(
        [
            b"GET\r\n\r\n",
            b"\r\n\r\n",
            b"GET /health HTTP/1.1\r\n\r\n",
            b"GET /health HTTP/9.9\r\nHost: a\r\n\r\n",
            client.chance.randbytes(300) + b"\r\n\r\n",
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        ]
    )
    async with client.connection() as (reader, writer):
        writer.write(told)
        await refusal(client, "malformed", reader, {400, 411, 429, 431, 503})
    await asyncio.sleep(0.3)


async def drip(client: Client) -> None:
    """A request that comes by the byte; its end is the server's time limit."""
    async with client.connection() as (reader, writer):
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n" + bytes(
            100_000
        )
        sending = asyncio.create_task(_drip(writer, head))
        try:
            await refusal(client, "drip", reader, {408, 503})
        finally:
            sending.cancel()


async def _drip(writer: asyncio.StreamWriter, content: bytes) -> None:
    with suppress(ConnectionError):
        for byte in content:
            writer.write(bytes([byte]))
            await asyncio.sleep(1)


async def leaver(client: Client) -> None:
    """A request that is given up in its middle, or before it is answered."""
    content = client.pictures[client.chance.randrange(PICTURES)]
    head = _head("image/jpeg", len(content))
    async with client.connection() as (_, writer):
        writer.write(head + content[: client.chance.choice([100, None])])
        await asyncio.sleep(client.chance.random() / 5)
    await asyncio.sleep(0.3)


async def silent(client: Client) -> None:
    """A few connections that say nothing until the server has had enough."""
    async with client.connection() as (reader, _), client.connection(), client.connection():
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(), 60)
    await asyncio.sleep(1)


async def refusal(client: Client, kind: str, reader: asyncio.StreamReader, expected: set[int]) -> None:
    """Wait for an answer that refuses."""
    status, _, _ = await asyncio.wait_for(answer(reader), PATIENCE_S)
    client.tally.refused[f"{kind} {status}"] += 1
    client.tally.wrong[f"{kind} got {status}"] += int(status not in expected)


DOINGS: dict[str, Callable[[Client], Awaitable[None]]] = {
    "single": lambda client: single(client, "single", 0.5),
    "form": lambda client: several(client, "form", form),
    "json": lambda client: several(client, "json", as_json),
    "greedy": lambda client: single(client, "greedy", 0.0),
    "oversize": oversize,
    "broken": broken,
    "malformed": malformed,
    "drip": drip,
    "leaver": leaver,
    "silent": silent,
}


async def live(kind: str, client: Client, until: float) -> None:
    """Do what a client of this kind does, until the time is over."""
    await asyncio.sleep(client.chance.random() * 3)
    while time.monotonic() < until:
        try:
            await DOINGS[kind](client)
        except (Cut, ConnectionError):
            client.tally.cut += 1
            await asyncio.sleep(0.2)
        except (TimeoutError, asyncio.IncompleteReadError):
            client.tally.lost += 1
            client.leave()
    client.leave()


async def load(
    port: int, asked: argparse.Namespace, pictures: list[bytes], truth: np.ndarray, server: psutil.Process
) -> dict[str, Any]:
    """All clients at once, and the server's memory watched meanwhile."""
    tally, until, memory = Tally(), time.monotonic() + 60 * asked.minutes, list[float]()
    turns = itertools.cycle([kind for kind, share in KINDS.items() for _ in range(share)])
    kinds = list(itertools.islice(turns, asked.clients))
    began = time.monotonic()
    tasks = [
        asyncio.create_task(live(kind, Client(number, port, tally, pictures, truth), until)) for number, kind in enumerate(kinds)
    ]
    told = 0.0
    while any(not task.done() for task in tasks):
        await asyncio.sleep(1)
        memory.append(server.memory_info().rss / 1e6)
        if time.monotonic() - told > 15:
            told = time.monotonic()
            refused = sum(tally.refused.values())
            line = (
                f"{told - began:.0f} s: {tally.answered} answered, {refused} refused, {tally.mixed} mixed up, {tally.lost} lost"
            )
            print(f"{line}, {tally.cut} cut, {memory[-1]:.0f} MB", file=sys.stderr)
    for task in tasks:
        task.result()
    seconds = np.array(tally.seconds or [0.0])
    settled = memory[len(memory) // 5 :]
    return {
        "clients": dict(Counter(kinds)),
        "seconds": round(time.monotonic() - began, 1),
        "answered": tally.answered,
        "answers_per_s": round(tally.answered / (time.monotonic() - began), 1),
        "single_p50_s": round(float(np.percentile(seconds, 50)), 3),
        "single_p99_s": round(float(np.percentile(seconds, 99)), 3),
        "single_most_s": round(float(seconds.max()), 3),
        "mixed_up": tally.mixed,
        "lost": tally.lost,
        "cut": tally.cut,
        "wrong": {name: count for name, count in tally.wrong.items() if count},
        "refused": dict(sorted(tally.refused.items())),
        "memory_mb": {
            "after_a_fifth": round(settled[0], 1),
            "at_the_end": round(memory[-1], 1),
            "most": round(max(memory), 1),
            "slope_mb_per_min": round(float(np.polyfit(np.arange(len(settled)) / 60, settled, 1)[0]), 2),
        },
    }


def main() -> None:
    """Serve, load, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=420)
    asked = parser.parse_args()
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.TemporaryDirectory() as name:
        os.environ["DESKTOP_FT_HOME"] = name
        model = Path(name) / "model.onnx"
        export(model)
        pictures = drawn()
        truth = truths(model, pictures)
        options = ["--port", "0", "--json", "--connections", str(asked.clients), "--address-connections", "0"]
        command = [sys.executable, "-m", "desktop_ft", "serve", str(model), *options]
        with (
            (Path(name) / "log").open("w") as log,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as child,
        ):
            if child.stdout is None:
                raise SystemExit("no pipe")
            port = json.loads(child.stdout.readline())["port"]
            try:
                told = asyncio.run(load(port, asked, pictures, truth, psutil.Process(child.pid)))
            finally:
                child.send_signal(signal.SIGTERM)
            stopped = json.loads(child.stdout.readline())
            told |= {"exit_code": child.wait(60), "server_says": stopped}
        told["log_lines"] = len((Path(name) / "log").read_text().splitlines())
    print(json.dumps({"benchmark": "serve_load", "minutes": asked.minutes} | told))


if __name__ == "__main__":
    main()
