"""Faults of what comes from strangers: data never runs code, and what is wrong with it is told in a sentence."""

import contextlib
import csv
import io
import os
import pickle
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from email.message import Message
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from PySide6.QtCore import QByteArray, QMimeData, Qt
from PySide6.QtWidgets import QApplication

from desktop_ft import places
from desktop_ft.core.dataset import DatasetManifest, Layout
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import Warned
from desktop_ft.core.metrics import MetricHistory
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.evaluation.markup import _IMPOSSIBLE
from desktop_ft.evaluation.report import render
from desktop_ft.evaluation.score import evaluate
from desktop_ft.gui import widgets, words
from desktop_ft.gui.drops import local_paths
from desktop_ft.gui.plan_clipboard import plan_of_clipboard
from desktop_ft.jobs.predicting import Prediction, as_csv
from desktop_ft.jobs.training import new_run_path
from desktop_ft.models.fetching import Opener, Response, cached_path, download, https_opener
from desktop_ft.models.weights import verified_file
from desktop_ft.runs import logbook
from tests.data.test_archive import HOSTILE as ARCHIVES
from tests.evaluation.test_report import HOSTILE as HOSTILE_NAMES
from tests.evaluation.test_report import Page, sample
from tests.gui.test_drops import IGNORED
from tests.models.test_fetching import CONTENT, files
from tests.models.test_fetching import backbone as published
from tests.models.test_weights import Payload
from tests.models.tiny import tiny_backbone
from tests.reliability import hostile_onnx, hostile_texts, hostile_weights
from tests.reliability.quiet import FOLDER, HOME, HOST, USER, Person, person
from tests.reliability.trial import Faults, Trial
from tests.reliability.watched import Watched, watched

FAULTS = Faults()
_READ_ALONE = "opened in a process of its own, with bounded memory and every call watched"
_ONNX_MEMORY = 1 << 30


@FAULTS.fault(
    "Weights that want to run code",
    seen="A sentence that names the file, what it wants to run where that can be told, and which files to take instead. "
    "There is no way around it.",
    tried=f"pickles that call what runs something, by every opcode, in each format of torch and of others, and under false "
    f"names; {_READ_ALONE}; nothing of them is run, and nothing else is opened, written or called",
)
def weights_want_to_run(trial: Trial) -> None:
    marker, script = trial.folder / "marker", trial.folder / "script.py"
    files = hostile_weights.wanting_to_run(marker, script)
    with watched(trial.folder) as reader:
        for name, path in hostile_weights.by_name(trial.folder, files, lambda each: trial.some(each, 12)):
            with trial.attempt(name):
                try:
                    reader.open("weights", path).must_be_told()
                finally:
                    assert not _happened(marker), "it was run"


@FAULTS.fault(
    "Weights whose tensors or header lie",
    seen="A sentence that names the file, what is wrong with it, and which files to take instead; nothing is loaded.",
    tried=f"by hand, tensors that are sparse, larger than their data, not numbers or of another network, and headers "
    f"that overlap, "
    f"nest, overflow or name 8 EiB; then sound files with a few bytes changed, which may be read; {_READ_ALONE}",
)
def weights_lie(trial: Trial) -> None:
    files = hostile_weights.hostile_tensors() | hostile_weights.hostile_headers()
    with watched(trial.folder) as reader:
        for name, path in hostile_weights.by_name(trial.folder, files, lambda each: trial.some(each, 12)):
            with trial.attempt(name):
                reader.open("weights", path).must_be_told()
        _damage(trial, reader, "weights", hostile_weights.sound(), trial.count(400, 20))


