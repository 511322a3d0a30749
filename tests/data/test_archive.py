"""Hostile archives: refused in one sentence, nothing written outside, nothing left behind."""

import threading
from pathlib import Path

import pytest

from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.data import archive
from tests.archives import HOSTILE, packed


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_archives_are_refused_and_leave_nothing(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    path = home / "x.zip"
    home.mkdir()
    path.write_bytes(HOSTILE[name]())
    with pytest.raises(UserError) as caught:
        archive.unpack(path, home / "cache" / "archives")
    assert str(path) in caught.value.what
    assert caught.value.cure.endswith(".")
    assert [p for p in tmp_path.rglob("*") if p.is_file() or p.is_symlink()] == [path]
    assert not any((home / "cache" / "archives").glob("*"))


@pytest.mark.parametrize(
    "name, told",
    [("up", "outside"), ("drive", "outside"), ("stream", "colon"), ("twice", "twice"), ("same but for case", "letter case")],
)
def test_the_sentence_says_what_is_wrong(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "x.zip").write_bytes(HOSTILE[name]())
    with pytest.raises(UserError, match=told):
        archive.unpack(tmp_path / "x.zip", tmp_path / "out")


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ENTRY_LIMIT", 3)
    path = tmp_path / "x.zip"
    path.write_bytes(packed(*((f"{n}", b"x") for n in range(4))))
    with pytest.raises(UserError, match="4 files, more than 3"):
        archive.unpack(path, tmp_path / "into")


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BYTE_LIMIT", 10)
    path = tmp_path / "x.zip"
    path.write_bytes(packed(("a", b"x" * 100)))
    with pytest.raises(UserError, match="there is room for"):
        archive.unpack(path, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_a_sound_archive_is_unpacked_once_and_anew_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(packed(("d/", b""), ("d/a.txt", b"one"), ("b.txt", b"two")))
    first = archive.unpack(path, tmp_path / "into")
    assert (first / "d" / "a.txt").read_bytes() == b"one"
    (first / "mark").touch()
    assert archive.unpack(path, tmp_path / "into") == first
    assert (first / "mark").exists()
    path.write_bytes(packed(("d/a.txt", b"other")))
    second = archive.unpack(path, tmp_path / "into")
    assert second != first
    assert (second / "d" / "a.txt").read_bytes() == b"other"


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(packed(("a", b"x")))
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        archive.unpack(path, tmp_path / "into", cancel)
    assert not (tmp_path / "into").exists()
