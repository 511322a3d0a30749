"""Faults of what is learned from: pictures, names, links and archives are judged, and whatever they are, they harm nothing."""

import contextlib
import ctypes
import itertools
import os
import random
import shutil
import socket
import struct
import threading
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from PIL import Image

import desktop_ft
from desktop_ft.core.backbone import Interpolation, ResizeRule
from desktop_ft.core.dataset import DatasetManifest, Problem, Sample, Severity, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.values import to_json
from desktop_ft.data import archive, decode
from desktop_ft.data.health import check_trainable
from desktop_ft.data.inspector import Inspection, Inspector
from desktop_ft.data.loaders import PictureBatches, preview
from desktop_ft.data.scan import scan
from desktop_ft.data.splits import split
from desktop_ft.export import metadata
from desktop_ft.export.onnx_model import OnnxModel
from desktop_ft.runs.run_folder import RunFolder
from tests import archives
from tests.pictures import class_folders, encoded, fingerprint, photo, write
from tests.reliability import known_pixels
from tests.reliability.broken import Broken, Fate, broken
from tests.reliability.trial import SEED, Faults, Trial

FAULTS = Faults()
_RULE = ResizeRule(crop=16, resize=16, interpolation=Interpolation.BILINEAR)
_PATIENCE_S = 300.0
_GOOD = {"good": 3, "fine": 3}


@FAULTS.fault(
    "Pictures are broken, hostile or no pictures",
    seen="Each is in the list of problems, with what is wrong and what to do; the others are used. The folder stays as it was.",
    tried="good pictures among bad ones: cut, empty, misnamed, bombs, lying sizes, lengths and checksums, damaged EXIF and "
    "profiles, other formats, in more than 25 classes and 6 formats; each is told, or used where all of it can be decoded; good "
    "ones are all used; no byte, name or date changes",
)
def broken_pictures(trial: Trial) -> None:
    bad = trial.some(broken(), 30)
    if trial.whole:
        assert len(bad) >= 150 and len({each.fault for each in bad}) >= 25
    root = class_folders(trial.folder / "data", _GOOD)
    for each in bad:
        write(root / "good" / each.name, each.make())
    before = fingerprint(root)
    with _patience() as cancel:
        manifest = scan(root, cancel=cancel)
    for each in bad:
        with trial.attempt(f"{each.fault}: {each.name}"):
            _check_fate(root / "good" / each.name, each, manifest)
    with trial.attempt("the good pictures", counts=0):
        used = {sample.path for sample in manifest.samples}
        assert used >= {f"{name}/{number:03}.png" for name, count in _GOOD.items() for number in range(count)}
    with trial.attempt("the folder", counts=0):
        assert fingerprint(root) == before, "it was changed"


def _check_fate(path: Path, file: Broken, manifest: DatasetManifest) -> None:
    where = f"good/{path.name}"
    told = [problem for problem in manifest.left_out() if problem.path == where]
    used = any(sample.path == where for sample in manifest.samples)
    assert bool(told) != used, "it is told and used" if used else "it is passed over in silence"
    assert file.fate is Fate.READABLE or used == (file.fate is Fate.AS_SOUND), f"used: {used}"
    for problem in told:
        _check_sentences(problem.reason, problem.cure)
        assert problem.class_name == "good"
    if used:
        with _quiet():
            pixels = decode.load(path)
        if file.fate is Fate.AS_SOUND:
            assert (pixels == decode.load(write(path.parents[2] / "sound", file.sound))).all(), "it shows something else"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what decoders print about damaged pictures; of what Pillow says of EXIF pytest would even make an error."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _check_sentences(*said: str) -> None:
    assert all(len(sentence) > 5 and sentence.endswith(".") for sentence in said), said


@FAULTS.fault(
    "Pictures are damaged at random",
    seen="As above.",
    tried="pictures of 6 formats with bytes changed, cut out, put in, or taken from another picture; each gets an answer within "
    "the limits, the application lives, and what is found good can be decoded for training",
)
def fuzzed_pictures(trial: Trial) -> None:
    sources, good = _fuzz_sources(), 0
    numbers = range(trial.count(10_000, 60))
    with Inspector() as inspector, _patience(2 * _PATIENCE_S) as cancel:
        for first in range(0, len(numbers), 250):
            folder = trial.folder / "batch"
            folder.mkdir()
            paths = [folder / str(number) for number in numbers[first : first + 250]]
            for path in paths:
                path.write_bytes(_mutated(trial.chance, sources))
            for path, answer in zip(paths, inspector.inspect(paths, cancel), strict=True):
                good += answer.problem is None
                with trial.attempt(f"mutation {path.name}"):
                    _check_answer(path, answer)
            shutil.rmtree(folder)
    with trial.attempt("some are good and some are not", counts=0):
        assert len(numbers) / 10 < good < len(numbers) * 9 / 10, good


