"""What a folder is found to hold, through the one public door."""

import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from desktop_ft.core.dataset import DatasetManifest, Layout, Severity, Subset
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.data.scan import scan
from tests.pictures import HOSTILE, class_folders, encoded, fingerprint, hostile_folder, photo, write

REAL = Path(__file__).parents[2] / ".." / "shared" / "data"


def kinds(manifest: DatasetManifest, severity: Severity | None = None) -> dict[str, str]:
    """Path to kind of the problems."""
    return {p.path: p.kind for p in manifest.problems if severity is None or p.severity is severity}


def test_class_folders(tmp_path: Path) -> None:
    class_folders(tmp_path, {"dog": 2, "cat": 3})
    write(tmp_path / "cat" / "deep" / "er" / "x.png", encoded(photo(99)))
    told: list[tuple[int, int | None]] = []
    manifest = scan(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert manifest.layout is Layout.CLASS_FOLDERS
    assert manifest.classes == ("cat", "dog")
    assert manifest.counts() == {"cat": 4, "dog": 2}
    assert manifest.problems == ()
    assert {sample.subset for sample in manifest.samples} == {None}
    assert told[-1] == (6, 6)
    first = manifest.samples[0]
    content = (tmp_path / first.path).read_bytes()
    assert (first.path, first.width, first.height, first.bytes) == ("cat/000.png", 40, 30, len(content))
    assert first.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("val", ["val", "Valid", "VALIDATION"])
def test_split_folders(tmp_path: Path, val: str) -> None:
    class_folders(tmp_path / "Train", {"a": 2, "b": 1})
    class_folders(tmp_path / val, {"a": 1, "b": 1}, start=10)
    class_folders(tmp_path / "test", {"b": 2}, start=20)
    class_folders(tmp_path, {"extra": 1}, start=30)
    manifest = scan(tmp_path)
    assert manifest.layout is Layout.SPLIT_FOLDERS
    assert manifest.counts(Subset.TRAIN) == {"a": 2, "b": 1}
    assert manifest.counts(Subset.VAL) == {"a": 1, "b": 1}
    assert manifest.counts(Subset.TEST) == {"a": 0, "b": 2}
    assert kinds(manifest) == {"extra": "outside-split"}


def test_a_folder_around_everything_is_entered(tmp_path: Path) -> None:
    class_folders(tmp_path / "flowers" / "flowers", {"a": 1, "b": 1})
    write(tmp_path / "README.txt", b"hello")
    manifest = scan(tmp_path)
    assert [sample.path for sample in manifest.samples] == ["flowers/flowers/a/000.png", "flowers/flowers/b/000.png"]


def test_a_test_folder_without_classes_and_other_folders_leave_it_a_split(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"a": 2, "b": 2})
    write(tmp_path / "test" / "1.png", encoded(photo(50)))
    write(tmp_path / "docs" / "read.txt", b"about")
    manifest = scan(tmp_path)
    assert manifest.layout is Layout.SPLIT_FOLDERS
    assert manifest.counts() == {"a": 2, "b": 2}
    assert kinds(manifest) == {"docs": "outside-split", "test/1.png": "no-class"}


def test_junk_folders_make_no_wrapper_and_no_split(tmp_path: Path) -> None:
    class_folders(tmp_path / "one", {"cat": 2})
    (tmp_path / "one" / "cat" / ".ipynb_checkpoints").mkdir()
    assert scan(tmp_path / "one", fewest_classes=1).counts() == {"cat": 2}
    class_folders(tmp_path / "two", {"test": 2, "train": 2})
    (tmp_path / "two" / "train" / "@eaDir").mkdir()
    assert scan(tmp_path / "two").layout is Layout.CLASS_FOLDERS


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    class_folders(tmp_path, {"train": 1, "car": 1, "plane": 1})
    assert scan(tmp_path).classes == ("car", "plane", "train")


