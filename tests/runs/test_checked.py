"""What was kept in check-ups: read again by a later one, of its pictures alone, and put aside where it is damaged."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_ft.core.errors import UserError
from desktop_ft.runs.checked import CheckedPictures

MARKS = st.sets(st.text())


@settings(max_examples=25, deadline=None)
@given(first=MARKS, second=MARKS)
def test_what_is_added_is_there_until_it_is_forgotten(
    tmp_path_factory: pytest.TempPathFactory, first: set[str], second: set[str]
) -> None:
    home = tmp_path_factory.mktemp("checked")
    checked = CheckedPictures(home, "/photos")
    checked.add("labels", first)
    checked.add("labels", second)
    checked.add("odd", second)
    again = CheckedPictures(home, "/photos")
    assert again.put_damaged_aside() is None
    assert (again.of("labels"), again.of("odd")) == (first | second, second)
    assert not CheckedPictures(home, "/others").of("labels")
    again.forget("labels", second)
    assert checked.all() == {"labels": first - second, "odd": second}


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"labels": 3}', b"\xff\0"])
def test_what_is_damaged_is_put_aside_and_nothing_of_it_is_lost(tmp_path: Path, damage: bytes) -> None:
    checked = CheckedPictures(tmp_path, "/photos")
    aside = list[Path]()
    for _ in range(2):
        checked.add("labels", {"a"})
        (file,) = tmp_path.glob("*.json")
        file.write_bytes(damage)
        with pytest.raises(UserError, match="is not valid"):
            checked.of("labels")
        moved = checked.put_damaged_aside()
        assert moved is not None
        aside.append(moved)
        assert not checked.of("labels")
    assert len(set(aside)) == 2 and all(path.read_bytes() == damage for path in aside)
