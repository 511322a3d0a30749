"""A forecast takes a few steps of the run, and leaves nothing; a benchmark takes all of them, and leaves nothing either."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.changes import Change
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Optimizer, Recipe
from desktop_ft.engine.passes import Passes
from desktop_ft.engine.rehearsal import Rehearsal
from desktop_ft.jobs import augmenting
from desktop_ft.jobs.benchmarking import FIRST_RUN, FLOOR, NEXT_RUN, WHOLE_NETWORK, benchmark
from desktop_ft.jobs.forecasting import forecast, with_fastest_batches
from desktop_ft.jobs.kept import kept_features
from desktop_ft.plugin_manager import Plugins
from tests.e2e.conftest import shapes

STEP = """
import sys
from pathlib import Path
from desktop_ft.engine import process
process.prepare()
import psutil, torch
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.optim import build_optimizer
from desktop_ft.engine.passes import Passes
from desktop_ft.jobs.building import build, loss
from desktop_ft.jobs.forecasting import forecast
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.plugin_manager import load_plugins

recipe = Recipe.from_data({"dataset": {"folder": sys.argv[1]}, "freeze": {"preset": "all"}, "precision": "fp32"}, "the test")
plugins = load_plugins()
manifest = scan_dataset(recipe.dataset)
parts = build(recipe, plugins.backbones.get(recipe.backbone.name), manifest)
network = parts.network.to(memory_format=torch.channels_last).train()
parts.learner.apply(0)
optimizer = build_optimizer(recipe.optimisation, parts.learner.groups(1, 0.01))
passes = Passes(network, loss(recipe, manifest), parts.compute, warn=print)
inputs, targets = torch.randint(0, 255, (32, 3, 224, 224), dtype=torch.uint8), torch.randint(0, 2, (32,))
passes.learn(inputs[:1].repeat(2, 1, 1, 1), targets[:2], optimizer, 1.0, 0)
before = psutil.Process().memory_info().rss
Path("/proc/self/clear_refs").write_text("5")  # the highest so far counts no more; a child begins with its parent's
for _ in range(2):
    passes.learn(inputs, targets, optimizer, 1.0, 0)
