"""Classes renamed, merged and left out, and pictures moved, from the command line: every command sees the same pictures."""

import json
import shutil
from pathlib import Path

import pytest

from desktop_ft.core.recipe import Recipe
from desktop_ft.export.onnx_model import OnnxModel
from tests.e2e.conftest import Command, shapes
from tests.e2e.test_bad_input import assert_refused

QUICK = ("--image-size", 32, "--batch-size", 8, "--epochs", 1)
EDITS = ("--rename", "disc=round", "--rename", "box=angular", "--rename", "line=angular", "--move", "disc/03.png=left_out")


def test_scan_shows_the_edits_and_their_effect(command: Command, photos: Path, tmp_path: Path) -> None:
    told = command("scan", photos, *EDITS, "--json").json()
    assert {name: sum(counts.values()) for name, counts in told["classes"].items()} == {"angular": 24, "round": 11}
    assert told["edits"] == {"rename": {"disc": "round", "box": "angular", "line": "angular"}, "pictures": {"left_out": 1}}
    assert told["trainable"] is True
    said = command("scan", photos, *EDITS, "--leave-out", "star").out
    assert "'disc' is called 'round'." in said and "'star', which the folder does not have" in said
    left = command("scan", photos, "--leave-out", "disc", "--leave-out", "box", "--json").json()
    assert left["trainable"] is False and "only one class (line)" in left["notes"][0]
    moved = command("scan", photos, "--move", "disc/01.png=test", "--move", "disc/02.png=val", "--json").json()["classes"]
    assert moved["disc"]["test"] == 1 and moved["disc"]["val"] >= 1


def test_a_picture_in_an_archive_is_moved(command: Command, photos: Path, tmp_path: Path) -> None:
    packed = shutil.make_archive(str(tmp_path / "photos"), "zip", photos)
    for name in ("disc/01.png", "disc/02.png"):
        told = command("scan", packed, "--move", f"{name}=left_out", "--json").json()
        assert told["edits"]["pictures"] == {"left_out": 1}
    assert_refused(command("scan", packed, "--move", "disc/none.png=val"), "cannot be read")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--rename", "disc", "not a pair"),
        ("--rename", "disc= x", "no name for a class"),
        ("--move", "disc/01.png=nowhere", "names no subset"),
        ("--move", "disc/none.png=val", "cannot be read"),
        ("--move", "disc=val", "is no file"),
    ],
)
def test_an_edit_that_is_none_is_refused(command: Command, photos: Path, option: str, value: str, words: str) -> None:
    assert_refused(command("scan", photos, option, value), words)


def test_a_run_on_an_edited_dataset_learns_and_is_judged_by_the_new_names(command: Command, photos: Path, tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / "edited.toml"
    trained = command("train", photos, "--out", run, *QUICK, *EDITS, "--save-recipe", file, "--json")
    assert trained.code == 0, trained.err
    recipe = Recipe.from_toml(file.read_text(), "edited.toml")
    assert recipe == Recipe.from_toml((run / "recipe.toml").read_text(), "recipe.toml")
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["classes"] == ["angular", "round"] and len(manifest["samples"]) == 35
    seen = command("scan", "--recipe", file, "--json").json()
    assert {name: sum(each.values()) for name, each in seen["classes"].items()} == {"angular": 24, "round": 11}
    back = command("scan", "--recipe", file, "--rename", "disc=disc", "--move", "disc/03.png=", "--json").json()
    assert back["classes"].keys() == {"angular", "disc"} and back["edits"]["pictures"] == {}

    # Other pictures, laid out under the names of the run's own folder, or under those of the run.
    others = shapes(tmp_path / "others", pictures=2)
    judged = command("evaluate", run, others, "--json").json()
    assert judged["pictures"] == 6 and sum(map(sum, judged["confusion"])) == 6
    assert {each["class"]: each["pictures"] for each in judged["per_class"]} == {"angular": 4, "round": 2}
    (others / "disc").rename(others / "round")
    assert {each["class"]: each["pictures"] for each in command("evaluate", run, others, "--json").json()["per_class"]} == {
        "angular": 4,
        "round": 2,
    }
    (others / "round").rename(others / "star")
    assert_refused(command("evaluate", run, others), "'star' that the model does not know")


@pytest.mark.slow
def test_the_exported_model_knows_the_new_names(command: Command, photos: Path, tmp_path: Path) -> None:
    run, model = tmp_path / "run", tmp_path / "model.onnx"
    assert command("train", photos, "--out", run, *QUICK, *EDITS).code == 0
    exported = command("export", run, "--out", model)
    assert exported.code == 0, exported.err
    assert OnnxModel(model).classes == ("angular", "round")
    (answer,) = command("predict", model, photos / "disc" / "00.png", "--json").json()
    assert answer["class"] in ("angular", "round")


@pytest.mark.slow
def test_pictures_of_classes_that_a_run_leaves_out_are_not_held_against_it(
    command: Command, photos: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert command("train", photos, "--out", run, *QUICK, "--leave-out", "line", "--rename", "box=line").code == 0
    others = shapes(tmp_path / "others", pictures=2)
    judged = command("evaluate", run, others, "--json")
    assert judged.json()["pictures"] == 4
    assert "Left out, as the run's recipe says: 2 pictures." in judged.err
    assert "'line' is a class of the run, too" in judged.err