def test_labels_csv(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / "p" / f"{number}.png", encoded(photo(number)))
    rows = [
        "\ufeffFileName;CLASS;Split",
        "p/0.png;cat;train",
        "p\\1.png;dog;VAL",
        "p/2.png;cat;",
        "p/3.png;dog;holdout",
        "p/4.png;;train",
        "p/gone.png;cat;",
        "../x.png;cat;",
        "/etc/hostname;cat;",
        "p/0.png;dog;",
        "",
    ]
    write(tmp_path / "Labels.CSV", "\r\n".join(rows).encode())
    manifest = scan(tmp_path)
    assert manifest.layout is Layout.LABELS_CSV
    assert [(s.path, manifest.classes[s.label], s.subset) for s in manifest.samples] == [
        ("p/0.png", "cat", Subset.TRAIN),
        ("p/1.png", "dog", Subset.VAL),
        ("p/2.png", "cat", None),
        ("p/3.png", "dog", None),
    ]
    assert sorted((p.path, p.kind) for p in manifest.problems) == [
        ("labels.csv:8", "outside-folder"),
        ("labels.csv:9", "outside-folder"),
        ("p/0.png", "contradicting-label"),
        ("p/3.png", "unknown-split"),
        ("p/4.png", "no-label"),
        ("p/4.png", "no-label"),
        ("p/5.png", "no-label"),
        ("p/gone.png", "missing"),
    ]


def test_a_table_without_a_label_column_is_explained(tmp_path: Path) -> None:
    write(tmp_path / "labels.csv", b"file,colour\nx.png,red\n")
    with pytest.raises(UserError, match="no column 'label'"):
        scan(tmp_path)


def test_a_table_leads_nowhere_outside_by_any_link(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", {"p": 3})
    class_folders(tmp_path, {"elsewhere": 1}, start=70)
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "in").symlink_to("p")
    rows = ["file,label", "p/000.png,cat", "in/001.png,dog", "out/000.png,dog", "p/002.png/x.png,dog", "p,dog"]
    write(root / "labels.csv", "\n".join(rows).encode())
    manifest = scan(root)
    assert [(s.path, manifest.classes[s.label]) for s in manifest.samples] == [("in/001.png", "dog"), ("p/000.png", "cat")]
    found = kinds(manifest)
    assert found["out/000.png"] == "link-outside"
    assert found["p/002.png/x.png"] == "missing"
    assert found["p"] == "not-a-file"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_as_spreadsheets_save_it(tmp_path: Path, encoding: str) -> None:
    class_folders(tmp_path, {"p": 2})
    write(tmp_path / "labels.csv", 'file\tlabel\r\n"p/000.png"\tM\u00f6we\r\np/001.png\t"a ""b"", c"\r\n'.encode(encoding))
    assert scan(tmp_path).classes == ("M\u00f6we", 'a "b", c')


def test_a_zip_is_scanned_and_unpacked_once(tmp_path: Path, home: Path) -> None:
    source = class_folders(tmp_path / "in" / "pets", {"a": 2, "b": 2})
    archive = tmp_path / "pets.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(source.rglob("*.png")):
            packed.write(path, path.relative_to(tmp_path / "in"))
    manifest = scan(archive)
    again = scan(archive)
    assert manifest.counts() == {"a": 2, "b": 2}
    assert manifest.source == str(archive)
    assert again == manifest
    assert len(list((home / "cache" / "archives").iterdir())) == 1


def test_every_hostile_file_is_listed_and_the_folder_left_as_it_was(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", {"good": 3, "fine": 3})
    names = hostile_folder(root / "good")
    before = fingerprint(root)
    manifest = scan(root)
    assert fingerprint(root) == before
    assert manifest.counts() == {"fine": 3, "good": 3}
    left_out = kinds(manifest, Severity.LEFT_OUT)
    assert set(left_out) == {f"good/{name}" for name in names}
    assert len(names) >= 25
    assert all(p.reason and p.cure and p.class_name == "good" for p in manifest.left_out())
    assert left_out["good/pipe.png"] == "not-a-file"
    assert left_out["good/outside_link.jpg"] == "link-outside"
    assert left_out["good/self_link.jpg"] == "link-loop"
    assert left_out["good/broken_link.jpg"] == "broken-link"
    assert left_out["good/bomb.png"] == "too-large"
    assert left_out["good/zero.jpg"] == "empty"
    reasons = {p.path: p.reason for p in manifest.problems}
    assert reasons["good/text.jpg"] == "Is text, not a picture, though it is named .jpg."
    assert "HEIC" in reasons["good/photo.heic"]


def test_the_content_counts_and_a_wrong_name_is_noted(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 1, "b": 1})
    write(tmp_path / "a" / "x.jpg", encoded(photo(50)))
    write(tmp_path / "a" / "noname", encoded(photo(51)))
    manifest = scan(tmp_path)
    assert manifest.counts() == {"a": 3, "b": 1}
    (problem,) = manifest.problems
    assert (problem.kind, problem.severity) == ("wrong-extension", Severity.NOTE)
    assert problem.reason.startswith("Is a PNG named .jpg")


