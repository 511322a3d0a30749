"""A comparison from end to end: ordinary runs in one folder, stopped, killed and gone on with, and the report of them."""

import json
import shutil
from pathlib import Path

import pytest

from desktop_ft import places
from desktop_ft.api import TrainEvent
from desktop_ft.core.comparing import ALL, Comparison
from desktop_ft.core.dataset import Subset
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import EpochDone, RunStarted
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.comparing import ComparisonFolder, Plan, Standing, compare, expected_seconds, planned
from desktop_ft.plugin_manager import Plugins, load_plugins, set_enabled
from desktop_ft.runs.run_folder import RunFolder
from tests import tiny_backbone
from tests.e2e.conftest import Command, shapes, start
from tests.e2e.conftest import command as command
from tests.models.tiny import save_safetensors
from tests.pictures import encoded, photo, write


class Killed(BaseException):
    """The process is gone."""


def silent(event: TrainEvent) -> None:
    """Hears nothing."""


def two(recipe: Recipe, **more: object) -> Comparison:
    return Comparison.model_validate(
        {"base": recipe, "strategies": ("scratch", "head"), "seeds": 1, "images": (3, 500, ALL), **more}
    )


@pytest.fixture
def plugins() -> Plugins:
    """Those that ship, and a network whose runs take a moment."""
    place = places.data() / "plugins" / "tiny.py"
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(str(tiny_backbone.__file__), place)
    set_enabled("tiny", on=True)
    return load_plugins()


