"""A forecast takes a few steps of the run, and leaves nothing; a benchmark takes all of them, and leaves nothing either."""

import threading
from pathlib import Path

import pytest
import torch

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe
from desktop_ft.jobs import augmenting
from desktop_ft.jobs.benchmarking import FIRST_RUN, FLOOR, NEXT_RUN, WHOLE_NETWORK, benchmark
from desktop_ft.jobs.forecasting import forecast
from desktop_ft.jobs.kept import kept_features
from desktop_ft.plugin_manager import Plugins
from tests.e2e.conftest import shapes


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return shapes(tmp_path / "photos", pictures=8)


def a_recipe(photos: Path, preset: str = "head", epochs: int = 4, augment: str = "none", *more: AugmentationSpec) -> Recipe:
    return Recipe(
        dataset=DatasetChoice(folder=str(photos)),
        backbone=BackboneChoice(image_size=32),
        freeze=FreezePlan(preset=preset),
        augmentation=(*augmenting.presets()[augment].specs, *more),
        optimisation=Optimisation(epochs=epochs, batch_size=8),
    )


@pytest.mark.parametrize(("preset", "after"), [("head", "backbone.global_pool"), ("all", "")])
def test_what_a_picture_costs_is_measured(photos: Path, plugins: Plugins, preset: str, after: str) -> None:
    told = forecast(a_recipe(photos, preset), plugins)
    (stage,) = told.stages
    assert (stage.epochs, stage.after) == (4, after)
    assert min(stage.front, stage.learning, stage.judging) > 0
    assert not told.views_matter and told.seconds(0) == told.seconds(1) > 0


def test_every_stage_of_a_plan_that_changes_is_measured(photos: Path, plugins: Plugins) -> None:
    told = forecast(a_recipe(photos, "gradual:2", epochs=5), plugins)
    assert [stage.epochs for stage in told.stages] == [2, 2, 1]
    assert len({stage.after for stage in told.stages}) == 3


def test_augmented_views_are_compared_and_mixed_ones_are_not(photos: Path, plugins: Plugins) -> None:
    augmented = forecast(a_recipe(photos, epochs=30, augment="light"), plugins)
    assert augmented.views_matter and augmented.seconds(1) < augmented.seconds(0)
    mixed = forecast(a_recipe(photos, "head", 30, "light", AugmentationSpec(transform="mixup", parameters={})), plugins)
    assert not mixed.views_matter and mixed.mixed and mixed.seconds(1) == mixed.seconds(0)


def test_a_forecast_leaves_nothing(photos: Path, plugins: Plugins) -> None:
    chance, modes = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    forecast(a_recipe(photos, "last:1"), plugins)
    assert torch.equal(chance, torch.get_rng_state())
    assert torch.are_deterministic_algorithms_enabled() is modes
    assert kept_features().size() == 0


def test_a_forecast_can_be_cancelled(photos: Path, plugins: Plugins) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        forecast(a_recipe(photos), plugins, cancel=cancel)


def test_a_benchmark_runs_in_turns_and_leaves_nothing(photos: Path, plugins: Plugins) -> None:
    heard: list[str] = []
    done = benchmark(a_recipe(photos, epochs=2), plugins, rounds=2, progress=heard.append)
    assert [timing.name for timing in done.timings] == [FLOOR, FIRST_RUN, NEXT_RUN, WHOLE_NETWORK]
    assert all(len(timing.seconds) == 2 and min(timing.seconds) > 0 for timing in done.timings)
    assert [what.partition(": ")[2] for what in heard] == [FIRST_RUN, NEXT_RUN, WHOLE_NETWORK, FLOOR] * 2
    assert done.of(FLOOR).over(done.of(FLOOR)) == 1.0
    assert dict(done.floor_parts).keys() == {"decoding", "passing", "stepping"}
    assert all(0 <= accuracy <= 1 for accuracy in done.of(WHOLE_NETWORK).accuracy)
    assert kept_features().size() == 0


def test_what_has_no_floor_is_not_benchmarked(photos: Path, plugins: Plugins) -> None:
    with pytest.raises(UserError, match="floor knows no augmentation"):
        benchmark(a_recipe(photos, augment="light"), plugins, rounds=1)
