"""What is sealed is read again as it was, or not at all."""

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.errors import UserError
from desktop_ft.runs import seals

MEMBERS = st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False) | st.none(), min_size=1)


@given(MEMBERS)
def test_a_sealed_line_is_json_and_gives_back_what_was_sealed(members):
    line = json.dumps(members).encode()
    sealed = seals.seal_line(line)
    assert seals.open_line(sealed, "it") == line == seals.open_line(line, "it")
    assert json.loads(sealed) == {"seal": json.loads(sealed)["seal"], **members}


@given(MEMBERS, st.data())
def test_any_bit_of_a_sealed_line_that_is_another_is_told(members, data):
    sealed = bytearray(seals.seal_line(json.dumps(members).encode()))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(UserError, match="it is damaged"):
        seals.open_line(bytes(sealed), "it")


@pytest.mark.parametrize("text", [b"", b"version = 1\n", "name = 'é'\n[dataset]\nfolder = 'x'\n".encode()])
def test_a_sealed_text_is_toml_and_no_part_of_it_is_taken_for_the_whole(text):
    sealed = seals.seal_text(text)
    assert seals.open_text(sealed, "it") == text == seals.open_text(text, "it")
    assert tomllib.loads(sealed.decode()) == tomllib.loads(text.decode())
    first = sealed.index(b"\n") + 1
    for length in range(first, len(sealed)):
        with pytest.raises(UserError, match="checksum"):
            seals.open_text(sealed[:length], "it")
