"""Writes that are whole or not there, and failures that say what to do."""

import errno
import os
import subprocess

import pytest

from desktop_ft.core.errors import UserError
from desktop_ft.runs import atomic


def test_a_write_replaces_the_whole_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "it"
    atomic.write(path, b"old, and longer")
    atomic.write(path, b"new")
    assert path.read_bytes() == b"new" and [p.name for p in tmp_path.iterdir()] == ["it"]


def test_a_name_as_long_as_the_disk_takes_is_written(tmp_path):
    place = tmp_path / ("é" * 127 + "x")  # 255 bytes
    atomic.write(place, b"all of it")
    assert place.read_bytes() == b"all of it" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("call", ["write_through", "replace"])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk is full: {path} needs 3 B, and "),
        (errno.EROFS, "{path} cannot be written: the disk is read-only."),
        (errno.EACCES, "{path} cannot be written: permission denied."),
        (errno.EIO, "{path} cannot be written: Input/output error."),
    ],
)
def test_every_failure_names_the_path_and_the_cause_and_keeps_the_old_file(tmp_path, monkeypatch, call, number, words):
    path = tmp_path / "it"
    atomic.write(path, b"old")

    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic, f"_{call}", fail)
    with pytest.raises(UserError) as caught:
        atomic.write(path, b"new")
    assert caught.value.what.startswith(words.format(path=path)) and caught.value.cure
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["it"]


@pytest.mark.parametrize(("refusals", "kept"), [(3, b"new"), (24, b"new"), (25, b"old")])
def test_a_file_that_windows_holds_for_a_moment_is_tried_again(tmp_path, monkeypatch, refusals, kept):
    path = tmp_path / "it"
    path.write_bytes(b"old")
    left = [refusals]
    waited = []
    replace = type(path).replace

    def held(self, target):
        if left[0]:
            left[0] -= 1
            error = PermissionError(errno.EACCES, "denied")
            error.winerror = 5
            raise error
        return replace(self, target)

    monkeypatch.setattr(type(path), "replace", held)
    monkeypatch.setattr(atomic.time, "sleep", waited.append)
    if kept == b"old":
        with pytest.raises(UserError, match="permission denied"):
            atomic.write(path, b"new")
    else:
        atomic.write(path, b"new")
    assert path.read_bytes() == kept and sum(waited) <= 2.5


@pytest.fixture
def small_disk(tmp_path):
    """A real disk of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_keeps_the_old_file_and_says_how_much_is_missing(small_disk):
    path = small_disk / "it"
    atomic.write(path, b"o" * 600_000)
    with pytest.raises(UserError, match=r"^The disk is full: .*/it needs 700\.0 kB, and 4\d\d\.\d kB are free\.") as caught:
        atomic.write(path, b"n" * 700_000)
    assert "saved before is safe" in caught.value.cure
    assert path.read_bytes() == b"o" * 600_000 and [p.name for p in small_disk.iterdir()] == ["it"]
    atomic.write(path, b"n" * 300_000)


def test_a_line_that_finds_the_disk_full_leaves_the_file_as_it_was(small_disk):
    with atomic.LineFile(small_disk / "lines") as lines:
        lines.append(b"first")
        atomic.write(small_disk / "filler", b"x" * (1_048_576 - 2 * 4096))
        with pytest.raises(UserError, match=r"^The disk is full"):
            lines.append(b"y" * 50_000)
        (small_disk / "filler").unlink()
        lines.append(b"second")
    assert atomic.whole_lines(small_disk / "lines") == [b"first", b"second"]


def test_a_read_only_disk_is_named(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for attempt in (lambda: atomic.write(small_disk / "it", b"1"), lambda: atomic.make_folder(small_disk / "folder")):
        with pytest.raises(UserError, match="the disk is read-only"):
            attempt()


@pytest.mark.parametrize("tail", [b"thr", b"\0\0\0\0\0o\nfour\n"], ids=["torn", "behind a hole that a power cut left"])
def test_what_was_not_written_to_its_end_never_counted(tmp_path, tail):
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\n" + tail)
    assert atomic.whole_lines(path) == [b"one", b"two"]
    with atomic.LineFile(path) as lines:
        lines.append(b"three")
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_a_hole_behind_which_something_lasting_lies_is_damage_and_stays(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(content := b"one\n\0\0\0\0\nsaved\n")
    assert atomic.whole_lines(path, lasting=(b"saved",)) == [b"one", b"\0\0\0\0", b"saved"]
    with atomic.LineFile(path, (b"saved",)):
        pass
    assert path.read_bytes() == content


def test_lines_are_on_the_disk_at_once(tmp_path):
    with atomic.LineFile(tmp_path / "lines") as lines:
        lines.append(b"one")
        assert (tmp_path / "lines").read_bytes() == b"one\n"


def test_a_folder_where_a_file_is_in_the_way_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="a file of that name is in the way"):
            atomic.make_folder(path)