def _damage(trial: Trial, reader: Watched, kind: str, sound: dict[str, bytes], times: int) -> None:
    """Sound files are read, and with some bytes changed they are read or refused."""
    folder = trial.folder / "damaged"
    folder.mkdir()
    for name, content in sound.items():
        path = folder / name
        path.write_bytes(content)
        assert reader.open(kind, path).read, f"{name} is not read as it is"
        for number in range(times // len(sound)):
            with trial.attempt(f"{name}, {number}"):
                path.write_bytes(hostile_weights.damaged(content, trial.chance))
                reader.open(kind, path).must_be_ours()


def _happened(marker: Path) -> bool:
    """Whether something was run; the next is not judged by it."""
    if not (marker.exists() or marker.is_symlink()):
        return False
    marker.rmdir() if marker.is_dir() and not marker.is_symlink() else marker.unlink()
    return True


@FAULTS.fault(
    "Hostile ONNX files",
    seen="A sentence that names the file, what is wrong with it, and what to do; or, for what can be computed, an answer.",
    tried="by hand, graphs that turn in circles, nest, call themselves, overflow or ask for 2^50 values, weights in "
    "other files by "
    f"every way to say so, and metadata that lies; then a sound file with a few bytes changed, which may be "
    f"answered; {_READ_ALONE}",
)
def onnx_files(trial: Trial) -> None:
    outside = trial.folder / "outside" / "weights.bin"
    outside.parent.mkdir()
    outside.write_bytes(bytes(1 << 12))
    Image.new("RGB", (48, 40), (200, 30, 90)).save(trial.folder / "picture.png")
    files = {f"{name}.onnx": content for name, content in hostile_onnx.hostile(outside).items()}
    with watched(trial.folder, most=_ONNX_MEMORY) as reader:
        for name, path in hostile_weights.by_name(trial.folder, files, lambda each: trial.some(each, 14)):
            (path.parent / "weights.bin").symlink_to(outside)
            with trial.attempt(name):
                answer = reader.open("onnx", path)
                answer.must_be_ours() if name.removesuffix(".onnx") in hostile_onnx.COMPUTABLE else answer.must_be_told()
        sound = {"sound.onnx": hostile_onnx.sound().SerializeToString()}
        _damage(trial, reader, "onnx", sound, trial.count(400, 20))


@FAULTS.fault(
    "Hostile recipes, projects and settings",
    seen="A sentence that names the file, what is wrong with it and what to do; what only remembers windows is left out.",
    tried="by hand, files that nest, overflow, name code or are none; then sound recipes, projects, settings, "
    "queues, curves, lists "
    f"and plans to paste with a few changes by chance, which may be read; {_READ_ALONE}",
)
def recipes_and_projects(trial: Trial) -> None:
    with watched(trial.folder) as reader:
        for name, (kind, file, content) in trial.some(list(hostile_texts.by_hand().items()), 30):
            path = hostile_texts.placed(trial.folder / f"by hand {trial.tried}", file, content)
            with trial.attempt(name):
                answer = reader.open(kind, path, may_write=True)
                answer.must_be_told() if kind in hostile_texts.MUST_BE_TOLD else answer.must_be_ours()
        kinds = hostile_texts.kinds()
        for place, each in enumerate(kinds):
            folder = trial.folder / f"by chance {place}"
            answer = reader.open(each.kind, hostile_texts.placed(folder, each.name, each.sound), may_write=True)
            assert answer.read, f"{each.name} is not read as it is: {answer}"
            for number in range(trial.count(10_000, 240) // len(kinds) + 1):
                changed = hostile_texts.mutated(each.sound, trial.chance)
                with trial.attempt(f"{each.kind} {number}: {changed[:2000]!r}"):
                    reader.open(each.kind, hostile_texts.placed(folder, each.name, changed), may_write=True).must_be_ours()


@FAULTS.fault(
    "A download is not what was published",
    seen="A sentence that says so and what to do; nothing is kept, and what was there before stays.",
    tried="what answers in a server's place gives a file with one byte changed at a random place, a part of it, more than "
    "it, or sends on to another address; a file is changed or renamed after it was downloaded",
)
def downloads(trial: Trial) -> None:
    before = os.environ.get("DESKTOP_FT_HOME")
    os.environ["DESKTOP_FT_HOME"] = str(trial.folder / "home")
    try:
        for number in range(trial.count(100, 10)):
            for name, content in _changed(trial).items():
                with trial.attempt(f"{name}, {number}"):
                    assert "not kept" in _refusal(partial(download, published(), opener=_giving(content)))
                    assert files() == []
        for url in ("http://x.example/w.pth", "file:///etc/passwd", "ftp://x.example/w.pth", "data:,x"):
            with trial.attempt(f"sent on to {url}"):
                assert _refusal(partial(download, published(), opener=_sending_on(url)))
                assert files() == []
            with trial.attempt(f"published at {url}"):
                assert "https only" in _refusal(partial(download, tiny_backbone(url=url)))
        path = download(published(), opener=_giving(CONTENT))
        for number in range(trial.count(100, 5)):
            with trial.attempt(f"changed afterwards, {number}"):
                path.write_bytes(_flipped(CONTENT, trial))
                assert "not the one that was" in _refusal(partial(verified_file, published()))
        path.write_bytes(CONTENT)
        other = replace(published(prefix="00000000"), spec=replace(published(prefix="00000000").spec, name="other"))
        cached_path(other).parent.mkdir(parents=True)
        for renamed in (path, path.with_name(f"{path.name}.json")):
            shutil.copy(renamed, cached_path(other).with_name(renamed.name))
        with trial.attempt("renamed"):
            assert "not the one that was" in _refusal(partial(verified_file, other))
    finally:
        os.environ.pop("DESKTOP_FT_HOME") if before is None else os.environ.update(DESKTOP_FT_HOME=before)


def _changed(trial: Trial) -> dict[str, bytes]:
    cut = trial.chance.randrange(len(CONTENT))
    return {
        "one bit changed": _flipped(CONTENT, trial),
        "cut": CONTENT[:cut],
        "a byte more": CONTENT + b"x",
        "far more": CONTENT * 2,
        "an answer of text": b"<html>Sign in</html>",
    }


def _flipped(content: bytes, trial: Trial) -> bytes:
    place = trial.chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << trial.chance.randrange(8)]) + content[place + 1 :]


