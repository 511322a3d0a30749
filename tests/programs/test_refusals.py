"""The programs of a bundle on what is no picture, too deep a one, or of a format they do not know, and on transparent pictures.

What is refused is told in a sentence each, and the others are answered.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from desktop_ft import places
from desktop_ft.jobs.predicting import predict
from tests.pictures import encoded, photo, write
from tests.programs.prepared import cpp, javascript
from tests.reliability.known_pixels import tiff
from tests.serving.conftest import write_model

NO_PICTURE = "there is no picture here that can be read."
OTHER_FORMAT = "this program does not read that format; save it as JPEG or PNG."


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
    assert done.stderr.splitlines() == [f"{path}: {NO_PICTURE}" for path in (text, folder, gone, empty)]
    assert done.returncode == 1
    assert asked(program, first, last).returncode == 0


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8:strict"])
def test_any_name_of_a_class_and_of_a_photo_is_told_whatever_the_system_writes(
    bundle: Path, tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bundle / "labels.txt").write_text("猫 1\n猫 2\n猫 3\n", encoding="utf-8")
    latin = os.fsdecode(b"caf\xe9") if sys.platform == "linux" else "café"  # others refuse names that are no text
    (picture := tmp_path / f"{latin}.png").write_bytes(encoded(photo(0, 40, 36)))
    (text := tmp_path / f"{latin}, text.png").write_text("hello")
    command = [sys.executable, str(bundle / "python" / "predict.py"), str(picture), str(text)]
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    answer, _, name = done.stdout.decode("utf-8", "surrogateescape").rstrip("\r\n").split("\t")
    assert answer.startswith("猫") and name == str(picture)
    assert done.stderr.decode("utf-8", "surrogateescape").rstrip("\r\n") == f"{text}: {NO_PICTURE}"


def deep_pictures(folder: Path) -> dict[str, Path]:
    """Dark ramps of more than 8 bits, by mode: what is cut off instead of scaled turns white, or black."""
    ramp = np.linspace(0, 30_000, 40 * 48).reshape(40, 48)
    tags = {256: (48,), 257: (40,), 258: (16,), 259: (1,), 262: (1,), 277: (1,), 278: (40,)}
    words = ramp.astype("<u2")
    contents = {
        "I;16.png": encoded(words),
        "I;16.tif": encoded(words, "TIFF"),
        "I;16B.tif": tiff(tags, words.astype(">u2").tobytes(), ">"),
        "I;16 white is 0.tif": tiff(tags | {262: (0,)}, words.tobytes()),
        "I;16 signed.tif": tiff(tags | {339: (2,)}, words.tobytes()),
        "I.pgm": b"P5 48 40 65535\n" + words.astype(">u2").tobytes(),
        "I of 12 bits.pgm": b"P5 48 40 4095\n" + (words // 16).astype(">u2").tobytes(),
        "I.tif": encoded((ramp * 32768).astype(np.int32), "TIFF"),
        "I with small numbers.tif": encoded(ramp.astype(np.int32), "TIFF"),
        "F.tif": encoded((ramp / 65535).astype(np.float32), "TIFF"),
        "F with large numbers.tif": encoded(ramp.astype(np.float32), "TIFF"),
        "RGB of 16 bits.ppm": b"P6 16 40 65535\n" + words.astype(">u2").tobytes(),
    }
    return {name: write(folder / name, content) for name, content in contents.items()}


def test_a_picture_of_more_than_8_bits_is_scaled_by_its_depth_or_refused(
    program: Sequence[str], bundle: Path, tmp_path: Path
) -> None:
    pictures = deep_pictures(tmp_path / "deep")
    done = asked(program, *pictures.values())
    said = {path: float(share) for _, share, path in (line.split("\t") for line in done.stdout.splitlines())}
    for ours in predict(bundle / "model.onnx", list(pictures.values())):
        if str(ours.path) in said:
            assert said[str(ours.path)] == pytest.approx(ours.confidence, abs=0.01), ours.path.name
        else:
            assert {f"{ours.path}: {what}" for what in (NO_PICTURE, OTHER_FORMAT)} & set(done.stderr.splitlines())
    known = {"predict.py": {"I;16.png", "I;16.tif", "I;16B.tif", "I.pgm"}, "predict.mjs": {"I;16.png", "I;16.tif"}}
    assert known.get(Path(program[-1]).name, {"I;16.png"}) <= {Path(path).name for path in said}


def transparent_pictures(folder: Path) -> list[Path]:
    """Dark below what is transparent, so that whoever forgets it, or lays it on black, answers otherwise."""
    dark = Image.fromarray(photo(3, 40, 36) // 4)
    clear = Image.linear_gradient("L").resize(dark.size)
    (rgba := dark.copy()).putalpha(clear)
    (grey := dark.convert("L")).putalpha(clear)
    ramp = np.linspace(0, 30_000, 40 * 36).reshape(36, 40).astype("<u2")
    ramp[:20] = 7
    contents = {
        "RGBA.png": encoded(rgba),
        "LA.png": encoded(grey),
        "P.png": encoded(dark.quantize(8), transparency=bytes([0, 255, 100, 0, 30, 255, 0, 9])),
        "RGB with a clear colour.png": encoded(Image.new("RGB", (40, 36), (9, 40, 90)), transparency=(9, 40, 90)),
        "I;16 with a clear grey.png": encoded(Image.fromarray(ramp), transparency=7),
        "P.gif": encoded(dark.quantize(8), "GIF", transparency=3),
    }
    return [write(folder / name, content) for name, content in contents.items()]


def test_what_is_transparent_is_laid_on_white(program: Sequence[str], bundle: Path, tmp_path: Path) -> None:
    pictures = transparent_pictures(tmp_path / "transparent")
    done = asked(program, *pictures)
    assert done.returncode == 0, done.stderr
    said = {path: float(share) for _, share, path in (line.split("\t") for line in done.stdout.splitlines())}
    for ours in predict(bundle / "model.onnx", pictures):
        assert said[str(ours.path)] == pytest.approx(ours.confidence, abs=0.01), ours.path.name


def test_each_program_reads_the_formats_that_are_told_of_it(program: Sequence[str], tmp_path: Path) -> None:
    kinds = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "BMP": "bmp", "PPM": "ppm", "TIFF": "tif", "WEBP": "webp"} | {
        "AVIF": "avif",
        "JPEG2000": "jp2",
    }
    files = {kind: write(tmp_path / f"a.{end}", encoded(photo(1, 40, 36), kind)) for kind, end in kinds.items()}
    done = asked(program, *files.values())
    read = {line.split("\t")[2] for line in done.stdout.splitlines()}
    told = {
        "predict.py": set(kinds),
        "predict.mjs": {"JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF"},
    }.get(Path(program[-1]).name, {"JPEG", "PNG", "GIF", "BMP", "PPM"})
    assert read == {str(files[kind]) for kind in told}
    if not program[-1].endswith(("predict.py", "predict.mjs")):
        assert done.stderr.splitlines() == [f"{files[kind]}: {OTHER_FORMAT}" for kind in kinds if kind not in told]


def test_without_pictures_it_says_how_it_is_called(program: Sequence[str]) -> None:
    done = asked(program)
    assert done.returncode == 2 and not done.stdout
    (said,) = done.stderr.splitlines()
    assert said.startswith("Usage: ") and said.endswith("PICTURE...")
