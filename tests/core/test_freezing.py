"""A freeze plan turns into a rate for every layer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.freezing import PRESETS, BatchNormPolicy, FreezePlan, frozen_depth, learning_share, preset_of_depth
from desktop_ft.core.layers import LayerNode, NormKind, blocks


def leaf(path: str, parameters: int = 10, norm: NormKind = NormKind.NONE) -> LayerNode:
    kind = "BatchNorm2d" if norm is NormKind.BATCH else "Conv2d"
    return LayerNode(path=path, type=kind, parameters=parameters, norm=norm)


def node(path: str, *children: LayerNode, container: bool = False) -> LayerNode:
    total = sum(child.parameters for child in children)
    return LayerNode(path=path, type="Module", parameters=total, children=children, container=container)


TREE = node(
    "",
    leaf("stem"),
    leaf("norm", norm=NormKind.BATCH),
    node(
        "stages",
        node("stages.0", leaf("stages.0.conv"), leaf("stages.0.norm", norm=NormKind.BATCH)),
        node("stages.1", leaf("stages.1.conv"), leaf("stages.1.norm", norm=NormKind.BATCH)),
        node("stages.2", leaf("stages.2.conv"), leaf("stages.2.norm", norm=NormKind.BATCH)),
        container=True,
    ),
    leaf("head"),
)


def learning(plan: FreezePlan, epoch: int = 0) -> set[str]:
    return {path for path, rate in plan.rates(TREE, "head", epoch).items() if rate}


def test_blocks_run_from_input_to_output_and_norms_belong_to_what_they_follow() -> None:
    assert blocks(TREE, "head") == (
        ("stem", "norm"),
        ("stages.0.conv", "stages.0.norm"),
        ("stages.1.conv", "stages.1.norm"),
        ("stages.2.conv", "stages.2.norm"),
    )


def test_head_learns_the_head_only() -> None:
    assert learning(FreezePlan(preset="head")) == {"head"}


@pytest.mark.parametrize(("number", "expected"), [(1, 2), (2, 4), (3, 6), (4, 8), (99, 8)])
def test_last_n_learns_the_head_and_n_blocks(number: int, expected: int) -> None:
    learned = learning(FreezePlan(preset=f"last:{number}"))
    assert "head" in learned
    assert len(learned - {"head"}) == expected


def test_more_blocks_than_there_are_is_told() -> None:
    assert FreezePlan(preset="last:4").beyond(TREE, "head") == ""
    assert "4 blocks" in FreezePlan(preset="last:5").beyond(TREE, "head")


def test_the_backbone_learns_more_slowly_than_the_head_but_not_from_scratch() -> None:
    fine = FreezePlan(preset="all", backbone_rate=0.1).rates(TREE, "head")
    assert fine["head"] == 1.0
    assert set(fine.values()) == {1.0, 0.1}
    scratch = FreezePlan(preset="scratch", backbone_rate=0.1)
    assert set(scratch.rates(TREE, "head").values()) == {1.0}
    assert not scratch.pretrained


def test_discriminative_rates_fall_towards_the_input_by_the_factor() -> None:
    rates = FreezePlan(preset="discriminative:0.5", backbone_rate=1).rates(TREE, "head")
    assert [rates[path] for path in ("head", "stages.2.conv", "stages.1.conv", "stages.0.conv", "stem")] == [
        1,
        1,
        0.5,
        0.25,
        0.125,
    ]


def test_gradual_unfreezes_one_block_from_the_top_at_a_time() -> None:
    plan = FreezePlan(preset="gradual:2")
    assert learning(plan, 0) == learning(plan, 1) == {"head"}
    assert learning(plan, 2) - {"head"} == {"stages.2.conv", "stages.2.norm"}
    assert len(learning(plan, 8)) == 9
    assert plan.changes_over_time


def test_the_longest_override_wins_and_zero_freezes() -> None:
    plan = FreezePlan(preset="all", backbone_rate=0.1, overrides={"stages": 0, "stages.1": 2, "stem": 0})
    rates = plan.rates(TREE, "head")
    assert rates["stages.0.conv"] == 0
    assert rates["stages.1.conv"] == pytest.approx(0.2)
    assert rates["stem"] == 0
    assert rates["norm"] == 0.1


def test_an_override_wakes_a_layer_that_the_preset_froze_at_the_backbones_rate() -> None:
    assert FreezePlan(preset="head", backbone_rate=0.1, overrides={"stem": 1}).rates(TREE, "head")["stem"] == 0.1


def test_frozen_batch_norm_stays_even_where_all_learns() -> None:
    plan = FreezePlan(preset="all", batch_norm=BatchNormPolicy.FROZEN)
    assert {path for path, rate in plan.rates(TREE, "head").items() if not rate} == {
        "norm",
        "stages.0.norm",
        "stages.1.norm",
        "stages.2.norm",
    }


@given(st.sampled_from(sorted(PRESETS)), st.integers(0, 20))
def test_every_preset_rates_every_leaf_and_the_share_stays_a_share(preset: str, epoch: int) -> None:
    rates = FreezePlan(preset=preset).rates(TREE, "head", epoch)
    assert set(rates) == {leaf.path for leaf in TREE.leaves()}
    assert 0 < learning_share(TREE, rates) <= 1


def test_an_override_of_no_layer_is_found() -> None:
    assert FreezePlan(overrides={"stages.7": 0, "stages.1": 0}).unknown_overrides(TREE) == ("stages.7",)


@pytest.mark.parametrize("depth", range(5))
def test_a_depth_is_a_preset_and_the_preset_has_that_depth(depth: int) -> None:
    plan = FreezePlan(preset=preset_of_depth(depth, 4))
    assert frozen_depth(blocks(TREE, "head"), plan.rates(TREE, "head")) == depth


@pytest.mark.parametrize(
    ("plan", "depth"),
    [
        (FreezePlan(preset="discriminative"), 0),
        (FreezePlan(preset="head", overrides={"stages.1.conv": 1.0}), 2),
        (FreezePlan(preset="all", overrides={"stem": 0.0, "stages.2": 0.0}), 0),  # the norm of the stem learns
        (FreezePlan(preset="all", overrides={"stem": 0.0}, batch_norm=BatchNormPolicy.FROZEN), 1),
    ],
)
def test_the_depth_ends_where_something_learns(plan: FreezePlan, depth: int) -> None:
    assert frozen_depth(blocks(TREE, "head"), plan.rates(TREE, "head")) == depth
