"""A check-up of drawn pictures with planted faults, by the door that the window and the command line share."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from desktop_ft import places
from desktop_ft.cli import main
from desktop_ft.core.checkup import DOUBLES, LABELS, ODD, Fault
from desktop_ft.core.dataset import Subset
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Recipe
from desktop_ft.jobs.checkup import check_up
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.checked import checked_pictures
from tests.pictures import encoded, fingerprint, write

COLOURS = {"green": (60, 190, 70), "purple": (170, 60, 190)}


def drawn(seed: int, colour: tuple[int, int, int], side: int = 96) -> Image.Image:
    """Shapes of its own in one colour, with grain."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5), dtype=np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    levels = 0.45 * np.asarray(coarse, float)[..., None] + 0.55 * np.array(colour) + rng.normal(0, 8, (side, side, 1))
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def planted(root: Path) -> Path:
    """48 pictures in train/ and val/ below `root`, of which one is wrongly labelled, one is in both; and a dark one."""
    seed = 0
    for subset, count in (("train", 18), ("val", 6)):
        for name, colour in COLOURS.items():
            for _ in range(count):
                write(root / subset / name / f"{seed:03}.png", encoded(drawn(seed, colour)))
                seed += 1
    shutil.move(root / "train" / "green" / "004.png", root / "train" / "purple" / "wrong.png")
    twin = drawn(10, COLOURS["green"]).crop((4, 6, 92, 94)).resize((70, 70))
    write(root / "val" / "green" / "twin.jpg", encoded(twin, "JPEG", quality=80))
    dark = drawn(99, COLOURS["green"]).point(lambda level: level // 8)
    write(root / "train" / "green" / "dark.png", encoded(dark))
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return planted(tmp_path / "photos")


@pytest.fixture
def recipe(folder: Path) -> Recipe:
    return Recipe(dataset=DatasetChoice(folder=str(folder)), backbone=BackboneChoice(image_size=64))


def test_what_was_planted_is_found_and_the_folder_is_not_touched(recipe: Recipe, folder: Path, plugins: Plugins) -> None:
    before, told = fingerprint(folder), list[str]()
    found = check_up(recipe, plugins, with_map=True, progress=lambda what, done, total: told.append(what))
    assert fingerprint(folder) == before
    assert [[sample.path for sample in group.samples] for group in found.torn] == [["train/green/010.png", "val/green/twin.jpg"]]
    assert (found.inflation.twins, found.inflation.judged) == (1, 13)
    assert "13 validation pictures has" in found.inflation.words
    assert found.suspects[0].sample.path == "train/purple/wrong.png"
    assert found.classes[found.suspects[0].likely] == "green"
    assert (found.faults[0].sample.path, found.faults[0].fault) == ("train/green/dark.png", Fault.DARK)
    assert found.curve.coming and found.confused == ()
    assert len(found.places) == len(found.samples) == 50
    assert list(dict.fromkeys(told)) == ["Looking at the pictures", "Comparing the pictures", "Asking the network", "Judging"]
    assert replace(check_up(recipe, plugins), places=found.places) == found, "the same again"


def test_the_command_tells_it_all_and_writes_a_repaired_recipe(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mended = tmp_path / "mended.toml"
    asked = ["checkup", str(folder), "--image-size", "64"]
    assert main([*asked, "--json", "--repair", str(mended)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["suspect_labels"][0]["path"] == "train/purple/wrong.png"
    assert document["near_doubles"][0]["across_subsets"] is True
    assert document["learning_curve"]["forecast"][0]["pictures"] == 80
    again = scan_dataset(Recipe.from_toml(mended.read_text(), "mended").dataset)
    assert next(sample.subset for sample in again.samples if sample.path == "val/green/twin.jpg") is Subset.TRAIN
    assert main([*asked, "--recipe", str(mended), "--show", "1"]) == 0
    said = capsys.readouterr().out
    assert "1 group of near doubles." in said and "train/purple/wrong.png" in said and "Near doubles (1 group):" in said
    assert main([*asked, "--recipe", str(mended), "--show", "0"]) == 0
    said = capsys.readouterr().out
    assert "Near doubles (1 group).\n" in said and "wrong.png" not in said and "the first" not in said.partition("\n\n")[2]


def test_what_was_kept_in_the_window_is_not_told_by_the_command_but_counted(
    folder: Path, plugins: Plugins, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(dataset=DatasetChoice(folder=str(folder)), backbone=BackboneChoice(image_size=64))
    found = check_up(recipe, plugins)
    kept = checked_pictures(str(folder))
    kept.add(LABELS, [found.suspects[0].mark(found.classes)])
    kept.add(DOUBLES, [found.doubles[0].mark])
    kept.add(ODD, [found.faults[0].mark])
    monkeypatch.chdir(folder.parent)
    asked = ["checkup", folder.name, "--image-size", "64"]
    assert main([*asked, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert main([*asked, "--json", "--with-kept"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert (whole["kept"], shown["kept"]) == (0, found.findings - found.without(kept.all()).findings)
    assert shown["suspect_labels"] == whole["suspect_labels"][1:] and shown["near_doubles"] == whole["near_doubles"][1:]
    assert "train/green/dark.png" not in [each["path"] for each in shown["faults"]]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert f"kept in the window: {shown['kept']} findings; --with-kept shows all" in said
    assert "1 group that is kept as right lies in several subsets" in said
    assert (shown["inflation"]["kept_groups"], whole["inflation"]["kept_groups"]) == (1, 0)
    next((places.data() / "checked").glob("*.json")).write_text("{")
    assert main([*asked, "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == whole and "is not valid" in told.err, "what is damaged hides nothing"


def test_a_repair_leaves_what_was_kept_in_the_window_where_it_is(
    folder: Path, plugins: Plugins, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, mended = Recipe(dataset=DatasetChoice(folder=str(folder))), tmp_path / "mended.toml"
    checked_pictures(str(folder)).add(DOUBLES, [check_up(recipe, plugins).torn[0].mark])

    def moved(*more: str) -> int:
        assert main(["checkup", str(folder), "--image-size", "64", "--repair", str(mended), *more]) == 0
        return len(Recipe.from_toml(mended.read_text(), "mended").dataset.pictures)

    assert moved() == 0 and "0 groups brought" in capsys.readouterr().err
    assert moved("--with-kept") == 2 and "1 group brought" in capsys.readouterr().err


def test_of_near_doubles_the_command_tells_the_classes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(folder / "val" / "green" / "twin.jpg", folder / "train" / "purple" / "twin.jpg")
    assert main(["checkup", str(folder), "--image-size", "64"]) == 0
    said = " ".join(capsys.readouterr().out.split("Near doubles", 1)[1].split("Labels")[0].split())
    assert "green, purple" in said


def test_it_is_cancelled_between_pictures(recipe: Recipe, plugins: Plugins) -> None:
    cancel = threading.Event()

    def progress(what: str, done: int, total: int | None) -> None:
        if what == "Comparing the pictures":
            cancel.set()

    with pytest.raises(Cancelled):
        check_up(recipe, plugins, progress=progress, cancel=cancel)


def test_one_class_is_too_few(recipe: Recipe, folder: Path, plugins: Plugins) -> None:
    dataset = recipe.dataset.model_copy(update={"rename": {"purple": ""}})
    with pytest.raises(UserError, match="two classes"):
        check_up(recipe.model_copy(update={"dataset": dataset}), plugins)