def test_junk_is_counted_and_passed_over(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 1, "b": 1})
    junk = ["a/.DS_Store", "a/Thumbs.db", "a/desktop.ini", "a/._000.png", "__MACOSX/a/000.png", ".git/config"]
    for name in junk:
        write(tmp_path / name, encoded(photo(60)))
    manifest = scan(tmp_path)
    assert manifest.counts() == {"a": 1, "b": 1}
    found = kinds(manifest, Severity.IGNORED)
    assert set(found) == {"a/.DS_Store", "a/Thumbs.db", "a/desktop.ini", "a/._000.png", "__MACOSX", ".git"}
    assert set(found.values()) == {"junk"}


def test_link_loops_give_each_file_once(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 2, "b": 1})
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "again.png").symlink_to("000.png")
    (tmp_path / "b" / "chain0").symlink_to("../a")
    for number in range(40):
        (tmp_path / "b" / f"chain{number + 1}").symlink_to(f"chain{number}")
    manifest = scan(tmp_path)
    assert manifest.counts() == {"a": 2, "b": 1}
    assert kinds(manifest, Severity.IGNORED)["a/again.png"] == "link-repeat"


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "pool" / f"{number}.png", encoded(photo(number)))
        link = tmp_path / ("train" if number < 2 else "val") / "ab"[number % 2] / "x.png"
        link.parent.mkdir(parents=True)
        link.symlink_to(f"../../pool/{number}.png")
    manifest = scan(tmp_path)
    assert manifest.counts(Subset.TRAIN) == {"a": 1, "b": 1}
    assert manifest.counts(Subset.VAL) == {"a": 1, "b": 1}


def test_nothing_outside_is_read(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", {"a": 1, "b": 1})
    class_folders(tmp_path, {"elsewhere": 3}, start=70)
    (root / "c").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "l").symlink_to(tmp_path / "elsewhere")
    manifest = scan(root)
    assert manifest.counts() == {"a": 1, "b": 1}
    assert sorted((p.path, p.kind) for p in manifest.problems) == [
        ("a/l", "link-outside"),
        ("c", "link-outside"),
    ]
    (of_file,) = [problem for problem in manifest.problems if problem.path == "c"]
    assert "folder itself" in of_file.cure, "to add pictures to it is no advice where they lie elsewhere"


def test_duplicates_and_contradictions_are_noted(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"a": 2, "b": 2})
    class_folders(tmp_path / "val", {"a": 1, "b": 1}, start=20)
    write(tmp_path / "val" / "a" / "same.png", (tmp_path / "train" / "a" / "000.png").read_bytes())
    write(tmp_path / "train" / "b" / "other.png", (tmp_path / "train" / "a" / "001.png").read_bytes())
    manifest = scan(tmp_path)
    assert kinds(manifest, Severity.NOTE) == {
        "val/a/same.png": "duplicate-across-subsets",
        "train/b/other.png": "contradicting-label",
    }


def test_similar_classes_are_kept_apart_and_noted(tmp_path: Path) -> None:
    class_folders(tmp_path, {"Cat": 1, "cat": 1, "Caf\u00e9": 1, "Cafe\u0301": 1, "dog": 1, "dog.": 1})
    manifest = scan(tmp_path)
    assert len(manifest.classes) == 6
    assert [p.kind for p in manifest.problems] == ["similar-classes"] * 3


def test_a_class_without_a_readable_picture_is_left_out(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 1, "b": 1, "empty": 0})
    write(tmp_path / "broken" / "x.jpg", b"")
    manifest = scan(tmp_path)
    assert manifest.classes == ("a", "b")
    assert kinds(manifest) == {"empty": "empty-class", "broken": "empty-class", "broken/x.jpg": "empty"}


def test_names_of_any_bytes_come_through(tmp_path: Path) -> None:
    class_folders(tmp_path, {"b": 1})
    folder = os.fsencode(tmp_path) + b"/a"
    Path(os.fsdecode(folder)).mkdir()
    wanted = set()
    for value in set(range(1, 256)) - {ord("/"), ord(".")}:
        name = bytes([value]) + b"x.png"
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(encoded(photo(value, 4, 4)))
        wanted.add(b"a/" + name)
    manifest = scan(tmp_path)
    assert {os.fsencode(s.path) for s in manifest.samples if s.label == 0} == wanted