def _giving(content: bytes) -> Opener:
    """What opens every address with an answer of `content`, as long as what was published."""

    def opened(url: str, timeout: float) -> Response:
        answer = io.BytesIO(content)
        answer.headers = {}
        return answer

    return opened


def _sending_on(to: str) -> Opener:
    """Our own opener, as it takes an answer that sends it on."""

    def opened(url: str, timeout: float) -> Response:
        there = Message()
        there["Location"] = to
        return https_opener().error("http", urllib.request.Request(url), io.BytesIO(), 302, "Found", there)

    return opened


def _refusal(does: Callable[[], object]) -> str:
    try:
        does()
    except UserError as error:
        assert error.cure
        return error.what
    return ""


@FAULTS.fault(
    "An archive that wants out",
    seen="A sentence that names the archive, what is wrong with it and what to do; nothing is unpacked, nothing left behind.",
    tried=f"paths that lead out, links, devices, bombs, names twice, damage; {_READ_ALONE}",
)
def archives(trial: Trial) -> None:
    files = {f"{name}.zip": make() for name, make in ARCHIVES.items()}
    with watched(trial.folder) as reader:
        for name, path in hostile_weights.by_name(trial.folder, files, lambda each: trial.some(each, 5)):
            with trial.attempt(name):
                reader.open("archive", path, may_write=True).must_be_told()
                assert [each for each in path.parent.rglob("*") if not each.is_dir()] == [path]


