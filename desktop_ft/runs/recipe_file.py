"""Recipes in files of their own, as people save them and hand them on."""

from pathlib import Path

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.recipe import Recipe
from desktop_ft.runs import atomic, seals


def read_recipe(path: Path) -> Recipe:
    """The recipe in the file at `path`, with whole paths: it is used again from other folders.

    Raises:
        UserError: it cannot be read, or is no recipe.
    """
    try:
        text = seals.open_text(atomic.read(path), str(path)).decode()
    except UnicodeDecodeError as error:
        raise UserError(
            tr("{path} is not a recipe: it is not a text.", path=path), tr("Name a recipe file that Desktop FT saved.")
        ) from error
    recipe = Recipe.from_toml(text, str(path))
    return recipe.model_copy(
        update={
            "dataset": recipe.dataset.model_copy(update={"folder": _whole(recipe.dataset.folder)}),
            "backbone": recipe.backbone.model_copy(update={"weights": _whole(recipe.backbone.weights)}),
        }
    )


def _whole(path: str) -> str:
    return str(Path(path).absolute()) if path else ""