status = Path("/proc/self/status").read_text().splitlines()
took = 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) - before
print(took, forecast(recipe, plugins, manifest).memory.of(32))
"""


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


def test_what_a_recipe_plans_for_later_epochs_is_measured_too(photos: Path, plugins: Plugins) -> None:
    recipe = a_recipe(photos)
    changed = recipe.with_change(1, Change(lr=0.001)).with_change(2, Change(freeze=FreezePlan(preset="all")))
    told = forecast(changed, plugins)
    assert [(stage.epochs, stage.after) for stage in told.stages] == [(2, "backbone.global_pool"), (2, "")]
    assert told.memory.fixed > 100 * forecast(recipe, plugins).memory.fixed, "that of what learns in the end"


@pytest.mark.slow
def test_every_stage_of_a_plan_that_changes_is_measured(photos: Path, plugins: Plugins) -> None:
    told = forecast(a_recipe(photos, "gradual:2", epochs=5), plugins)
    assert [stage.epochs for stage in told.stages] == [2, 2, 1]
    assert len({stage.after for stage in told.stages}) == 3


def test_augmented_views_are_compared_and_mixed_ones_are_not(photos: Path, plugins: Plugins) -> None:
    augmented = forecast(a_recipe(photos, epochs=30, augment="light"), plugins)
    assert augmented.views_matter and augmented.seconds(1) < augmented.seconds(0)
    mixed = forecast(a_recipe(photos, "head", 30, "light", AugmentationSpec(transform="mixup", parameters={})), plugins)
    assert not mixed.views_matter and mixed.mixed and mixed.seconds(1) == mixed.seconds(0)


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "times"), [(Optimizer.ADAMW, 3), (Optimizer.SGD, 2)])
def test_the_memory_of_a_step_is_counted(photos: Path, plugins: Plugins, optimizer: Optimizer, times: int) -> None:
    recipe = a_recipe(photos)
    recipe = recipe.with_optimisation(optimizer=optimizer)
    head = forecast(recipe, plugins).memory
    least = times * 4 * (1280 * 3 + 3)  # gradients and the optimiser's state of weights and biases, in fp32
    assert least <= head.fixed < 1.1 * least
    assert 4 * 1280 <= head.picture <= 4 * 4 * 1280  # the features, once or several times
    everything = forecast(recipe.model_copy(update={"freeze": FreezePlan(preset="all")}), plugins).memory
    assert everything.fixed > 10_000_000 and everything.picture > 20 * head.picture
    assert head.free > 100_000_000


@pytest.mark.slow
@pytest.mark.parametrize(("faster", "sizes"), [(True, [32, 64]), (False, [32])])
def test_larger_batches_are_tried_while_they_are_faster(
    tmp_path: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch, faster: bool, sizes: list[int]
) -> None:
    def learning(self: Rehearsal, inputs: torch.Tensor, targets: torch.Tensor) -> float:
        assert len(inputs) == len(targets)
        return 1000.0 / len(inputs) if faster else 30.0

    monkeypatch.setattr(Rehearsal, "_learning", learning)
    many = a_recipe(shapes(tmp_path / "many", pictures=270), epochs=20)
    many = many.with_optimisation(batch_size=32)
    told = forecast(many, plugins)
    assert [size for size, _ in told.by_batch_size] == sizes  # of 648 pictures: more would be fewer than ten steps an epoch
    assert told.recommended_batch_size == sizes[-1]
    assert with_fastest_batches(many.with_optimisation(batch_size=8), plugins) == many.with_optimisation(batch_size=sizes[-1])


def test_processes_that_train_together_do_not_each_measure(
    photos: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(UserError, match="cannot each measure"):
        with_fastest_batches(a_recipe(photos), plugins)


@pytest.mark.parametrize("rows", [6, 0])
def test_memory_that_runs_out_while_it_is_measured_is_told(
    photos: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    forward = Passes._forward

    def little(self: Passes, inputs: torch.Tensor, targets: torch.Tensor) -> object:
        if len(inputs) > rows:
            raise torch.OutOfMemoryError
        return forward(self, inputs, targets)

    monkeypatch.setattr(Passes, "_forward", little)
    if not rows:
        with pytest.raises(UserError, match="Memory ran out"):
            forecast(a_recipe(photos), plugins)
        return
    told = forecast(a_recipe(photos), plugins)
    assert told.batch_size == 8 and told.recommended_batch_size <= rows
    assert told.batch_advice.startswith("That is too much")


@pytest.mark.slow
def test_the_memory_told_is_what_a_step_takes(hymenoptera: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", STEP, str(hymenoptera)], capture_output=True, text=True, timeout=300, check=True)
    took, told = map(int, ran.stdout.split())
    assert 0.8 < told / took < 1.25, (told, took)


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


@pytest.mark.slow
def test_a_benchmark_runs_in_turns_and_leaves_nothing(photos: Path, plugins: Plugins) -> None:
    heard: list[str] = []
    done = benchmark(a_recipe(photos, epochs=2), plugins, rounds=2, progress=heard.append)
    assert [timing.name for timing in done.timings] == [FLOOR, FIRST_RUN, NEXT_RUN, WHOLE_NETWORK]
    assert all(len(timing.seconds) == 2 and min(timing.seconds) > 0 for timing in done.timings)
    assert [what.partition(": ")[2] for what in heard] == [FIRST_RUN, NEXT_RUN, WHOLE_NETWORK, FLOOR] * 2
    assert done.of(FLOOR).over(done.of(FLOOR)) == 1.0
    assert done.of_bare_speed is not None and done.of_bare_speed > 0
    assert dict(done.floor_parts).keys() == {"decoding", "passing", "stepping"}
    assert all(0 <= accuracy <= 1 for accuracy in done.of(WHOLE_NETWORK).accuracy)
    assert kept_features().size() == 0


def test_a_benchmark_of_a_single_step_tells_no_speed(photos: Path, plugins: Plugins) -> None:
    recipe = a_recipe(photos, epochs=1)
    recipe = recipe.model_copy(update={"optimisation": recipe.optimisation.model_copy(update={"batch_size": 512})})
    assert benchmark(recipe, plugins, rounds=1, whole_network=False).of_bare_speed is None


def test_what_has_no_floor_is_not_benchmarked(photos: Path, plugins: Plugins) -> None:
    with pytest.raises(UserError, match="floor knows no augmentation"):
        benchmark(a_recipe(photos, augment="light"), plugins, rounds=1)
