"""Which steps are done, and why a run cannot start yet, as plain values."""

from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import Recipe
from desktop_ft.data.health import check_trainable
from desktop_ft.jobs import augmenting, backbones
from desktop_ft.plugin_manager import Plugins


@dataclass(frozen=True, slots=True)
class Blocker:
    """Why a run cannot start, and the page where that is put right."""

    reason: str
    page: str


def blocker(recipe: Recipe, manifest: DatasetManifest | None, plugins: Plugins, *, running: bool) -> Blocker | None:
    """The first thing that stands in the way of a run; None when it can start."""
    if running:
        return Blocker(tr("A run is under way already."), "train")
    if manifest is None or not recipe.dataset.folder:
        return Blocker(tr("Choose a folder of pictures first."), "data")
    try:
        check_trainable(manifest, recipe.optimisation.batch_size)
    except UserError as error:
        return Blocker(str(error), "data")
    return _backbone_blocker(recipe, plugins) or _augmentation_blocker(recipe, plugins)


def _backbone_blocker(recipe: Recipe, plugins: Plugins) -> Blocker | None:
    choice = recipe.backbone
    if choice.name not in plugins.backbones:
        return Blocker(tr("The network '{name}' is not on offer here. Choose another.", name=choice.name), "model")
    if choice.weights and recipe.freeze.pretrained:
        if not Path(choice.weights).is_file():
            return Blocker(tr("The weights file {file} is not there any more. Choose another.", file=choice.weights), "model")
    elif recipe.freeze.pretrained and not backbones.is_local(plugins.backbones.get(choice.name)):
        return Blocker(tr("The weights of {name} are not on this machine yet. Download them first.", name=choice.name), "model")
    return None


def _augmentation_blocker(recipe: Recipe, plugins: Plugins) -> Blocker | None:
    try:
        augmenting.check(plugins, recipe.augmentation)
    except UserError as error:
        return Blocker(str(error), "augment")
    return None
