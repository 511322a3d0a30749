"""The log: what is kept, what is taken out of it, and that nothing can break it."""

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.errors import UserError
from desktop_ft.runs import logbook
from desktop_ft.runs.logbook import Entry, Level, LogBook, report, tell


@pytest.fixture
def book(home: Path) -> Iterator[LogBook]:
    made = LogBook(lambda: None)
    made.open()
    yield made
    made.close()


def texts(book: LogBook) -> list[str]:
    return [entry.text for entry in book.since(0)[0]]


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_what_is_told_is_kept_in_memory_and_in_the_file(book: LogBook) -> None:
    tell(logging.INFO, "A run began.", "Train")
    tell(logging.ERROR, "It broke.", "Data", raised(RuntimeError("inside")))
    tell(logging.ERROR, "Foreseen.", "Data", raised(UserError("Foreseen.", "Do so.")))
    logging.getLogger("desktop_ft.engine").info("by the engine")
    logging.getLogger("somebody.else").info("not of interest")
    logging.getLogger("somebody.else").warning("of interest")
    entries, count = book.since(0)
    assert [(entry.level, entry.origin, entry.text) for entry in entries] == [
        (Level.NOTE, "Train", "A run began."),
        (Level.ERROR, "Data", "It broke."),
        (Level.ERROR, "Data", "Foreseen."),
        (Level.NOTE, "desktop_ft.engine", "by the engine"),
        (Level.WARNING, "somebody.else", "of interest"),
    ]
    assert "RuntimeError: inside" in entries[1].details and entries[2].details == ""
    assert logbook.kept(before=float("inf")) == entries
    assert logbook.kept(before=book.began) == []
    assert book.since(count) == ([], count)


def test_lines_that_cannot_be_read_are_left_out(book: LogBook) -> None:
    tell(logging.INFO, "first", "x")
    book.close()
    with logbook.file().open("ab") as file:
        file.write(b'{"time": 1}\n\xff\xfe nonsense\n{"half\n' + b"[" * 5000 + b"\n")
    again = LogBook(lambda: None)
    again.open()
    tell(logging.INFO, "second", "x")
    again.close()
    assert [entry.text for entry in logbook.kept(before=float("inf"))] == ["first", "second"]


def test_the_file_is_bounded(book: LogBook, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(220):
        tell(logging.INFO, f"{number} {'x' * 10_000}", "x")
    sizes = [path.stat().st_size for path in logbook.file().parent.iterdir()]
    assert len(sizes) == 2 and max(sizes) <= 1_010_000
    assert logbook.kept(before=float("inf"))[-1].text.startswith("219 ")


def test_the_same_words_at_once_count_once(book: LogBook) -> None:
    tell(logging.ERROR, "It is full.\nMake room.", "Data")
    tell(logging.WARNING, "It is full. Make room.", "Background")
    tell(logging.WARNING, "It is full. Make room for more.", "Background")
    assert texts(book) == ["It is full.\nMake room.", "It is full. Make room for more."]


def test_a_record_that_does_not_fit_and_a_window_that_is_gone_break_nothing(book: LogBook, home: Path) -> None:
    book.handle(logging.makeLogRecord({"name": "desktop_ft", "levelno": logging.ERROR, "msg": "%d of %d", "args": ("one",)}))
    tell(logging.INFO, "lone \udce9 surrogate", "x")
    assert texts(book) == ["lone \udce9 surrogate"]

    def gone() -> None:
        raise RuntimeError("the signal's object is deleted")

    other = LogBook(gone)
    other.open()
    tell(logging.INFO, "still told", "x")
    other.close()
    assert texts(other) == ["still told"]


def test_without_a_place_for_the_file_the_log_is_kept_in_memory(home: Path) -> None:
    logbook.file().parent.parent.mkdir(parents=True)
    logbook.file().parent.write_text("in the way")
    book = LogBook(lambda: None)
    book.open()
    tell(logging.INFO, "told", "x")
    book.close()
    assert texts(book) == ["told"] and "logs" in book.fault


def test_many_threads_tell_at_once(book: LogBook) -> None:
    def work(name: int) -> None:
        for number in range(50):
            tell(logging.INFO, f"{name} {number}", "x")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts(book)) == sorted(f"{name} {number}" for name in range(4) for number in range(50))
    assert len(logbook.kept(before=float("inf"))) == 200


def test_a_report_names_versions_and_hides_home_and_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", f"{os.sep}home{os.sep}ada")
    monkeypatch.setenv("USERPROFILE", f"{os.sep}home{os.sep}ada")
    home = Path.home()
    said = report(f"{home}/photos and {home}x, https://ada:pw@host/x?token=abc123&n=1 api_key: 'k-9' Authorization: Bearer zzz")
    assert "Desktop FT" in said and "Python" in said
    assert "~/photos" in said and f"{home}x" in said and f"{home}/" not in said
    assert not any(secret in said for secret in ("pw", "abc123", "k-9", "zzz"))
    assert "n=1" in said


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("GET /x\nAuthorization: Basic QUJD, QkNE==\nHost: h", "GET /x\nAuthorization: ***\nHost: h"),
        ("{'authorization': 'Token ABC'}", "{'authorization': ***"),
        ("('Authorization', 'Digest ABC')", "('Authorization', ***"),
        ("?X-Amz-Credential=ABC%2Fus&X-Amz-Signature=ABC&part=1", "?X-Amz-Credential=***&X-Amz-Signature=***&part=1"),
        ("?key=ABC&sig=ABC%3D&n=1", "?key=***&sig=***&n=1"),
        ("AWSAccessKeyId=ABC private-key: ABC pwd=ABC", "AWSAccessKeyId=*** private-key: *** pwd=***"),
        ("logged in with hf_ABCdef012", "logged in with ***"),
        ("https://u:p@ABC@host/a@b", "https://***@host/a@b"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(said: str, kept: str) -> None:
    assert logbook.without_secrets(said) == kept


@pytest.mark.parametrize(
    "said",
    [
        "The keyboard: press a key: Return.",
        "The key layers are frozen; monkey=3, design=2, KeyError: 'bees'",
        "in hf_hub_download, https://host/a@b and mail to a@b",
    ],
)
def test_what_is_no_secret_stays(said: str) -> None:
    assert logbook.without_secrets(said) == said


@given(st.text(), st.sampled_from(Level), st.text(), st.text())
def test_any_entry_can_be_reported(text: str, level: Level, origin: str, details: str) -> None:
    entry = Entry(time=0.0, level=level, origin=origin, text=text, details=details)
    assert entry.report.startswith("Desktop FT")
