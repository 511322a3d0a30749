import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.layers import PARAMETER, LayerNode, NormKind, blocks, is_under, same_rate


def leaf(path: str, parameters: int = 10, kind: str = "Conv2d", norm: NormKind = NormKind.NONE) -> LayerNode:
    return LayerNode(path=path, type=kind, parameters=parameters, norm=norm)


def norm(path: str) -> LayerNode:
    return leaf(path, 2, "BatchNorm2d", NormKind.BATCH)


def parent(path: str, *children: LayerNode, container: bool = False, kind: str = "Block") -> LayerNode:
    return LayerNode(path=path, type=kind, parameters=sum(c.parameters for c in children), container=container, children=children)


def sequence(path: str, *children: LayerNode) -> LayerNode:
    return parent(path, *children, container=True, kind="Sequential")


def test_a_norm_joins_what_it_follows() -> None:
    tree = parent("", leaf("conv"), norm("bn"), sequence("body", leaf("body.0"), leaf("body.1")), leaf("fc"))
    assert blocks(tree, "fc") == (("conv", "bn"), ("body.0",), ("body.1",))


def test_a_leading_parameter_joins_the_first_block() -> None:
    tree = parent("", leaf("class_token", 1, PARAMETER), leaf("patches"), leaf("layer", 5), leaf("fc"))
    assert blocks(tree, "fc") == (("class_token", "patches"), ("layer",))


def test_a_norm_that_starts_a_sequence_belongs_to_it() -> None:
    tree = parent("", leaf("stem"), sequence("down", norm("down.0"), leaf("down.1")), leaf("last"), leaf("fc"))
    assert blocks(tree, "fc") == (("stem",), ("down.0", "down.1"), ("last",))


def test_a_norm_before_the_head_stays_with_the_last_block() -> None:
    tree = parent("", leaf("stem"), sequence("classifier", norm("classifier.0"), leaf("classifier.1")))
    assert blocks(tree, "classifier.1") == (("stem", "classifier.0"),)


def test_a_stage_that_is_a_list_of_blocks_is_opened() -> None:
    def stage(path: str) -> LayerNode:
        inner = parent(f"{path}.layers", leaf(f"{path}.layers.0"), leaf(f"{path}.layers.1"), container=True, kind="ModuleList")
        return parent(path, inner)

    tree = parent("", stage("a"), stage("b"), stage("c"), leaf("fc"))
    assert [block[0] for block in blocks(tree, "fc")] == [f"{s}.layers.{i}" for s in "abc" for i in (0, 1)]


def test_a_residual_block_with_a_sequence_inside_stays_whole() -> None:
    def block(path: str) -> LayerNode:
        return parent(path, sequence(f"{path}.block", leaf(f"{path}.block.0"), norm(f"{path}.block.1")))

    tree = parent("", sequence("features", block("features.0"), block("features.1"), block("features.2")), leaf("fc"))
    assert len(blocks(tree, "fc")) == 3


def test_a_module_that_holds_most_of_the_network_is_opened() -> None:
    tree = parent("", leaf("stem"), parent("encoder", leaf("encoder.a", 50), leaf("encoder.b", 50)), leaf("fc"))
    assert blocks(tree, "fc") == (("stem",), ("encoder.a",), ("encoder.b",))


def test_every_leaf_outside_the_head_is_in_exactly_one_block() -> None:
    tree = parent("", norm("first"), leaf("conv"), sequence("down", norm("down.0"), norm("down.1")), leaf("fc"))
    found = [path for block in blocks(tree, "fc") for path in block]
    assert sorted(found) == sorted(node.path for node in tree.leaves() if not is_under(node.path, "fc"))


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        ({"a.0": 0.03, "a.1": 0.03, "head": 1.0}, (("a", 0.03), ("head", 1.0))),
        ({"a.0": 0.0, "a.1.conv": 0.03, "a.1.norm": 0.03, "a.2.conv": 0.03, "head": 1.0}, (("a.1 … a.2", 0.03), ("head", 1.0))),
        ({"a.0": 0.1, "a.1.conv": 0.2, "a.1.norm": 0.2}, (("a.0", 0.1), ("a.1", 0.2))),
        ({"a.0": 1.0, "b": 1.0}, (("all layers", 1.0),)),
        ({"a": 0.0, "b": 1.0, "c": 1.0}, (("b … c", 1.0),)),
        ({"a": 0.0}, ()),
        ({"b.4.conv": 0.0, "b.5.0.conv": 0.1, "b.5.0.norm": 0.1, "bn2": 0.1, "fc": 1.0}, (("b.5.0 … bn2", 0.1), ("fc", 1.0))),
        (
            {"a.0.conv": 0.1, "a.0.norm": 0.2, "a.1.conv": 0.1, "a.1.norm": 0.2},
            (("a.0.conv … a.1.conv", 0.1), ("a.0.norm … a.1.norm", 0.2)),
        ),
    ],
)
def test_layers_of_one_rate_are_told_together(rates: dict[str, float], told: tuple[tuple[str, float], ...]) -> None:
    assert same_rate(rates) == told


@given(st.lists(st.sampled_from((0.0, 0.1, 0.2, 0.3, 1.0)), min_size=12, max_size=12))
def test_layers_of_different_rates_have_different_names(rates: list[float]) -> None:
    paths = [f"b.{block}.{part}" for block in range(3) for part in ("conv.0", "conv.1", "norm", "gamma")]
    told = same_rate(dict(zip(paths, rates, strict=True)))
    assert len(dict(told)) == len(told) == len({rate for rate in rates if rate})
