"""A freeze plan is copied and pasted as text."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.cli import build_parser
from desktop_ft.core.errors import UserError
from desktop_ft.core.freezing import BatchNormPolicy, FreezePlan
from desktop_ft.core.plan_text import as_options, as_recipe, plan_in
from desktop_ft.core.recipe import DatasetChoice, Recipe

PATHS = st.from_regex(r"([a-z0-9_]{1,8}\.){0,3}[a-z0-9_]{1,8}|", fullmatch=True)
PLANS = st.builds(
    FreezePlan,
    preset=st.sampled_from(["head", "all", "last:3", "discriminative:0.5", "gradual:2", "scratch"]),
    backbone_rate=st.floats(0.0001, 1),
    batch_norm=st.sampled_from(BatchNormPolicy),
    overrides=st.dictionaries(PATHS, st.floats(0, 1e12), max_size=5),
)


@given(PLANS)
def test_what_is_copied_is_what_is_pasted(plan: FreezePlan) -> None:
    assert plan_in(as_recipe(plan)) == plan
    assert plan_in(as_options(plan)) == plan
    assert plan_in(f"desktop-ft train 'my photos' --epochs 3 {as_options(plan)}") == plan
    assert plan_in(Recipe(dataset=DatasetChoice(folder="/x"), freeze=plan).to_toml()) == plan


def test_the_command_line_takes_the_options() -> None:
    plan = FreezePlan(preset="last:2", batch_norm=BatchNormPolicy.FROZEN, overrides={"stem": 0.0, "": 2.0})
    said = build_parser().parse_args(["train", "photos", *shlex.split(as_options(plan))])
    assert vars(said)["freeze.preset"] == "last:2" and vars(said)["freeze.batch_norm"] == "frozen"
    assert said.rate == ["stem=0.0", "=2.0"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "--epochs 3",
        "--freeze",
        "--freeze nonsense",
        "--freeze all --rate stem=fast",
        "--freeze 'all",
        "[freeze]\nunknown = 1",
        "freeze = 3",
        "[freeze]\nbackbone_rate = 7",
        "[dataset]\nfolder = 'x'",
    ],
)
def test_what_holds_no_plan_is_told(text: str) -> None:
    with pytest.raises(UserError, match=r"no freeze plan|no command line"):
        plan_in(text)


@given(st.text())
def test_any_text_is_a_plan_or_told(text: str) -> None:
    try:
        assert isinstance(plan_in(text), FreezePlan)
    except UserError as error:
        assert error.cure
