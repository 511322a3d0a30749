"""Which runs are listed, and what is written about them, as the command line tells it."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from desktop_ft import places
from desktop_ft.cli import main
from desktop_ft.core.dataset import Subset
from desktop_ft.core.events import EpochDone
from desktop_ft.core.metrics import Interval
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.core.run_note import RunNote
from desktop_ft.data.scan import scan
from desktop_ft.engine.control import RunControl
from desktop_ft.evaluation.intervals import wilson
from desktop_ft.jobs import run_list
from desktop_ft.jobs.kept import kept_in
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder
from tests.e2e.conftest import shapes


def made(path: Path) -> RunFolder:
    folder = RunFolder.create(path)
    folder.write_recipe(Recipe(dataset=DatasetChoice(folder="/photos")))
    return folder


def runs(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    assert main(["runs", "--json", *options]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_an_unpacked_bundle_is_no_run_and_is_told_as_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "one")
    (bundle := tmp_path / "unpacked").mkdir()
    for name in ("recipe.toml", "MODEL_CARD.md", "export.json", "model.onnx"):
        (bundle / name).write_bytes((tmp_path / "one" / "recipe.toml").read_bytes())
    assert [run["name"] for run in runs(capsys, str(tmp_path))] == ["one"]
    for verb in ("resume", "export", "evaluate", "report"):
        assert main([verb, str(bundle)]) == 2
        said = capsys.readouterr().err
        assert "is an unpacked bundle, not a run" in said and f'desktop-ft predict "{bundle / "model.onnx"}"' in said
    (tmp_path / "one" / "model.onnx").write_bytes(b"exported beside its run")
    assert [run["name"] for run in runs(capsys, str(tmp_path))] == ["one"]


def test_a_note_is_written_shown_and_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(places.runs() / "one")
    other = str(made(tmp_path / "elsewhere" / "two").path)
    assert [run["name"] for run in runs(capsys)] == ["one"]
    assert main(["note", other, "the new camera", "--tag", "night", "--tag", "good"]) == 0
    assert "#night #good" in capsys.readouterr().out
    assert main(["note", other, "--untag", "good"]) == 0
    capsys.readouterr()
    assert main(["note", other, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": other, "text": "the new camera", "tags": ["night"]}
    for tag in ("night", "#night"):
        assert [(run["name"], run["tags"], run["note"]) for run in runs(capsys, "--tag", tag)] == [
            ("two", ["night"], "the new camera")
        ]
    assert runs(capsys, "--tag", "nigh") == []
    (places.data() / "runs.sqlite").unlink()  # only an index: the notes lie in the runs
    assert {run["name"]: run["note"] for run in runs(capsys)} == {"one": "", "two": "the new camera"}
    assert [run["name"] for run in runs(capsys, str(tmp_path / "elsewhere"))] == ["two"]


def test_an_accuracy_is_listed_with_its_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made(places.runs() / "one")
    found = scan(shapes(tmp_path / "photos", pictures=3))
    run.write_manifest(replace(found, samples=tuple(each.placed(each.label, Subset.VAL) for each in found.samples)))
    judged = len(found.samples)
    done = EpochDone(
        epoch=0, train_loss=1.0, train_accuracy=0.5, val_loss=1.0, val_accuracy=1 / judged, seconds=1.0, best=True
    )  # fmt: skip
    with run.log() as log:
        log.append(done)
    made(places.runs() / "two")
    told = {each["name"]: each["interval"] for each in runs(capsys)}
    assert told == {"one": [wilson(1, judged).low, wilson(1, judged).high], "two": None}
    assert main(["runs"]) == 0
    assert f"{100 / judged:.1f}% ({100 * told['one'][0]:.1f} to {100 * told['one'][1]:.1f})" in capsys.readouterr().out


def test_what_is_no_tag_or_no_run_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(made(tmp_path / "run").path)
    assert main(["note", run, "--tag", "two words"]) == 2
    assert "is not a tag" in capsys.readouterr().err
    assert main(["note", str(tmp_path)]) == 2
    assert "is not a run" in capsys.readouterr().err
    (tmp_path / "run" / "note.json").write_text("{")
    assert main(["note", run, "x"]) == 2  # it may be mended by hand: it is not overwritten
    assert "note.json is not valid" in capsys.readouterr().err
    assert [each["note"] for each in runs(capsys, str(tmp_path))] == [""]


def test_the_list_of_runs_elsewhere_survives_what_happens_to_it(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one").path, made(tmp_path / b"\xff".decode("utf-8", "surrogateescape")).path
    for run in (one, two, one):
        run_list.remember(run)
    known = run_list.known_runs()
    assert known.folders() == [one, two]
    known.path.write_bytes(known.path.read_bytes() + b'no json\n7\n"torn')
    assert known.folders() == [one, two]
    run_list.remember(tmp_path / "three")
    assert known.folders() == [one, two, tmp_path / "three"]
    assert {run.path for run in run_list.listed()} == {str(one), str(two)}
    with kept_in(tmp_path / "bench"):
        run_list.remember(tmp_path / "benchmark")
    assert tmp_path / "benchmark" not in known.folders()


def test_runs_in_their_own_folder_need_no_list() -> None:
    run = made(places.runs() / "one")
    run_list.remember(run.path)
    assert not run_list.known_runs().path.exists()
    run_list.annotate(run.path, text="x")
    assert run.note == RunNote(text="x")


def test_a_list_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    run = made(tmp_path / "run").path
    places.data().mkdir(parents=True)
    run_list.known_runs().path.mkdir()
    with pytest.raises(Exception, match="cannot be read"):
        run_list.known_runs().folders()
    run_list.remember(run)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_what_cannot_be_reached_or_read_leaves_the_other_runs_in_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(places.runs() / "one")
    run_list.remember(tmp_path / ("x" * 300))  # asked for, it is an error of the system, as a machine that is down
    (made(places.runs() / "two").path / "run.lock").mkdir()
    lock = made(places.runs() / "three").path / "run.lock"
    lock.symlink_to(lock)
    (places.runs() / ".stray").symlink_to("y" * 300)
    assert sorted(run["name"] for run in runs(capsys)) == ["one", "three", "two"]


def test_what_many_add_at_once_is_all_kept(tmp_path: Path) -> None:
    known = run_list.known_runs()
    added = [tmp_path / str(number) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(known.add, added))
    assert sorted(known.folders()) == sorted(added)


def test_the_list_tells_what_the_evaluation_at_a_runs_end_found(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    train(recipe, run := tmp_path / "runs" / "run", plugins, lambda event: None, RunControl())
    folder = RunFolder.open(run)
    evaluation = folder.evaluation
    assert evaluation is not None and evaluation.checkpoint == folder.best_checkpoint != ""
    folder.write_evaluation(replace(evaluation, accuracy=Interval(value=0.123, low=0.1, high=0.2)))
    (row,) = run_list.listed(tmp_path / "runs")
    assert (row.accuracy, row.judged) == (0.123, len(evaluation.answers))
