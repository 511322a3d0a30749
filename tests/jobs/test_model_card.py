"""What the card of a model says of where it came from."""

from desktop_ft.core.changes import Change
from desktop_ft.core.dataset import DatasetManifest, Layout, Sample, Subset
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.metrics import ExportReport
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Recipe
from desktop_ft.jobs.model_card import model_card
from desktop_ft.plugin_manager import Plugins

SAMPLE = Sample(path="a.jpg", label=0, subset=Subset.VAL, sha256="ab", width=1, height=2, bytes=3, mtime_ns=4)
MANIFEST = DatasetManifest(
    root="/photos", source="/photos", layout=Layout.CLASS_FOLDERS, classes=("ant",), samples=(SAMPLE,), problems=()
)
REPORT = ExportReport(
    file="model.onnx", bytes=1, compared=1, largest_difference=0.0, changed_answers=0, worst_path="", accepted=True
)


def card(plugins: Plugins, weights: str) -> str:
    recipe = Recipe(dataset=DatasetChoice(folder="/photos"), backbone=BackboneChoice(weights=weights))
    return model_card(recipe, MANIFEST, plugins.backbones.get(recipe.backbone.name).spec, None, REPORT)


def test_a_run_from_weights_of_ones_own_is_not_said_to_be_repeatable(plugins: Plugins) -> None:
    said = card(plugins, "/home/somebody/run/checkpoints/epoch0002-ab.safetensors")
    assert "Repeat it" not in said and "/home" not in said
    assert "weights of its maker's own, epoch0002-ab.safetensors, which are not in this bundle" in said
    assert "Repeat it with `recipe.toml`" in card(plugins, "")


def test_a_run_whose_plan_was_changed_names_what_it_ended_with(plugins: Plugins) -> None:
    recipe = Recipe(dataset=DatasetChoice(folder="/photos")).with_change(1, Change(freeze=FreezePlan(preset="last:2")))
    recipe = recipe.with_change(2, Change(lr=0.1))
    said = model_card(recipe, MANIFEST, plugins.backbones.get(recipe.backbone.name).spec, None, REPORT)
    assert "freeze preset `head`, then `last:2`, " in said
