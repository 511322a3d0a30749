"""Every format in turn: one that fails keeps none of the others from being written."""

from pathlib import Path

import pytest

from desktop_ft.api import Exporter, ExportJob
from desktop_ft.core.errors import UserError
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.exporting import export_every
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import Plugins


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
