"""In what two plans differ."""

from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.plan_comparison import PlanComparison, compare
from tests.core.test_freezing import TREE


def told(plan: FreezePlan, other: FreezePlan, epoch: int = 0) -> PlanComparison:
    return compare(plan, other, "it", TREE, "head", epoch)


def test_layers_that_learn_in_one_plan_alone_differ() -> None:
    found = told(FreezePlan(preset="head"), FreezePlan(preset="last:1"))
    assert found.differing == ("stages.2.conv", "stages.2.norm")
    assert (found.learning, found.others, found.total) == (10, 30, TREE.parameters)
    assert "10 parameters learn (11.1 %) instead of 30 (33.3 %). 2 layers differ: stages.2.conv, stages.2.norm." in found.words


def test_other_rates_are_a_difference_too() -> None:
    found = told(FreezePlan(preset="all", backbone_rate=0.1), FreezePlan(preset="all", backbone_rate=0.2))
    assert len(found.differing) == 8 and found.learning == found.others
    assert "as many parameters learn" in found.words and found.words.endswith(", …")
    one = told(FreezePlan(preset="all"), FreezePlan(preset="all", overrides={"stem": 2.0}))
    assert "1 layer differs: stem." in one.words


def test_plans_that_say_the_same_in_other_words_do_not_differ() -> None:
    found = told(FreezePlan(preset="last:1"), FreezePlan(preset="head", overrides={"stages.2": 1.0}))
    assert found.differing == () and "every layer learns at the same rate." in found.words


def test_a_plan_that_changes_is_compared_in_the_epoch_that_is_shown() -> None:
    plans = FreezePlan(preset="gradual"), FreezePlan(preset="last:1")
    assert told(*plans, 0).differing and not told(*plans, 1).differing
    assert "in this epoch" in told(*plans, 1).words and "in this epoch" in told(*plans, 0).words
