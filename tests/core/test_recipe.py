"""A recipe is saved, read again and checked."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import BatchNormPolicy, FreezePlan
from desktop_ft.core.recipe import BackboneChoice, Balance, DatasetChoice, Optimisation, Optimizer, Recipe, Schedule, differences

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
recipes = st.builds(
    Recipe,
    dataset=st.builds(DatasetChoice, folder=names, val=st.floats(0.01, 0.99)),
    backbone=st.builds(BackboneChoice, name=names, weights=names, image_size=st.just(0) | st.integers(32, 1024)),
    freeze=st.builds(
        FreezePlan,
        preset=st.sampled_from(["head", "last:1", "last:12", "all", "discriminative:0.75", "gradual:3", "scratch"]),
        backbone_rate=st.floats(0.001, 1),
        overrides=st.dictionaries(names, st.floats(0, 100), max_size=3),
        batch_norm=st.sampled_from(BatchNormPolicy),
    ),
    augmentation=st.lists(
        st.builds(
            AugmentationSpec, transform=names, parameters=st.dictionaries(names, st.booleans() | st.integers(0, 9), max_size=2)
        ),
        max_size=3,
    ).map(tuple),
    optimisation=st.builds(
        Optimisation,
        epochs=st.integers(1, 100),
        lr=st.floats(1e-6, 1),
        optimizer=st.sampled_from(Optimizer),
        schedule=st.sampled_from(Schedule),
        balance=st.sampled_from(Balance),
    ),
    seed=st.integers(0, 2**32 - 1),
)


@given(recipes)
def test_a_saved_recipe_is_read_back_equal(recipe: Recipe) -> None:
    again = Recipe.from_toml(recipe.to_toml(), "recipe.toml")
    assert again == recipe
    assert again.digest() == recipe.digest()


@given(recipes, st.integers(0, 2**32 - 1))
def test_the_digest_tells_recipes_apart_but_not_places(recipe: Recipe, seed: int) -> None:
    assume(recipe.portable().dataset.folder)  # the root has no name to keep
    moved = recipe.model_copy(
        update={"dataset": recipe.dataset.model_copy(update={"folder": "/elsewhere/" + recipe.portable().dataset.folder})}
    )
    assert moved.digest() == recipe.digest()
    assert (recipe.model_copy(update={"seed": seed}).digest() == recipe.digest()) is (seed == recipe.seed)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("not toml at all [", "not a recipe"),
        ("[dataset]\nfolder = 'x'\n[optimisation]\nepochs = 0", "optimisation.epochs"),
        ("[dataset]\nfolder = 'x'\n[optimisation]\nlr = nan", "optimisation.lr"),
        ("[dataset]\nfolder = 'x'\n[freeze]\npreset = 'tail'", "'tail' is not a preset"),
        ("[dataset]\nfolder = 'x'\nspeed = 3", "speed"),
        ("version = 99\n[dataset]\nfolder = 'x'", "newer Desktop FT"),
        ("", "dataset"),
    ],
)
def test_a_bad_recipe_gets_one_sentence_that_names_file_and_field(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        Recipe.from_toml(text, "my.toml")
    assert caught.value.what.startswith("my.toml")
    assert caught.value.cure


def test_a_portable_recipe_names_no_place() -> None:
    recipe = Recipe(dataset=DatasetChoice(folder="/home/ann/photos/"), backbone=BackboneChoice(weights="C:\\Users\\ann\\w.pth"))
    assert recipe.portable().dataset.folder == "photos"
    assert recipe.portable().backbone.weights == "w.pth"


@given(recipes)
def test_a_recipe_does_not_differ_from_itself(recipe: Recipe) -> None:
    assert differences([recipe, recipe]) == differences([recipe]) == differences([]) == {}


def test_what_differs_is_told_field_by_field() -> None:
    one = Recipe(dataset=DatasetChoice(folder="photos"))
    flip = AugmentationSpec(transform="flip", parameters={"chance": 0.5})
    plan = FreezePlan(preset="all", overrides={"blocks.0": 0.5})
    other = one.model_copy(update={"seed": 5, "freeze": plan, "augmentation": (flip,)})
    assert differences([one, other, one]) == {
        "freeze.preset": ("head", "all", "head"),
        "freeze.overrides.blocks.0": ("", 0.5, ""),
        "augmentation.1": ("", "flip", ""),
        "augmentation.1.chance": ("", 0.5, ""),
        "seed": (0, 5, 0),
    }
