"""Faults of what pictures lie in: links, names, folders that change and archives harm nothing, and lose no picture."""

import contextlib
import ctypes
import itertools
import os
import random
import shutil
import socket
import struct
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.data import archive
from desktop_ft.data.inspector import Inspector
from desktop_ft.data.loaders import PictureBatches
from desktop_ft.data.scan import scan
from desktop_ft.data.splits import split
from desktop_ft.runs.run_folder import RunFolder
from tests import archives
from tests.pictures import class_folders, encoded, photo, write
from tests.reliability.pictures import GOOD, RULE, check_sentences, patience, trained_on
from tests.reliability.trial import Faults, Trial

FAULTS = Faults()


@FAULTS.fault(
    "Links lead in circles or out of the folder; pipes, sockets and folders are named like pictures",
    seen="Each is in the list of problems; what a link leads to is used once, and never if it lies outside.",
    tried="circles, chains of 40, links to files and folders outside, to /etc, home and devices, pipes, sockets, twins; nothing "
    "outside is opened (asked of the system), each real file is used once, nothing is waited for",
)
def links_and_pipes(trial: Trial) -> None:
    outside = class_folders(trial.folder / "outside", {"a": 2, "b": 2}, start=70)
    with _watch(outside) as opened, patience(60) as cancel:
        real = {**GOOD, "fine/folder.jpg": 1}
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
                check_sentences(*told)
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


@FAULTS.fault(
    "Names are odd: any bytes, any letters, very long, very deep",
    seen="Nothing: such a picture is used like any other. One that the system cannot reach is in the list of problems. Classes "
    "whose names look alike are kept apart, and told.",
    tried="each of the 254 bytes that a name can hold, in files and classes; twins by letter case and by Unicode's forms; names "
    "of 255 bytes; folders to a depth of 5,000 bytes; found, kept with a run, read again and loaded",
)
def odd_names(trial: Trial) -> None:
    values = trial.some([value for value in range(1, 256) if value != ord("/")], 24)
    root = class_folders(trial.folder / "data", GOOD)
    files = {b"good/x%cy.png" % value: b"byte %d" % value for value in values}
    files |= {b"good/%cx.png" % value: b"first byte %d" % value for value in values if value != ord(".")}
    files |= {b"class %c/x.png" % value: b"byte %d in a class" % value for value in values}
    files |= {b"good/" + name: b"odd name" for name in _ODD_NAMES}
    for number, name in enumerate(files):
        write(root / os.fsdecode(name), encoded(photo(1000 + number, 8, 8)))
    for name in _TWINS:
        write(root / name / "x.png", encoded(photo(_seed_of(name), 8, 8)))
    deep = _deep_folders(root / "good", 5000)
    with patience() as cancel:
        manifest = scan(root, cancel=cancel)
    run = RunFolder(trial.folder / "run")
    run.path.mkdir()
    run.write_manifest(manifest)
    kept = {sample.path: sample for sample in run.manifest.samples}
    for name, what in files.items():
        with trial.attempt(f"{what.decode()}: {name!r}"):
            sample = kept[os.fsdecode(name)]
            assert run.manifest.classes[sample.label] == os.fsdecode(name.split(b"/")[0])
            assert trained_on(run.manifest, sample).shape == (1, 3, 16, 16)
    _check_twins(trial, manifest)
    with trial.attempt("too deep to be reached"):
        within = [sample.path for sample in manifest.samples if "/deep" in sample.path]
        assert len(within) == deep.reachable, f"{len(within)} of {deep.reachable} found"
        told = [problem for problem in manifest.left_out() if "/deep" in problem.path]
        assert told, "what cannot be reached is passed over in silence"
        for problem in told:
            check_sentences(problem.reason, problem.cure)
            assert "too long" in problem.reason and "Allow" not in problem.cure
    shutil.rmtree(root)


def _seed_of(name: str) -> int:
    """A seed for a picture."""
    return int.from_bytes(os.fsencode(name), "big") % 2**32


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
    with PictureBatches(manifest, RULE, batch_size=2, seed=1, cache_bytes=0, threads=2) as batches:
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
            check_sentences(error.what, error.cure)
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
        check_sentences(error.what, error.cure)
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
            check_sentences(error.cure)
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
