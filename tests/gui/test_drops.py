"""Only local files and folders in text/uri-list are ever looked at."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QByteArray, QMimeData, QUrl

from desktop_ft.gui.drops import local_paths

IGNORED = [
    ("text/plain", b"file:///tmp"),
    ("text/html", b"<a href='file:///tmp'>x</a>"),
    ('application/x-qt-windows-mime;value="PyObject"', b"\x80\x04cos\nsystem\n(S'true'\ntR."),
    ("application/x-qabstractitemmodeldatalist", b"\x00\x00\x00\x01"),
    ("text/uri-list", b"https://example.org/photos.zip"),
    ("text/uri-list", b"file://server/share/photos"),
    ("text/uri-list", b"smb://server/photos\r\njavascript:alert(1)"),
    ("text/uri-list", b"file:///there/is/nothing/here"),
    ("text/uri-list", b"file:///tmp/%00/x"),
    ("text/uri-list", b"file:relative/path"),
    ("text/uri-list", b"file:///" + b"a" * 5000),
    ("text/uri-list", b"\xff\xfe\x00" * 10),
    ("text/uri-list", b"file:///tmp\r\n" * 200_000),
    ("text/uri-list", b""),
]


def mime(kind: str, data: bytes) -> QMimeData:
    made = QMimeData()
    made.setData(kind, QByteArray(data))
    return made


def test_a_local_folder_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "päd with space"
    folder.mkdir()
    made = QMimeData()
    made.setUrls([QUrl.fromLocalFile(str(folder))])
    assert local_paths(made) == (folder,)


def test_a_second_folder_keeps_its_place(tmp_path: Path) -> None:
    data = f"# a comment\r\n{tmp_path.as_uri()}\r\n{Path('/').as_uri()}\r\n".encode()
    assert local_paths(mime("text/uri-list", data)) == (tmp_path, Path("/"))


@pytest.mark.parametrize(("kind", "data"), IGNORED)
def test_everything_else_is_ignored(kind: str, data: bytes) -> None:
    assert local_paths(mime(kind, data)) == ()


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_it_stumble(data: bytes) -> None:
    for path in local_paths(mime("text/uri-list", b"file:///" + data)):
        assert path.is_absolute()
