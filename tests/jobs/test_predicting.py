"""Answers as a table."""

import csv
import resource
import threading
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.metrics import Threshold
from desktop_ft.core.recipe import Recipe
from desktop_ft.data.scan import scan
from desktop_ft.engine.control import RunControl
from desktop_ft.evaluation.score import softmax
from desktop_ft.export import checking
from desktop_ft.jobs import predicting
from desktop_ft.jobs.exported_file import evaluate_file, file_card
from desktop_ft.jobs.predicting import Prediction, as_csv, as_float32, opened_model, predict
from desktop_ft.jobs.running import Trained
from desktop_ft.jobs.training import train
from desktop_ft.models.network import Network
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder
from tests.reliability import hostile_onnx


@given(st.floats(0, 1))
def test_an_answer_exactly_at_the_threshold_stays_sure_in_an_exported_file(confidence: float) -> None:
    least = as_float32(confidence)
    assert float(np.float32(confidence)) >= least
    assert least <= confidence < float(np.nextafter(np.float32(least), np.float32(2)))


@pytest.fixture
def run(recipe: Recipe, tmp_path: Path) -> RunFolder:
    """One that nobody has trained."""
    made = RunFolder.create(tmp_path / "run")
    made.write_recipe(recipe)
    made.write_manifest(scan(Path(recipe.dataset.folder)))
    return made


