"""Advice before anything is trained: by depth and by network, on a few drawn shapes."""

import threading
from collections import Counter
from dataclasses import replace

import pytest

from desktop_ft.core.dataset import Subset
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.recipe import BackboneChoice, Recipe
from desktop_ft.jobs import advising
from desktop_ft.jobs.advising import advise, drawn, rank_backbones
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.plugin_manager import Plugins


def test_advice_goes_by_training_pictures_alone_and_is_the_same_again(recipe: Recipe, plugins: Plugins) -> None:
    manifest = scan_dataset(recipe.dataset)
    told = set()
    first = advise(recipe, plugins, manifest, told=lambda what, done, total: told.add(what))
    assert told >= {"Asking the network", "Measuring what it takes"}
    assert first.pictures == first.training == len(manifest.of(Subset.TRAIN))
    assert [score.depth for score in first.scores] == list(range(1, first.blocks + 1))
    assert first.option.seconds > 0 and first.option.memory > 0
    assert first.options[0].preset == "head"
    fewer = manifest.with_samples([*manifest.of(Subset.TRAIN), manifest.of(Subset.VAL)[0]])
    assert advise(recipe, plugins, fewer).scores == first.scores


def test_of_many_pictures_a_part_is_drawn_evenly(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = scan_dataset(recipe.dataset)
    training = manifest.of(Subset.TRAIN)
    assert drawn(manifest, 0) == training
    monkeypatch.setattr(advising, "MOST", 7)
    monkeypatch.setattr(advising, "FEWEST", 2)
    part = drawn(manifest, 0)
    assert Counter(sample.label for sample in part) == {0: 2, 1: 2, 2: 2} and set(part) < set(training)
    assert part == drawn(manifest, 0) != drawn(manifest, 1)


def test_a_rare_class_is_looked_at_too_and_no_picture_twice(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advising, "MOST", 100)
    (like, *_) = scan_dataset(recipe.dataset).of(Subset.TRAIN)
    labels = [0] * 2000 + [1] * 30
    many = [replace(like, sha256=f"{number:064x}", path=f"{number}.png", label=label) for number, label in enumerate(labels)]
    copies = [replace(sample, path=f"copy of {sample.path}") for sample in many]
    part = drawn(scan_dataset(recipe.dataset).with_samples([*many, *copies]), 0)
    assert Counter(sample.label for sample in part) == {0: 98, 1: 5}
    assert len({sample.sha256 for sample in part}) == len(part)


def test_networks_here_are_ranked_by_what_they_tell(recipe: Recipe, plugins: Plugins) -> None:
    ranking = rank_backbones(recipe, plugins)
    names = [score.name for score in ranking.scores]
    assert {"efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"} <= set(names)
    told = [score.accuracy.value for score in ranking.scores]
    assert told == sorted(told, reverse=True) and ranking.recommended.name in names
    assert all(score.speed.pictures_per_second > 0 for score in ranking.scores)


def test_a_network_that_cannot_be_asked_is_left_out_with_the_reason(
    recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advising, "is_local", lambda backbone: backbone.spec.name in ("efficientnet_lite0", "resnet18"))
    ranking = rank_backbones(recipe, plugins)
    assert [score.name for score in ranking.scores] == ["efficientnet_lite0"]
    (reason,) = ranking.left_out
    assert "resnet18" in reason
    monkeypatch.setattr(advising, "is_local", lambda backbone: backbone.spec.name == "resnet18")
    with pytest.raises(UserError, match="resnet18"):
        rank_backbones(recipe, plugins)


def test_it_can_be_given_up(recipe: Recipe, plugins: Plugins) -> None:
    cancel = threading.Event()

    def told(what: str, done: int, total: int | None) -> None:
        if what == "Asking the network":
            cancel.set()

    with pytest.raises(Cancelled):
        advise(recipe, plugins, told=told, cancel=cancel)


def test_a_network_that_is_not_here_is_told_with_its_cure(recipe: Recipe, plugins: Plugins) -> None:
    with pytest.raises(UserError, match="resnet18"):
        advise(recipe.model_copy(update={"backbone": BackboneChoice(name="resnet18")}), plugins)


def test_where_the_probe_falls_the_plans_are_tried_on_training_pictures_alone(
    recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advising, "where_to_cut", lambda scores: scores[-1].depth - 1)
    manifest = scan_dataset(recipe.dataset)
    told = set()
    advice = advise(recipe, plugins, manifest, told=lambda what, done, total: told.add(what))
    assert told >= {"Trying head", "Trying last:1"}
    assert [option.preset for option in advice.options] == ["head", "last:1"]
    assert advice.option.accuracy.value == max(option.accuracy.value for option in advice.options)
    assert "each plan was tried" in advice.words
    others = manifest.with_samples([*manifest.of(Subset.TRAIN), manifest.of(Subset.VAL)[0]])
    again = advise(recipe, plugins, others)
    assert [option.accuracy for option in again.options] == [option.accuracy for option in advice.options]


def test_a_try_can_be_given_up(recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advising, "where_to_cut", lambda scores: scores[-1].depth - 1)
    cancel = threading.Event()

    def told(what: str, done: int, total: int | None) -> None:
        if what == "Trying head":
            cancel.set()

    with pytest.raises(Cancelled):
        advise(recipe.with_optimisation(epochs=3), plugins, told=told, cancel=cancel)
