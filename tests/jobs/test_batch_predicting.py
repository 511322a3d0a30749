"""Very many pictures, answered into a table and sorted, with every way to be interrupted."""

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from desktop_ft.cli import main
from desktop_ft.core.errors import UserError
from desktop_ft.export.answering import PictureAnswer
from desktop_ft.jobs import batch_predicting, predicting, sorting
from desktop_ft.jobs.answer_table import AnswerTable, MadeWith, ToldCopy, digest
from desktop_ft.jobs.batch_predicting import CHUNK, BatchWork, Tally
from desktop_ft.jobs.predicting import bare, inert
from tests.export.conftest import exported, onnx_exporter, photos, reference  # noqa: F401 (fixtures)

CLASSES = ("ant", "..", "a/b", "Don't know", "CON")
MODEL = MadeWith(model="one", name="m.onnx", threshold=0.5)


class ByName:
    """Answers by the picture's name: `CLASS,CONFIDENCE whatever.png`; no picture where its file is empty."""

    classes, threshold, identity = CLASSES, 0.5, "by name"
    asked: ClassVar[list[Path]] = []

    def answer(self, paths: Iterable[Path]) -> Iterator[PictureAnswer]:
        for path in paths:
            self.asked.append(path)
            number, confidence = path.name.split()[0].split(",")
            said = PictureAnswer(path=path, predicted=int(number), confidence=float(confidence))
            yield said if path.stat().st_size else PictureAnswer(path=path, problem="Is empty (0 bytes).")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(predicting, "exported_model", lambda path, cancel: ByName())
    path = tmp_path / "m.onnx"
    path.touch()
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """More than two chunks, some of one name, pairs of the same bytes, one that is none."""
    folder = tmp_path / "photos"
    for number in range(2 * CHUNK + 9):
        place = folder / f"{number % 3}" / f"{number % len(CLASSES)},{0.2 + (number % 7) / 10:.1f} {number // 30}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(f"{number}".encode())
    for twin in ("x", "y"):
        (folder / twin).mkdir()
        for name in ("0,0.9 twin.png", "2,0.9 same.png"):
            (folder / twin / name).write_bytes(b"twin")
    (folder / "0,0.9 empty.png").touch()
    return folder


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def run(work: BatchWork) -> Tally:
    work.run(tally := Tally())
    return tally


def test_every_picture_has_one_row_and_a_second_run_adds_none(model: Path, pictures: Path, tmp_path: Path) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv")
    asked = {str(path) for path in pictures.rglob("*.png")}
    tally = run(work)
    assert {row["file"] for row in rows(work.out)} == asked and len(rows(work.out)) == len(asked)
    assert (tally.total, tally.answered, tally.problems) == (len(asked), len(asked) - 1, 1)
    assert tally.unsure == sum(row["sure"] == "no" for row in rows(work.out))
    before = work.out.read_bytes()
    ByName.asked.clear()
    again = run(work)
    assert (
        not ByName.asked
        and work.out.read_bytes() == before
        and (again.before, again.answered, again.problems) == (len(asked), 0, 0)
    )
    (pictures / "0,0.9 new.png").write_bytes(b"new")
    assert run(work).answered == 1
    fresh = run(BatchWork(model=model, paths=[pictures], out=work.out, fresh=True))
    assert (fresh.before, fresh.answered) == (0, len(asked))


