"""What an exported file may take the place of, and that a format that fails keeps none of the others from being written."""

import json
import zipfile
from pathlib import Path

import onnx
import pytest

from desktop_ft.api import Exporter, ExportJob
from desktop_ft.cli import main
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import EpochDone, TrainEvent
from desktop_ft.core.exporting import AS_IT_IS, ExportSettings
from desktop_ft.core.metrics import ExportReport
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.exporting import export_every, export_run, what_is_replaced
from desktop_ft.jobs.run_list import remember
from desktop_ft.jobs.training import resume, train
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder
from tests.serving.conftest import write_model


def broken(job: ExportJob) -> None:
    raise ZeroDivisionError("of its own")


def whole(job: ExportJob) -> None:
    job.path.write_bytes(b"model")


def test_one_that_raises_keeps_no_other_from_being_written(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    train(recipe, run := tmp_path / "run", plugins, lambda event: None, RunControl())
    plugins.exporters.drop("onnx_export")
    plugins.exporters.add(Exporter(name="broken", title="B", suffix=".b", write=broken), "mine")
    with pytest.raises(UserError, match="format broken of the plugin mine failed: ZeroDivisionError: of its own"):
        export_every(run, plugins)
    plugins.exporters.add(Exporter(name="whole", title="W", suffix=".w", write=whole, unverified="Nobody can."), "other")
    told = list[str]()
    assert [Path(report.file).name for report in export_every(run, plugins, warn=told.append)] == ["model-whole.w"]
    assert "model-broken.b: The format broken of the plugin mine failed: ZeroDivisionError: of its own." in told


@pytest.mark.parametrize("before", [None, b"exported"])
def test_what_a_person_saves_there_meanwhile_stays(
    before: bytes | None, recipe: Recipe, plugins: Plugins, tmp_path: Path
) -> None:
    train(recipe, run := tmp_path / "run", plugins, lambda event: None, RunControl())
    out = tmp_path / "out" / "mine.w"
    settings = ExportSettings(format="whole")
    plugins.exporters.add(Exporter(name="whole", title="W", suffix=".w", write=whole, unverified="Nobody can."), "other")
    if before:
        export_run(run, out, plugins, settings=settings)
        export_run(run, out, plugins, settings=settings)

    def saving(job: ExportJob) -> None:
        whole(job)
        out.write_bytes(b"the person's")

    plugins.exporters.drop("other")
    plugins.exporters.add(Exporter(name="whole", title="W", suffix=".w", write=saving, unverified="Nobody can."), "other")
    with pytest.raises(UserError, match=r"mine\.w was written by somebody else meanwhile") as told:
        export_run(run, out, plugins, settings=settings)
    assert "another name" in told.value.cure
    assert {each.name: each.read_bytes() for each in out.parent.iterdir()} == {"mine.w": b"the person's"}


def packed(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return path


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run")


def test_a_file_that_desktop_ft_did_not_write_stays(tmp_path: Path, run: RunFolder) -> None:
    foreign = write_model(tmp_path / "foreign.onnx")
    proto = onnx.load(foreign)
    del proto.metadata_props[:]
    onnx.save(proto, foreign)
    text = tmp_path / "text.onnx"
    text.write_text("a page")
    (other := tmp_path / "other.pt2").write_bytes(b"of somebody else")
    photos = packed(tmp_path / "photos.zip", "a.jpg", "b.jpg")
    half = packed(tmp_path / "half.zip", "model.onnx", "MODEL_CARD.md")
    (among_ours := run.exports / "notes.pt2").write_bytes(b"of the person")
    for file in (photos, half, foreign, text, other, among_ours):
        with pytest.raises(UserError, match="is there already") as told:
            what_is_replaced(file, run, AS_IT_IS)
        assert "Choose another name" in told.value.cure


def test_what_desktop_ft_wrote_is_replaced_and_told(tmp_path: Path, run: RunFolder) -> None:
    ours = [write_model(tmp_path / "model.onnx"), packed(tmp_path / "b.zip", "MODEL_CARD.md", "export.json", "model.onnx", "x")]
    (empty := tmp_path / "empty.onnx").touch()
    torch = ExportSettings(format="torch")
    (left := run.exports / torch.file_name(".pt2")).write_bytes(b"exported, and killed before its report was kept")
    for file, settings in (*((file, AS_IT_IS) for file in (*ours, empty)), (left, torch)):
        assert what_is_replaced(file, run, settings).told == f"{file.name} was there: replaced."
    (exported := tmp_path / "model.pt2").write_bytes(b"12")
    report = ExportReport(
        file=str(exported), bytes=2, compared=0, largest_difference=0, changed_answers=0, worst_path="", accepted=True,
        settings=torch, sha256="6b51d431df5d7f141cbececcf79edf3dd861c3b4069f0b11661a3eefacbba918",
    )  # fmt: skip
    run.add_export_report(report)
    assert not what_is_replaced(exported, run, report.settings).told, "only the same again"
    another = RunFolder.create(tmp_path / "another")
    told = f"{exported.name} was there: replaced."
    with pytest.raises(UserError, match="is there already"):
        what_is_replaced(exported, another, torch)
    remember(run.path)
    run.write_recipe(Recipe(dataset=DatasetChoice(folder=str(tmp_path))))
    assert what_is_replaced(exported, another, torch).told == told, "of another run, which is listed"
    exported.write_bytes(b"13")
    with pytest.raises(UserError, match="is there already"):
        what_is_replaced(exported, run, report.settings)


def test_what_an_older_version_exported_is_known_by_its_place_and_size(
    tmp_path: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (exported := tmp_path / "mine.pt2").write_bytes(b"12")
    run.add_export_report(
        ExportReport(file="mine.pt2", bytes=2, compared=0, largest_difference=0, changed_answers=0, worst_path="", accepted=True)
    )
    assert what_is_replaced(exported, run, AS_IT_IS).told == "" and run.exported(run.export_reports[0]) == exported
    exported.write_bytes(b"longer")
    with pytest.raises(UserError, match="is there already"):
        what_is_replaced(exported, run, AS_IT_IS)


def test_a_file_of_a_run_that_has_learned_on_since_is_told_from_one_of_its_best(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, control = recipe.with_optimisation(epochs=12, lr=0.01), RunControl()

    def stop_after_the_first(event: TrainEvent) -> None:
        if isinstance(event, EpochDone):
            control.stop.set()

    train(recipe, run := tmp_path / "run", plugins, stop_after_the_first, control)
    early = export_run(run, run / "exports" / "early.onnx", plugins)
    assert not RunFolder(run).has_learned_since(early)
    resume(run, plugins, lambda event: None, RunControl())
    late = export_run(run, run / "exports" / "late.onnx", plugins)
    assert RunFolder(run).has_learned_since(early) and not RunFolder(run).has_learned_since(late)
    assert main(["exports", str(run), "--json"]) == 0
    assert [each["earlier"] for each in json.loads(capsys.readouterr().out)] == [True, False]
    assert main(["exports", str(run)]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "early.onnx" in line)
    assert "(of an earlier state)" in line
