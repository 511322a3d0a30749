"""Faults of pictures: whatever they hold they harm nothing, and what is learned from is what a person sees."""

import contextlib
import itertools
import os
import random
import shutil
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from PIL import Image

import desktop_ft
from desktop_ft.core.backbone import Interpolation, ResizeRule
from desktop_ft.core.dataset import DatasetManifest, Problem, Sample, Severity, Subset
from desktop_ft.core.values import to_json
from desktop_ft.data import decode
from desktop_ft.data.health import check_trainable
from desktop_ft.data.inspector import Inspection, Inspector
from desktop_ft.data.loaders import PictureBatches, preview
from desktop_ft.data.scan import scan
from desktop_ft.data.splits import split
from desktop_ft.export import metadata
from desktop_ft.export.onnx_model import OnnxModel
from tests.pictures import class_folders, encoded, fingerprint, photo, write
from tests.reliability import known_pixels
from tests.reliability.broken import Broken, Fate, broken
from tests.reliability.trial import SEED, Faults, Trial

FAULTS = Faults()
RULE = ResizeRule(crop=16, resize=16, interpolation=Interpolation.BILINEAR)
_PATIENCE_S = 300.0
GOOD = {"good": 3, "fine": 3}


@contextlib.contextmanager
def patience(seconds: float = _PATIENCE_S) -> Iterator[threading.Event]:
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
    root = class_folders(trial.folder / "data", GOOD)
    for each in bad:
        write(root / "good" / each.name, each.make())
    before = fingerprint(root)
    with patience() as cancel:
        manifest = scan(root, cancel=cancel)
    for each in bad:
        with trial.attempt(f"{each.fault}: {each.name}"):
            _check_fate(root / "good" / each.name, each, manifest)
    with trial.attempt("the good pictures", counts=0):
        used = {sample.path for sample in manifest.samples}
        assert used >= {f"{name}/{number:03}.png" for name, count in GOOD.items() for number in range(count)}
    with trial.attempt("the folder", counts=0):
        assert fingerprint(root) == before, "it was changed"


def _check_fate(path: Path, file: Broken, manifest: DatasetManifest) -> None:
    where = f"good/{path.name}"
    told = [problem for problem in manifest.left_out() if problem.path == where]
    used = any(sample.path == where for sample in manifest.samples)
    assert bool(told) != used, "it is told and used" if used else "it is passed over in silence"
    assert file.fate is Fate.READABLE or used == (file.fate is Fate.AS_SOUND), f"used: {used}"
    for problem in told:
        check_sentences(problem.reason, problem.cure)
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


def check_sentences(*said: str) -> None:
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
    with Inspector() as inspector, patience(2 * _PATIENCE_S) as cancel:
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
        check_sentences(answer.problem.reason, answer.problem.cure)
        return
    with _quiet():
        assert decode.load(path).shape == (answer.height, answer.width, 3)
        assert decode.network_input(path, RULE).shape == (16, 16, 3)


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
    inputs = trained_on(manifest, sample)
    (answer,) = echo.answer([path])
    assert not answer.problem, answer.problem
    seen = {
        "decoded": (decode.load(path), cell.shown),
        "preview": (preview(path, RULE, [], 0), middle),
        "training": (inputs[0].permute(1, 2, 0).numpy(), middle),
        "ONNX": (255 * np.array(answer.logits).reshape(3, 16, 16).transpose(1, 2, 0), middle),
    }
    for who, (got, wanted) in seen.items():
        assert got.shape == wanted.shape, who
        off = float(np.abs(got.astype(float) - wanted).max())
        assert off <= cell.levels + 0.001, f"{who} is off by {off:.2f}"
    assert (seen["preview"][0] == seen["training"][0]).all(), "the preview is not what is trained on"
    assert np.allclose(seen["ONNX"][0], seen["training"][0], atol=0.001), "an exported file gets something else"


def trained_on(manifest: DatasetManifest, sample: Sample) -> torch.Tensor:
    """What a step of training is given of this picture."""
    alone = manifest.with_samples([sample.placed(sample.label, Subset.TRAIN)])
    with PictureBatches(alone, RULE, batch_size=1, seed=0, threads=1) as batches:
        ((inputs, _),) = batches.train(0)
    return inputs


def _echo(path: Path) -> Path:
    """An exported file that answers with what it is given, a class for each number."""
    count = 3 * RULE.crop**2
    shapes = {"pictures": ["N", 3, RULE.crop, RULE.crop], "logits": ["N", count], "probabilities": ["N", count]}
    given, *answers = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    nodes = [helper.make_node("Flatten", ["pictures"], ["logits"]), helper.make_node("Softmax", ["logits"], ["probabilities"])]
    model = helper.make_model(helper.make_graph(nodes, "echo", [given], answers), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    classes = "[" + ",".join(f'"{number}"' for number in range(count)) + "]"
    told = {metadata.VERSION: desktop_ft.__version__, metadata.CLASSES: classes, metadata.RESIZE: to_json(RULE).decode()}
    helper.set_model_props(model, told)
    onnx.save(model, path)
    return path


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
    check_sentences(problem.reason, problem.cure)


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
