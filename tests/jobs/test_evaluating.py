"""What is drawn of a run whose smaller files are damaged."""

from pathlib import Path

import pytest

from desktop_ft.cli import main
from desktop_ft.core.metrics import Threshold
from desktop_ft.core.recipe import Recipe
from desktop_ft.data.scan import scan
from desktop_ft.jobs.evaluating import keep_threshold
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder


def test_a_damaged_note_or_threshold_is_left_out_of_the_report_and_told(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.write_recipe(recipe)
    run.write_manifest(scan(Path(recipe.dataset.folder)))
    for name in ("note.json", "threshold.json"):
        (run.path / name).write_text("{")
    assert main(["report", str(run.path)]) == 0
    told = capsys.readouterr().err
    assert "note.json" in told and "threshold.json" in told and run.report.is_file()
    run.report.unlink()
    warnings: list[str] = []
    kept = Threshold(value=0.9, dataset="photos", subset="test", pictures=8, fingerprint="")
    keep_threshold(run.path, plugins, kept, warn=warnings.append)
    assert run.threshold == kept and run.report.is_file()
    assert ["note.json" in warning for warning in warnings] == [True]


def test_a_report_needs_no_plugin_of_the_run(recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder.create(tmp_path / "run")
    unknown = recipe.backbone.model_copy(update={"name": "hedgehog_net"})
    run.write_recipe(recipe.model_copy(update={"backbone": unknown}))
    run.write_manifest(scan(Path(recipe.dataset.folder)))
    assert main(["report", str(run.path)]) == 0, capsys.readouterr().err
    assert "hedgehog_net" in run.report.read_text()
