"""Hostile archives: refused in one sentence, nothing written outside, nothing left behind."""

import io
import stat
import struct
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.data import archive


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as file:
        for name, content in entries:
            file.writestr(name, content)
    return buffer.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (mode | 0o777) << 16
    return info


def encrypted() -> bytes:
    data = bytearray(packed(("a.txt", b"secret")))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def lying() -> bytes:
    """Says 10 bytes in both headers, holds more."""
    data = packed(("a.bin", b"x" * 5000), kind=zipfile.ZIP_DEFLATED)
    return data.replace(struct.pack("<I", 5000), struct.pack("<I", 10))


def flipped() -> bytes:
    data = bytearray(packed(("a.bin", b"hello world" * 10)))
    data[50] ^= 0xFF
    return bytes(data)


def twice() -> bytes:
    with pytest.warns(UserWarning, match="Duplicate"):
        return packed(("a.txt", b"1"), ("a.txt", b"2"))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "up": lambda: packed(("../evil.txt", b"x")),
    "deep up": lambda: packed(("a/../../evil.txt", b"x")),
    "absolute": lambda: packed(("/tmp/evil.txt", b"x")),
    "backslash": lambda: packed(("..\\evil.txt", b"x")),
    "drive": lambda: packed(("C:\\evil.txt", b"x")),
    "drive, relative": lambda: packed(("C:evil.txt", b"x")),
    "stream": lambda: packed(("a.txt:hidden", b"x")),
    "share": lambda: packed(("\\\\host\\share\\evil.txt", b"x")),
    "good, then up": lambda: packed(("a.txt", b"x"), ("../evil.txt", b"x")),
    "symlink": lambda: packed((special("link", stat.S_IFLNK), b"/etc")),
    "symlink, then through it": lambda: packed((special("link", stat.S_IFLNK), b".."), ("link/evil.txt", b"x")),
    "fifo": lambda: packed((special("pipe", stat.S_IFIFO), b"")),
    "device": lambda: packed((special("dev", stat.S_IFCHR), b"")),
    "bomb": lambda: packed(("zeros", bytes(40 << 20)), kind=zipfile.ZIP_DEFLATED),
    "bomb in parts": lambda: packed(*((f"{n}", bytes(4 << 20)) for n in range(10)), kind=zipfile.ZIP_DEFLATED),
    "encrypted": encrypted,
    "size that lies": lying,
    "flipped byte": flipped,
    "twice": twice,
    "same but for case": lambda: packed(("a.txt", b"1"), ("A.TXT", b"2")),
    "file as folder": lambda: packed(("a", b"1"), ("a/b.txt", b"2")),
    "cut": lambda: packed(("a.txt", b"x" * 1000))[:500],
    "no archive": lambda: b"just text",
    "nothing": lambda: b"",
    "no name": lambda: packed((".", b"x")),
}


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
