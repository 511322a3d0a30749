"""Ticking layers: exactly what was ticked changes, and the plan stays short."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import MAX_MULTIPLIER, BatchNormPolicy, FreezePlan
from desktop_ft.core.layers import LayerNode, NormKind, is_under
from desktop_ft.gui.plan_edit import held_by_policy, set_rate, simplify, tick

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
PRESETS = ["head", "last:1", "last:2", "all", "discriminative", "discriminative:0.1", "gradual", "gradual:2", "scratch"]
SEVERAL = st.lists(st.sampled_from(PATHS), min_size=1, max_size=4, unique=True)


def over_time(plan: FreezePlan) -> list[dict[str, float]]:
    return [plan.rates(TREE, HEAD, epoch) for epoch in range(12)]


@given(
    preset=st.sampled_from(PRESETS),
    policy=st.sampled_from(BatchNormPolicy),
    ticks=st.lists(st.tuples(SEVERAL, st.booleans()), max_size=8),
)
def test_a_tick_changes_what_it_says_and_nothing_else(
    preset: str, policy: BatchNormPolicy, ticks: list[tuple[list[str], bool]]
) -> None:
    plan = FreezePlan(preset=preset, batch_norm=policy)
    for paths, learn in ticks:
        before = over_time(plan)
        plan = tick(plan, TREE, HEAD, paths, learn)
        held = held_by_policy(plan, TREE)
        for epoch, rates in enumerate(over_time(plan)):
            for leaf, rate in rates.items():
                if leaf in held:
                    assert rate == 0
                elif any(is_under(leaf, path) for path in paths):
                    assert (rate > 0) == learn
                else:
                    assert rate == before[epoch][leaf]
        assert not plan.unknown_overrides(TREE)
        assert len(plan.overrides) <= len(before[0])


@given(
    preset=st.sampled_from(PRESETS),
    policy=st.sampled_from(BatchNormPolicy),
    edits=st.lists(st.tuples(SEVERAL, st.floats(0, 5)), max_size=6),
)
def test_a_rate_that_is_set_is_the_rate_and_nothing_else_changes(
    preset: str, policy: BatchNormPolicy, edits: list[tuple[list[str], float]]
) -> None:
    plan = FreezePlan(preset=preset, batch_norm=policy)
    for paths, share in edits:
        before = over_time(plan)
        plan = set_rate(plan, TREE, HEAD, paths, share)
        held = held_by_policy(plan, TREE)
        chosen = {leaf for leaf in before[0] if leaf not in held and any(is_under(leaf, path) for path in paths)}
        # What is frozen beside what learns stays so; where nothing learns, a rate is how all of it begins to.
        set_ = {leaf for leaf in chosen if any(rates[leaf] for rates in before)} or chosen if share else chosen
        for epoch, rates in enumerate(over_time(plan)):
            for leaf, rate in rates.items():
                wanted = 0.0 if leaf in held else share if leaf in set_ else before[epoch][leaf]
                assert rate == pytest.approx(wanted, rel=1e-9, abs=1e-300)
        assert not plan.unknown_overrides(TREE)
        assert FreezePlan.model_validate(plan.model_dump()) == plan


def simplified_by_trial(plan: FreezePlan) -> FreezePlan:
    """What `simplify` means: every exception is tried, and the rates of the whole tree are worked out anew for each."""
    best, rates = plan, over_time(plan)

    def kept(candidate: dict[str, float]) -> bool:
        nonlocal best
        tried = plan.model_copy(update={"overrides": dict(sorted(candidate.items()))})
        if over_time(tried) == rates:
            best = tried
            return True
        return False

    for ancestor in ["", "body", "body.0", "body.1", "body.2"]:
        below = [own for own in best.overrides if is_under(own, ancestor)]
        rest = {own: value for own, value in best.overrides.items() if own not in below}
        if len(below) > 1:
            any(kept(rest | {ancestor: value}) for value in {best.overrides[own] for own in below})
    for own in sorted(best.overrides, key=len, reverse=True):
        kept({other: value for other, value in best.overrides.items() if other != own})
    return best


@settings(deadline=None)
@given(
    preset=st.sampled_from(PRESETS),
    policy=st.sampled_from(BatchNormPolicy),
    overrides=st.dictionaries(st.sampled_from([*PATHS, "body.7", "body.1.x"]), st.sampled_from([0.0, 0.1, 0.3, 1.0, 3.0])),
)
def test_exceptions_that_change_nothing_are_found_without_trying_each(
    preset: str, policy: BatchNormPolicy, overrides: dict[str, float]
) -> None:
    plan = FreezePlan(preset=preset, batch_norm=policy, overrides=overrides)
    assert simplify(plan, TREE, HEAD) == simplified_by_trial(plan)


def test_the_rate_that_the_preset_gives_leaves_no_exception() -> None:
    plan = FreezePlan(preset="all")
    slower = set_rate(plan, TREE, HEAD, ["body.1"], plan.backbone_rate / 4)
    assert dict(slower.overrides) == {"body.1": 0.25}
    assert set_rate(slower, TREE, HEAD, ["body.1"], plan.backbone_rate) == plan


def test_a_rate_beyond_what_a_plan_can_hold_is_refused() -> None:
    with pytest.raises(UserError, match="no more than"):
        set_rate(FreezePlan(preset="all"), TREE, HEAD, ["stem"], 1.0 * MAX_MULTIPLIER)


def test_what_is_frozen_by_hand_stays_frozen_when_another_layer_is_ticked() -> None:
    plan = FreezePlan(preset="gradual", overrides={"stem": 0.0})
    after = tick(plan, TREE, HEAD, ["body.2"], True)
    assert after.overrides["stem"] == 0.0
    assert set_rate(after, TREE, HEAD, [HEAD], 2.0).overrides["stem"] == 0.0


def test_ticking_and_unticking_leaves_no_exception_behind() -> None:
    plan = FreezePlan(preset="head")
    there = tick(plan, TREE, HEAD, ["body.1"], True)
    assert dict(there.overrides) == {"body.1": 1.0}
    assert tick(there, TREE, HEAD, ["body.1"], False) == plan


def test_children_ticked_one_by_one_become_one_exception() -> None:
    plan = FreezePlan(preset="head")
    for number in range(3):
        plan = tick(plan, TREE, HEAD, [f"body.{number}"], True)
    assert dict(plan.overrides) == {"body": 1.0}


def test_freezing_the_root_freezes_the_head_too() -> None:
    plan = tick(FreezePlan(preset="all"), TREE, HEAD, [""], False)
    assert set(plan.rates(TREE, HEAD).values()) == {0.0}
    assert dict(plan.overrides) == {"": 0.0}