@FAULTS.fault(
    "Something foreign is dropped or pasted",
    seen="Nothing: only files and folders of this machine are taken, and of the clipboard only a plan in plain text; else "
    "a sentence.",
    tried="addresses of other machines and kinds, paths that are none, serialised objects in every format that Qt would "
    "revive, and changes of these by chance, are dropped on the window's own reader and pasted as a plan",
)
def dropped(trial: Trial) -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    application = QApplication.instance() or QApplication([])
    marker = trial.folder / "marker"
    pickled = pickle.dumps(Payload(os.system, f"touch {marker}"))
    known = [*IGNORED, *((kind, pickled) for kind in _REVIVED)]
    more = trial.count(100, 20)
    payloads = [
        *known,
        *((trial.chance.choice(known)[0], hostile_texts.mutated(_short(known, trial), trial.chance)) for _ in range(more)),
    ]
    for number, (kind, data) in enumerate(payloads):
        with trial.attempt(f"{number}: {kind} {data[:60]!r}"):
            mime = QMimeData()
            mime.setData(kind, QByteArray(data))
            taken = local_paths(mime)
            assert all(path.is_absolute() and path.exists() for path in taken)
            assert number >= len(known) or not taken
            application.clipboard().setMimeData(mime)
            with contextlib.suppress(UserError):
                plan_of_clipboard()
            assert not _happened(marker), "it was run"
    application.clipboard().clear()


_REVIVED = (
    'application/x-qt-windows-mime;value="PyObject"',
    "application/x-pyside-object",
    "application/x-python-pickle",
    "application/x-qabstractitemmodeldatalist",
    "application/x-qstandarditemmodeldatalist",
    "application/x-qt-image",
    "application/x-color",
    "text/uri-list",
    "text/plain",
    "text/html",
)


def _short(known: list[tuple[str, bytes]], trial: Trial) -> bytes:
    return trial.chance.choice([data for _, data in known if len(data) < 10_000])


@FAULTS.fault(
    "Names are markup, formulas or paths",
    seen="The name, letter by letter: in the report as text, in tables with an apostrophe before what a spreadsheet would "
    "compute; no name becomes a path.",
    tried="classes and files whose names are elements of HTML, formulas, ways up, lines, 10,000 letters, not UTF-8 or to "
    "be read from right to left: in the report, in the table of answers, in the name of a new run and as a text of "
    "the window",
)
def names(trial: Trial) -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    _ = QApplication.instance() or QApplication([])
    for name in trial.some(_NAMES, 6):
        with trial.attempt(f"in the report: {name[:40]!r}"):
            _must_be_literal(name)
        with trial.attempt(f"in the table: {name[:40]!r}"):
            answers = (Prediction(path=Path("photos") / name, label=name), Prediction(path=Path(name), problem=name))
            rows = list(csv.reader(io.StringIO(as_csv(answers).decode("utf-8", "surrogateescape"), newline="")))
            assert len(rows) == 3
            assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)
            assert rows[1][1].removeprefix("'") == name.removeprefix("'")
        with trial.attempt(f"of a run: {name[:40]!r}"):
            path = new_run_path(Recipe(dataset=DatasetChoice(folder=f"/photos/{words.printable(name)}")))
            assert path.parent == places.runs() and path.name not in (".", "..")
        with trial.attempt(f"in the window: {name[:40]!r}"):
            made = widgets.label(words.printable(name))
            assert made.textFormat() is Qt.TextFormat.PlainText and made.text() == words.printable(name)


def _must_be_literal(name: str) -> None:
    """The report of a run with a class and a file of that name is as sound as any, and has no element that the name brought."""
    classes = ("other", name)
    samples = tuple(sample(f"{name}/{name}.png", 1) for _ in range(2))
    manifest = DatasetManifest(
        source=f"/photos/{name}", root="/photos", layout=Layout.CLASS_FOLDERS, classes=classes, samples=samples, problems=()
    )
    judged = evaluate(np.tile(np.array([[0.7, 0.3]]), (2, 1)), samples, classes, dataset=name, subset="val")
    history = MetricHistory.of([Warned(message=name)])
    page = Page(render(Recipe(dataset=DatasetChoice(folder="photos")), manifest, history, judged, (), None))
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "link", "object", "base", "form", "img", "a"}
    assert not any(attribute.startswith("on") for _, attributes in page.tags for attribute in attributes)
    shown = "".join("\ufffd" if _IMPOSSIBLE.match(letter) else letter for letter in name)
    assert shown in page.text


