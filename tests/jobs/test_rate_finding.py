"""The learning-rate finder on real networks and pictures."""

import threading
from pathlib import Path

import pytest
import torch

from desktop_ft.core.errors import Cancelled
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.rate_sweep import STEPS, RateSweep
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.jobs.rate_finding import find_rate
from desktop_ft.plugin_manager import Plugins
from tests.e2e.conftest import shapes


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return shapes(tmp_path / "photos", pictures=12)


def a_recipe(photos: Path, preset: str, **more: object) -> Recipe:
    optimisation = Optimisation.model_validate({"batch_size": 8} | more)
    return Recipe(
        dataset=DatasetChoice(folder=str(photos)),
        backbone=BackboneChoice(image_size=32),
        freeze=FreezePlan(preset=preset),
        optimisation=optimisation,
    )


@pytest.mark.parametrize("preset", ["head", "last:1", pytest.param("all", marks=pytest.mark.slow), "gradual"])
def test_the_loss_falls_and_a_rate_follows(photos: Path, plugins: Plugins, preset: str) -> None:
    told: list[RateSweep] = []
    sweep = find_rate(a_recipe(photos, preset), plugins, told=told.append)
    assert len(sweep.rates) == len(sweep.losses) == len(told) >= STEPS // 2
    assert len(told[0].rates) == 1 and told[-1] == sweep
    assert min(sweep.smooth) < sweep.smooth[0]
    assert sweep.suggested is not None and 1e-5 < sweep.suggested <= 1


@pytest.mark.slow
def test_the_same_recipe_finds_the_same(photos: Path, plugins: Plugins) -> None:
    chance = torch.get_rng_state()
    recipe = a_recipe(photos, "head")
    first = find_rate(recipe, plugins)
    assert torch.equal(chance, torch.get_rng_state())
    assert find_rate(recipe, plugins) == first  # with the answers that the first one kept
    assert find_rate(recipe.model_copy(update={"seed": 1}), plugins) != first


@pytest.mark.slow
def test_a_loss_that_explodes_ends_the_search(photos: Path, plugins: Plugins) -> None:
    sweep = find_rate(a_recipe(photos, "all", optimizer="sgd", clip_norm=0), plugins)
    assert len(sweep.rates) < STEPS
    assert sweep.suggested is not None and sweep.suggested < sweep.rates[-1]


def test_it_can_be_cancelled(photos: Path, plugins: Plugins) -> None:
    cancel = threading.Event()
    with pytest.raises(Cancelled):
        find_rate(a_recipe(photos, "head"), plugins, told=lambda tried: cancel.set(), cancel=cancel)
