"""What is compared, as data: every run from the same pictures, seeds and budget, told apart by its strategy alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from desktop_ft.core.comparing import ALL, STRATEGIES, Comparison, strategy
from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import BatchNormPolicy, FreezePlan
from desktop_ft.core.recipe import DatasetChoice, Recipe, differences
from desktop_ft.core.values import from_json, to_json

BASE = Recipe(dataset=DatasetChoice(folder="/photos"), freeze=FreezePlan(overrides={"x": 0.0}, batch_norm=BatchNormPolicy.FROZEN))
images = st.lists(st.integers(0, 60), min_size=1, max_size=4)
names = st.lists(st.sampled_from([each.name for each in STRATEGIES] + ["last:5"]), min_size=2, max_size=5, unique=True)


@given(images, names, st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_runs_of_one_seed_and_number_differ_in_their_strategy_alone(
    numbers: list[int], some: list[str], seeds: int, seed: int
) -> None:
    base = BASE.model_copy(update={"seed": seed})
    comparison = Comparison(base=base, images=tuple(numbers), strategies=tuple(some), seeds=seeds)
    runs = comparison.runs({})
    assert len(runs) == seeds * len(set(numbers)) * len(set(some))
    assert len({run.folder for run in runs}) == len(runs)
    by_seed: dict[tuple[int, int], list[Recipe]] = {}
    for run in runs:
        by_seed.setdefault((run.seed, run.images), []).append(run.recipe)
    for together in by_seed.values():
        assert set(differences(together)) <= {"freeze.preset"}
        assert sorted(recipe.freeze.preset for recipe in together) == sorted(set(some))
    assert {run.recipe.freeze.batch_norm for run in runs} == {BatchNormPolicy.FROZEN}
    assert from_json(Comparison, to_json(comparison), "it") == comparison


def test_another_seed_draws_other_pictures_and_all_pictures_are_drawn_by_none() -> None:
    runs = Comparison(base=BASE, images=(7, ALL), seeds=3).runs({("head", 7): 40})
    assert {(run.recipe.dataset.images_per_class, run.recipe.dataset.draw) for run in runs} == {(7, 0), (7, 1), (7, 2), (0, 0)}
    assert {run.recipe.optimisation.epochs for run in runs if (run.strategy, run.images) == ("head", 7)} == {40}
    assert {run.recipe.optimisation.epochs for run in runs if run.strategy != "head"} == {BASE.optimisation.epochs}


def test_each_strategy_is_first_in_its_turn_so_that_none_always_warms_the_machine_up() -> None:
    runs = Comparison(base=BASE, images=(ALL,), seeds=5).runs({})
    assert len({run.strategy for run in runs[::5]}) == 5


def test_one_strategy_is_no_comparison_however_often_it_is_named() -> None:
    assert Comparison(base=BASE, strategies=("head", "head", "all")).strategies == ("head", "all")
    with pytest.raises(ValidationError, match="two at least"):
        Comparison(base=BASE, strategies=("head", "head"))


@pytest.mark.parametrize("name", ["gradual", "tail", "", "last:0"])
def test_what_is_no_strategy_is_told_with_those_there_are(name: str) -> None:
    with pytest.raises(UserError, match="cannot be compared") as error:
        strategy(name)
    assert "scratch, head, last:2" in error.value.cure
