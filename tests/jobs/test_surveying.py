"""What a backbone makes of the pictures, kept for as long as nothing changes that decides it: the plugin's own code, too."""

import shutil
from pathlib import Path

import numpy as np

from desktop_ft import places
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Recipe
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.jobs.surveying import survey
from desktop_ft.plugin_manager import load_plugins, set_enabled
from tests import tiny_backbone
from tests.jobs.test_checkup import planted
from tests.models.tiny import save_safetensors


def written_anew(factor: float) -> None:
    """Write the plugin with a layer of its own that only its code decides, and turn it on."""
    place = places.data() / "plugins" / "tiny.py"
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(str(tiny_backbone.__file__), place)
    loud = f"class Loud(nn.Module):\n        def forward(self, given):\n            return given * {factor}\n"
    text = place.read_text("utf-8").replace("    return nn.Sequential(\n", f"    {loud}\n    return nn.Sequential(\n")
    place.write_text(text.replace("nn.BatchNorm2d(4), ", "Loud(), "), "utf-8")
    set_enabled("tiny", on=True)


def test_what_a_plugin_that_was_edited_answers_is_asked_anew(home: Path, tmp_path: Path) -> None:
    written_anew(1.0)
    plugins = load_plugins()
    weights = save_safetensors(plugins.backbones.get("tiny").build().state_dict(), tmp_path / "tiny.safetensors")
    choice = BackboneChoice(name="tiny", weights=str(weights))
    recipe = Recipe(dataset=DatasetChoice(folder=str(planted(tmp_path / "photos"))), backbone=choice)
    manifest = scan_dataset(recipe.dataset)
    asked = list[int]()

    def last() -> np.ndarray:
        return survey(recipe, load_plugins(), manifest, manifest.samples, progress=lambda done, total: asked.append(total)).last

    first = last()
    assert asked
    asked.clear()
    assert np.array_equal(last(), first) and not asked, "nothing has changed"
    written_anew(2.0)
    assert np.allclose(last(), 2 * first, rtol=1e-2)
    asked.clear()
    written_anew(1.0)
    assert np.array_equal(last(), first) and not asked, "as it was before"
