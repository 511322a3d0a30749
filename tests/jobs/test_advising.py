"""Advice before anything is trained: by depth and by network, on a few drawn shapes."""

import shutil
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from desktop_ft.core import advice
from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Recipe
from desktop_ft.jobs import advising, trial
from desktop_ft.jobs.advising import advise, drawn, rank_backbones
from desktop_ft.jobs.backbones import known_speed
from desktop_ft.jobs.scanning import scan_dataset
from desktop_ft.jobs.surveying import one_picture
from desktop_ft.plugin_manager import Plugins
from tests.data.test_near_doubles import scene
from tests.pictures import encoded, write


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
    assert drawn(manifest, 0).samples == training
    monkeypatch.setattr(advising, "MOST", 7)
    monkeypatch.setattr(advising, "FEWEST", 2)
    part = drawn(manifest, 0).samples
    assert Counter(sample.label for sample in part) == {0: 2, 1: 2, 2: 2} and set(part) < set(training)
    assert part == drawn(manifest, 0).samples != drawn(manifest, 1).samples


def test_a_rare_class_is_looked_at_too_and_no_picture_twice(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advising, "MOST", 100)
    (like, *_) = scan_dataset(recipe.dataset).of(Subset.TRAIN)
    labels = [0] * 2000 + [1] * 30
    many = [replace(like, sha256=f"{number:064x}", path=f"{number}.png", label=label) for number, label in enumerate(labels)]
    copies = [replace(sample, path=f"copy of {sample.path}") for sample in many]
    part = drawn(scan_dataset(recipe.dataset).with_samples([*many, *copies]), 0).samples
    assert Counter(sample.label for sample in part) == {0: 98, 1: 5}
    assert len({sample.sha256 for sample in part}) == len(part)


def test_what_lies_in_two_classes_is_not_looked_at_and_told_with_classes_too_rare_to_judge(
    recipe: Recipe, plugins: Plugins
) -> None:
    manifest = scan_dataset(recipe.dataset)
    training = manifest.of(Subset.TRAIN)
    (one, other, *_), rare = training, training[-1]
    shutil.copy(Path(manifest.root, one.path), Path(manifest.root, "again.png"))
    torn = replace(one, path="again.png", label=rare.label)
    kept = [sample for sample in training if sample.label != rare.label or sample == rare]
    few = manifest.with_samples([*kept, torn, *manifest.of(Subset.VAL)])
    looked = drawn(few, 0)
    assert set(looked.contested) == {one.path, torn.path} and other in looked.samples
    assert not {sample.sha256 for sample in looked.samples} & {one.sha256}
    for told in (advise(recipe, plugins, few), rank_backbones(recipe, plugins, few)):
        assert told.pictures == len(kept) - 1
        rarity, contest = told.notes
        assert "fewer than 5 different pictures among those looked at" in rarity and few.classes[rare.label] in rarity
        assert contest == f"2 training pictures have a copy in another class, and are not looked at: {one.path}, again.png."
        assert told.words.endswith(f"{rarity} {contest}")
    with pytest.raises(UserError, match="fewer than two classes"):
        drawn(few.with_samples([one, torn, other]), 0)


