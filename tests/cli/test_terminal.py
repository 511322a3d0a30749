"""What the command line shows, and does not let a name do."""

import io
import json
import os
import pty
import queue
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.cli import terminal
from desktop_ft.cli.terminal import Terminal, printable
from desktop_ft.core.words import duration


@given(st.text(st.characters(codec=None)))
def test_nothing_that_is_printed_can_steer_a_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (42.4, "42 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (-3, "0 s")],
)
def test_times_are_told_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_row_goes_whole_into_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().table(["file", "why"], [["x" * 300, "a [bold]reason[/bold] with \x1b[31mred"]])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "x" * 300 in lines[1]
    assert r"[bold]reason[/bold] with \x1b[31mred" in lines[1]


def test_a_machine_gets_one_document_and_no_words(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(json=True)
    terminal.say("words")
    terminal.table(["a"], [["b"]])
    terminal.document({"name": "日本\n"})
    assert json.loads(capsys.readouterr().out) == {"name": "日本\n"}


def test_a_failure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert Terminal().fail("Two\nlines and a \x1b[2J screen.", 2) == 2
    assert capsys.readouterr().err == "desktop-ft: Two lines and a \\x1b[2J screen.\n"


def test_on_a_terminal_a_bar_tells_how_far_it_is(tmp_path: Path) -> None:
    code = (
        "from desktop_ft.cli.terminal import Terminal\n"
        "with Terminal().progress('Looking') as tell:\n"
        "    tell(1, None); tell(50, 200); tell(200, 200)\n"
    )
    master, slave = pty.openpty()
    try:
        env = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
        subprocess.run([sys.executable, "-c", code], stderr=slave, stdout=slave, check=True, env=env)
        shown = io.FileIO(master, closefd=False).read(65536) or b""
    finally:
        os.close(slave)
        os.close(master)
    assert b"Looking" in shown
    assert b"200/200" in shown


def test_elsewhere_a_line_now_and_then_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_LINE_EVERY_S", 0.01)
    monkeypatch.setattr(terminal, "_SAID_AGAIN_AFTER", 10**9)
    said, heard = list[str](), queue.SimpleQueue[str]()
    speaking = Terminal()
    monkeypatch.setattr(speaking, "note", heard.put)
    with speaking.progress("Looking") as tell:
        said.append(heard.get(timeout=30))
        tell(1500, 20_000)
        said.append(heard.get(timeout=30))
        monkeypatch.setattr(terminal, "_LINE_EVERY_S", 600)
        with speaking.progress("Comparing") as quick:
            quick(256, 256)
    assert said == ["Looking …", "Looking: 1,500 of 20,000"] and heard.empty(), "each is said once"


def test_the_last_line_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_LINE_EVERY_S", 0.01)
    heard = queue.SimpleQueue[str]()
    speaking, last = Terminal(), ""
    monkeypatch.setattr(speaking, "note", heard.put)
    with speaking.progress("Comparing") as tell:
        heard.get(timeout=30)
        monkeypatch.setattr(terminal, "_LINE_EVERY_S", 600)
        while not heard.empty():
            heard.get()
        tell(256, 256)
    while not heard.empty():
        last = heard.get()
    assert last == "Comparing: 256 of 256"


def test_short_work_says_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal().progress("Looking") as tell:
        tell(1, 2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("installed", ["on the path", "beside Python"])
def test_what_is_to_be_typed_calls_this_program_wherever_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: str
) -> None:
    place = tmp_path / "my programs"
    place.mkdir()
    (place / "desktop-ft").write_text('#!/bin/sh\necho "$2"\n')
    (place / "desktop-ft").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(place / "python"))
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}/usr/bin:/bin" if installed == "on the path" else "/usr/bin:/bin")
    monkeypatch.chdir(place)
    line = terminal.call("help", "no such topic")
    told = subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert told.stdout == "no such topic\n"
