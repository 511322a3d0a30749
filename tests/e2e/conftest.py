"""A small dataset that a network can learn in seconds, and the command line as a person calls it."""

import contextlib
import io
import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from desktop_ft.cli import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture
def command() -> Command:
    """Run one command in this process, as `desktop-ft ARGUMENTS` would."""

    def run(*arguments: object) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as ended:  # argparse
                code = int(ended.code or 0)
        return Outcome(code, out.getvalue(), err.getvalue())

    return run


def start(*arguments: object) -> "subprocess.Popen[str]":
    """The command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "desktop_ft", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def shapes(folder: Path, pictures: int = 12) -> Path:
    """Three classes of drawn shapes, on backgrounds of chance."""
    rng = random.Random(7)
    for name, draw in (("disc", "ellipse"), ("box", "rectangle"), ("line", "line")):
        (folder / name).mkdir(parents=True)
        for number in range(pictures):
            picture = Image.new("RGB", (72, 64), tuple(rng.randrange(100) for _ in range(3)))
            left, top = rng.randrange(4, 20), rng.randrange(4, 20)
            colour = tuple(rng.randrange(150, 256) for _ in range(3))
            corners = (left, top, left + 40, top + 36)
            if draw == "line":
                ImageDraw.Draw(picture).line(corners, fill=colour, width=4)
            else:
                getattr(ImageDraw.Draw(picture), draw)(corners, fill=colour)
            picture.save(folder / name / f"{number:02}.png")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The small dataset."""
    return shapes(tmp_path / "photos")
