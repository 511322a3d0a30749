"""The programs of a bundle on what is no picture: each such file is told in a sentence, and the others are answered."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from desktop_ft import places
from tests.pictures import encoded, photo
from tests.programs.prepared import cpp, javascript
from tests.serving.conftest import write_model


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The shipped programs beside a model of a few numbers."""
    folder = tmp_path / "unpacked"
    shutil.copytree(places.shipped("resources") / "bundle", folder)
    write_model(folder / "model.onnx", whole=True)
    (folder / "labels.txt").write_text("ant\nbee\ncat\n")
    (folder / "threshold.txt").write_text("0.0\n")
    return folder


@pytest.fixture(params=["python", "javascript", pytest.param("cpp", marks=pytest.mark.slow)])
def program(request: pytest.FixtureRequest, bundle: Path, tmp_path: Path) -> Sequence[str]:
    """One of the programs as a command that wants pictures."""
    if request.param == "python":
        return [sys.executable, str(bundle / "python" / "predict.py")]
    return javascript(bundle) if request.param == "javascript" else cpp(bundle, tmp_path)


def asked(program: Sequence[str], *pictures: Path) -> subprocess.CompletedProcess[str]:
    command = [*program, *map(str, pictures)]
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)


def test_what_is_no_picture_is_told_and_the_others_are_answered(program: Sequence[str], tmp_path: Path) -> None:
    names = ("first.png", "text.jpg", "folder", "gone.png", "empty.png", "last.png")
    first, text, folder, gone, empty, last = (tmp_path / name for name in names)
    for seed, path in enumerate((first, last)):
        path.write_bytes(encoded(photo(seed, 40, 36)))
    text.write_text("hello")
    folder.mkdir()
    empty.touch()
    done = asked(program, first, text, folder, gone, empty, last)
    assert [line.split("\t")[2] for line in done.stdout.splitlines()] == [str(first), str(last)]
    assert done.stderr.splitlines() == [
        f"{path}: there is no picture here that can be read." for path in (text, folder, gone, empty)
    ]
    assert done.returncode == 1
    assert asked(program, first, last).returncode == 0


def test_without_pictures_it_says_how_it_is_called(program: Sequence[str]) -> None:
    done = asked(program)
    assert done.returncode == 2 and not done.stdout
    (said,) = done.stderr.splitlines()
    assert said.startswith("Usage: ") and said.endswith("PICTURE...")
