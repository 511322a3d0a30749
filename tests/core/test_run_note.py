"""Tags and notes as a person types them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from desktop_ft.core.run_note import RunNote, changed, tags_in
from desktop_ft.core.values import from_json, to_json


def test_tags_are_read_from_a_line() -> None:
    assert tags_in(" night, #good  #night,,x") == ("night", "good", "x")
    assert tags_in(" # , ") == ()


@given(st.text())
def test_whatever_is_typed_is_a_note_that_can_be_kept(line: str) -> None:
    note = RunNote(text=line, tags=tags_in(line))
    assert from_json(RunNote, to_json(note), "it") == note
    assert tags_in(note.words) == note.tags


def test_what_is_not_named_stays() -> None:
    note = RunNote(text="a", tags=("x", "y"))
    assert changed(note) == note
    assert changed(note, text="") == RunNote(tags=("x", "y"))
    assert changed(note, add=["z", "x"], remove=["y"]) == RunNote(text="a", tags=("x", "z"))


@pytest.mark.parametrize("tag", ["", "two words", "a,b", "#a", "x" * 41])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(ValidationError, match="is not a tag"):
        changed(RunNote(), add=[tag])