@pytest.fixture
def recipe(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> Recipe:
    """One epoch of that network, from weights of its own."""
    module = plugins.backbones.get("tiny").build()
    weights = save_safetensors(module.state_dict(), tmp_path / "tiny.safetensors")
    return recipe.model_copy(update={"backbone": BackboneChoice(name="tiny", weights=str(weights))})


@pytest.fixture
def folder(tmp_path: Path) -> ComparisonFolder:
    return ComparisonFolder(tmp_path / "comparison")


def run_folders(folder: ComparisonFolder) -> list[RunFolder]:
    return [RunFolder.open(path) for path in sorted((folder.path / "runs").iterdir())]


def test_weights_that_are_not_here_are_told_before_anything_is_trained(
    recipe: Recipe, plugins: Plugins, folder: ComparisonFolder
) -> None:
    away = recipe.model_copy(update={"backbone": BackboneChoice(name="alexnet", image_size=64)})
    with pytest.raises(UserError, match="weights of alexnet are not on this machine"):
        planned(two(away), folder, plugins)
    assert folder.plan is None and not (folder.path / "runs").exists()


def test_that_the_pictures_are_too_few_is_told_before_anything_is_trained(
    recipe: Recipe, plugins: Plugins, folder: ComparisonFolder, tmp_path: Path
) -> None:
    tiny = shapes(tmp_path / "tiny", pictures=2)
    few = recipe.model_copy(update={"dataset": DatasetChoice(folder=str(tiny), val=0.5)})
    told: list[str] = []
    with folder.worked():
        planned(two(few), folder, plugins, warn=told.append)
    (said,) = told
    assert "to judge on" in said and "no difference can be shown. Hold out 6 at least." in said


def test_every_run_learns_from_the_same_nested_pictures_and_all_is_told(
    recipe: Recipe, plugins: Plugins, folder: ComparisonFolder
) -> None:
    told: list[Standing] = []
    with folder.worked():
        plan = planned(two(recipe), folder, plugins)
        found = compare(folder, plan, plugins, silent, RunControl(), tell=told.append)
    assert plan.comparison.images == (3, ALL)  # no class has 500
    runs = run_folders(folder)
    assert len(runs) == len(found.runs) == found.planned == 4
    taken = {run.name: {sample.path for sample in run.manifest.of(Subset.TRAIN)} for run in runs}
    few, many = taken["head, 0003 of each, seed 0"], taken["head, all of each, seed 0"]
    assert few < many and len(few) == 9
    assert (taken["scratch, 0003 of each, seed 0"], taken["scratch, all of each, seed 0"]) == (few, many)
    assert len({run.manifest.of(Subset.VAL) for run in runs}) == 1
    assert [standing.done for standing in told] == [0, 1, 2, 3, 4] and told[-1].now is None
    assert json.loads(folder.result.read_text())["verdict"] == list(found.verdict)
    assert found.verdict[0] in folder.report.read_text()
    assert not folder.kept.exists()
    assert [run.name for run in runs if any(run.checkpoints.iterdir())] == [
        "head, all of each, seed 0",
        "scratch, all of each, seed 0",
    ]


def test_what_was_killed_goes_on_and_what_is_complete_is_left_alone(
    recipe: Recipe, plugins: Plugins, folder: ComparisonFolder
) -> None:
    asked, begun = two(recipe.with_optimisation(epochs=2), images=(ALL,)), list[RunStarted]()

    def die(event: TrainEvent) -> None:
        begun.extend([event] if isinstance(event, RunStarted) else [])
        if isinstance(event, EpochDone) and len(begun) == 2:
            raise Killed

    with pytest.raises(Killed), folder.worked():
        compare(folder, planned(asked, folder, plugins), plugins, die, RunControl())
    head = folder.path / "runs" / "head, all of each, seed 0"
    kept = [line for line in (head / "events.jsonl").read_text().splitlines() if '"run_ended"' not in line]
    (head / "events.jsonl").write_text("".join(line + "\n" for line in kept))  # a process that is killed tells no end
    assert "1 of 2 runs are complete" in folder.report.read_text()
    before = (folder.path / "runs" / "scratch, all of each, seed 0" / "events.jsonl").read_bytes()
    again: list[RunStarted] = []
    with folder.worked():
        plan = planned(None, folder, plugins)  # all that is needed stands in the folder
        found = compare(folder, plan, plugins, lambda e: again.extend([e] if isinstance(e, RunStarted) else []), RunControl())
    assert len(found.runs) == 2 and len(again) == 1
    assert (head / "events.jsonl").read_text().count('"run_started"') == 2  # gone on with, not begun anew
    assert (folder.path / "runs" / "scratch, all of each, seed 0" / "events.jsonl").read_bytes() == before
    assert next(run for run in found.runs if run.strategy == "head").reused < 1.0  # what it made itself before it was killed


def test_asked_to_stop_it_keeps_what_there_is(recipe: Recipe, plugins: Plugins, folder: ComparisonFolder) -> None:
    control = RunControl()
    with pytest.raises(Cancelled), folder.worked():
        plan = planned(two(recipe, images=(ALL,)), folder, plugins)
        compare(folder, plan, plugins, silent, control, tell=lambda standing: control.stop.set() if standing.done else None)
    assert len(json.loads(folder.result.read_text())["runs"]) == 1


def test_another_comparison_is_not_mixed_into_a_folder(recipe: Recipe, plugins: Plugins, folder: ComparisonFolder) -> None:
    planned(two(recipe), folder, plugins)
    assert planned(two(recipe), folder, plugins).asked == two(recipe)
    with pytest.raises(UserError, match="holds another comparison"):
        planned(two(recipe, seeds=2), folder, plugins)
    with pytest.raises(UserError, match="holds no comparison"):
        planned(None, ComparisonFolder(folder.path.parent / "nothing"), plugins)
    with pytest.raises(UserError, match="is not empty"):
        planned(two(recipe), ComparisonFolder(Path(recipe.dataset.folder)), plugins)


def test_pictures_that_change_meanwhile_are_told(recipe: Recipe, plugins: Plugins, folder: ComparisonFolder) -> None:
    plan: Plan = planned(two(recipe, images=(ALL,)), folder, plugins)

    def change(standing: Standing) -> None:
        for number in range(standing.done * 20):
            write(Path(recipe.dataset.folder) / "box" / f"new {number}.png", encoded(photo(number)))

    with folder.worked(), pytest.raises(UserError, match="pictures have changed"):
        compare(folder, plan, plugins, silent, RunControl(), tell=change)


def test_a_budget_of_seconds_becomes_epochs_and_more_seconds_no_fewer(
    recipe: Recipe, plugins: Plugins, folder: ComparisonFolder
) -> None:
    with folder.worked():
        plan = planned(two(recipe, seconds=0.5, images=(3, ALL)), folder, plugins)
    assert {(each.strategy, each.images) for each in plan.allotted} == {(s, i) for s in ("scratch", "head") for i in (3, ALL)}
    epochs = {(run.strategy, run.images): run.recipe.optimisation.epochs for run in plan.runs()}
    assert epochs == {(each.strategy, each.images): each.epochs for each in plan.allotted}
    assert all(1 <= each.epochs <= 100 and (each.epochs == 1 or each.seconds <= 0.5) for each in plan.allotted)
    assert epochs["scratch", 3] >= epochs["scratch", ALL]


def test_what_all_runs_take_is_known_before_they_begin(recipe: Recipe, plugins: Plugins) -> None:
    once = two(recipe, images=(ALL,))
    long = recipe.with_optimisation(epochs=50)
    assert 0 < expected_seconds(once, plugins) < expected_seconds(two(long, images=(ALL,), seeds=3), plugins)
    assert expected_seconds(two(recipe, seconds=0.5, images=(ALL,), seeds=2), plugins) > 0
    stopped = RunControl()
    stopped.stop.set()
    with pytest.raises(Cancelled):
        expected_seconds(once, plugins, control=stopped)


def test_on_the_command_line(command: Command, recipe: Recipe, tmp_path: Path) -> None:
    out, few = tmp_path / "out", ["--image-size", "32", "--batch-size", "8", "--epochs", "1", "--seeds", "1", "--images", "all"]
    few += ["--backbone", "tiny", "--weights", recipe.backbone.weights]
    done = command("compare", recipe.dataset.folder, *few, "--strategies", "scratch,head", "--out", out, "--json")
    assert done.code == 0 and len(done.json()["runs"]) == 2
    again = command("compare", "--out", out)
    assert again.code == 0 and "report.html" in again.out and "from scratch" in again.out


@pytest.mark.slow
def test_killed_by_the_system_the_same_command_goes_on(command: Command, recipe: Recipe, tmp_path: Path) -> None:
    out, tiny = tmp_path / "out", ["--backbone", "tiny", "--weights", recipe.backbone.weights, "--batch-size", "8"]
    asked = ["compare", recipe.dataset.folder, *tiny, "--epochs", "40", "--seeds", "2", "--images", "all"]
    asked += ["--strategies", "scratch,head", "--out", str(out)]
    killed = start(*asked)
    assert killed.stderr is not None
    with killed:
        assert any(line.startswith("3 of 4") for line in killed.stderr)  # two are complete, and one is under way
        killed.kill()
    first = out / "runs" / "scratch, all of each, seed 0" / "events.jsonl"
    before = first.read_bytes()
    done = command(*asked, "--json")
    assert done.code == 0 and len(done.json()["runs"]) == 4 and first.read_bytes() == before
    assert {run["epochs"] for run in done.json()["runs"]} == {40}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--strategies", "head,tail"], "'tail' cannot be compared"),
        (["--strategies", "head"], "two at least"),
        (["--images", "5,some"], "is no number of pictures"),
        (["--images", "0"], "is no number of pictures"),
        (["--seeds", "0"], "must be at least 1"),
        (["--budget", "-1"], "must be at least 0"),
        (["--budget", "5", "--epochs", "3"], "Both a budget of seconds and epochs"),
    ],
)
def test_what_makes_no_comparison_is_told_in_a_sentence(
    command: Command, recipe: Recipe, tmp_path: Path, options: list[str], told: str
) -> None:
    done = command("compare", recipe.dataset.folder, *options, "--out", tmp_path / "out")
    assert done.code == 2 and told in done.err and not (tmp_path / "out").exists()


def test_of_what_was_refused_nothing_is_left(tmp_path: Path, plugins: Plugins) -> None:
    new, full = ComparisonFolder(tmp_path / "new"), ComparisonFolder(tmp_path / "full")
    full.path.mkdir()
    (full.path / "notes.txt").write_text("mine")
    for folder in (new, full):
        with pytest.raises(UserError, match="no comparison"), folder.worked():
            planned(None, folder, plugins)
    assert not new.path.exists() and [each.name for each in full.path.iterdir()] == ["notes.txt"]
