"""From a folder to a proven ONNX file, on the command line."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file

from desktop_ft.core.dataset import Subset
from desktop_ft.core.errors import Cancelled
from desktop_ft.core.recipe import Recipe
from desktop_ft.runs.run_folder import RunFolder
from tests.e2e.conftest import Command, Outcome, shapes, start

QUICK = ("--image-size", 64, "--batch-size", 8, "--epochs", 2, "--seed", 3)


def weights_of(run: Path) -> dict[str, str]:
    """The digests of the best weights, tensor by tensor: equal where every bit is."""
    index = json.loads((run / "checkpoints" / "index.json").read_text().splitlines()[0])
    tensors = load_file(run / "checkpoints" / (index["best"] or index["last"])["file"])
    return {name: hashlib.sha256(tensor.numpy().tobytes()).hexdigest() for name, tensor in tensors.items()}


def trained(command: Command, photos: Path, run: Path, *more: object) -> Outcome:
    outcome = command("train", photos, "--out", run, *QUICK, *more, "--json")
    assert outcome.code == 0, outcome.err
    return outcome


@pytest.mark.slow
def test_a_threshold_that_is_kept_is_heeded_by_answers_report_and_exported_file(
    command: Command, photos: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    trained(command, photos, run)
    evaluation = command("evaluate", run, "--json").json()
    sure = sorted(answer["confidence"] for answer in evaluation["answers"])
    value = (sure[len(sure) // 2 - 1] + sure[len(sure) // 2]) / 2
    assert command("evaluate", run, "--keep").code == 2
    assert command("evaluate", run, "--threshold", "1.5").code == 2
    tried = command("evaluate", run, "--threshold", value, "--json").json()["threshold"]
    assert (tried["caveat"], (run / "threshold.json").exists()) == ("", False)
    kept = command("evaluate", run, "--threshold", value, "--keep", "--json").json()["threshold"]
    assert 0 < kept["answered"] < 1
    assert kept["answered"] == pytest.approx(sum(each >= value for each in sure) / len(sure))
    assert "these very pictures" in kept["caveat"]
    others = command("evaluate", run, photos, "--json")
    assert others.json()["threshold"]["caveat"] == ""
    assert f"picked on {len(sure)} of these 36" in others.err
    assert "don't know" in (run / "report.html").read_text(encoding="utf-8")
    model = tmp_path / "careful.onnx"
    assert command("export", run, "--out", model).code == 0
    assert RunFolder.open(run).export_reports[-1].threshold == value
    for asked in (model, run):
        answers = command("predict", asked, photos, "--json").json()
        assert [answer["sure"] for answer in answers] == [answer["confidence"] >= value for answer in answers]
        assert not all(answer["sure"] for answer in answers)
        assert "don't know" in command("predict", asked, photos).out
        assert all(answer["sure"] for answer in command("predict", asked, photos, "--threshold", 0, "--json").json())
    assert command("evaluate", run, "--threshold", 0, "--keep").code == 0
    assert not (run / "threshold.json").exists()


@pytest.mark.slow
def test_a_photo_is_explained(command: Command, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained(command, photos, run)
    seen = tmp_path / "seen.png"
    told = command("explain", run, photos / "disc" / "00.png", "--out", seen, "--json").json()
    assert sum(told["probabilities"].values()) == pytest.approx(1)
    assert set(told["likeness"]) == {"the head", "the head and a third of the layers", "two thirds", "all layers"}
    with Image.open(seen) as overlay:
        assert overlay.size == (64, 64)
    assert command("explain", run, photos / "disc" / "00.png", "--class", "cat").code == 2
    assert command("explain", run, photos / "disc" / "00.png", "--out", tmp_path / "seen.jpg").code == 2
    (photos / "disc" / "bad.png").write_bytes(b"no picture")
    broken = command("explain", run, photos / "disc" / "bad.png")
    assert broken.code == 2 and "bad.png" in broken.err


@pytest.mark.slow
def test_train_evaluate_export_and_predict_agree_photo_by_photo(command: Command, photos: Path, tmp_path: Path) -> None:
    run, model = tmp_path / "run", tmp_path / "model.onnx"
    told = trained(command, photos, run, "--freeze", "last:1", "--augment", "light").json()
    assert told["status"] == "completed"

    evaluation = command("evaluate", run, "--json").json()
    assert evaluation["accuracy"] == told["accuracy"]
    assert evaluation["interval"][0] <= evaluation["accuracy"] <= evaluation["interval"][1]
    assert sum(map(sum, evaluation["confusion"])) == evaluation["pictures"]

    export = command("export", run, "--out", model, "--json")
    assert export.code == 0, export.err
    report = export.json()
    assert report["largest_difference"] <= 1e-4
    assert report["changed_answers"] == 0
    assert report["compared"] == 36

    answers = {answer["path"]: answer for answer in evaluation["answers"]}
    predictions = command("predict", model, photos, "--json").json()
    assert len(predictions) == 36
    compared = 0
    for prediction in predictions:
        path = Path(prediction["path"]).relative_to(photos).as_posix()
        if path in answers:
            compared += 1
            assert prediction["class"] == answers[path]["predicted"]
            assert prediction["confidence"] == pytest.approx(answers[path]["confidence"], abs=1e-4)
    assert compared == len(answers)

    everything = command("evaluate", run, photos, "--json").json()
    assert {a["path"]: a["predicted"] for a in everything["answers"]} == {
        Path(p["path"]).relative_to(photos).as_posix(): p["class"] for p in predictions
    }
    assert "<svg" in (run / "report.html").read_text(encoding="utf-8")
    for figure in (
        *evaluation["per_class"],
        evaluation | {"f1": evaluation["macro_f1"], "f1_interval": evaluation["macro_f1_interval"]},
    ):
        low, high = figure["f1_interval"]
        assert low <= figure["f1"] <= high

    curves = command("curves", run)
    assert curves.code == 0 and curves.out.startswith("kind,epoch,step,loss,lr,") and curves.out.count("\nepoch,") == 2
    assert command("curves", run, "--out", tmp_path / "curves.csv").code == 0
    assert (tmp_path / "curves.csv").read_text() == curves.out

    other = tmp_path / "other"
    trained(command, photos, other, "--freeze", "head", "--epochs", 1)
    told = command("diff", run, other, "--json").json()
    assert told["differences"]["freeze.preset"] == ["last:1", "head"] and len(told["accuracy"]) == 2
    assert {"optimisation.epochs", "augmentation.1"} <= told["differences"].keys()
    assert "the same in all that decides" in command("diff", run, run).out


def test_batches_can_be_measured_and_the_recipe_holds_what_was_found(command: Command, photos: Path, tmp_path: Path) -> None:
    outcome = command(
        "train", photos, "--out", tmp_path / "run", "--image-size", 64, "--epochs", 1, "--batch-size", "auto", "--json"
    )
    assert outcome.code == 0, outcome.err
    assert "Batch size 32, as measured." in outcome.err
    recipe = Recipe.from_toml((tmp_path / "run" / "recipe.toml").read_text(), "the recipe")
    assert recipe.optimisation.batch_size == 32
    refused = command("train", photos, "--epochs", "auto")
    assert refused.code == 2 and "--epochs" in refused.err


def test_a_model_is_judged_on_a_folder_with_some_of_its_classes(command: Command, photos: Path, tmp_path: Path) -> None:
    trained(command, photos, tmp_path / "run")
    shutil.copytree(photos / "disc", tmp_path / "new" / "disc")
    told = command("evaluate", tmp_path / "run", tmp_path / "new", "--json").json()
    assert told["pictures"] == 12
    assert {answer["class"] for answer in told["answers"]} == {"disc"}
    (tmp_path / "new" / "disc").rename(tmp_path / "new" / "cat")
    refused = command("evaluate", tmp_path / "run", tmp_path / "new")
    assert refused.code == 2
    assert "cat" in refused.err


def test_an_evaluation_names_the_archive_and_counts_what_it_leaves_out(command: Command, photos: Path, tmp_path: Path) -> None:
    trained(command, photos, tmp_path / "run")
    (photos / "disc" / "broken.png").write_text("no picture")
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", photos)
    judged = command("evaluate", tmp_path / "run", archive, "--json")
    assert judged.json()["dataset"] == "packed.zip"
    assert judged.json()["pictures"] == 36
    assert "Left out, as it cannot be used: 1 file or folder" in judged.err


@pytest.mark.slow
def test_own_weights_are_found_again_from_another_folder(
    command: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(command, photos, tmp_path / "run")
    own = next((tmp_path / "run" / "checkpoints").glob("*.safetensors"))
    monkeypatch.chdir(own.parent)
    trained(command, photos, tmp_path / "again", "--weights", own.name)
    assert Recipe.from_toml((tmp_path / "again" / "recipe.toml").read_text(), "again").backbone.weights == str(own)


def test_termination_ends_a_command_as_an_interrupt_does(tmp_path: Path) -> None:
    # A named pipe as recipe holds the command where it is until it is ended.
    os.mkfifo(tmp_path / "recipe.toml")
    process = start("train", "--recipe", tmp_path / "recipe.toml")
    with (tmp_path / "recipe.toml").open("w"):  # opens once the command reads
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert told == "desktop-ft: Cancelled.\n"


def test_a_cancelled_evaluation_says_that_the_training_is_kept(
    command: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled(*_: object, **__: object) -> None:
        raise Cancelled

    run = tmp_path / "run"
    monkeypatch.setattr("desktop_ft.jobs.training.evaluate_run", cancelled)
    told = command("train", photos, "--out", run, *QUICK)
    assert told.code == 130
    assert f"The training is complete and kept; its evaluation is missing: desktop-ft evaluate '{run}'" in told.err
    monkeypatch.undo()
    assert command("evaluate", run).code == 0


@pytest.mark.slow
def test_pictures_that_went_or_changed_are_left_out_and_told(command: Command, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained(command, photos, run)
    first, second, *_ = (photos / answer["path"] for answer in command("evaluate", run, "--json").json()["answers"])
    first.unlink()
    Image.new("RGB", (50, 50), "red").save(second)
    before = (run / "evaluation.json").read_bytes()
    outcome = command("evaluate", run, "--json")
    assert outcome.code == 0
    assert "2 of " in outcome.err
    left = {answer["path"] for answer in outcome.json()["answers"]}
    assert not left & {first.relative_to(photos).as_posix(), second.relative_to(photos).as_posix()}
    assert (run / "evaluation.json").read_bytes() != before
    exported = command("export", run, "--out", tmp_path / "model.onnx", "--json")
    assert exported.code == 0, exported.err
    assert exported.json()["compared"] == 34
    photos.rename(tmp_path / "elsewhere")
    gone = command("evaluate", run)
    assert gone.code == 2
    assert "photos" in gone.err


def test_pictures_the_model_learned_from_do_not_pass_for_new_ones(command: Command, photos: Path, tmp_path: Path) -> None:
    trained(command, photos, tmp_path / "run")
    outcome = command("evaluate", tmp_path / "run", photos, "--json")
    assert "trained on" in outcome.err


@pytest.mark.slow
def test_predict_imports_no_torch(command: Command, photos: Path, tmp_path: Path) -> None:
    run, model = tmp_path / "run", tmp_path / "model.onnx"
    trained(command, photos, run)
    assert command("export", run, "--out", model).code == 0
    code = (
        "import sys; from desktop_ft.cli import main; code = main(sys.argv[1:]);"
        "print('torch' in sys.modules, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", str(model), str(photos / "disc" / "00.png")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() == "False"
    assert len(done.stdout.splitlines()) == 1


def test_a_saved_recipe_gives_the_same_run_bit_by_bit(command: Command, photos: Path, tmp_path: Path) -> None:
    saved = tmp_path / "recipe.toml"
    trained(command, photos, tmp_path / "a", "--freeze", "gradual", "--augment", "standard", "--save-recipe", saved)
    outcome = command("train", "--recipe", saved, "--out", tmp_path / "b", "--json")
    assert outcome.code == 0, outcome.err
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b")
    assert Recipe.from_toml((tmp_path / "b" / "recipe.toml").read_text(), "b") == Recipe.from_toml(saved.read_text(), "saved")


@pytest.mark.parametrize("preset", ["head", "last:2", "all", "discriminative", "scratch"])
def test_every_preset_trains(command: Command, photos: Path, tmp_path: Path, preset: str) -> None:
    assert trained(command, photos, tmp_path / "run", "--freeze", preset, "--epochs", 1).json()["status"] == "completed"


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(command: Command, tmp_path: Path) -> None:
    photos = shapes(tmp_path / "photos", pictures=30)
    options = (*QUICK, "--freeze", "all", "--augment", "light", "--epochs", 3)
    assert command("train", photos, "--out", tmp_path / "whole", *options).code == 0

    process = start("train", photos, "--out", tmp_path / "broken", *options)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("Epoch 1/"):
            process.send_signal(signal.SIGINT)
            break
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert command("resume", tmp_path / "broken").code == 0
    assert weights_of(tmp_path / "whole") == weights_of(tmp_path / "broken")


@pytest.mark.slow
def test_a_zip_trains_like_its_folder(command: Command, photos: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", photos)
    trained(command, photos, tmp_path / "a")
    trained(command, Path(archive), tmp_path / "b")
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b")


@pytest.mark.slow
def test_the_demo_does_the_whole_job(command: Command, tmp_path: Path) -> None:
    outcome = command("demo", "--out", tmp_path / "demo", "--epochs", 1, "--json")
    assert outcome.code == 0, outcome.err
    told = outcome.json()
    assert told["accuracy"] > 0.5
    assert told["export"]["changed_answers"] == 0
    assert Path(told["report"]).is_file()
    assert Path(told["export"]["file"]).is_file()
    assert command("demo", "--out", tmp_path / "demo").code == 2


@pytest.mark.slow
@pytest.mark.parametrize(("name", "floor"), [("hymenoptera", 0.93), ("flowers", 0.85)])
def test_real_photos_reach_the_promised_accuracy(
    command: Command, request: pytest.FixtureRequest, tmp_path: Path, name: str, floor: float
) -> None:
    photos = request.getfixturevalue(name)
    outcome = command("train", photos, "--freeze", "head", "--epochs", 10, "--seed", 0, "--out", tmp_path / "run", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json()["accuracy"] >= floor


def sizes(told: dict[str, Any]) -> dict[str, int]:
    return {each["name"]: each["bytes"] for each in told["kept"]}


@pytest.mark.slow
def test_what_frozen_layers_answered_is_kept_shown_and_cleared(command: Command, photos: Path, tmp_path: Path) -> None:
    first = trained(command, photos, tmp_path / "a", "--augment", "light", "--views", 2, "--epochs", 5)
    assert "answered once for all epochs" in first.err
    kept = sizes(command("cache", "--json").json())
    assert kept["answers"] > 0 and kept["weights"] == kept["archives"] == 0
    again = trained(command, photos, tmp_path / "b", "--augment", "light", "--views", 2, "--epochs", 5)
    assert "by an earlier run" in again.err
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b")
    assert sizes(command("cache", "--clear", "scans", "--json").json()) == {**kept, "scans": 0}
    assert command("cache", "--clear", "--json").json()["dropped"] == sum(kept.values()) - kept["scans"]
    assert not any(sizes(command("cache", "--json").json()).values())
    trained(command, photos, tmp_path / "c", "--augment", "light", "--views", 2, "--epochs", 5)
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "c")


@pytest.mark.slow
def test_other_layers_learn_in_a_run_that_was_stopped(command: Command, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained(command, photos, run, "--epochs", 3, "--rate", "blocks.6=0.5")
    recipe = (run / "recipe.toml").read_text()
    told = command("replan", run, "--freeze", "last:2")
    assert told.code != 0 and "is complete" in told.err
    events = (run / "events.jsonl").read_text().splitlines()
    cut = next(number for number, line in enumerate(events) if '"epoch_done"' in line)
    (run / "events.jsonl").write_text("\n".join(events[: cut + 2]) + "\n")  # as if it had been killed there
    nothing = command("replan", run)
    assert nothing.code != 0 and "Nothing is to be changed" in nothing.err
    bound = command("replan", run, "--backbone-rate", "7")
    assert bound.code != 0 and "--backbone-rate" in bound.err
    (run / "asked_change.json").write_bytes(b"{")  # a damaged one is replaced
    told = command("replan", run, "--rate", "blocks.5=0.25", "--json")
    assert (
        told.json()["change"]["freeze"]["overrides"] == {"blocks.6": 0.5, "blocks.5": 0.25} and told.json()["training"] is False
    )
    told = command("replan", run, "--freeze", "last:2")
    assert told.code == 0 and "last:2 instead of head + 2 own" in told.out and "when it is resumed" in told.out
    assert (run / "recipe.toml").read_text() == recipe


@pytest.mark.slow
def test_smaller_files_are_judged_on_the_validation_pictures_and_listed(command: Command, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained(command, photos, run)
    assert "Nothing was exported" in command("exports", run).out
    exact = command("export", run, "--json").json()
    small = command("export", run, "--precision", "int8", "--input", "picture", "--largest-drop", 20, "--json").json()
    held_out = RunFolder.open(run).manifest.of(Subset.VAL)
    for report in (exact, small):
        assert report["judged"] == len(held_out)
        assert report["trained_accuracy"] == command("evaluate", run, "--json").json()["accuracy"]
    assert (exact["precision"], small["precision"], small["input"]) == ("float32", "int8", "picture")
    assert Path(small["file"]).name == "model-int8-picture.onnx"
    assert list(small["latency_ms"]) == ["1"] and list(exact["latency_ms"]) == ["1", "8", "32"]
    assert [Path(each["file"]).name for each in command("exports", run, "--json").json()] == [
        "model.onnx",
        "model-int8-picture.onnx",
    ]
    assert "model-int8-picture.onnx" in command("exports", run).out
    low, high = exact["interval"]
    assert low <= exact["accuracy"] <= high
    assert f"{exact['accuracy']:.1%} ({low:.1%} to {high:.1%})" in command("export", run).out
    for wrong, said in ((("--largest-drop", 30), "--largest-drop"), (("--format", "none"), "export format")):
        refused = command("export", run, *wrong)
        assert refused.code == 2 and said in refused.err
    answers = command("predict", small["file"], photos, "--json").json()
    assert len(answers) == len(command("predict", exact["file"], photos, "--json").json())
    out = tmp_path / "m.onnx"
    out.write_bytes(b"somebody's")
    refused = command("export", run, "--out", out)
    assert refused.code == 2 and "is there already" in refused.err and out.read_bytes() == b"somebody's"
    shutil.copy(exact["file"], out)
    assert "m.onnx was there: replaced." in command("export", run, "--out", out, "--precision", "int8", "--largest-drop", 20).err
    assert "m.onnx was there: replaced (it was int8)." in command("export", run, "--out", out).err
    assert "replaced" not in command("export", run, "--out", out).err, "only the same again"