def test_an_answer_exactly_at_the_threshold_is_sure(
    run: RunFolder, recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [torch.randn(1, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(40)]
    picture = next(Path(recipe.dataset.folder).glob("*/*.png"))
    for found in asked:
        monkeypatch.setattr(predicting, "trained", lambda run, warn, found=found: says(found))
        confidence = float(softmax(found.numpy()).max())
        run.write_threshold(Threshold(value=confidence, dataset="", subset="test", pictures=1, fingerprint=""))
        (answer,) = predict(run.path, [picture], plugins)
        assert answer.sure and answer.confidence == confidence


class Says(torch.nn.Module):
    """A network that answers the same to every picture: `logits` (1, classes)."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits, requires_grad=False)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(pictures), -1)


def says(logits: torch.Tensor) -> Trained:
    return Trained(network=cast(Network, Says(logits)), checkpoint="")


def test_a_link_that_leaves_a_folder_is_told_and_not_followed(
    run: RunFolder, recipe: Recipe, plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "trained", lambda run, warn: says(torch.tensor([[1.0, 0.0, 0.0]])))
    picture = next(Path(recipe.dataset.folder).glob("*/*.png"))
    mixed, only = tmp_path / "mixed", tmp_path / "only"
    for folder in (mixed, only):
        folder.mkdir()
        (folder / "out.png").symlink_to(picture)
    (mixed / "own.png").write_bytes(picture.read_bytes())
    (mixed / "twice.png").symlink_to(mixed / "own.png")
    (mixed / "itself.png").symlink_to(mixed / "itself.png")
    told = {answer.path.name: answer.problem for answer in predict(run.path, [mixed], plugins)}
    assert (told["own.png"], told["twice.png"]) == ("", "")
    assert "leaves the folder" in told["out.png"]
    assert told["itself.png"]
    (left,) = predict(run.path, [only], plugins)
    assert "leaves the folder" in left.problem
    (named,) = predict(run.path, [only / "out.png"], plugins)
    assert named.label and not named.problem, "what is named is meant"


def test_links_to_folders_are_followed_inside_and_told_where_they_are_not(
    run: RunFolder, recipe: Recipe, plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "trained", lambda run, warn: says(torch.tensor([[1.0, 0.0, 0.0]])))
    content = next(Path(recipe.dataset.folder).glob("*/*.png")).read_bytes()
    photos, elsewhere = tmp_path / "asked", tmp_path / "elsewhere"
    for file in (photos / "sub" / "own.png", photos / ".kept apart" / "hidden.png", elsewhere / "out.png"):
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    (photos / "out").symlink_to(elsewhere)
    (photos / "again").symlink_to("sub")
    (photos / "sub" / "up").symlink_to(photos)
    (photos / "apart").symlink_to(".kept apart")
    (photos / ".kept apart" / "up").symlink_to(photos)
    warned = list[str]()
    found = predict(run.path, [photos], plugins, warn=warned.append)
    told = {answer.path.relative_to(photos).as_posix(): answer for answer in found}
    answered = {name for name, answer in told.items() if not answer.problem}
    assert answered == {"sub/own.png", "apart/hidden.png"}
    assert "leaves the folder" in told.pop("out").problem
    assert not any(answer.problem for answer in told.values())
    (links,) = warned
    assert str(photos / "again") in links and links.endswith("so are others: 3 in all.")
    assert [answer.path for answer in predict(run.path, [photos / "out"], plugins)] == [photos / "out" / "out.png"]


def test_a_foreign_file_that_fills_the_memory_is_found_out_apart_from_this_process(tmp_path: Path) -> None:
    Image.new("RGB", (48, 40)).save(tmp_path / "picture.png")
    file = tmp_path / "large.onnx"
    file.write_bytes(hostile_onnx.hostile(tmp_path)["an array of 2^31 values"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"large\.onnx cannot be (computed|loaded): .*alloc"):
        list(predict(file, [tmp_path / "picture.png"]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 19, "kilobytes"
    file.write_bytes(hostile_onnx.sound().SerializeToString())
    (answer,) = predict(file, [tmp_path / "picture.png"])
    assert not answer.problem, "a sound one in its place is opened"


def test_a_foreign_file_that_computes_more_for_some_pictures_than_for_others_is_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "branching.onnx"
    file.write_bytes(hostile_onnx.hostile(tmp_path)["2^38 values for some pictures only"])
    with pytest.raises(UserError, match=r"branching\.onnx holds functions, loops or branches"):
        opened_model(file)


def test_a_foreign_file_takes_no_more_memory_than_it_may_whatever_a_picture_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = hostile_onnx.sound()
    hostile_onnx.sized_by_the_picture(model, 1 << 28)  # values, of four bytes each
    file = tmp_path / "growing.onnx"
    file.write_bytes(model.SerializeToString())
    grey, striking = tmp_path / "grey.png", tmp_path / "striking.png"
    Image.new("RGB", (48, 40), "grey").save(grey)
    Image.linear_gradient("L").convert("RGB").save(striking)
    monkeypatch.setattr(predicting, "_SHARE_OF_MEMORY", psutil.virtual_memory().total >> 28)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"growing\.onnx cannot be computed: .*memory"):
        list(predict(file, [striking]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 19, "kilobytes"
    (answer,) = predict(file, [grey])
    assert not answer.problem, "what a picture of another kind asks for is within bounds"


def test_a_foreign_file_that_waits_for_ever_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "waiting.onnx"
    file.write_bytes(hostile_onnx.sound().SerializeToString())
    monkeypatch.setattr(checking, "_LONGEST_S", 0)
    with pytest.raises(UserError, match=r"waiting\.onnx could not be opened within bounds .*took too long"):
        opened_model(file)


def test_a_foreign_file_that_is_being_opened_is_cancelled(tmp_path: Path) -> None:
    file = tmp_path / "foreign.onnx"
    file.write_bytes(hostile_onnx.sound().SerializeToString())
    (cancel := threading.Event()).set()
    for given_up in (
        lambda: opened_model(file, cancel=cancel),
        lambda: list(predict(file, [file], cancel=cancel)),
        lambda: file_card(file, cancel),
        lambda: evaluate_file(file, tmp_path, cancel=cancel),
    ):
        with pytest.raises(Cancelled):
            given_up()
    assert opened_model(file).model.classes, "what was cancelled is asked about again"


def test_a_table_of_answers_is_read_again_and_holds_no_formula() -> None:
    hostile = '=HYPERLINK("http://evil.example")'
    given = [
        Prediction(path=Path("/photos/a, b.png"), label=hostile, confidence=0.5, sure=False),
        Prediction(path=Path("/photos/é\udce9.png"), label="bee", confidence=1.0),
        Prediction(path=Path("/photos/c.png"), problem="Is cut off."),
    ]
    text = as_csv(given)
    assert b"\xe9.png" in text, "a name that is not UTF-8 keeps its bytes"
    rows = list(csv.reader(text.decode("utf-8", "surrogateescape").splitlines()))
    assert rows == [
        ["file", "answer", "confidence", "sure", "problem"],
        ["/photos/a, b.png", "'" + hostile, "0.500000", "no", ""],
        ["/photos/é\udce9.png", "bee", "1.000000", "yes", ""],
        ["/photos/c.png", "", "", "", "Is cut off."],
    ]


def test_a_run_says_of_a_picture_in_no_file_what_it_says_of_the_file(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    train(recipe, tmp_path / "run", plugins, lambda event: None, RunControl())
    opened = opened_model(tmp_path / "run", plugins)
    for picture in list(Path(recipe.dataset.folder).glob("*/*.png"))[:4]:
        (in_a_file,) = predict(tmp_path / "run", [picture], plugins)
        assert opened.says_of(picture.read_bytes()) == replace(in_a_file, path=Path())
    assert "not a picture" in opened.says_of(b"hello").problem