def test_notes_are_taken_of_what_was_converted(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 1, "b": 1})
    image = photo(3)
    write(tmp_path / "a" / "alpha.png", encoded(np.dstack([image, image[..., 0]])))
    assert kinds(scan(tmp_path), Severity.NOTE) == {"a/alpha.png": "transparent"}


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda p: p / "nowhere", "no folder"),
        (lambda p: write(p / "x.txt", b"x"), "neither a folder nor a .zip"),
        (lambda p: write(p / "x.zip", b"x"), "damaged or not a .zip"),
        (lambda p: p, "is empty"),
        (lambda p: write(p / "x.png", encoded(photo())).parent, "in no class folder"),
        (lambda p: class_folders(p, {"a": 3}), "only one class"),
        (lambda p: class_folders(p, {"a": 3, "b": 0}), "only one class.*without a readable picture: b"),
        (lambda p: write(p / "a" / "x.jpg", b"").parents[1], "no readable picture"),
    ],
)
def test_what_cannot_be_learned_from_is_one_sentence_with_a_cure(tmp_path: Path, make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=words) as caught:
        scan(make(tmp_path))
    assert caught.value.cure.endswith(".")


@pytest.mark.parametrize("entry", ["", "x.png", "labels.csv"])
def test_of_an_archive_the_person_s_own_name_is_told(tmp_path: Path, entry: str) -> None:
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as file:
        if entry:
            file.writestr(entry, b"colour\nred\n" if entry == "labels.csv" else encoded(photo()))
    with pytest.raises(UserError, match=r"pets\.zip") as caught:
        scan(tmp_path / "pets.zip")
    assert "archives" not in caught.value.what


def test_the_source_has_a_name_from_wherever_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folders(tmp_path / "pets", {"a": 1, "b": 1})
    monkeypatch.chdir(root)
    for named in (Path(), Path("a/.."), root / "b" / ".."):
        assert Path(scan(named).source) == root


def test_a_scan_can_be_cancelled(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 20, "b": 20})
    cancel = threading.Event()
    threads = threading.active_count()
    with pytest.raises(Cancelled):
        scan(tmp_path, progress=lambda done, total: cancel.set(), cancel=cancel)
    assert threading.active_count() == threads


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="asks the system for the most memory that a process took")
def test_of_200_000_files_each_is_counted_and_little_memory_is_taken(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for number in range(100_000):
            os.close(os.open(tmp_path / name / f"{number}.jpg", os.O_CREAT))
    asked = (
        "import resource, sys; from pathlib import Path; from desktop_ft.core.errors import UserError\n"
        "from desktop_ft.data.scan import scan\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before, told = peak(), []\n"
        "try: scan(Path(sys.argv[1]), progress=lambda done, total: told.append(done))\n"
        "except UserError as error: print(error.what)\n"
        "print(len(told), told[-1], peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", asked, tmp_path], capture_output=True, text=True, check=True)
    said, figures = done.stdout.splitlines()
    assert "200,000 files were left out" in said
    count, last, megabytes = map(int, figures.split())
    assert last == 200_000 and count == last + 1  # and once more when the total is known
    assert megabytes < 100  # a list of all entries with their paths alone would take 50


@pytest.mark.skipif(sys.platform != "linux", reason="drops Linux capabilities")
def test_what_may_not_be_read_is_listed(tmp_path: Path) -> None:
    root = class_folders(tmp_path, {"a": 2, "b": 2, "c": 1})
    (root / "a" / "000.png").chmod(0)
    (root / "c").chmod(0)
    look = (
        "import sys; from pathlib import Path; from desktop_ft.data.scan import scan; m = scan(Path(sys.argv[1]));"
        "print(sorted((p.path, p.kind, p.reason) for p in m.problems))"
    )
    # Root may read everything: give that up (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH) for the new program.
    drop = (
        "import ctypes, os, sys; libc = ctypes.CDLL(None);"
        "[libc.prctl(24, capability, 0, 0, 0) for capability in (1, 2)];"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", drop, "-c", look, str(root)], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    (root / "c").chmod(0o755)
    assert "('a/000.png', 'unreadable', 'Permission denied.')" in done.stdout, done.stderr
    assert "('c', 'unreadable', 'Permission denied.')" in done.stdout


def test_the_scan_needs_no_torch() -> None:
    script = "import sys; from desktop_ft.data import health, scan, splits, source; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.skipif(not REAL.is_dir(), reason="the real photos are not on this machine")
@pytest.mark.parametrize("name, count", [("hymenoptera", 398), ("flowers", 500)])
def test_real_photos(name: str, count: int) -> None:
    manifest = scan(REAL / name)
    assert len(manifest.samples) == count
    assert manifest.layout is Layout.SPLIT_FOLDERS
    assert manifest.left_out() == ()


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(HOSTILE) >= 25