def test_what_is_one_picture_is_found_among_what_the_network_sees_as_alike(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(12):
            write(tmp_path / name / f"{number}.png", encoded(scene(number + 20 * (name == "b"))))
    write(tmp_path / "a" / "smaller.png", encoded(scene(3).resize((96, 96))))
    manifest = scan_dataset(DatasetChoice(folder=str(tmp_path)))
    greys = (Image.open(tmp_path / sample.path).resize((8, 8), Image.Resampling.BOX) for sample in manifest.samples)
    plain = np.stack([np.asarray(grey, float).ravel() for grey in greys])
    (group,) = one_picture(manifest, manifest.samples, plain)
    assert {manifest.samples[number].path for number in group} == {"a/3.png", "a/smaller.png"}
    assert one_picture(manifest, manifest.samples[:1], plain[:1]) == []


def test_no_plan_is_judged_by_a_picture_whose_twin_it_has_learned(
    recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = scan_dataset(recipe.dataset)
    samples = manifest.of(Subset.TRAIN)
    groups = [(number, number + 1) for number in range(0, len(samples) - 1, 2)]
    shown = list[DatasetManifest]()

    def told(recipe: Recipe, plugins: Plugins, part: DatasetManifest, *rest: object) -> list[bool]:
        shown.append(part)
        return [True] * len(part.of(Subset.VAL))

    monkeypatch.setattr(trial, "_told", told)
    (first, _), _ = trial.tried([recipe, recipe], plugins, manifest, samples, groups, progress=lambda plan, done, total: None)
    assert first.judged == len(samples) - len(groups)
    assert len(shown) > 1
    for part in shown:
        held = [sample.sha256 in {other.sha256 for other in part.of(Subset.VAL)} for sample in samples]
        assert any(held) and not all(held)
        learned = {sample.path for sample in part.of(Subset.TRAIN)}
        for one, other in groups:
            assert not held[other] and (held[one] is (samples[one].path not in learned) is (samples[other].path not in learned))


class Races:
    """Races between plans that are known by which of the pictures they tell, and how often each was tried."""

    def __init__(self, recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch, pictures: int = 150) -> None:
        self._recipe, self._plugins, self._manifest = recipe, plugins, scan_dataset(recipe.dataset)
        (like, *_) = self._manifest.of(Subset.TRAIN)
        self._many = tuple(replace(like, path=str(number), label=number % 2) for number in range(pictures))
        self._right, self.turns = dict[str, np.ndarray](), Counter[str]()
        monkeypatch.setattr(trial, "_told", self._told)

    def race(self, **right: np.ndarray) -> str:
        """Which plan wins; `right` says of each, the cheapest first, which pictures it tells."""
        self._right, self.turns = right, Counter()
        freeze = [self._recipe.freeze.with_preset(name.replace("_", ":")) for name in right]
        plans = [self._recipe.model_copy(update={"freeze": each}) for each in freeze]
        _, won = trial.tried(plans, self._plugins, self._manifest, self._many, (), progress=lambda plan, done, total: None)
        return list(right)[won]

    def _told(self, recipe: Recipe, plugins: Plugins, part: DatasetManifest, *rest: object) -> list[bool]:
        name = recipe.freeze.preset.replace(":", "_")
        self.turns[name] += 1
        return [bool(self._right[name][int(sample.path)]) for sample in part.of(Subset.VAL)]


def test_a_plan_that_is_clearly_behind_on_the_same_pictures_is_tried_no_further(
    recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    races, chance = Races(recipe, plugins, monkeypatch), np.random.default_rng(0)
    good = chance.random(150) < 0.9
    assert races.race(head=good, last_1=good, last_2=chance.random(150) < 0.3) == "head"
    assert races.turns["last_2"] == 1 and races.turns["head"] == races.turns["last_1"] == 4, "as good, once 100 have judged it"
    assert races.race(head=chance.random(150) < 0.3, last_1=good) == "last_1" and races.turns == {"head": 1, "last_1": 1}


def test_of_plans_that_are_equally_good_the_test_leaves_out_hardly_any(
    recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    races, chance, left_out = Races(recipe, plugins, monkeypatch), np.random.default_rng(0), 0
    for _ in range(100):
        races.race(head=chance.random(150) < 0.8, last_1=chance.random(150) < 0.8, last_2=chance.random(150) < 0.8)
        left_out += (
            min(races.turns.values()) < 4
        )  # later 100 have judged, and a costlier one that is no better goes without a test
    assert left_out <= 5


def test_of_plans_that_are_near_each_other_the_cheapest_wins(
    recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    races, number = Races(recipe, plugins, monkeypatch), np.arange(150)
    assert races.race(head=number > 15, last_1=number > 14, last_2=number > 13) == "head"
    assert races.race(head=number > 23, last_1=number > 14, last_2=number > 13) == "last_1"
    assert races.turns == {"head": 5, "last_1": 5, "last_2": 5}


def test_a_plan_that_is_no_better_than_a_cheaper_one_is_tried_no_further(
    recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    races, chance = Races(recipe, plugins, monkeypatch), np.random.default_rng(0)
    better, worse = chance.random(150) < 0.9, chance.random(150) < 0.8
    assert races.race(head=worse, last_1=better, last_2=better) == "last_1"
    assert races.turns == {"head": 5, "last_1": 5, "last_2": 4}


def test_the_speed_is_measured_at_the_size_that_was_asked_about(recipe: Recipe, plugins: Plugins) -> None:
    ranking = rank_backbones(recipe, plugins)
    backbone = plugins.backbones.get(ranking.recommended.name)
    assert {score.side for score in ranking.scores} == {32} and "32 pixels a second" in ranking.words
    assert known_speed(backbone, image_size=32) == ranking.recommended.speed and known_speed(backbone) is None


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


def test_plans_are_tried_on_training_pictures_alone(recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "FEWEST_TO_TRY", 1)
    manifest = scan_dataset(recipe.dataset)
    told = set()
    first = advise(recipe, plugins, manifest, told=lambda what, done, total: told.add(what))
    assert told >= {"Trying head", "Trying last:1"}
    assert [option.preset for option in first.options[:2]] == ["head", "last:1"]
    assert "each plan was tried until it was clearly behind, or no better than a cheaper one" in first.words
    others = manifest.with_samples([*manifest.of(Subset.TRAIN), manifest.of(Subset.VAL)[0]])
    again = advise(recipe, plugins, others)
    assert [option.evidence for option in again.options] == [option.evidence for option in first.options]
    assert {option.evidence.epochs for option in first.options} == {recipe.optimisation.epochs}


def test_near_doubles_count_as_one_in_what_is_judged_and_tried(
    recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = scan_dataset(recipe.dataset)
    whole = len(manifest.of(Subset.TRAIN))
    monkeypatch.setattr(advising, "one_picture", lambda *args, **options: [(0, 1, 2), (3, 4)])
    monkeypatch.setattr(advice, "FEWEST_TO_TRY", whole)
    told = advise(recipe, plugins, manifest)
    assert told.pictures == whole and told.different == told.option.evidence.judged == whole - 3
    assert f"{whole - 3} different pictures are too few to try plans on" in told.words


def test_a_try_can_be_given_up(recipe: Recipe, plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "FEWEST_TO_TRY", 1)
    cancel = threading.Event()

    def told(what: str, done: int, total: int | None) -> None:
        if what == "Trying head":
            cancel.set()

    with pytest.raises(Cancelled):
        advise(recipe.with_optimisation(epochs=3), plugins, told=told, cancel=cancel)
