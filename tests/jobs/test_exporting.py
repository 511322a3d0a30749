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
from desktop_ft.core.exporting import AS_IT_IS, BUNDLE_FILES, ExportSettings
from desktop_ft.core.metrics import ExportReport
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.data.model_files import bundle_mark
from desktop_ft.data.scan import scan
from desktop_ft.engine.control import RunControl
from desktop_ft.export.metadata import CHECKPOINT
from desktop_ft.jobs.exporting import export_every, export_run, what_is_replaced
from desktop_ft.jobs.run_list import remember
from desktop_ft.jobs.running import open_run
from desktop_ft.jobs.training import resume, train
from desktop_ft.models.build import build_network
from desktop_ft.models.checkpoint import Checkpoint, Progress
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


@pytest.mark.parametrize("index_too", [False, True])
def test_what_stands_in_for_a_damaged_best_checkpoint_is_told_as_itself(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, run: RunFolder, capsys: pytest.CaptureFixture[str], index_too: bool
) -> None:
    run.write_recipe(recipe)
    run.write_manifest(scan(Path(recipe.dataset.folder)))
    store = (opened := open_run(run.path, plugins)).store()
    for epoch in (1, 2):
        network = build_network(opened.backbone, 3, pretrained=False, image_size=32, seed=epoch)
        at = Progress(epoch=epoch, best_epoch=0)
        store.save(Checkpoint(model=network.state_dict(), optimizer={}, progress=at), best=epoch == 1)
    best, index, last = run.path / store.best, run.checkpoints / "index.json", store.load("last").file
    kept = {file: file.read_bytes() for file in (best, index)}
    told, out = list[str](), tmp_path / "model.w"

    def write(job: ExportJob) -> None:
        told.append(job.metadata[CHECKPOINT])
        whole(job)

    def exported_from() -> str:
        export_run(run.path, out, plugins, settings=ExportSettings(format="whole"))
        return told[-1]

    plugins.exporters.add(Exporter(name="whole", title="W", suffix=".w", write=write, unverified="Nobody can."), "other")
    best.write_bytes(b"damaged")
    if index_too:
        index.write_bytes(b"damaged")
    picture = next(Path(recipe.dataset.folder).glob("*/*.png"))
    command = ["predict", str(run.path), str(picture), "--out", str(tmp_path / "a.csv")]
    assert exported_from() == Path(last).name
    assert main(command) == main(command) == 0
    for file, content in kept.items():
        file.write_bytes(content)
    assert exported_from() == best.name != Path(last).name
    assert main(command) == 2 and "was made with another model" in capsys.readouterr().err


def packed(path: Path, *names: str | zipfile.ZipInfo) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return path


def bundled(path: Path, **changed: str) -> Path:
    """What is known as a bundle; with `changed` packed anew after these files were changed or added, its comment kept."""
    packed(path, *BUNDLE_FILES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = bundle_mark(archive.infolist())
    if changed:
        with zipfile.ZipFile(path) as archive:
            comment, held = archive.comment, {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in {**held, **changed}.items():
                archive.writestr(name, content)
            archive.comment = comment
    return path


@pytest.mark.parametrize(("command", "cure"), [("exports", "Add --every"), ("export", "another --precision")])
def test_a_drop_that_is_allowed_to_nothing_is_refused(
    run: RunFolder, capsys: pytest.CaptureFixture[str], command: str, cure: str
) -> None:
    assert main([command, str(run.path), "--largest-drop", "5"]) == 2
    told = capsys.readouterr().err
    assert "no drop to allow" in told and cure in told


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
    more = bundled(tmp_path / "more.zip", **{"my_server.py": "mine"})
    edited = bundled(tmp_path / "edited.zip", **{"MODEL_CARD.md": "mine"})
    (among_ours := run.exports / "notes.pt2").write_bytes(b"of the person")
    for file in (photos, half, more, edited, foreign, text, other, among_ours):
        with pytest.raises(UserError, match="is there already") as told:
            what_is_replaced(file, run, AS_IT_IS)
        assert "Choose another name" in told.value.cure


def test_what_desktop_ft_wrote_is_replaced_and_told(tmp_path: Path, run: RunFolder) -> None:
    ours = [write_model(tmp_path / "model.onnx"), bundled(tmp_path / "b.zip")]
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