def test_files_with_a_problem_are_asked_about_again(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = pictures / '0,0.9 "odd\nname",=.png'
    odd.touch()
    out, target = tmp_path / "a.csv", tmp_path / "sorted"
    command = ["predict", str(model), str(pictures), "--out", str(out), "--sort-into", str(target), "--json"]
    assert main(command) == 0
    problems = {row["file"] for row in rows(out) if row["problem"]}
    assert problems == {str(odd), str(pictures / "0,0.9 empty.png")}
    capsys.readouterr()
    assert main(command[:-1]) == 0 and "143 skipped as done before, 2 of them with problems (--retry" in capsys.readouterr().out
    before = [row for row in rows(out) if not row["problem"]]
    odd.write_bytes(b"whole now")
    ByName.asked.clear()
    assert main(command) == 0 and not ByName.asked, "without --retry they count as done"
    capsys.readouterr()
    assert main([*command, "--retry"]) == 0
    assert set(map(str, ByName.asked)) == problems
    told = json.loads(capsys.readouterr().out)
    assert (told["problems"], told["problems_before"]) == (1, 0)
    after = rows(out)
    assert after[: len(before)] == before and len(after) == len(before) + 2
    assert [row["file"] for row in after if row["problem"]] == [str(pictures / "0,0.9 empty.png")]


def test_a_sorted_table_says_where_its_pictures_went(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "sorted"
    assert main(["predict", str(model), str(pictures), "--sort-into", str(target)]) == 0
    assert main(["predict", str(model), str(pictures), "--out", str(target / "answers.csv"), "--retry"]) == 2
    assert f"Give --sort-into {target} too" in capsys.readouterr().err


def test_without_a_table_there_is_nothing_to_try_again(model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(model), str(pictures), "--retry"]) == 2
    assert "--out" in capsys.readouterr().err


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), tail=st.sampled_from([b"", b"\0" * 50, b'"half a']))
def test_a_table_cut_anywhere_is_filled_again(model: Path, pictures: Path, tmp_path: Path, cut: float, tail: bytes) -> None:
    odd = pictures / '0,0.9 "odd\nname",=.png'
    odd.write_bytes(b"odd")
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", fresh=True)
    run(work)
    whole = work.out.read_bytes()
    work.out.write_bytes(whole[: int(cut * len(whole))] + tail)
    run(BatchWork(model=model, paths=[pictures], out=work.out))
    assert Counter(map(str, rows(work.out))) == Counter(map(str, csv.DictReader(whole.decode().splitlines(keepends=True))))


