"""What is to be otherwise from an epoch on: as part of a recipe, and followed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.changes import Change, Course, PlannedChange
from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import DatasetChoice, Recipe, differences

RECIPE = Recipe(dataset=DatasetChoice(folder="/photos"))
HEAD, DEEPER = FreezePlan(), FreezePlan(preset="last:2", overrides={"blocks.0": 0.5})
rates = st.none() | st.floats(1e-6, 10, allow_nan=False)
plans = st.none() | st.sampled_from([HEAD, DEEPER])
changes = st.builds(lambda lr, freeze: Change(lr=lr, freeze=freeze) if lr or freeze else Change(lr=1.0), rates, plans)


@given(st.lists(st.tuples(st.integers(0, 9), changes), max_size=6))
def test_a_recipe_keeps_its_changes_and_follows_the_latest(made: list[tuple[int, Change]]) -> None:
    recipe = RECIPE
    for epoch, change in made:
        recipe = recipe.with_change(epoch, change)
    again = Recipe.from_toml(recipe.to_toml(), "the recipe")
    assert again == recipe and again.to_toml() == recipe.to_toml()
    for epoch in range(10):
        lr, freeze, since = RECIPE.optimisation.lr, RECIPE.freeze, 0
        for at in range(epoch + 1):  # of two for one epoch, what the later one names counts
            before = freeze
            for _, change in (one for one in made if one[0] == at):
                lr = change.lr if change.lr is not None else lr
                freeze = change.freeze if change.freeze is not None else freeze
            since = at if freeze != before else since
        assert recipe.followed(epoch) == Course(freeze, since, lr)
    assert recipe.followed(5, 0) == recipe.followed(4)  # before the first step of an epoch its change is not made yet


def test_a_change_of_nothing_or_in_no_order_is_refused() -> None:
    with pytest.raises(ValueError, match="neither a learning rate nor what is to learn"):
        Change()
    text = RECIPE.to_toml().replace("changes = []", "") + "[[changes]]\nepoch = 3\nlr = 0.1\n[[changes]]\nepoch = 3\nlr = 0.2\n"
    with pytest.raises(UserError, match="changes: each must be for a later epoch"):
        Recipe.from_toml(text, "the recipe")
    with pytest.raises(UserError, match="epoch: must be at least 1"):
        Recipe.from_toml(text.replace("epoch = 3\nlr = 0.1", "epoch = 0\nlr = 0.1"), "the recipe")


def test_what_is_asked_for_one_after_the_other_is_one_change() -> None:
    assert Change(lr=0.1).after(Change(freeze=DEEPER)) == Change(lr=0.1, freeze=DEEPER)
    assert Change(lr=0.1).after(Change(lr=0.2, freeze=DEEPER)) == Change(lr=0.1, freeze=DEEPER)
    assert Change(lr=0.1).after(None) == Change(lr=0.1)
    assert Change(lr=0.001, freeze=DEEPER).words == "last:2 + 1 own, learning rate 0.001"


def test_what_is_followed_anyway_is_no_news() -> None:
    course = Course(DEEPER, 2, 0.1)
    assert course.news(Change(lr=0.1, freeze=DEEPER)) is None
    assert course.news(Change(lr=0.2, freeze=DEEPER)) == Change(lr=0.2)
    assert course.altered(Change(lr=0.2), 5) == Course(DEEPER, 2, 0.2)
    assert course.altered(Change(freeze=HEAD), 5) == Course(HEAD, 5, 0.1)
    assert course.altered(Change(lr=0.2, freeze=DEEPER), 5) == Course(DEEPER, 2, 0.2)  # it does not begin anew


def test_recipes_differ_in_their_changes_by_epoch() -> None:
    changed = RECIPE.with_change(2, Change(lr=0.001)).with_change(4, Change(freeze=DEEPER))
    assert changed.changes == (PlannedChange(epoch=3, lr=0.001), PlannedChange(epoch=5, freeze=DEEPER))
    told = differences([RECIPE, changed])
    assert told["changes.3.lr"] == ("", 0.001) and told["changes.5.freeze.preset"] == ("", "last:2")
    assert RECIPE.digest() != changed.digest()