_NAMES = [
    *HOSTILE_NAMES,
    "<script>alert(1)</script>",
    "&lt;b&gt;&amp;#60;",
    "'\" onmouseover=alert(1) x='",
    "]]></style><base href=//evil.example>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}%s%n",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    'a,b"c;d',
    "one\ntwo",
    "one\r\n=two",
    "../../etc/passwd",
    "..",
    ".",
    "C:\\Windows\\x",
    "CON",
    "~",
    "$HOME",
    "-rf",
    "\u2066\u202egnp.exe\u2069",
    "\u200b\u2028\ufeff",
    "e\u0301" * 50,
    "x" * 10_000,
    "<" * 10_000,
    "\x1b[31mred\x07",
    "a\0b",
    "猫 café \U0001f408",
]


@FAULTS.fault(
    "Something could connect, or listen",
    seen="Nothing: no command and no page connects to anything, or waits for anybody, unless a download is asked for.",
    tried="the command line scans, trains, evaluates, exports, predicts and checks itself, and the window opens, trains, "
    "exports and closes, under `strace`: no socket but of this machine's own processes, no connection, nobody is "
    "listened to",
)
def nothing_connects(trial: Trial) -> None:
    someone = trial.shared.get(person)
    for number, (name, command) in enumerate(_commands(someone).items()):
        if trial.whole or not number:
            with trial.attempt(name):
                loud = someone.does(*command)
                assert not loud, loud


@FAULTS.fault(
    "Secrets travel with what is shared",
    seen="Nothing: an exported file, a report of a run and a report from the log name no folder, person or machine.",
    tried="a person whose home, folders, name and machine have names of their own trains and exports; every byte of the "
    "exported file, of the report and of what the log hands out is looked through for them",
)
def secrets_travel(trial: Trial) -> None:
    someone = trial.shared.get(person)
    shared = {"a report from the log": _log_as_told(someone).encode()}
    if trial.whole:
        commands = _commands(someone)
        for name, made in (("train", someone.run), ("export", someone.exported)):
            if not made.exists():
                someone.does(*commands[name])
        shared["the exported file"] = someone.exported.read_bytes()
        shared["the report of the run"] = (someone.run / "report.html").read_bytes()
    for what, content in shared.items():
        for secret in (HOME, FOLDER, USER, HOST, str(someone.place)):
            with trial.attempt(f"{secret} in {what}"):
                assert not any(secret.encode(encoding) in content for encoding in ("utf-8", "utf-16-le", "utf-32-le"))


def _commands(someone: Person) -> dict[str, tuple[object, ...]]:
    """What a person asks for, in this order; the first is quick."""
    ours = ("-m", "desktop_ft")
    small = someone.home / "small.onnx"
    small.write_bytes(hostile_onnx.sound().SerializeToString())
    return {
        "predict with a small file": (*ours, "predict", small, someone.photos / "disc"),
        "train": (*ours, "train", "--recipe", someone.recipe(), "--out", someone.run),
        "export": (*ours, "export", someone.run, "--out", someone.exported),
        "predict": (*ours, "predict", someone.exported, someone.photos / "disc"),
        "predict with the run": (*ours, "predict", someone.run, someone.photos / "disc"),
        "scan": (*ours, "scan", someone.photos),
        "evaluate": (*ours, "evaluate", someone.run),
        "backbones": (*ours, "backbones"),
        "layers": (*ours, "layers", "efficientnet_lite0"),
        "runs": (*ours, "runs"),
        "plugins": (*ours, "plugins"),
        "doctor": (*ours, "doctor"),
        "the window": ("-m", "tests.reliability.quiet_window", someone.recipe()),
    }


def _log_as_told(someone: Person) -> str:
    """A fault that names a file of theirs and a token, as it is copied for others."""
    text = f"{someone.exported} cannot be written: token=hf_{HOST}"
    before = os.environ.get("HOME")
    os.environ["HOME"] = str(someone.home)
    try:
        return logbook.report(text)
    finally:
        os.environ.pop("HOME") if before is None else os.environ.update(HOME=before)