def test_a_row_that_was_cut_off_within_a_name_of_two_lines_never_counted(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    given = [("a.png", "ant", "1", "yes", ""), ("b\n.png", "ant", "1", "yes", "")]
    with AnswerTable(table, MODEL) as made:
        made.add(given)
    whole = table.read_bytes()
    table.write_bytes(whole[: whole.index(b"b\n") + 2])
    with AnswerTable(table, MODEL) as made:
        assert Path("a.png") in made and Path("b\n.png") not in made
        made.add(given[1:])
    assert table.read_bytes() == whole


def test_a_table_of_another_model_or_threshold_is_refused_and_untouched(model: Path, pictures: Path, tmp_path: Path) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv")
    run(work)
    before = work.out.read_bytes()
    with pytest.raises(UserError, match=r"with the threshold 0\.5"):
        run(BatchWork(model=model, paths=[pictures], out=work.out, threshold=0.9))
    with pytest.raises(UserError, match="was made without copies of its pictures"):
        run(BatchWork(model=model, paths=[pictures], out=work.out, sort_into=tmp_path / "sorted"))
    with pytest.raises(UserError, match="another model"), AnswerTable(work.out, MODEL):
        pass
    assert work.out.read_bytes() == before
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("mine\n")
    with pytest.raises(UserError, match="nothing says what made it"):
        run(BatchWork(model=model, paths=[pictures], out=foreign))
    assert foreign.read_text() == "mine\n"


@pytest.mark.parametrize("content", [b"\x89PNG\r\n a photo", b"mine,yours\n1,2\n"])
def test_begun_anew_a_file_of_the_persons_own_stays(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    own = tmp_path / "holiday.png"
    own.write_bytes(content)
    for more in ([], ["--fresh"]):
        assert main(["predict", str(model), str(pictures), "--out", str(own), *more]) == 2
        told = capsys.readouterr().err
        assert "Name another file." in told and "--fresh)" not in told
        assert own.read_bytes() == content and not own.with_name("holiday.png.state.json").exists()


def test_a_table_of_ours_is_begun_anew_whatever_has_become_of_it(model: Path, pictures: Path, tmp_path: Path) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", fresh=True)
    state = tmp_path / "a.csv.state.json"
    work.out.touch()
    asked = run(work).answered
    work.out.write_bytes(b"no titles\n" + work.out.read_bytes())
    assert run(work).answered == asked, "what lies beside says that it is ours"
    state.unlink()
    with pytest.raises(UserError, match="nothing says what made it") as caught:
        run(replace(work, fresh=False))
    assert "--fresh" in caught.value.cure
    assert run(work).answered == asked, "its titles do"


def test_a_file_of_the_persons_own_that_is_named_as_what_lies_beside_stays(model: Path, pictures: Path, tmp_path: Path) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv")
    run(work)
    before = work.out.read_bytes()
    for own in (tmp_path / "a.csv.dropped", tmp_path / "a.csv.copying"):
        own.write_text("mine")
        for fresh in (False, True):
            with pytest.raises(UserError, match=rf"{re.escape(own.name)} is no table of answers") as caught:
                run(replace(work, fresh=fresh))
            assert "Move it away" in caught.value.cure
        assert own.read_text() == "mine" and work.out.read_bytes() == before
        own.unlink()


def test_a_row_that_was_changed_is_told(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    with AnswerTable(table, MODEL) as made:
        made.add([("a.png", "ant", "1", "yes", "")])
    table.write_bytes(table.read_bytes() + b"b.png,ant\n")
    with pytest.raises(UserError, match="damaged, or was changed: row 3"), AnswerTable(table, MODEL):
        pass


def test_two_processes_do_not_write_one_table(tmp_path: Path) -> None:
    with (
        AnswerTable(tmp_path / "a.csv", MODEL),
        pytest.raises(UserError, match=r"The answers in a\.csv are being written by process"),
        AnswerTable(tmp_path / "a.csv", MODEL),
    ):
        pass


ODD_NAMES = st.text(alphabet="'=-ab\r\n\"", max_size=4)


@given(ODD_NAMES)
def test_no_two_names_become_one_in_a_table(name: str) -> None:
    assert inert(name) != inert(f"'{name}") and inert(name) in (name, f"'{name}")
    assert bare(inert(name)) == name


@settings(max_examples=40, deadline=None)
@given(names=st.sets(ODD_NAMES.map("{}.png".format), min_size=1, max_size=4))
def test_a_table_of_odd_names_is_gone_on_with_and_read_by_others(names: set[str]) -> None:
    given = [(name, "ant", "1", "yes", "") for name in sorted(names)]
    with TemporaryDirectory() as folder:
        table = Path(folder) / "a.csv"
        with AnswerTable(table, MODEL) as made:
            made.add(given)
        with AnswerTable(table, MODEL) as again:
            assert all(Path(name) in again for name in names)
        assert [row["file"] for row in rows(table)] == [inert(name) for name, *_ in given]


def test_pictures_are_copied_by_answer_and_nothing_is_written_over(model: Path, pictures: Path, tmp_path: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in pictures.rglob("*.png")}
    out = tmp_path / "sorted"
    (out / "ant").mkdir(parents=True)
    mine = out / "ant" / "0,0.9 twin.png"
    mine.write_bytes(b"mine")
    work = BatchWork(model=model, paths=[pictures], out=out / "answers.csv", sort_into=out)
    run(work)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before
    assert mine.read_bytes() == b"mine"
    assert {path.name for path in out.iterdir() if path.is_dir()} == {"ant", "_", "a_b", "Don't know (2)", "_CON", "don't know"}
    found = {row["file"]: row["copied to"] for row in rows(work.out)}
    assert [path for path, place in found.items() if not place] == [str(pictures / "0,0.9 empty.png")]
    placed = {path: out / place for path, place in found.items() if place}
    assert len(set(placed.values())) == len(placed), "each has a copy of its own"
    assert all(place.read_bytes() == Path(path).read_bytes() for path, place in placed.items())
    copies = {path for path in out.rglob("*") if path.is_file() and path.suffix not in (".csv", ".table")}
    assert copies - {mine, out / "answers.csv.state.json", out / ".answers.csv.lock"} == set(placed.values())


def test_a_table_is_not_asked_about(model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (link := tmp_path / "link").symlink_to(pictures, target_is_directory=True)
    out = pictures / "answers.csv"
    run(BatchWork(model=model, paths=[pictures], out=out))
    asked = len(rows(out))
    own = [out, out.with_name("answers.csv.state.json")]
    assert run(BatchWork(model=model, paths=[pictures, *own], out=out)).total == asked
    assert run(BatchWork(model=model, paths=[link], out=out)).total == asked
    assert run(BatchWork(model=model, paths=[pictures], out=tmp_path / "other.csv")).total == asked
    dropped = pictures / "killed.csv.dropped"
    dropped.write_bytes(out.read_bytes())
    dropped.with_name("killed.csv.copying").write_bytes(out.read_bytes())
    dropped.with_name("killed.csv.state.json").write_bytes(own[1].read_bytes())
    assert run(BatchWork(model=model, paths=[pictures], out=tmp_path / "third.csv")).total == asked
    capsys.readouterr()
    assert main(["predict", str(model), str(pictures), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == asked
    with pytest.raises(UserError, match="There is no file"):
        run(BatchWork(model=model, paths=own, out=out))


def test_a_link_to_what_is_asked_about_anyway_is_told_once_and_has_no_row(model: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "again").symlink_to(pictures / "x", target_is_directory=True)
    work, told = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv"), list[str]()
    work.run(tally := Tally(), warn=told.append)
    assert tally.problems == 1 and not any("again" in row["file"] for row in rows(work.out))
    assert len(told) == 1 and str(pictures / "again") in told[0]


@pytest.mark.parametrize("kept_rows", [1, 40, 2 * CHUNK])
def test_copies_whose_rows_were_lost_are_found_again(model: Path, pictures: Path, tmp_path: Path, kept_rows: int) -> None:
    out = tmp_path / "sorted"
    work = BatchWork(model=model, paths=[pictures], out=out / "answers.csv", sort_into=out)
    run(work)
    whole, copies = work.out.read_bytes(), set(out.rglob("*.png"))
    work.out.write_bytes(b"".join(whole.splitlines(keepends=True)[:kept_rows]))
    # As a kill leaves it between the copy's own name and the end of the one it was written under.
    last = list(csv.reader(whole.decode().splitlines()))[-1]
    unfinished = (out / last[-2]).with_name(f".desktop-ft-{digest(last[0]).hex()}.tmp")
    unfinished.write_bytes((out / last[-2]).read_bytes())
    run(work)
    assert work.out.read_bytes().replace(b",found\n", b",made\n") == whole and set(out.rglob("*.png")) == copies
    assert not unfinished.exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_copies_that_were_left_without_rows_are_known_as_ours(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    out = tmp_path / "sorted"
    work = BatchWork(model=model, paths=[pictures], out=out / "answers.csv", sort_into=out)
    run(once := replace(work, out=tmp_path / "once.csv", sort_into=tmp_path / "once"))
    there = rows(once.out)[CHUNK + 9]
    mine = out / there["copied to"]
    mine.parent.mkdir(parents=True)
    mine.write_bytes(Path(there["file"]).read_bytes())
    add: Callable[..., None] = AnswerTable.add

    def full(table: AnswerTable, given: list[tuple[str, ...]]) -> None:
        if len(table._files) >= CHUNK:
            raise UserError("The disk is full.", "Free some space.")
        add(table, given)

    with monkeypatch.context() as patched:
        patched.setattr(batch_predicting.AnswerTable, "add", full)
        with pytest.raises(UserError, match="The disk is full"):
            run(work)
    assert len(rows(work.out)) == CHUNK and len(list(out.rglob("*.png"))) > CHUNK + 9, "copies of which no row tells"
    told = list[str]()
    replace(work, fresh=fresh, threshold=0.8 if fresh else None).run(Tally(), warn=told.append)
    assert set(out.rglob("*.png")) == sorted_copies(work) | {mine} and not told
    assert fresh or [out / row["copied to"] for row in rows(work.out) if row["copy"] == "found"] == [mine]
    assert not list(out.glob("*.copying"))
    replace(work, fresh=True, sort_into=None).run(Tally())
    assert list(out.rglob("*.png")) == [mine]


def sorted_copies(work: BatchWork) -> set[Path]:
    assert work.sort_into is not None
    return {work.sort_into / row["copied to"] for row in rows(work.out) if row["copied to"]}


def test_sorted_anew_no_copy_of_before_contradicts_the_table(model: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "=sum").mkdir()
    (pictures / "=sum" / "0,0.6 '=odd \nname.png").write_bytes(b"odd")
    out = tmp_path / "sorted"
    work = BatchWork(model=model, paths=[pictures], out=out / "answers.csv", sort_into=out)
    run(work)
    mine, changed = (out / "ant" / name for name in ("mine.png", "0,0.9 twin.png"))
    mine.write_bytes(b"twin")
    assert changed in sorted_copies(work)
    changed.write_bytes(b"painted over")
    gone = next(Path(row["file"]) for row in rows(work.out) if row["copied to"] and "twin" not in row["file"])
    kept = next(out / row["copied to"] for row in rows(work.out) if row["file"] == str(gone))
    gone.unlink()
    told = list[str]()
    anew = replace(work, fresh=True, threshold=0.8)
    anew.run(Tally(), warn=told.append)
    assert set(out.rglob("*.png")) == sorted_copies(work) | {mine, changed, kept}
    assert mine.read_bytes() == b"twin" and changed.read_bytes() == b"painted over"
    assert len(told) == 1 and told[0].endswith("and stay: 2.")
    assert not list(out.glob("*.dropped"))
    assert run(replace(work, threshold=0.8)).answered == 0, "what lies beside it tells of the new"


@pytest.mark.parametrize("sorted_again", [False, True])
@pytest.mark.parametrize("fresh", [False, True])
def test_killed_while_the_copies_of_before_are_taken_away_it_goes_on_with_that(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: bool, sorted_again: bool
) -> None:
    out = tmp_path / "sorted"
    work = BatchWork(model=model, paths=[pictures], out=out / "answers.csv", sort_into=out)
    run(work)
    take_away, taken = sorting._taken_away, list[Path]()

    def killed(copy: Path, source: Path) -> bool:
        if len(taken) == 9:
            raise KeyboardInterrupt
        taken.append(copy)
        return take_away(copy, source)

    anew = replace(work, fresh=True, threshold=0.8)
    with monkeypatch.context() as patched:
        patched.setattr(sorting, "_taken_away", killed)
        with pytest.raises(KeyboardInterrupt):
            run(anew)
    run(replace(anew, fresh=fresh, sort_into=out if sorted_again else None))
    assert set(out.rglob("*.png")) == (sorted_copies(work) if sorted_again else set())


def test_how_far_the_taking_away_has_come_is_told_before_the_first_answer(model: Path, pictures: Path, tmp_path: Path) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", sort_into=tmp_path / "sorted", fresh=True)
    run(work)
    copies, told = len(sorted_copies(work)), list[tuple[str, int, int | None]]()
    work.run(Tally(), progress=lambda *what: told.append(what))
    phases = {what: (done, total) for what, done, total in told}
    assert list(phases.values())[1:] == [(copies, copies), (copies + 1, copies + 1)], "one picture is empty"


@pytest.mark.parametrize("refused", ["no file", "no folder"])
def test_what_is_refused_drops_nothing(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: str
) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", sort_into=tmp_path / "sorted")
    run(work)
    before, copies = work.out.read_bytes(), sorted_copies(work)
    (empty := tmp_path / "empty").mkdir()
    (taken := tmp_path / "taken").touch()
    asked, target = (empty, tmp_path / "sorted") if refused == "no file" else (pictures, taken)
    assert main(["predict", str(model), str(asked), "--sort-into", str(target), "--out", str(work.out), "--fresh"]) == 2
    assert str(empty if refused == "no file" else taken) in capsys.readouterr().err
    assert work.out.read_bytes() == before and all(copy.is_file() for copy in copies)
    assert run(work).answered == 0


def test_a_model_that_cannot_answer_drops_nothing(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(ByName):
        def answer(self, paths: Iterable[Path]) -> Iterator[PictureAnswer]:
            for path in paths:
                raise UserError(f"{path.name} cannot be computed.", "Export the model again.")
            yield from ()

    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", sort_into=tmp_path / "sorted", fresh=True)
    run(work)
    before, copies = work.out.read_bytes(), sorted_copies(work)
    with monkeypatch.context() as patched:
        patched.setattr(predicting, "exported_model", lambda path, cancel: Broken())
        with pytest.raises(UserError, match="cannot be computed"):
            run(work)
    assert work.out.read_bytes() == before and all(copy.is_file() for copy in copies)


@pytest.mark.parametrize("target", ["two", None])
def test_copies_in_another_folder_than_the_new_are_taken_away_too(
    model: Path, pictures: Path, tmp_path: Path, target: str | None
) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", sort_into=tmp_path / "one")
    run(work)
    assert list((tmp_path / "one").rglob("*.png"))
    told = list[str]()
    replace(work, fresh=True, sort_into=tmp_path / target if target else None).run(Tally(), warn=told.append)
    assert not list((tmp_path / "one").rglob("*.png")) and not told


def test_copies_stay_and_are_told_where_nothing_says_where_they_are(model: Path, pictures: Path, tmp_path: Path) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", sort_into=tmp_path / "sorted")
    run(work)
    copies = sorted_copies(work)
    for content in (b"not ours", b"no titles"):
        damaged = tmp_path / "a.csv.state.json" if content == b"not ours" else work.out
        damaged.write_bytes(content + damaged.read_bytes())
        told = list[str]()
        replace(work, fresh=True).run(Tally(), warn=told.append)
        assert len(told) == 1 and told[0].endswith(f"they stay: {len(copies)}.")
        assert sorted_copies(work) == copies == set((tmp_path / "sorted").rglob("*.png"))


def test_copies_that_were_moved_are_told_of(model: Path, pictures: Path, tmp_path: Path) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", sort_into=tmp_path / "sorted")
    run(work)
    copies, told = len(sorted_copies(work)), list[str]()
    (tmp_path / "sorted").rename(tmp_path / "moved")
    replace(work, fresh=True).run(Tally(), warn=told.append)
    assert len(list((tmp_path / "moved").rglob("*.png"))) == copies
    assert len(told) == 1 and "not there any more" in told[0] and told[0].endswith(f": {copies}.")


def test_copies_that_are_asked_about_now_stay(model: Path, pictures: Path, tmp_path: Path) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", sort_into=tmp_path / "sorted")
    run(work)
    copies, told = sorted_copies(work), list[str]()
    replace(work, paths=[tmp_path / "sorted"], fresh=True, sort_into=None).run(tally := Tally(), warn=told.append)
    assert tally.answered == len(copies) and len(told) == 1 and "are asked about" in told[0]


def test_a_row_that_names_a_place_outside_of_the_copies_takes_nothing_away(model: Path, pictures: Path, tmp_path: Path) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", sort_into=tmp_path / "sorted")
    run(work)
    lines = work.out.read_bytes().splitlines(keepends=True)
    source = pictures / "x" / "0,0.9 twin.png"
    own = [tmp_path / "own.png", tmp_path / "sorted" / "mine" / "own.png"]
    for file, place in zip(own, ("../own.png", "mine/own.png"), strict=True):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(source.read_bytes())
        lines.append(f'"{source}",ant,0.9,yes,,{place},made\n'.encode())
    work.out.write_bytes(b"".join(lines))
    told = list[str]()
    replace(work, fresh=True).run(Tally(), warn=told.append)
    assert all(file.is_file() for file in own)
    assert len(told) == 1 and told[0].endswith("they stay: 2.")


def test_copies_that_another_table_tells_of_stay(model: Path, pictures: Path, tmp_path: Path) -> None:
    one = BatchWork(model=model, paths=[pictures], out=tmp_path / "one.csv", sort_into=tmp_path / "sorted")
    other = replace(one, out=tmp_path / "other.csv")
    run(one)
    run(other)
    assert {row["copy"] for row in rows(one.out)} == {"made", ""} and {row["copy"] for row in rows(other.out)} == {"found", ""}
    for work, theirs in ((one, other), (other, one)):
        told = list[str]()
        replace(work, fresh=True, threshold=0.8).run(Tally(), warn=told.append)
        assert len(told) == 1 and str(theirs.out) in told[0]
        assert all(copy.is_file() for copy in sorted_copies(theirs))


def test_a_copy_that_was_there_before_stays(model: Path, pictures: Path, tmp_path: Path) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", sort_into=tmp_path / "sorted")
    mine = tmp_path / "sorted" / "ant" / "0,0.9 twin.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"twin")
    run(work)
    assert mine in sorted_copies(work)
    told = list[str]()
    replace(work, fresh=True, sort_into=None).run(Tally(), warn=told.append)
    assert list((tmp_path / "sorted").rglob("*.png")) == [mine]
    assert len(told) == 1 and told[0].endswith("they stay: 1.")


def test_a_sorted_table_of_an_older_version_is_gone_on_with_and_its_copies_stay(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", sort_into=tmp_path / "sorted")
    run(work)
    old = [row[:-1] for row in csv.reader(work.out.read_text().splitlines())]
    work.out.write_bytes(b"".join(map(predicting.csv_line, old[:90])))
    assert run(work).before == 89 and len(rows(work.out)) == len(old) - 1
    copies, told = sorted_copies(work), list[str]()
    replace(work, fresh=True).run(Tally(), warn=told.append)
    assert sorted_copies(work) == copies == set((tmp_path / "sorted").rglob("*.png"))
    assert len(told) == 1 and told[0].endswith(f"they stay: {len(copies)}.")


def test_copies_do_not_go_among_what_is_asked_about(model: Path, pictures: Path, tmp_path: Path) -> None:
    for target in (pictures, pictures / "sorted"):
        with pytest.raises(UserError, match="among the pictures"):
            run(BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv", sort_into=target))
    asked = pictures / "ant"
    asked.mkdir()
    with pytest.raises(UserError, match="among the pictures"):
        run(BatchWork(model=model, paths=[asked], out=tmp_path / "a.csv", sort_into=pictures))


def test_ctrl_c_says_what_is_kept(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stopped(ByName):
        def answer(self, paths: Iterable[Path]) -> Iterator[PictureAnswer]:
            for number, answer in enumerate(super().answer(paths)):
                if number == CHUNK + 5:
                    raise KeyboardInterrupt
                yield answer

    monkeypatch.setattr(predicting, "exported_model", lambda path, cancel: Stopped())
    out = tmp_path / "a.csv"
    assert main(["predict", str(model), str(pictures), "--out", str(out)]) == 130
    assert len(rows(out)) == CHUNK + 5
    assert f"{CHUNK + 5} of " in capsys.readouterr().err
    monkeypatch.setattr(predicting, "exported_model", lambda path, cancel: ByName())
    assert main(["predict", str(model), str(pictures), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["before"] == CHUNK + 5 and told["total"] == len(rows(out)) == told["before"] + told["answered"] + told["problems"]


def test_a_full_disk_is_told_and_what_was_written_is_kept(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = UserError("The disk is full.", "Free some space.")
    add: Callable[..., None] = AnswerTable.add

    def full(table: AnswerTable, given: list[tuple[str, ...]]) -> None:
        if len(table._files) >= CHUNK:
            raise told
        add(table, given)

    monkeypatch.setattr(batch_predicting.AnswerTable, "add", full)
    work = BatchWork(model=model, paths=[pictures], out=tmp_path / "a.csv")
    tally = Tally()
    with pytest.raises(UserError) as caught:
        work.run(tally)
    assert caught.value == told and tally.done == len(rows(work.out)) == CHUNK


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_table_of_one_that_was_not(
    exported: tuple[Path, object],  # noqa: F811 (a fixture)
    tmp_path: Path,
) -> None:
    """`KILLS` and `KILLED_PICTURES` in the environment try it more often."""
    kills, count = int(os.environ.get("KILLS", "4")), int(os.environ.get("KILLED_PICTURES", "1500"))
    folder, chance = tmp_path / "photos", random.Random(0)
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (40, 40), (number % 256, number // 256 * 40, 90)).save(folder / f"{number:05}.png")

    def begun(name: str) -> subprocess.Popen[bytes]:
        asked = [str(exported[0]), str(folder), "--sort-into", str(tmp_path / name)]
        return subprocess.Popen(
            [sys.executable, "-m", "desktop_ft", "predict", *asked],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )

    began = time.monotonic()
    assert begun("once").wait() == 0
    spent, killed = time.monotonic() - began, 0
    for _ in range(kills):
        child = begun("often")
        try:
            child.wait(chance.uniform(0.2, max(0.5, spent / 2)))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            killed += 1
        child.wait()
    assert begun("often").wait() == 0
    once, often = rows(tmp_path / "once" / "answers.csv"), rows(tmp_path / "often" / "answers.csv")
    assert Counter(map(str, once)) == Counter(map(str, often)) and len(once) == count and killed
    roots = (tmp_path / "once", tmp_path / "often")
    copied = [sorted(path.relative_to(root) for path in root.rglob("*.*") if path.suffix != ".table") for root in roots]
    assert copied[0] == copied[1] and len(copied[0]) == count + 3, "the table, its state and its lock besides"


def test_what_was_begun_does_not_pile_up_behind_a_picture_that_has_gone(tmp_path: Path) -> None:
    made_with = MadeWith(model="m", name="m", threshold=0.5, sorted_into=str(tmp_path / "sorted"), folders=("a",))
    journal = tmp_path / "a.csv.copying"

    def copies(chunk: int) -> list[ToldCopy]:
        return [ToldCopy(tmp_path / f"{chunk} {number}.png", f"a/{chunk} {number}.png", True) for number in range(20)]

    with AnswerTable(tmp_path / "a.csv", made_with) as table:
        table.begin(copies(0)[:1])
        alone = journal.stat().st_size
        for chunk in range(1, 6):
            table.begin(copies(chunk))
            table.add([(str(each.source), "a", "0.9", "yes", "", each.place, "made") for each in copies(chunk)])
            assert journal.stat().st_size == alone
        table.add([(str(tmp_path / "0 0.png"), "a", "0.9", "yes", "", "a/0 0.png", "made")])
    assert not journal.exists()
