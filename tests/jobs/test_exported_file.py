"""An exported file tells what it is, is judged on pictures by itself, and is traced to its run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from desktop_ft import places
from desktop_ft.cli import main
from desktop_ft.core.errors import UserError
from desktop_ft.core.metrics import ExportReport
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.data.scan import scan
from desktop_ft.data.splits import split
from desktop_ft.engine.control import RunControl
from desktop_ft.export.metadata import CHECKPOINT as CHECKPOINT_KEY
from desktop_ft.jobs.exported_file import evaluate_file, file_card, going_on, run_of_file
from desktop_ft.jobs.predicting import predict
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.recipe_file import read_recipe
from desktop_ft.runs.run_folder import RunFolder
from tests.export.conftest import CHECKPOINT, CLASSES, RECIPE, exported, onnx_exporter, photos, reference  # noqa: F401 (fixtures)


@pytest.fixture
def file(exported: tuple[Path, object]) -> Path:  # noqa: F811 (a fixture)
    return exported[0]


@pytest.fixture
def folder(tmp_path: Path, file: Path) -> Path:
    """Pictures in a folder for each of two of the file's classes; some of them rightly."""
    rng = np.random.default_rng(1)
    for name in CLASSES[1:]:
        (place := tmp_path / "new" / name).mkdir(parents=True)
        for number in range(6):
            colour = rng.integers(0, 256, 3)
            Image.fromarray(np.broadcast_to(colour, (40, 40, 3)).astype(np.uint8)).save(place / f"{number}.png")
    return tmp_path / "new"


def test_a_card_tells_what_the_file_tells(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = file_card(file)
    assert (card.classes, card.side, card.backbone, card.licence) == (CLASSES, 32, "tiny", "CC0-1.0")
    assert card.recipe == RECIPE.portable() and card.recipe_sha256 == RECIPE.digest() and card.bytes == file.stat().st_size
    assert main(["card", str(file)]) == 0
    said = capsys.readouterr().out
    assert "CC0-1.0" in said and RECIPE.digest() in said and "none of your runs" in said
    assert main(["card", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert tuple(told["classes"]) == CLASSES and told["run"] is None


def test_what_is_no_exported_file_has_no_card(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(UserError, match="not an ONNX file"):
        file_card(tmp_path / "text.onnx")


def test_a_file_is_judged_by_its_own_answers(file: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = list[str]()
    found = evaluate_file(file, folder, warn=said.append).evaluation
    answers = {answer.path: answer.label for answer in predict(file, [folder])}
    right = sum(label == path.parent.name for path, label in answers.items())
    assert 0 < right < len(answers), "it tells something"
    assert found.accuracy.value == right / len(answers) and found.accuracy.low < found.accuracy.value < found.accuracy.high
    assert len(found.mistakes) == len(answers) - right and found.classes == CLASSES
    assert any("none of your runs" in each for each in said)
    assert main(["evaluate", str(file), str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == found.accuracy.value
    assert main(["evaluate", str(file)]) == 2
    assert "keeps no pictures" in capsys.readouterr().err


def test_a_file_answers_as_many_at_a_threshold_as_it_is_sure_of(
    file: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for answer in list(predict(file, [folder]))[:6]:
        threshold = answer.confidence * (1 + 1e-9)  # as a run has it, in double precision, for the very same picture
        sure = [other.sure for other in predict(file, [folder], threshold=threshold)]
        assert main(["evaluate", str(file), str(folder), "--threshold", repr(threshold), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["threshold"]
        assert (told["answered"], told["value"]) == (sum(sure) / len(sure), threshold)


def test_a_class_that_the_file_does_not_know_is_told(file: Path, folder: Path) -> None:
    (folder / CLASSES[1]).rename(folder / "wasp")
    with pytest.raises(UserError, match="has a class 'wasp'"):
        evaluate_file(file, folder)


@pytest.fixture
def run(folder: Path) -> RunFolder:
    """The run that the file comes from, which learned from the pictures in `folder`."""
    made = RunFolder.create(places.runs() / "the run")
    made.write_recipe(RECIPE)
    made.write_manifest(split(scan(folder), 0.5))
    (made.checkpoints / CHECKPOINT).touch()
    return made


def test_a_file_is_traced_to_the_run_that_it_comes_from(
    file: Path,
    folder: Path,
    run: RunFolder,
    exported: tuple[Path, ExportReport],  # noqa: F811 (a fixture)
) -> None:
    other = RunFolder.create(places.runs() / "z of the same recipe, on other pictures")
    other.write_recipe(RECIPE)
    other.write_manifest(scan(folder))
    card = file_card(file)
    assert run_of_file(card) == run.path
    said = list[str]()
    evaluate_file(file, folder, warn=said.append)
    assert not any("none of your runs" in each for each in said)
    assert "of these 12 pictures" in " ".join(said), "the run learned from some of them"
    (run.checkpoints / CHECKPOINT).unlink()
    assert run_of_file(card) is None, "it learned on, or is another"
    run.add_export_report(exported[1])
    assert run_of_file(card) == run.path
    run.forget_export(exported[1])
    (kept := run.exports / "older.onnx").write_bytes(file.read_bytes())
    run.add_export_report(replace(exported[1], file=str(kept), sha256="", modified_ns=0))
    assert run_of_file(file_card(kept)) == run.path, "an older version kept no more than its place and size"
    assert run_of_file(card) is None
    run.add_export_report(exported[1])
    shutil.rmtree(run.path)
    assert run_of_file(card) is None


def test_a_file_with_a_strange_checkpoint_and_a_run_out_of_reach_are_no_hindrance(
    file: Path, folder: Path, run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proto = onnx.load(file)
    next(each for each in proto.metadata_props if each.key == CHECKPOINT_KEY).value = "x" * 300
    onnx.save(proto, strange := tmp_path / "strange.onnx")
    run.exports.rmdir()
    run.exports.symlink_to("x" * 300)  # nobody reaches it, not even an administrator
    assert main(["card", str(strange)]) == 0
    assert "none of your runs" in capsys.readouterr().out
    assert run_of_file(file_card(file)) == run.path


def test_what_trains_on_finds_the_pictures_from_anywhere(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relative = recipe.model_copy(update={"dataset": DatasetChoice(folder="photos")})
    monkeypatch.chdir(tmp_path)
    train(relative, tmp_path / "run", plugins, lambda event: None, RunControl())
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    assert going_on(tmp_path / "run", plugins).dataset.folder == recipe.dataset.folder
    (tmp_path / "mine.toml").write_text(relative.to_toml())
    assert read_recipe(tmp_path / "mine.toml").dataset.folder == str(elsewhere / "photos")


def test_what_is_no_picture_is_not_explained_and_not_to_be_removed(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = RunFolder.create(tmp_path / "the run")
    made.write_recipe(recipe)
    made.write_manifest(scan(Path(recipe.dataset.folder)))
    (tmp_path / "fake.onnx").write_text("hello")
    assert main(["explain", str(made.path), str(tmp_path / "fake.onnx")]) == 2
    said = capsys.readouterr().err
    assert "Is text, not a picture. Choose another picture." in said and "Remove" not in said


def test_a_run_of_which_nothing_is_saved_is_told(recipe: Recipe, plugins: Plugins) -> None:
    made = RunFolder.create(places.runs() / "the run")
    made.write_recipe(recipe)
    made.write_manifest(scan(Path(recipe.dataset.folder)))
    with pytest.raises(UserError, match="no saved weights"):
        going_on(made.path, plugins)
