"""Names that any file system takes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.file_names import safe_name, safe_names

HOSTILE = (
    "..",
    ".",
    "",
    "a/b",
    "..\\..\\x",
    "CON",
    "nul.txt",
    "com¹",
    "ends.",
    "ends ",
    ".hidden",
    'a:<>"|?*',
    "a\0b",
    "x" * 400,
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_becomes_one_that_every_system_takes(name: str) -> None:
    assert_safe(safe_name(name))


@given(st.text())
def test_so_does_any(name: str) -> None:
    assert_safe(safe_name(name))


def assert_safe(name: str) -> None:
    assert name and len(name.encode("utf-8", "surrogateescape")) <= 255
    assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', name)
    assert not name.startswith(".") and name[-1] not in ". "
    assert name.partition(".")[0].strip().upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}


def test_an_ordinary_name_stays() -> None:
    assert safe_name("Löwenzahn (gelb) 2.5") == "Löwenzahn (gelb) 2.5"


@given(st.lists(st.text(alphabet="aAbB/.ñ", max_size=3), max_size=8))
def test_no_two_names_are_one(names: list[str]) -> None:
    found = safe_names(names, ("a",))
    assert len({name.casefold() for name in (*found, "a")}) == len(names) + 1
