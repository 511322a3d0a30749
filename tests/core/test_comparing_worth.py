"""The worth of augmentations: which runs tell it, and what is said of them."""

import pytest

from desktop_ft.core.augmentation import AugmentationSpec
from desktop_ft.core.comparing import AS_IT_IS, Comparison, CurvePoint, PairedTest, RunFigures, augmentation_strategies, strategy
from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.metrics import Interval
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.evaluation.comparing import Judged, compared
from desktop_ft.evaluation.comparison_page import page

FLIP, TURN = AugmentationSpec(transform="horizontal_flip"), AugmentationSpec(transform="rotation")
BASE = Recipe(
    dataset=DatasetChoice(folder="photos"),
    freeze=FreezePlan(preset="last:2", overrides={"fc": 2.0}),
    augmentation=(FLIP, TURN, FLIP),
)
PICTURES = 200


def comparison(base: Recipe = BASE) -> Comparison:
    return Comparison(base=base, strategies=augmentation_strategies(base), seeds=2, images=(0,))


def test_each_transform_is_left_out_in_turn_and_all_of_them_and_nothing_else_changes() -> None:
    made = {run.strategy: run.recipe for run in comparison().runs({}) if run.seed == BASE.seed}
    assert {name: [spec.transform for spec in recipe.augmentation] for name, recipe in made.items()} == {
        "as-it-is": ["horizontal_flip", "rotation", "horizontal_flip"],
        "without:horizontal_flip": ["rotation"],
        "without:rotation": ["horizontal_flip", "horizontal_flip"],
        "without:horizontal_flip+rotation": [],
    }
    assert all(recipe.freeze == BASE.freeze for recipe in made.values())
    assert len({run.folder for run in comparison().runs({})}) == 8


def test_a_single_transform_is_compared_with_none() -> None:
    one = BASE.model_copy(update={"augmentation": (FLIP,)})
    assert augmentation_strategies(one) == ("as-it-is", "without:horizontal_flip")
    with pytest.raises(UserError, match="no augmentation"):
        augmentation_strategies(BASE.model_copy(update={"augmentation": ()}))


def ran(name: str, seed: int, wrong: range) -> RunFigures:
    accuracy = 1 - len(wrong) / PICTURES
    return RunFigures(
        run=f"{name} {seed}", strategy=name, images=0, seed=seed, training=10, epochs=1, accuracy=accuracy, wrong=tuple(wrong),
        seconds=1.0, preparation=0.0, reused=0.0, curve=(CurvePoint(epoch=0, seconds=1.0, accuracy=accuracy),),
    )  # fmt: skip


def test_it_says_what_to_keep_what_to_leave_out_and_what_makes_no_difference() -> None:
    wrong = {
        AS_IT_IS.name: range(40),
        "without:horizontal_flip": range(80),
        "without:rotation": range(5),
        "without:horizontal_flip+rotation": range(1, 41),
    }
    judged = Judged(
        device="CPU", dataset="photos", classes=("a", "b"), subset="val", pictures=tuple(map(str, range(PICTURES))), commonest=0.5
    )
    found = compared(comparison(), judged, [ran(name, seed, of) for name, of in wrong.items() for seed in (0, 1)], (), 8)
    flip, turn, both, more, p = found.verdict
    assert flip.startswith("horizontal_flip: keep it. Without it the model is 20.0 points worse")
    assert turn.startswith("rotation: leave it out. Without it the model is 17.5 points better")
    assert both.startswith("horizontal_flip, rotation: no effect that could be shown.")
    assert more == "Judged on 200 pictures; with more of them, or more seeds, smaller effects would show."
    assert "p = 1.00" in both and p.startswith("p: how likely chance alone"), "whoever reads a p is told what it is"
    assert [test.than for test in found.tests] == [AS_IT_IS.name] * 3
    shown = page(found, {})
    assert "What augmentation is worth on photos" in shown and "leave it out" in shown


def test_before_there_is_anything_to_compare_it_says_so() -> None:
    judged = Judged(device="CPU", dataset="photos", classes=("a", "b"), subset="val", pictures=("1", "2"), commonest=0.5)
    (said,) = compared(comparison(), judged, [ran(AS_IT_IS.name, 0, range(1))], (), 8).verdict
    assert "can be said once" in said


def test_a_recipe_of_many_transforms_makes_folders_that_every_disk_takes() -> None:
    many = tuple(AugmentationSpec(transform=f"a_transform_with_a_long_name_{number}") for number in range(20))
    base = BASE.model_copy(update={"augmentation": many})
    runs = comparison(base).runs({})
    assert max(len(run.folder) for run in runs) < 120
    assert len({run.folder for run in runs}) == len(runs)
    assert strategy(augmentation_strategies(base)[-1]).recipe(base).augmentation == ()


def test_a_transform_that_the_augmentation_does_not_have_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="no 'blur' to leave out"):
        Comparison(base=BASE, strategies=(AS_IT_IS.name, "without:blur"))


def test_a_difference_is_sure_only_where_its_interval_says_so_too() -> None:
    def told(low: float, high: float, corrected: float) -> bool:
        difference = Interval(value=(low + high) / 2, low=low, high=high)
        return PairedTest(
            strategy="head", than="scratch", images=0, seeds=3, difference=difference, only_first=1, only_second=0, p=0.0,
            corrected=corrected,
        ).is_sure  # fmt: skip

    assert told(0.01, 0.1, 0.001) and told(-0.1, -0.01, 0.001)
    assert not told(0.0, 0.07, 0.001) and not told(0.01, 0.1, 0.2)


def test_with_one_seed_it_says_that_seeds_were_not_varied() -> None:
    judged = Judged(device="CPU", dataset="photos", classes=("a", "b"), subset="val", pictures=("1", "2"), commonest=0.5)
    runs = [ran(AS_IT_IS.name, 0, range(1)), ran("without:rotation", 0, range(1))]
    one = comparison().model_copy(update={"seeds": 1})
    assert "one seed alone" in compared(one, judged, runs, (), 4).verdict[-1]
    assert "one seed alone" not in compared(comparison(), judged, runs, (), 8).verdict[-1]
