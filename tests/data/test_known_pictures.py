"""A second scan decodes only what has changed, and never takes an old answer for a new file."""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from desktop_ft import places
from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.data import scan as scanning
from desktop_ft.data.inspector import Inspection, Inspector, Trouble
from desktop_ft.data.known_pictures import KnownPictures
from tests.pictures import class_folders, encoded, photo, write

LONG_AGO_NS = 1_600_000_000_123_456_789


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of pictures that were written long ago."""
    place = tmp_path / "photos"
    class_folders(place, {"cat": 3, "dog": 2})
    for path in place.rglob("*.png"):
        age(path)
    return place


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded, as they are."""
    names: list[str] = []

    class Watched(Inspector):
        def inspect(self, paths: Iterable[str], *rest) -> Iterator[Inspection]:  # type: ignore[no-untyped-def, override]
            def noted() -> Iterator[str]:
                for path in paths:
                    names.append(Path(path).name)
                    yield path

            return super().inspect(noted(), *rest)

    monkeypatch.setattr(scanning, "Inspector", Watched)
    return names


def age(path: Path) -> None:
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


def scan(folder: Path) -> DatasetManifest:
    told: list[tuple[int, int | None]] = []
    found = scanning.scan(folder, progress=lambda done, total: told.append((done, total)))
    count = told[-1][0]
    assert [done for done, _ in told] == [*range(1, count + 1), count]
    assert told[-1] == (count, count)
    return found


def test_what_has_not_changed_is_not_decoded_again(folder: Path, looked_at: list[str]) -> None:
    first = scan(folder)
    assert len(looked_at) == 5
    assert scan(folder) == first and len(looked_at) == 5


@pytest.mark.parametrize("how", ["bytes", "date", "content alone"])
def test_what_has_changed_is(folder: Path, looked_at: list[str], how: str) -> None:
    scan(folder)
    looked_at.clear()
    path = folder / "cat" / "001.png"
    content = path.read_bytes()
    if how == "bytes":
        write(path, encoded(photo(77, 31, 9)))
        age(path)
    elif how == "date":
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS + 1))
    else:
        path.write_bytes(content[:-20] + bytes(20))  # as long as before, and dated back: a copy with its dates
        age(path)
    found = scan(folder)
    assert looked_at == ["001.png"]
    if how == "bytes":
        assert next((s.width, s.height) for s in found.samples if s.path == "cat/001.png") == (31, 9)


def test_a_file_at_another_place_is_looked_at_there(folder: Path, looked_at: list[str]) -> None:
    scan(folder)
    looked_at.clear()
    folder.rename(folder.with_name("elsewhere"))
    assert len(scan(folder.with_name("elsewhere")).samples) == len(looked_at) == 5


def test_trouble_is_not_remembered(folder: Path, looked_at: list[str]) -> None:
    broken = write(folder / "cat" / "broken.png", b"\x89PNG no more")
    age(broken)
    for _ in range(2):
        looked_at.clear()
        assert [problem.path for problem in scan(folder).problems] == ["cat/broken.png"]
        assert "broken.png" in looked_at


def test_a_file_written_just_now_may_still_change_unseen(folder: Path, home: Path) -> None:
    path = folder / "cat" / "000.png"
    for age_ns, remembered in ((0, False), (10_000_000_000, True)):
        date = time.time_ns() - age_ns
        os.utime(path, ns=(date, date))
        now = path.stat()
        with KnownPictures(home / "known.sqlite") as known:
            known.put(str(path), now, Inspection(sha256="a", bytes=now.st_size, mtime_ns=now.st_mtime_ns))
        with KnownPictures(home / "known.sqlite") as known:
            assert (known.get(str(path), now) is not None) is remembered


def test_what_was_found_comes_back_whole(folder: Path, home: Path) -> None:
    strange = os.fsdecode(b"/no/where/\xff\xfe \xc3\xa4.png")
    now = (folder / "cat" / "000.png").stat()
    facts = Inspection(
        sha256="0" * 64,
        width=4000,
        height=3,
        bytes=now.st_size,
        mtime_ns=now.st_mtime_ns,
        format="PNG",
        frames=2,
        notes=(("animated", "Has 2 frames."), ("alpha", "ä")),
    )
    with KnownPictures(home / "known.sqlite") as known:
        known.put(strange, now, facts)
        known.put(
            "b", now, Inspection(bytes=now.st_size, mtime_ns=now.st_mtime_ns, problem=Trouble(kind="x", reason="", cure=""))
        )
    with KnownPictures(home / "known.sqlite") as known:
        assert known.get(strange, now) == facts
        assert known.get("b", now) is None


def test_it_does_not_grow_for_ever(folder: Path, home: Path) -> None:
    now = (folder / "cat" / "000.png").stat()
    with KnownPictures(home / "known.sqlite", most=3) as known:
        for name in "abcde":
            known.put(name, now, Inspection(bytes=now.st_size, mtime_ns=now.st_mtime_ns))
    with KnownPictures(home / "known.sqlite", most=3) as known:
        assert [name for name in "abcde" if known.get(name, now)] == list("cde")


def test_two_scans_at_once_both_remember_and_a_busy_memory_is_left_alone(folder: Path, looked_at: list[str]) -> None:
    scan(folder)
    database = places.cache() / KnownPictures.FILE
    busy = sqlite3.connect(database, isolation_level=None)
    busy.execute("BEGIN EXCLUSIVE")
    assert len(scan(folder).samples) == 5
    busy.execute("ROLLBACK")
    busy.close()
    looked_at.clear()
    os.utime(folder / "cat" / "000.png", ns=(LONG_AGO_NS, LONG_AGO_NS + 1))
    with KnownPictures(database) as other:
        now = (folder / "dog" / "000.png").stat()
        other.put("x", now, Inspection(bytes=now.st_size, mtime_ns=now.st_mtime_ns))
        scan(folder)
    assert looked_at == ["000.png"]
    with KnownPictures(database) as known:
        assert known.get("x", now) is not None
    assert len(scan(folder).samples) == 5 and len(looked_at) == 1


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to be taken for one" * 30, "another layout"])
def test_a_memory_that_is_damaged_is_made_anew(folder: Path, looked_at: list[str], content: bytes | str) -> None:
    database = places.cache() / KnownPictures.FILE
    database.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        database.write_bytes(content)
    else:
        connection = sqlite3.connect(database)
        connection.execute("CREATE TABLE pictures (path, other)")
        connection.close()
    for _ in range(2):
        assert len(scan(folder).samples) == 5
    assert len(looked_at) == 5


def test_without_a_place_to_remember_in_the_scan_goes_on(folder: Path, looked_at: list[str], home: Path) -> None:
    (home / "cache").write_bytes(b"a file where the folder should be")
    for _ in range(2):
        assert len(scan(folder).samples) == 5
    assert len(looked_at) == 10


def test_empty_files_count_as_they_are_met(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 1, "b": 1})
    for number in range(50):
        (tmp_path / "a" / f"{number}.jpg").touch()
    assert len(scan(tmp_path).left_out()) == 50
