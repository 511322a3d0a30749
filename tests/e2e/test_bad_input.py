"""Bad input gets one clear sentence and the right exit code."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Command, Outcome, shapes


def assert_refused(outcome: Outcome, *told: str) -> None:
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("desktop-ft: ")
    assert "Traceback" not in lines[0]
    for words in told:
        assert words in lines[0]


def test_a_missing_folder(command: Command, tmp_path: Path) -> None:
    assert_refused(command("scan", tmp_path / "nowhere"), "nowhere")
    assert_refused(command("train", tmp_path / "nowhere", "--out", tmp_path / "run"), "nowhere")
    assert not (tmp_path / "run").exists()


def test_an_empty_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(command("scan", tmp_path / "empty"), "empty")


def test_a_folder_with_one_class(command: Command, photos: Path, tmp_path: Path) -> None:
    shutil.rmtree(photos / "disc")
    shutil.rmtree(photos / "box")
    assert_refused(command("train", photos, "--out", tmp_path / "run"), "class")


def test_a_folder_with_one_image_a_class(command: Command, tmp_path: Path) -> None:
    photos = shapes(tmp_path / "photos", pictures=1)
    assert_refused(command("train", photos, "--out", tmp_path / "run"))
    scanned = command("scan", photos)
    assert scanned.code == 0
    assert "cannot be trained on yet" in scanned.out
    document = command("scan", photos, "--json").json()
    assert document["trainable"] is False
    assert document["notes"][0] in scanned.out


def test_an_unknown_backbone(command: Command, photos: Path, tmp_path: Path) -> None:
    assert_refused(
        command("train", photos, "--backbone", "resnet5O", "--out", tmp_path / "run"), "resnet5O", "Did you mean resnet50"
    )
    assert_refused(command("layers", "nothing_like_it"), "nothing_like_it")


def test_weights_that_are_not_here(command: Command, photos: Path, tmp_path: Path) -> None:
    assert_refused(command("train", photos, "--backbone", "resnet18", "--out", tmp_path / "run"), "resnet18", "--download")


def test_own_weights_from_scratch(command: Command, photos: Path, tmp_path: Path) -> None:
    options = ("--freeze", "scratch", "--weights", "mine.pth")
    assert_refused(command("train", photos, *options, "--out", tmp_path / "run"), "scratch")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--freeze", "tail"), "tail"),
        (("--epochs", "0"), "--epochs: "),
        (("--epochs", "many"), "epochs"),
        (("--lr", "-1"), "lr"),
        (("--lr", "nan"), "lr"),
        (("--val", "1.5"), "val"),
        (("--augment", "wild"), "wild"),
        (("--rate", "stages.0"), "stages.0"),
        (("--rate", "nothing.here=0"), "nothing.here"),
        (("--device", "cuda"), "CUDA"),
        (("--weights", "/no/such/file.pth"), "file.pth"),
        (("--rate", "classifier=0"), "No layer may learn"),
    ],
)
def test_a_bad_option(command: Command, photos: Path, tmp_path: Path, options: tuple[str, str], told: str) -> None:
    assert_refused(command("train", photos, *options, "--out", tmp_path / "run"), told)


def test_an_output_that_cannot_be_written(command: Command, photos: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file, not a folder")
    assert_refused(command("train", photos, "--out", taken), "taken")
    assert_refused(command("train", photos, "--out", taken / "inside"), "taken")
    if Path("/proc/self").exists():
        assert_refused(command("train", photos, "--out", "/proc/self/run"), "/proc/self/run")


def test_an_output_that_holds_something_else(command: Command, photos: Path, tmp_path: Path) -> None:
    assert_refused(command("train", photos, "--out", photos), "photos")
    assert len(list(photos.iterdir())) == 3


def test_a_run_that_is_none(command: Command, photos: Path) -> None:
    for verb in ("evaluate", "export", "resume"):
        assert_refused(command(verb, photos), "photos")


def test_a_format_that_nobody_brings_is_told_with_those_there_are(command: Command, photos: Path) -> None:
    assert_refused(command("export", photos, "--format", "gif"), "'gif'", "Take one of onnx")


def test_a_home_that_cannot_be_written(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DESKTOP_FT_HOME", str(tmp_path / "file"))
    assert_refused(command("doctor"), str(tmp_path / "file"))
    assert_refused(command("runs"), str(tmp_path / "file"))


def test_a_demo_with_a_bad_number_leaves_nothing(command: Command, tmp_path: Path) -> None:
    assert_refused(command("demo", "--epochs", "many", "--out", tmp_path / "demo"), "epochs")
    assert not (tmp_path / "demo").exists()


def test_predicting_with_what_is_no_model(command: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    assert_refused(command("predict", tmp_path / "model.onnx", photos), "model.onnx")
    assert_refused(command("predict", tmp_path / "none.onnx", photos), "none.onnx")


@pytest.mark.slow
def test_predicting_on_an_empty_folder(command: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert command("train", photos, "--image-size", 32, "--epochs", 1, "--out", tmp_path / "run").code == 0
    assert command("export", tmp_path / "run", "--out", tmp_path / "model.onnx").code == 0
    assert_refused(command("predict", tmp_path / "model.onnx", tmp_path / "empty"), "empty")


def test_a_recipe_that_is_none(command: Command, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_bytes(b"\xff\xfe\x00")
    assert_refused(command("train", "--recipe", tmp_path / "recipe.toml"), "recipe.toml")
    assert_refused(command("train"), "folder")


def test_bad_usage_exits_with_2(command: Command) -> None:
    assert_refused(command("train", "--no-such-option"), "--no-such-option", "--help")
    assert_refused(command("fly"), "fly")
    assert_refused(command("train", "x", "--epoch", "2"), "--epoch")
    assert_refused(command("train", "x", "--optimizer", "adm"), "adm", "sgd")
