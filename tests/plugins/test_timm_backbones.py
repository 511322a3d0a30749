"""timm's networks: their facts, their one head, and weights files as they were published."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from desktop_ft.api import Backbone, UserError, WeightsOrigin
from desktop_ft.api.catalog import Catalog
from desktop_ft.api.testing import Check, conformance_tests
from desktop_ft.core.backbone import is_found_by
from desktop_ft.core.freezing import FreezePlan, learning_share
from desktop_ft.models.build import build_network
from desktop_ft.models.cutting import cut
from desktop_ft.models.freezing import Freezer
from desktop_ft.models.layer_tree import layer_tree
from desktop_ft.models.weights import verified_file
from desktop_ft.plugin_manager import PluginState, load_module, load_plugins, set_enabled
from plugins import timm_backbones
from plugins.timm_backbones import PREFIX, collect_facts
from plugins.timm_backbones.network import built

LARGEST = 60_000_000
"""Parameters: families whose smallest network has more are left to `states true facts`."""
SEVERAL_HEADS = (
    "deit_tiny_distilled_patch16_224.fb_in1k",
    "crossvit_9_240.in1k",
    "levit_128s.fb_dist_in1k",
    "repvit_m0_9.dist_300e_in1k",
)
BROUGHT = load_module(timm_backbones.__name__).backbones
TINY = ("test_byobnet.r160_in1k", "test_convnext.r160_in1k", "test_efficientnet.r160_in1k", "test_vit.r160_in1k")


@pytest.fixture(scope="module")
def backbones() -> Catalog[Backbone]:
    return BROUGHT


def families() -> list[Backbone]:
    """The smallest network of each family, where it is small enough to be built and asked."""
    smallest: dict[str, Backbone] = {}
    for backbone in sorted(_brought(), key=lambda each: each.spec.parameters):
        smallest.setdefault(backbone.spec.family, backbone)
    return [backbone for backbone in smallest.values() if backbone.spec.parameters <= LARGEST]


def _brought() -> Iterator[Backbone]:
    return (backbone for backbone in BROUGHT if backbone.spec.name.startswith(PREFIX))


def asked(check: Check) -> bool:
    """Everything of four tiny networks that timm ships for tests; of the others the tests below ask what they can afford."""
    return not check.of.startswith("backbone") or check.of in {f"backbone {PREFIX}{name}" for name in TINY}


test_conforms = conformance_tests(timm_backbones, asked=asked)


def test_it_is_off_until_a_person_turns_it_on_and_then_imports_neither_torch_nor_timm() -> None:
    assert not any(backbone.spec.name.startswith(PREFIX) for backbone in load_plugins().backbones)
    set_enabled("timm_backbones", on=True)
    code = (
        "import sys; from desktop_ft.plugin_manager import load_plugins; from desktop_ft.jobs.backbones import offers\n"
        "found = offers(load_plugins())\n"
        "assert len(found) > 1900, len(found)\n"
        "assert not {'torch', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_timm_it_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    set_enabled("timm_backbones", on=True)
    record = next(each for each in load_plugins().records if each.name == "timm_backbones")
    assert record.state is PluginState.FAILED
    assert record.told == "timm is not installed. Install it: pip install 'desktop-ft[timm]'"


def test_every_classifier_of_timm_is_there(backbones: Catalog[Backbone]) -> None:
    import timm

    missing = {name for name in (*timm.list_models(), *timm.list_models(pretrained=True)) if _of(name) not in _names(backbones)}
    # Encoders of language models, which have no classifier; and one whose pictures are not square.
    assert all(re.search(r"_enc(\.|$)|_sapiens2(\.|$)", name) for name in missing), sorted(missing)


def _names(backbones: Catalog[Backbone]) -> set[str]:
    names = {backbone.spec.name for backbone in backbones}
    return names | {name.partition(".")[0] for name in names}


def _of(name: str) -> str:
    return PREFIX + name


def test_facts_are_sound() -> None:
    for spec in (backbone.spec for backbone in _brought()):
        weights = spec.weights
        assert spec.parameters > 10_000 and spec.head and spec.family and spec.source.startswith("https://"), spec
        assert spec.resize.resize >= spec.resize.crop >= 96, spec
        assert spec.top1 is None or 50 < spec.top1 < 92, spec
        assert spec.gflops is None or 0.0005 < spec.gflops < 10_000, spec
        assert (weights.origin is WeightsOrigin.NONE) == ("." not in spec.name), spec
        if weights.origin is not WeightsOrigin.NONE:
            assert weights.url.startswith("https://") and weights.licence, spec
        if weights.origin is WeightsOrigin.DOWNLOAD:
            assert f"-{weights.sha256_prefix}." in weights.url, "the publisher's name of the file carries its hash"


def test_the_licence_is_the_weights_own() -> None:
    for spec in (backbone.spec for backbone in _brought()):
        closed = any(word in spec.weights.licence.lower() for word in ("-nc-", "noncommercial", "unknown", "not stated", "amlr"))
        assert not (closed and spec.weights.commercial_use), spec


def test_networks_are_found_by_their_facts(backbones: Catalog[Backbone]) -> None:
    found = [backbone.spec for backbone in backbones if is_found_by(backbone.spec, "VIT imagenet-21k 384px apache")]
    assert found
    assert {spec.resize.crop for spec in found} == {384} and all("ImageNet-21K" in spec.trained_on for spec in found)
    assert _of("vit_base_patch16_384.augreg_in21k_ft_in1k") in {spec.name for spec in found}


@pytest.mark.parametrize("name", SEVERAL_HEADS)
def test_a_network_with_several_heads_has_one_on_what_they_saw(name: str, backbones: Catalog[Backbone], tmp_path: Path) -> None:
    import timm

    published = timm.create_model(name, pretrained=False).eval()
    save_file({key: tensor.contiguous() for key, tensor in published.state_dict().items()}, tmp_path / "model.safetensors")
    backbone = backbones.get(_of(name))
    network = build_network(backbone, 5, pretrained=False, own_weights=tmp_path / "model.safetensors").eval()
    side = backbone.spec.resize.crop
    pictures = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        seen = published.forward_head(published.forward_features(pictures), pre_logits=True)
        torch.testing.assert_close(network.backbone(pictures), network.backbone.get_submodule("head")(seen))


def test_a_file_older_than_timms_names_is_understood(backbones: Catalog[Backbone]) -> None:
    backbone = backbones.get("timm/densenet121.tv_in1k")
    model = backbone.build()
    aged = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", name): tensor
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert set(aged) != set(model.state_dict())
    other = backbone.build()
    other.load_state_dict(dict(backbone.adapt(aged, other)))
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_a_file_without_a_head_keeps_the_new_one(backbones: Catalog[Backbone], tmp_path: Path) -> None:
    backbone = backbones.get("timm/test_vit.r160_in1k")
    body = {name: torch.full_like(tensor, 0.5) for name, tensor in backbone.build().state_dict().items() if "head" not in name}
    save_file(body, tmp_path / "body.safetensors")
    network = build_network(backbone, 4, pretrained=False, own_weights=tmp_path / "body.safetensors")
    assert network.backbone.state_dict()["head.weight"].shape[0] == 4
    assert all(torch.equal(tensor, network.backbone.state_dict()[name]) for name, tensor in body.items())


def test_a_file_of_another_network_is_refused(backbones: Catalog[Backbone], tmp_path: Path) -> None:
    save_file(built("test_resnet.r160_in1k", 10)[0].state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="does not fit timm/test_vit"):
        build_network(backbones.get("timm/test_vit.r160_in1k"), 4, pretrained=False, own_weights=tmp_path / "other.safetensors")


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224.augreg_in21k_ft_in1k", "deit_tiny_distilled_patch16_224.fb_in1k"])
def test_a_transformer_takes_pictures_of_another_size(name: str, backbones: Catalog[Backbone]) -> None:
    network = build_network(backbones.get(_of(name)), 2, pretrained=False, image_size=128)
    assert network(torch.zeros(1, 3, 128, 128, dtype=torch.uint8)).shape == (1, 2)
    before = build_network(backbones.get(_of(name)), 2, pretrained=False)
    taken, usual = (dict(each.backbone.named_parameters()) for each in (network, before))
    resampled = {key for key, tensor in usual.items() if taken[key].shape != tensor.shape}
    assert {key.removeprefix("body.") for key in resampled} == {"pos_embed"}
    with pytest.raises(UserError, match="cannot take pictures of 8 pixels"):
        build_network(backbones.get(_of(name)), 2, pretrained=False, image_size=8)


def test_a_network_that_this_timm_lacks_is_told() -> None:
    for name in ("resnet50.of_tomorrow", "network_of_tomorrow"):
        with pytest.raises(UserError, match=f"has no network {name}"):
            built(name, 10)


def test_where_weights_are_fetched_by_hand_the_person_is_told_where(backbones: Catalog[Backbone]) -> None:
    backbone = backbones.get("timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    assert backbone.spec.weights.origin is WeightsOrigin.BY_HAND
    with pytest.raises(UserError, match=r"Fetch the file yourself from https://\S+vit_tiny_patch16_224\S*, then choose it"):
        verified_file(backbone)


@pytest.mark.slow
def test_the_facts_are_what_timm_says_now() -> None:
    columns, *rows = json.loads(collect_facts.FACTS.read_text())
    names, accuracy = [row[0] for row in rows], collect_facts._accuracy()
    assert tuple(columns) == collect_facts.COLUMNS and len(set(names)) == len(rows)
    for row in rows[::40]:  # of all, it takes ten minutes
        layers = collect_facts._looked_at(row[0])
        assert not isinstance(layers, str), layers
        assert json.loads(json.dumps(collect_facts._row(row[0], layers, accuracy))) == row


def test_a_transformer_that_takes_any_size_is_cut_all_the_same(backbones: Catalog[Backbone]) -> None:
    import timm

    assert timm.create_model("test_vit.r160_in1k").dynamic_img_size
    network = build_network(backbones.get("timm/test_vit.r160_in1k"), 3, pretrained=False)
    Freezer(network.backbone, FreezePlan(preset="head"), layer_tree(network.backbone), "head").apply(0)
    assert cut(network, torch.zeros(1, 3, 160, 160, dtype=torch.uint8)) is not None


@pytest.mark.slow
@pytest.mark.parametrize("backbone", families(), ids=lambda backbone: backbone.spec.name)
def test_the_smallest_of_each_family_does_what_is_asked_of_it(backbone: Backbone) -> None:
    head, side = backbone.spec.head, backbone.spec.resize.crop
    assert _parameters(backbone.build()) == backbone.spec.parameters
    network = build_network(backbone, 2, pretrained=False).eval()
    pictures = torch.randint(256, (2, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        once, again = network(pictures), network(pictures)
    assert once.shape == (2, 2) and torch.equal(once, again) and bool(torch.isfinite(once).all())
    same = build_network(backbone, 2, pretrained=False).state_dict()
    assert all(torch.equal(tensor, same[name]) for name, tensor in network.state_dict().items())
    tree = layer_tree(network.backbone)
    for preset in ("head", "last:2", "all", "discriminative", "gradual", "scratch"):
        plan = FreezePlan(preset=preset)
        freezer = Freezer(network.backbone, plan, tree, head)
        freezer.apply(0)
        freezer.train_mode(0)
        learning = {name for name, held in network.backbone.named_parameters() if held.requires_grad}
        assert learning and learning_share(tree, plan.rates(tree, head)) > 0
        assert (learning == {f"{head}.weight", f"{head}.bias"}) == (preset in ("head", "gradual")), preset


def _parameters(module: nn.Module) -> int:
    return sum(held.numel() for held in module.parameters())
