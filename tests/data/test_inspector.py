"""Pictures that kill or stall their decoder, played by a child of our own that speaks as the real one does."""

import os
import signal
import sys
import threading
import zlib
from pathlib import Path

import pytest

from desktop_ft.core.errors import Cancelled
from desktop_ft.data.inspector import Inspector
from tests.pictures import bomb_png, encoded, photo, png_chunks, png_header, write

ROGUE = """
import json, os, signal, sys, time
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    path = json.loads(line)["path"]
    if "abort" in path: os.abort()
    if "exit" in path: os._exit(3)
    if "loop" in path: time.sleep(60)
    if "half" in path: os.write(1, b'{"sha'); os._exit(0)
    print(json.dumps({"kind": "seen", "reason": path, "cure": ""}), flush=True)
"""


def rogue(seconds: float = 30.0) -> Inspector:
    return Inspector(2, command=(sys.executable, "-S", "-c", ROGUE), seconds=seconds)


def test_the_picture_that_ends_its_decoder_is_named_and_the_rest_goes_on() -> None:
    paths = [f"{'abort' if n % 7 == 3 else 'exit' if n % 7 == 5 else 'half' if n % 7 == 6 else 'fine'}{n}" for n in range(30)]
    with rogue() as inspector:
        answers = list(inspector.inspect(paths))
    for path, answer in zip(paths, answers, strict=True):
        assert answer.problem is not None
        if path.startswith("fine"):
            assert answer.problem.reason == path
        else:
            assert answer.problem.kind == "crashes-decoder"
    assert "signal 6" in (answers[3].problem or pytest.fail()).reason


def test_the_picture_that_never_ends_is_named() -> None:
    with rogue(seconds=0.3) as inspector:
        kinds = [answer.problem.kind for answer in inspector.inspect(["fine", "loop", "fine"]) if answer.problem]
    assert kinds == ["seen", "too-slow", "seen"]


def test_memory_is_limited_in_the_real_child(tmp_path: Path) -> None:
    large = write(tmp_path / "large.png", bomb_png(9_900, 9_900, (b"tRNS", b"\0\0")))
    small = write(tmp_path / "small.png", encoded(photo()))
    with Inspector(1) as inspector:
        first, second = inspector.inspect([large, small])
    assert first.problem is not None
    assert first.problem.kind == "too-large"
    assert second.problem is None
    assert (second.width, second.height, second.format, second.frames) == (40, 30, "PNG", 1)


@pytest.mark.parametrize("depth, colour, each", [(16, 0, 2), (8, 6, 4)])
def test_a_large_deep_or_transparent_picture_needs_no_more_memory_than_there_is(
    tmp_path: Path, depth: int, colour: int, each: int
) -> None:
    width, height = 8_000, 6_000
    packer = zlib.compressobj(1)
    row = bytes(1 + width * each)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = png_header(width, height, depth, colour)
    large = write(tmp_path / "large.png", png_chunks(header, (b"IDAT", packed), (b"IEND", b"")))
    with Inspector(1) as inspector:
        (answer,) = inspector.inspect([large])
    assert answer.problem is None
    assert (answer.width, answer.height) == (width, height)


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="has no waitid to see a child's end with")
def test_a_child_that_has_died_meanwhile_is_no_picture_s_fault() -> None:
    """Such as one that the system killed for memory while it waited."""
    told_its_number = ROGUE.replace('"reason": path', '"reason": str(os.getpid())')
    with Inspector(1, command=(sys.executable, "-S", "-c", told_its_number)) as inspector:
        (first,) = inspector.inspect(["fine"])
        number = int((first.problem or pytest.fail()).reason)
        os.kill(number, signal.SIGKILL)
        os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
        (second,) = inspector.inspect(["fine"])
    assert (second.problem or pytest.fail()).kind == "seen"


def test_answers_come_in_order_and_paths_are_taken_as_needed(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.png", encoded(photo(n, 10 + n, 10))) for n in range(100)]
    taken = 0

    def counting() -> object:
        nonlocal taken
        for path in paths:
            taken += 1
            yield path

    with Inspector(2) as inspector:
        answers = inspector.inspect(counting())  # type: ignore[arg-type]
        assert next(answers).width == 10
        assert taken < 50
        assert [answer.width for answer in answers] == list(range(11, 110))


def test_a_child_that_does_not_start_is_no_picture_s_fault() -> None:
    with (
        Inspector(1, command=(sys.executable, "-c", "raise SystemExit(4)")) as inspector,
        pytest.raises(RuntimeError, match="code 4"),
    ):
        list(inspector.inspect(["x"]))


def test_cancelling_ends_a_wait_at_once() -> None:
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    with rogue() as inspector, pytest.raises(Cancelled):
        list(inspector.inspect(["loop"], cancel))
