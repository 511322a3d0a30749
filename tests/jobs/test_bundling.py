"""A bundle: all that a programmer needs, and nothing of this machine."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import ExportSettings, FilePrecision
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.evaluation.selective import picked
from desktop_ft.export.onnx_model import OnnxModel
from desktop_ft.jobs.bundling import bundle_run
from desktop_ft.jobs.evaluating import keep_threshold
from desktop_ft.jobs.exported_file import file_card, run_of_file
from desktop_ft.jobs.exporting import export_run
from desktop_ft.jobs.model_card import fingerprint
from desktop_ft.jobs.predicting import as_float32
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import Plugins, load_plugins
from desktop_ft.runs.run_folder import RunFolder
from tests.e2e.conftest import shapes

pytestmark = pytest.mark.slow
PROGRAMS = {"python/predict.py", "python/requirements.txt", "javascript/predict.mjs", "javascript/package.json"} | {
    "cpp/predict.cpp",
    "cpp/CMakeLists.txt",
}


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins(safe_mode=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, plugins: Plugins) -> Path:
    folder = tmp_path_factory.mktemp("private place")
    recipe = Recipe(
        dataset=DatasetChoice(folder=str(shapes(folder / "photos", pictures=8)), val=0.5),
        backbone=BackboneChoice(image_size=64),
        optimisation=Optimisation(epochs=1, batch_size=8),
    )
    train(recipe, folder / "run", plugins, lambda event: None, RunControl())
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(trained, tmp_path / "run"))


def test_a_bundle_holds_the_proven_model_its_card_and_the_programs(run: Path, tmp_path: Path, plugins: Plugins) -> None:
    folder = RunFolder.open(run)
    assert folder.evaluation is not None
    keep_threshold(run, plugins, picked(folder.evaluation, 0.6))
    report = bundle_run(run, tmp_path / "one.zip", plugins)
    assert report.accepted and folder.exported(report) == tmp_path / "one.zip"
    assert report.sha256 == hashlib.sha256((tmp_path / "one.zip").read_bytes()).hexdigest()
    assert not folder.export_reports, "what went into the bundle is no file of its own"
    with ZipFile(tmp_path / "one.zip") as packed:
        names = set(packed.namelist())
        packed.extractall(tmp_path / "unpacked")
    assert names == PROGRAMS | {
        "model.onnx", "labels.txt", "threshold.txt", "MODEL_CARD.md", "README.md", "recipe.toml", "export.json",
    }  # fmt: skip
    unpacked = tmp_path / "unpacked"
    model = OnnxModel(unpacked / "model.onnx")
    assert (unpacked / "labels.txt").read_text().splitlines() == list(model.classes)
    assert float((unpacked / "threshold.txt").read_text()) == as_float32(model.threshold) and model.threshold == 0.6
    card = (unpacked / "MODEL_CARD.md").read_text()
    for said in (fingerprint(folder.manifest), folder.recipe.digest(), "Apache-2.0", "fewer than 100 pictures", "60.0%"):
        assert said in card
    assert Recipe.from_toml((unpacked / "recipe.toml").read_text(), "the bundle").digest() == folder.recipe.portable().digest()
    assert json.loads((unpacked / "export.json").read_text())["settings"]["input"] == "picture"
    for path in unpacked.rglob("*"):
        assert path.is_dir() or b"private place" not in path.read_bytes(), path
    bundle_run(run, tmp_path / "two.zip", plugins)
    with ZipFile(tmp_path / "one.zip") as one, ZipFile(tmp_path / "two.zip") as two:
        for name in names - {"export.json"}:  # which holds the latency
            assert one.read(name) == two.read(name) and one.getinfo(name).date_time == two.getinfo(name).date_time


def test_what_is_refused_leaves_the_older_bundle(run: Path, tmp_path: Path, plugins: Plugins) -> None:
    out = tmp_path / "model.zip"
    bundle_run(run, out, plugins)
    older = out.read_bytes()
    manifest = RunFolder.open(run).manifest
    broken = Path(manifest.root)
    hidden = broken.with_name("hidden")
    broken.rename(hidden)
    try:
        with pytest.raises(UserError):
            bundle_run(run, out, plugins)
    finally:
        hidden.rename(broken)
    assert out.read_bytes() == older
    with pytest.raises(UserError, match=r"does not end in \.zip"):
        bundle_run(run, tmp_path / "model.onnx", plugins)


@pytest.mark.parametrize("write", [bundle_run, export_run])
def test_a_file_of_somebody_else_stays_and_is_told_before_the_work(
    run: Path, tmp_path: Path, plugins: Plugins, write: Callable[..., object]
) -> None:
    told, out = list[str](), tmp_path / f"photos{'.zip' if write is bundle_run else '.onnx'}"
    with ZipFile(out, "w") as packed:
        packed.writestr("a.jpg", "the person's")
    before = out.read_bytes()
    with pytest.raises(UserError, match="is there already"):
        write(run, out, plugins, progress=lambda what, done, total: told.append(what))
    assert not told and out.read_bytes() == before


def test_a_bundle_is_replaced_until_somebody_adds_to_it(run: Path, tmp_path: Path, plugins: Plugins) -> None:
    out, told = tmp_path / "model.zip", list[str]()
    bundle_run(run, out, plugins)
    bundle_run(run, out, plugins, warn=told.append)
    assert "model.zip was there: replaced." in told
    with ZipFile(out, "a") as packed:
        packed.writestr("my_server.py", "the person's")
    before = out.read_bytes()
    with pytest.raises(UserError, match="is there already"):
        bundle_run(run, out, plugins)
    assert out.read_bytes() == before


def test_what_a_person_saves_there_meanwhile_stays(run: Path, tmp_path: Path, plugins: Plugins) -> None:
    out = tmp_path / "model.zip"
    with pytest.raises(UserError, match=r"model\.zip was written by somebody else meanwhile"):
        bundle_run(run, out, plugins, progress=lambda what, done, total: out.write_text("the person's") and None)
    assert out.read_text() == "the person's"


@pytest.mark.parametrize("write", [bundle_run, export_run])
def test_a_name_that_no_disk_takes_is_told_before_the_work(
    run: Path, tmp_path: Path, plugins: Plugins, write: Callable[..., object]
) -> None:
    told = list[str]()
    for name, said in (("x" * 300, "too long"), ("", "does not end in")):
        out = tmp_path / f"{name}{'.zip' if write is bundle_run else '.onnx'}" if name else Path("/")
        with pytest.raises(UserError, match=said):
            write(run, out, plugins, progress=lambda what, done, total: told.append(what))
    nowhere = Path("/proc") / f"x{'.zip' if write is bundle_run else '.onnx'}"
    with pytest.raises(UserError, match="/proc/x"):
        write(run, nowhere, plugins, progress=lambda what, done, total: told.append(what))
    assert not told


def test_a_smaller_bundle_is_smaller(run: Path, tmp_path: Path, plugins: Plugins) -> None:
    whole = bundle_run(run, tmp_path / "whole.zip", plugins)
    half = ExportSettings(precision=FilePrecision.FLOAT16, largest_drop=20)
    small = bundle_run(run, tmp_path / "small.zip", plugins, settings=half)
    assert small.bytes < 0.6 * whole.bytes


def test_an_exported_file_is_known_from_anywhere_and_from_another_in_its_place(
    run: Path, tmp_path: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export_run(run, Path("model.onnx"), plugins)
    file, folder = tmp_path / "model.onnx", RunFolder.open(run)
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    shutil.copy(file, "copy.onnx")
    assert run_of_file(file_card(Path("copy.onnx"))) == run
    (elsewhere / "model.onnx").write_text("of somebody else")
    (report,) = folder.export_reports
    assert folder.exported(report) == file
    file.touch()
    assert folder.exported(report) == file, "the same content"
    file.write_bytes(bytes(report.bytes))
    assert folder.exported(report) is None, "another file of the same size"
    shutil.copy("copy.onnx", folder.exports / "model.onnx")
    assert folder.exported(report) == folder.exports / "model.onnx"