def _check_answer(path: Path, answer: Inspection) -> None:
    if answer.problem is not None:
        _check_sentences(answer.problem.reason, answer.problem.cure)
        return
    with _quiet():
        assert decode.load(path).shape == (answer.height, answer.width, 3)
        assert decode.network_input(path, _RULE).shape == (16, 16, 3)


def _fuzz_sources() -> list[bytes]:
    """Sound pictures, small so that what is changed counts, and of each format what its decoder does differently."""
    rgb, exif = Image.fromarray(photo(3)), known_pixels.orientation_block(6)
    alpha = rgb.convert("RGBA")
    alpha.putalpha(rgb.convert("L"))
    frames = {"save_all": True, "append_images": [Image.fromarray(photo(4))]}
    made = [encoded(rgb, kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")]
    made += [encoded(rgb, kind, exif=b"Exif\0\0" + exif) for kind in ("PNG", "JPEG", "WEBP")]
    made += [encoded(rgb, kind, **frames) for kind in ("PNG", "WEBP", "GIF", "TIFF")]
    made += [encoded(alpha, kind) for kind in ("PNG", "WEBP", "TIFF", "BMP")]
    made += [encoded(rgb.quantize(16), kind) for kind in ("PNG", "TIFF", "BMP")]
    made += [encoded(rgb, "TIFF", compression=packing) for packing in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")]
    made += [encoded(rgb, "JPEG", progressive=True), encoded(rgb.convert("CMYK"), "JPEG"), encoded(rgb.convert("CMYK"), "TIFF")]
    made += [encoded(rgb, "WEBP", lossless=True), encoded(rgb.convert("L").convert("I;16"), "PNG")]
    return made


def _mutated(chance: random.Random, sources: list[bytes]) -> bytes:
    data = bytearray(chance.choice(sources))
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        # Heads decide more than pixels do: half of the places are in the first hundred bytes.
        at = chance.randrange(chance.choice((min(100, len(data)), len(data)))) if data else 0
        size = chance.choice((1, 1, 2, 4, 16, 64))
        way = chance.randrange(7)
        if way == 0:
            data[at : at + size] = chance.randbytes(size)
        elif way == 1 and data:
            data[at] ^= 1 << chance.randrange(8)
        elif way == 2:
            data[at : at + size] = chance.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * size
        elif way == 3:
            del data[at : at + size]
        elif way == 4:
            data[at:at] = chance.randbytes(size)
        elif way == 5 and chance.random() < 0.3:
            del data[at:]
        else:
            other = chance.choice(sources)
            start = chance.randrange(len(other))
            data[at : at + size] = other[start : start + chance.choice((size, 200))]
    return bytes(data)


@FAULTS.fault(
    "A picture is turned, deep, transparent, indexed or in printing colours",
    seen="The preview, training and the exported file get the picture that a person sees: upright, its depth scaled, its colours "
    "converted, laid on white.",
    tried="modes and depths of 8 formats, in each of the 8 orientations where the format has them, of known pixels; the decoded "
    "picture, the preview, the training input and what an ONNX file gets are all within 1/255 of them (16-bit ones with alpha or "
    "in printing colours within 2/255)",
)
def known_pictures(trial: Trial) -> None:
    cells = trial.some(known_pixels.cells(SEED), 40)
    if trial.whole:
        assert len(cells) >= 100
    root = trial.folder / "data"
    for cell in cells:
        write(root / cell.kind / str(cell.orientation), cell.content)
    manifest = scan(root)
    samples = {sample.path: sample for sample in manifest.samples}
    told = {problem.path: problem.reason for problem in manifest.left_out()}
    echo = OnnxModel(_echo(trial.folder / "echo.onnx"))
    for cell in cells:
        path = f"{cell.kind}/{cell.orientation}"
        with trial.attempt(path):
            assert path in samples, told.get(path)
            _check_pixels(cell, manifest, samples[path], echo)


def _check_pixels(cell: known_pixels.Cell, manifest: DatasetManifest, sample: Sample, echo: OnnxModel) -> None:
    path, middle = Path(manifest.root, sample.path), cell.shown[4:20]
    assert (sample.height, sample.width) == cell.shown.shape[:2]
    inputs = _trained_on(manifest, sample)
    (answer,) = echo.answer([path])
    assert not answer.problem, answer.problem
    seen = {
        "decoded": (decode.load(path), cell.shown),
        "preview": (preview(path, _RULE, [], 0), middle),
        "training": (inputs[0].permute(1, 2, 0).numpy(), middle),
        "ONNX": (255 * np.array(answer.logits).reshape(3, 16, 16).transpose(1, 2, 0), middle),
    }
    for who, (got, wanted) in seen.items():
        assert got.shape == wanted.shape, who
        off = float(np.abs(got.astype(float) - wanted).max())
        assert off <= cell.levels + 0.001, f"{who} is off by {off:.2f}"
    assert (seen["preview"][0] == seen["training"][0]).all(), "the preview is not what is trained on"
    assert np.allclose(seen["ONNX"][0], seen["training"][0], atol=0.001), "an exported file gets something else"


def _echo(path: Path) -> Path:
    """An exported file that answers with what it is given, a class for each number."""
    count = 3 * _RULE.crop**2
    shapes = {"pictures": ["N", 3, _RULE.crop, _RULE.crop], "logits": ["N", count], "probabilities": ["N", count]}
    given, *answers = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    nodes = [helper.make_node("Flatten", ["pictures"], ["logits"]), helper.make_node("Softmax", ["logits"], ["probabilities"])]
    model = helper.make_model(helper.make_graph(nodes, "echo", [given], answers), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    classes = "[" + ",".join(f'"{number}"' for number in range(count)) + "]"
    told = {metadata.VERSION: desktop_ft.__version__, metadata.CLASSES: classes, metadata.RESIZE: to_json(_RULE).decode()}
    helper.set_model_props(model, told)
    onnx.save(model, path)
    return path


@FAULTS.fault(
    "Links lead in circles or out of the folder; pipes, sockets and folders are named like pictures",
    seen="Each is in the list of problems; what a link leads to is used once, and never if it lies outside.",
    tried="circles, chains of 40, links to files and folders outside, to /etc, home and devices, pipes, sockets, twins; nothing "
    "outside is opened (asked of the system), each real file is used once, nothing is waited for",
)
def links_and_pipes(trial: Trial) -> None:
    outside = class_folders(trial.folder / "outside", {"a": 2, "b": 2}, start=70)
    with _watch(outside) as opened, _patience(60) as cancel:
        real = {**_GOOD, "fine/folder.jpg": 1}
        root = class_folders(trial.folder / "data", real)
        traps = trial.some(list(_TRAPS), 16)
        for name in traps:
            _TRAPS[name](root / "good" / name, outside)
        manifest = scan(root, cancel=cancel)
        used = sorted(sample.path for sample in manifest.samples)
        for name in traps:
            with trial.attempt(name):
                place = f"good/{name}"
                assert not [path for path in used if path.startswith(place)], "it was used"
                told = [problem.reason for problem in manifest.problems if f"{problem.path}/".startswith(f"{place}/")]
                assert told, "it is passed over in silence"
                _check_sentences(*told)
        with trial.attempt("each real file once", counts=0):
            assert used == sorted(f"{name}/{number:03}.png" for name, count in real.items() for number in range(count))
        for name in trial.some(list(_LAYOUTS), 2):
            with trial.attempt(name):
                place = trial.folder / name
                place.mkdir()
                _LAYOUTS[name](place, outside)
                with contextlib.suppress(UserError):
                    assert all("real" in sample.path for sample in scan(place, cancel=cancel).samples), "it was used"
                assert not opened(), "what lies outside was opened"
        for name, make in _NO_FILES.items():
            make(trial.folder / name, outside)
        with Inspector(1, seconds=5) as inspector:
            for name, answer in zip(_NO_FILES, inspector.inspect([trial.folder / name for name in _NO_FILES]), strict=True):
                with trial.attempt(f"{name}, read"):
                    assert answer.problem is not None, "it was read"
                    assert answer.problem.kind in ("not-a-file", "unreadable"), answer.problem.reason
        with trial.attempt("nothing outside is opened", counts=0):
            assert not opened()


def _chain(link: Path, length: int, target: str) -> None:
    for number in range(length - 1):
        target, link_here = f".{link.name}.{number}", target
        (link.parent / target).symlink_to(link_here)
    link.symlink_to(target)


def _socket(path: Path, outside: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:  # by a short name: what a socket is called has 108 bytes at most
        made.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


def _behind(make: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
    """A link to what `make` makes; that itself is hidden, and so passed over."""

    def plant(path: Path, outside: Path) -> None:
        hidden = path.with_name(f".{path.name}")
        make(hidden, outside)
        path.symlink_to(hidden.name)

    return plant


def _two(path: Path, outside: Path) -> None:
    path.with_name(f".{path.name}").symlink_to(path.name)
    path.symlink_to(f".{path.name}")


def _back(path: Path, outside: Path) -> None:
    """Out of the folder and back into it."""
    (outside / "back").symlink_to(path.with_name("000.png"))
    path.symlink_to(outside / "back")


def _long_way(path: Path, outside: Path) -> None:
    path.symlink_to("../" * 60 + str(outside / "a" / "000.png").lstrip("/"))


_TRAPS: dict[str, Callable[[Path, Path], None]] = {
    "itself.png": lambda path, _: path.symlink_to(path.name),
    "each other.png": _two,
    "its folder": lambda path, _: path.symlink_to("."),
    "the folder above": lambda path, _: path.symlink_to(".."),
    "the other class": lambda path, _: path.symlink_to("../fine"),
    "a picture here.png": lambda path, _: path.symlink_to("000.png"),
    "hard link.png": lambda path, _: path.hardlink_to(path.with_name("001.png")),
    "nothing.png": lambda path, _: path.symlink_to("nowhere.png"),
    "below a file.png": lambda path, _: path.symlink_to("000.png/x.png"),
    "a name too long.png": lambda path, _: path.symlink_to("n" * 300),
    "chain of 40.png": lambda path, _: _chain(path, 40, "000.png"),
    "chain of 60.png": lambda path, _: _chain(path, 60, "000.png"),
    "chain to nothing.png": lambda path, _: _chain(path, 40, "nowhere.png"),
    "chain to outside.png": lambda path, outside: _chain(path, 39, str(outside / "a" / "000.png")),
    "chain to a folder outside": lambda path, outside: _chain(path, 39, str(outside)),
    "outside.png": lambda path, outside: path.symlink_to(outside / "a" / "000.png"),
    "outside, the long way.png": _long_way,
    "outside and back.png": _back,
    "folder outside": lambda path, outside: path.symlink_to(outside),
    "etc": lambda path, _: path.symlink_to("/etc"),
    "passwords.png": lambda path, _: path.symlink_to("/etc/passwd"),
    "home": lambda path, _: path.symlink_to(Path.home()),
    "all": lambda path, _: path.symlink_to("/"),
    "zeros.png": lambda path, _: path.symlink_to("/dev/zero"),
    "terminal.png": lambda path, _: path.symlink_to("/dev/tty"),
    "memory.png": lambda path, _: path.symlink_to("/proc/self/mem"),
    "input.png": lambda path, _: path.symlink_to("/dev/stdin"),
    "open file.png": lambda path, _: path.symlink_to("/proc/self/fd/0"),
    "pipe.png": lambda path, _: os.mkfifo(path),
    "link to a pipe.png": _behind(lambda path, _: os.mkfifo(path)),
    "socket.png": _socket,
    "link to a socket.png": _behind(_socket),
}
"""What is planted among good pictures, by the name it gets there. Each must be told, and none used."""

_NO_FILES: dict[str, Callable[[Path, Path], None]] = {
    "pipe.png": lambda path, _: os.mkfifo(path),
    "socket.png": _socket,
    "folder.jpg": lambda path, _: path.mkdir(),
}
"""What a decoder must refuse without waiting for it."""


def _subset_outside(root: Path, outside: Path) -> None:
    (root / "train").symlink_to(outside)
    class_folders(root / "val", {"real a": 1, "real b": 1})


def _table(root: Path, outside: Path) -> None:
    class_folders(root, {"real": 2})
    (root / "out").symlink_to(outside)
    rows = ["real/000.png,a", "real/001.png,b", f"{outside}/a/000.png,a", "../outside/a/000.png,b", "out/a/000.png,a", "out,b"]
    write(root / "labels.csv", "\n".join(["file,label", *rows]).encode())


def _table_outside(root: Path, outside: Path) -> None:
    class_folders(root, {"real a": 1, "real b": 1})
    (root / "labels.csv").symlink_to(outside / "a" / "000.png")


_LAYOUTS: dict[str, Callable[[Path, Path], None]] = {
    "subset outside": _subset_outside,
    "table that leads outside": _table,
    "table outside": _table_outside,
    "all of it outside": lambda root, outside: (root / "pictures").symlink_to(outside),
    "subsets outside": lambda root, outside: [(root / name).symlink_to(outside) for name in ("train", "val")],
    "one class outside": lambda root, outside: (class_folders(root, {"real": 1}), (root / "b").symlink_to(outside / "b")),
}
"""Folders whose own layout leads outside; what may be used is called real."""


@contextlib.contextmanager
def _watch(folder: Path) -> Iterator[Callable[[], bytes]]:
    """What the system tells of anything below `folder` that was opened or read: nothing, if nothing was."""
    access, opened = 0x1, 0x20
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    for path in (folder, *folder.rglob("*")):
        assert libc.inotify_add_watch(watch, os.fsencode(path), access | opened) >= 0

    def read() -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(watch, 65536)
        return b""

    read()
    try:
        yield read
    finally:
        os.close(watch)


@contextlib.contextmanager
def _patience(seconds: float = _PATIENCE_S) -> Iterator[threading.Event]:
    """An event that calls off what takes so long that it must hang."""
    cancel = threading.Event()
    timer = threading.Timer(seconds, cancel.set)
    timer.start()
    try:
        yield cancel
    finally:
        timer.cancel()
        timer.join()


@FAULTS.fault(
    "Names are odd: any bytes, any letters, very long, very deep",
    seen="Nothing: such a picture is used like any other. One that the system cannot reach is in the list of problems. Classes "
    "whose names look alike are kept apart, and told.",
    tried="each of the 254 bytes that a name can hold, in files and classes; twins by letter case and by Unicode's forms; names "
    "of 255 bytes; folders to a depth of 5,000 bytes; found, kept with a run, read again and loaded",
)
def odd_names(trial: Trial) -> None:
    values = trial.some([value for value in range(1, 256) if value != ord("/")], 24)
    root = class_folders(trial.folder / "data", _GOOD)
    files = {b"good/x%cy.png" % value: b"byte %d" % value for value in values}
    files |= {b"good/%cx.png" % value: b"first byte %d" % value for value in values if value != ord(".")}
    files |= {b"class %c/x.png" % value: b"byte %d in a class" % value for value in values}
    files |= {b"good/" + name: b"odd name" for name in _ODD_NAMES}
    for number, name in enumerate(files):
        write(root / os.fsdecode(name), encoded(photo(1000 + number, 8, 8)))
    for name in _TWINS:
        write(root / name / "x.png", encoded(photo(_seed_of(name), 8, 8)))
    deep = _deep_folders(root / "good", 5000)
    with _patience() as cancel:
        manifest = scan(root, cancel=cancel)
    run = RunFolder(trial.folder / "run")
    run.path.mkdir()
    run.write_manifest(manifest)
    kept = {sample.path: sample for sample in run.manifest.samples}
    for name, what in files.items():
        with trial.attempt(f"{what.decode()}: {name!r}"):
            sample = kept[os.fsdecode(name)]
            assert run.manifest.classes[sample.label] == os.fsdecode(name.split(b"/")[0])
            assert _trained_on(run.manifest, sample).shape == (1, 3, 16, 16)
    _check_twins(trial, manifest)
    with trial.attempt("too deep to be reached"):
        within = [sample.path for sample in manifest.samples if "/deep" in sample.path]
        assert len(within) == deep.reachable, f"{len(within)} of {deep.reachable} found"
        told = [problem for problem in manifest.left_out() if "/deep" in problem.path]
        assert told, "what cannot be reached is passed over in silence"
        for problem in told:
            _check_sentences(problem.reason, problem.cure)
            assert "too long" in problem.reason and "Allow" not in problem.cure
    shutil.rmtree(root)


def _seed_of(name: str) -> int:
    """A seed for a picture."""
    return int.from_bytes(os.fsencode(name), "big") % 2**32


def _trained_on(manifest: DatasetManifest, sample: Sample) -> torch.Tensor:
    """What a step of training is given of this picture."""
    alone = manifest.with_samples([sample.placed(sample.label, Subset.TRAIN)])
    with PictureBatches(alone, _RULE, batch_size=1, seed=0, threads=1) as batches:
        ((inputs, _),) = batches.train(0)
    return inputs


_ODD_NAMES = (
    b"n" * 251 + b".png",
    "\u00fc".encode() * 125 + b".png",
    "caf\u00e9.png".encode(),
    "cafe\u0301.png".encode(),
    "\u202egnp.exe.png".encode(),
    "\U0001f41d\u200d.png".encode(),
    b"CON.png",
    b"a:b.png",
    b"-rf.png",
    b"$(reboot).png",
    b"=cmd.png",
    b"<img src=x>.png",
    b"%s %n {0} {name}.png",
    b"\xed\xa0\x80.png",
    b"\xc3\x28 no text.png",
    b"x.png\n",
    b"trailing blank.png ",
    b"trailing dot.png.",
    b"~",
    b"a'b\"c`d.png",
)
_TWINS = (
    "Cat",
    "cat",
    "CAT",
    "Caf\u00e9",
    "Cafe\u0301",
    "Stra\u00dfe",
    "Strasse",
    "dog",
    "dog ",
    "dog.",
    "\u212bngstrom",
    "\u00c5ngstrom",
)
"""Classes that look alike; two and two, or three and three, are told."""


def _check_twins(trial: Trial, manifest: DatasetManifest) -> None:
    told = {problem.path: problem for problem in manifest.problems if problem.kind == "similar-classes"}
    for name in _TWINS:
        with trial.attempt(f"twin class {name!r}"):
            assert name in manifest.classes, "it was merged with another"
            others = [other for other in _TWINS if other != name and _looks_like(other) == _looks_like(name)]
            assert name in told or any(name in told[other].reason for other in others if other in told), "it is not told"


def _looks_like(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip(" .")


@dataclass(frozen=True)
class _Deep:
    """How many of the pictures on the way down have a path that the system takes."""

    reachable: int


def _deep_folders(start: Path, most: int) -> _Deep:
    """A picture in each of many folders one below the other, until the path has more than `most` bytes."""
    picture, name, length, reachable = encoded(photo(77, 8, 8)), "deep" + "d" * 240, len(os.fsencode(start)), 0
    here = os.open(start, os.O_RDONLY)
    number = 0
    while length <= most:
        os.mkdir(name, dir_fd=here)  # a path that long cannot be named whole
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here, length, number = below, length + 1 + len(name), number + 1
        file = os.open("x.png", os.O_WRONLY | os.O_CREAT, dir_fd=here)
        os.write(file, picture + bytes([number]))
        os.close(file)
        reachable += length + len("/x.png") < 4096
    os.close(here)
    return _Deep(reachable)


@FAULTS.fault(
    "The folder changes while it is used",
    seen="A sentence that names the picture that has changed or gone, and what to do; in a scan it is one of the problems.",
    tried="a picture is rewritten, replaced, cut, emptied, deleted, turned into a pipe, a folder or a link to nothing, or the "
    "whole folder goes, before a run, at random batches of it, and during a scan",
)
def folder_changes(trial: Trial) -> None:
    source = class_folders(trial.folder / "source", {"a": 12, "b": 12}, size=(20, 20))
    ways = list(_CHANGES)
    for number in range(trial.count(200, 9)):
        way, when = ways[number % len(ways)], ("before", "during")[number % 2]  # nine ways: each in turn before and during
        root = trial.folder / f"{number}"
        shutil.copytree(source, root)
        manifest = split(_moved(trial, source, root), 0.25)
        with trial.attempt(f"{way} {when} a run"):
            _change_in_a_run(trial.chance, manifest, root, way, during=when == "during")
        _restore(root)
    for way, share in trial.some(list(itertools.product(ways, (0.0, 0.3, 0.6, 0.9))), 3):
        root = trial.folder / f"scan {way} {share}"
        shutil.copytree(source, root)
        with trial.attempt(f"{way} in a scan"):
            _change_in_a_scan(trial.chance, root, way, share)
        _restore(root)


def _moved(trial: Trial, source: Path, root: Path) -> DatasetManifest:
    """What a scan of `root`, a copy of `source`, finds; its dates are the same."""
    manifest = trial.shared.get(_scans)(source)
    return DatasetManifest(**{**_fields(manifest), "root": str(root), "source": str(root)})


def _fields(manifest: DatasetManifest) -> dict[str, object]:
    """The fields of a manifest."""
    return {name: getattr(manifest, name) for name in manifest.__dataclass_fields__}


@contextlib.contextmanager
def _scans() -> Iterator[Callable[[Path], DatasetManifest]]:
    """Scans each folder once."""
    known: dict[Path, DatasetManifest] = {}
    yield lambda source: known.get(source) or known.setdefault(source, scan(source))


def _change_in_a_run(chance: random.Random, manifest: DatasetManifest, root: Path, way: str, *, during: bool) -> None:
    victim = root / chance.choice(manifest.of(Subset.TRAIN)).path
    steps = 0
    with PictureBatches(manifest, _RULE, batch_size=2, seed=1, cache_bytes=0, threads=2) as batches:
        at = chance.randrange(batches.steps) if during else 0
        try:
            for epoch in range(3):  # what was read ahead of the change shows it in the next epoch
                for _ in batches.train(epoch):
                    if steps == at:
                        _CHANGES[way](victim, root)
                    steps += 1
        except UserError as error:
            named = str(root) in error.what if way == "the folder goes" else str(victim) in error.what
            assert named, f"it is not named: {error}"
            _check_sentences(error.what, error.cure)
            return
    raise AssertionError("nothing was told")


def _change_in_a_scan(chance: random.Random, root: Path, way: str, share: float) -> None:
    victim = root / "b" / f"{chance.randrange(6, 12):03}.png"
    done = 0

    def progress(looked_at: int, of: int | None) -> None:
        nonlocal done
        done += 1
        if done == int(share * 24) + 1:
            _CHANGES[way](victim, root)

    try:
        manifest = scan(root, progress=progress)
    except UserError as error:
        _check_sentences(error.what, error.cure)
        return
    where = str(victim.relative_to(root))
    used = {sample.path for sample in manifest.samples}
    told = {problem.path: problem for problem in manifest.problems}
    assert where in used or where in told, "it is passed over in silence"
    if way != "the folder goes":
        assert len(used | {where}) == 24, "others were lost"


def _rewritten(path: Path, root: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def _replaced(path: Path, root: Path) -> None:
    write(root / ".new", encoded(photo(999, 20, 20))).replace(path)


def _instead(make: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    def change(path: Path, root: Path) -> None:
        path.unlink()
        make(path)

    return change


_CHANGES: dict[str, Callable[[Path, Path], None]] = {
    "rewritten": _rewritten,
    "replaced": _replaced,
    "cut": lambda path, root: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path, root: os.truncate(path, 0),
    "deleted": lambda path, root: path.unlink(),
    "a pipe": _instead(os.mkfifo),
    "a folder": _instead(Path.mkdir),
    "a link to nothing": _instead(lambda path: path.symlink_to("nowhere")),
    "the folder goes": lambda path, root: root.rename(f"{root} gone"),
}


def _restore(root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(f"{root} gone", ignore_errors=True)


@FAULTS.fault(
    "An archive is hostile or damaged",
    seen="One sentence that names it and says what is wrong; nothing is unpacked.",
    tried="names that lead outside, links, devices, bombs by ratio, by size and by overlap, a million entries, twins, encrypted, "
    "cut at each twentieth, other packings damaged, an archive in an archive; and random changes: refused, or unpacked into its "
    "folder. Nothing is written outside, and nothing is left of what was refused",
)
def hostile_archives(trial: Trial) -> None:
    makers = dict(archives.HOSTILE)
    sound = archives.packed(*((f"a/{number}.png", encoded(photo(number, 16, 16))) for number in range(8)))
    for share in range(1, 20):
        makers[f"cut at {share} twentieths"] = lambda share=share: sound[: len(sound) * share // 20]
    makers["a bomb in an archive"] = lambda: archives.packed(("a/inner.zip", makers["bomb"]()), ("b/inner.zip", makers["bomb"]()))
    if trial.whole:
        assert len(makers) >= 20
        makers["a million entries"] = _million
    for number, name in enumerate(trial.some(list(makers), 25)):
        home = trial.folder / f"home {number}"
        with trial.attempt(name):
            path = write(home / "x.zip", makers[name]())
            unpack = _unpack_and_look if name == "a bomb in an archive" else archive.unpack
            error = _refusal(unpack, path, home / "into")
            assert error is not None, "it was unpacked"
            _check_sentences(error.cure)
            assert str(path) in error.what
            assert [file for file in trial.folder.rglob("*") if not file.is_dir()] == [path]
        shutil.rmtree(home)
    for number in range(trial.count(1000, 20)):
        with trial.attempt(f"change {number}"):
            _change_archive(trial, trial.folder / "changed")
        shutil.rmtree(trial.folder / "changed")


def _refusal(unpack: Callable[[Path, Path], object], path: Path, into: Path) -> UserError | None:
    try:
        unpack(path, into)
    except UserError as error:
        return error
    return None


def _unpack_and_look(path: Path, into: Path) -> None:
    """An archive in an archive is a file like any other: no picture. What was unpacked of the outer one is sound, and small."""
    folder = archive.unpack(path, into)
    assert sum(file.stat().st_size for file in folder.rglob("*")) < 1 << 20
    try:
        scan(folder)
    except UserError as error:
        raise UserError(f"{path}: {error.what}", error.cure) from error
    finally:
        shutil.rmtree(into)


def _change_archive(trial: Trial, home: Path) -> None:
    kind = trial.chance.choice((0, 8, 12, 14))
    data = bytearray(archives.packed(*((f"a/{n}.png", encoded(photo(n, 8, 8))) for n in range(3)), kind=kind))
    for _ in range(trial.chance.randrange(1, 6)):
        data[trial.chance.randrange(len(data))] = trial.chance.choice((0, 255, trial.chance.randrange(256)))
    path = write(home / "x.zip", bytes(data))
    into = home / "in" / "to"
    error = _refusal(archive.unpack, path, into)
    found = [file for file in trial.folder.rglob("*") if not file.is_dir() and file != path]
    assert all(file.is_relative_to(into) and not file.is_symlink() for file in found), "something lies outside"
    assert error is None or not found, "something was left behind"


def _million() -> bytes:
    """A million and one entries that are all empty, in the form that counts so far."""
    name, count = b"00000000.png", 1_000_001
    entry = b"PK\x01\x02" + struct.pack("<6H3I5H2I", 20, 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0)
    local = b"PK\x03\x04" + struct.pack("<5H3I2H", 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0) + name
    listed = b"".join(entry + b"%08d.png" % number for number in range(count))
    end = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, len(listed), len(local))
    place = b"PK\x06\x07" + struct.pack("<IQI", 0, len(local) + len(listed), 1)
    return local + listed + end + place + b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)


@FAULTS.fault(
    "The same picture is there to train and to validate on, or in two classes",
    seen="Each is in the list of problems, and the number is told before a run. A division keeps twins together.",
    tried="the same bytes under other names, planted between train, val and test, between classes, and in a folder that names no "
    "subsets; each is told with the picture it equals, no other is, and no division parts them (other bytes of the same sight "
    "are not looked for)",
)
def same_pictures(trial: Trial) -> None:
    count = trial.count(100, 12)
    root = trial.folder / "named"
    for start, name in enumerate(("train", "val", "test")):
        class_folders(root / name, {"a": count, "b": count}, start=start * 2 * count, size=(8, 8))
    twins = _plant(trial.chance, root, count)
    manifest = scan(root)
    for kind, planted in twins.items():
        told = {problem.path: problem for problem in manifest.problems if problem.kind == kind}
        for pair in planted:
            with trial.attempt(f"{kind}: {pair}"):
                _check_told(told, pair)
        with trial.attempt(f"{kind}: no other is told", counts=0):
            assert len(told) == len(planted), f"{len(told)} are told"
    with trial.attempt("the number is told"):
        said = check_trainable(manifest, 32)
        assert any(f"{len(twins['duplicate-across-subsets'])} pictures are in more than one subset" in line for line in said), (
            said
        )
    _check_divided(trial, count)


def _plant(chance: random.Random, root: Path, count: int) -> dict[str, list[tuple[str, str]]]:
    """Copies of pictures, each of another one: those in another subset of the same class, and those in the other class."""
    pairs = itertools.cycle(itertools.permutations(("train", "val", "test"), 2))
    across, torn = [], []
    for number in range(count):
        (here, there), name = next(pairs), chance.choice("ab")
        across.append((f"{here}/{name}/{number:03}.png", f"{there}/{name}/copy {number}.png"))
    for number in range(0, count, 4):
        torn.append((f"train/a/{number:03}.png", f"train/b/torn {number}.png"))
    torn = [pair for pair in torn if pair[0] not in {one for one, _ in across}]
    for one, other in (*across, *torn):
        shutil.copyfile(root / one, root / other)
    return {"duplicate-across-subsets": across, "contradicting-label": torn}


def _check_told(told: dict[str, Problem], pair: tuple[str, str]) -> None:
    found = [(told[name], other) for name, other in (pair, pair[::-1]) if name in told]
    assert len(found) == 1, f"told {len(found)} times"
    problem, other = found[0]
    assert other in problem.reason and problem.severity is Severity.NOTE
    _check_sentences(problem.reason, problem.cure)


def _check_divided(trial: Trial, count: int) -> None:
    root = class_folders(trial.folder / "unnamed", {"a": count, "b": count}, size=(8, 8))
    for number in range(0, count, 2):
        shutil.copyfile(root / "a" / f"{number:03}.png", root / "a" / f"copy {number}.png")
        shutil.copyfile(root / "a" / f"{number:03}.png", root / "b" / f"torn {number}.png")
    manifest = scan(root)
    for share in trial.some([number / 20 for number in range(1, 20)], 3):
        with trial.attempt(f"divided at {share}"):
            sides: dict[str, set[Subset | None]] = {}
            for sample in split(manifest, share).samples:
                sides.setdefault(sample.sha256, set()).add(sample.subset)
            assert all(len(each) == 1 for each in sides.values()), "twins were parted"
