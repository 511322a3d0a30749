"""A run that starts from another's weights says so, and says where it got no further."""

from pathlib import Path

import numpy as np
import pytest

from desktop_ft.cli.run_commands import tell_end
from desktop_ft.cli.terminal import Terminal
from desktop_ft.core.dataset import Sample, Subset
from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.metrics import Evaluation
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Recipe
from desktop_ft.evaluation.score import evaluate
from desktop_ft.jobs.starting import start_of
from desktop_ft.runs.run_folder import RunFolder


def judged(right: int, *, photos: str = "photo", count: int = 30) -> Evaluation:
    """An evaluation of so many photos, of which so many are right."""
    facts = {"label": 0, "subset": Subset.VAL, "sha256": "", "width": 8, "height": 8, "bytes": 1, "mtime_ns": 1}
    samples = [Sample(path=f"{photos} {number}.png", **facts) for number in range(count)]
    rows = [[0.9, 0.1] if number < right else [0.1, 0.9] for number in range(count)]
    return evaluate(np.array(rows), samples, ("a", "b"), dataset="photos", subset="val")


def run_at(path: Path, evaluation: Evaluation | None, weights: Path | None = None) -> RunFolder:
    made = RunFolder.create(path)
    backbone = BackboneChoice(weights=str(weights)) if weights else BackboneChoice()
    made.write_recipe(Recipe(dataset=DatasetChoice(folder="photos"), backbone=backbone))
    if evaluation is not None:
        made.write_evaluation(evaluation)
    (made.checkpoints / "index.json").write_text('{"best": {"file": "best.safetensors"}, "last": {"file": "last.safetensors"}}')
    return made


@pytest.mark.parametrize(
    ("right", "photos", "said"), [(28, "photo", True), (29, "photo", True), (30, "photo", False), (28, "other", False)]
)
def test_where_it_got_no_further_than_its_start_the_end_says_so(
    tmp_path: Path, right: int, photos: str, said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    start = run_at(tmp_path / "first", judged(29))
    new = run_at(tmp_path / "second", judged(right, photos=photos), start.path / "checkpoints" / "best.safetensors")
    begun = start_of(new.recipe)
    assert begun is not None and begun.words == "Starts from the weights of the run first, 96.7 % right there."
    assert tell_end(RunEnded(status=RunStatus.COMPLETED), new.path, Terminal()) == 0
    told = capsys.readouterr().out
    assert ("No better than its start: the run first had 96.7 % of the same photos right." in told) is said


def test_weights_that_lie_in_no_run_are_no_start(tmp_path: Path) -> None:
    assert start_of(run_at(tmp_path / "plain", None).recipe) is None
    assert start_of(run_at(tmp_path / "own", None, tmp_path / "mine" / "weights" / "own.pth").recipe) is None
    start = run_at(tmp_path / "first", None)
    begun = start_of(run_at(tmp_path / "second", None, start.path / "checkpoints" / "best.safetensors").recipe)
    assert begun is not None and begun.words == "Starts from the weights of the run first."
    start.write_evaluation(judged(15))
    begun = start_of(run_at(tmp_path / "third", None, start.path / "checkpoints" / "best.safetensors").recipe)
    assert begun is not None and "50.0 % right" in begun.words


def test_of_another_checkpoint_than_the_best_nobody_says_what_it_gets_right(tmp_path: Path) -> None:
    start = run_at(tmp_path / "first", judged(29))
    begun = start_of(run_at(tmp_path / "second", None, start.path / "checkpoints" / "last.safetensors").recipe)
    assert begun is not None and begun.words == "Starts from the weights of the run first."
    assert not begun.not_surpassed(judged(3))
