"""Ticking layers: exactly what was ticked changes, and the plan stays short."""

from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.freezing import BatchNormPolicy, FreezePlan
from desktop_ft.core.layers import LayerNode, NormKind, is_under
from desktop_ft.gui.plan_edit import held_by_policy, tick

HEAD = "fc"


def _block(name: str) -> LayerNode:
    conv = LayerNode(path=f"{name}.conv", type="Conv2d", parameters=30)
    norm = LayerNode(path=f"{name}.bn", type="BatchNorm2d", parameters=4, norm=NormKind.BATCH)
    return LayerNode(path=name, type="Block", parameters=34, children=(conv, norm))


STEM = LayerNode(path="stem", type="Conv2d", parameters=10)
BODY = LayerNode(
    path="body", type="Sequential", parameters=102, container=True, children=tuple(_block(f"body.{n}") for n in range(3))
)
TREE = LayerNode(
    path="",
    type="Net",
    parameters=122,
    children=(STEM, BODY, LayerNode(path=HEAD, type="Linear", parameters=10)),
)
PATHS = [node.path for node in TREE.walk()]
PRESETS = ["head", "last:1", "last:2", "all", "discriminative", "gradual", "scratch"]


@given(
    preset=st.sampled_from(PRESETS),
    policy=st.sampled_from(BatchNormPolicy),
    ticks=st.lists(st.tuples(st.sampled_from(PATHS), st.booleans()), max_size=8),
)
def test_a_tick_changes_what_it_says_and_nothing_else(
    preset: str, policy: BatchNormPolicy, ticks: list[tuple[str, bool]]
) -> None:
    plan = FreezePlan(preset=preset, batch_norm=policy)
    for path, learn in ticks:
        before = plan.rates(TREE, HEAD)
        plan = tick(plan, TREE, HEAD, path, learn)
        held = held_by_policy(plan, TREE)
        for leaf, rate in plan.rates(TREE, HEAD).items():
            if leaf in held:
                assert rate == 0
            elif is_under(leaf, path):
                assert (rate > 0) == learn
            else:
                assert rate == before[leaf]
        assert not plan.unknown_overrides(TREE)
        assert len(plan.overrides) <= len(before)


def test_ticking_and_unticking_leaves_no_exception_behind() -> None:
    plan = FreezePlan(preset="head")
    there = tick(plan, TREE, HEAD, "body.1", True)
    assert dict(there.overrides) == {"body.1": 1.0}
    assert tick(there, TREE, HEAD, "body.1", False) == plan


def test_children_ticked_one_by_one_become_one_exception() -> None:
    plan = FreezePlan(preset="head")
    for number in range(3):
        plan = tick(plan, TREE, HEAD, f"body.{number}", True)
    assert dict(plan.overrides) == {"body": 1.0}


def test_freezing_the_root_freezes_the_head_too() -> None:
    plan = tick(FreezePlan(preset="all"), TREE, HEAD, "", False)
    assert set(plan.rates(TREE, HEAD).values()) == {0.0}
    assert dict(plan.overrides) == {"": 0.0}
