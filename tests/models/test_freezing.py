"""What is frozen stays bit for bit as it was, buffers included; what may learn does."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from desktop_ft.api import Backbone
from desktop_ft.core.freezing import BatchNormPolicy, FreezePlan
from desktop_ft.core.layers import LayerNode, is_under
from desktop_ft.models.build import build_network
from desktop_ft.models.freezing import Freezer, ParameterGroup
from desktop_ft.models.layer_tree import layer_tree
from desktop_ft.models.network import Network
from desktop_ft.plugin_manager import load_plugins

SIZE = 32
STEPS = 2
PRESETS = ("head", "last:1", "last:3", "all", "discriminative", "gradual", "gradual:2", "scratch")
BATCH_NORM = ("efficientnet_lite0", "resnet18", "mobilenet_v3_small")
LAYER_NORM = ("convnext_tiny",)
OPTIMIZERS: dict[str, Callable[[list[dict[str, Any]]], torch.optim.Optimizer]] = {
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01, fused=True),
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.9),
}


@pytest.fixture(scope="module")
def get() -> Callable[[str], Backbone]:
    return load_plugins(safe_mode=True).backbones.get


def prepared(backbone: Backbone, plan: FreezePlan, size: int = SIZE) -> tuple[Network, LayerNode, Freezer]:
    network = build_network(backbone, 2, pretrained=False, image_size=size)
    tree = layer_tree(network.backbone, size)
    return network, tree, Freezer(network.backbone, plan, tree, backbone.spec.head)


def epochs(network: Network, freezer: Freezer, count: int, optimizer: str = "adamw") -> Iterator[int]:
    """Train as the engine does, yielding after each epoch."""
    groups = [{"params": list(g.parameters), "weight_decay": g.weight_decay, "leaf": g.leaf} for g in freezer.groups(count, 0.05)]
    stepper = OPTIMIZERS[optimizer](groups)
    chance = torch.Generator().manual_seed(0)
    for epoch in range(count):
        freezer.apply(epoch)
        freezer.train_mode(epoch)
        for group in stepper.param_groups:
            group["lr"] = 0.01 * freezer.rates(epoch)[group["leaf"]]
        for _ in range(STEPS):
            pictures = torch.rand(4, 3, SIZE, SIZE, generator=chance)
            stepper.zero_grad()
            nn.functional.cross_entropy(network(pictures), torch.tensor([0, 1, 1, 1])).backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
            stepper.step()
        yield epoch


def copied(network: Network) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.backbone.state_dict().items()}


def owner(name: str, tree: LayerNode) -> str:
    return next(leaf.path for leaf in tree.leaves() if is_under(name, leaf.path))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", [*BATCH_NORM[:1], *LAYER_NORM])
def test_frozen_tensors_are_bit_identical_and_learning_ones_move(name: str, preset: str, get: Callable[[str], Backbone]) -> None:
    network, tree, freezer = prepared(get(name), FreezePlan(preset=preset, backbone_rate=1))
    before = copied(network)
    for epoch in epochs(network, freezer, 3 if "gradual" in preset else 1):
        after, rates = copied(network), freezer.rates(epoch)
        for tensor, value in after.items():
            moved = not torch.equal(value, before[tensor])
            if moved:
                assert rates[owner(tensor, tree)], f"{tensor} is frozen, but moved in epoch {epoch}"
            elif "num_batches" in tensor or "running" in tensor or is_under(tensor, get(name).spec.head):
                assert not rates[owner(tensor, tree)], f"{tensor} learns, but did not move in epoch {epoch}"
        before = after


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("policy", BatchNormPolicy)
@pytest.mark.parametrize("name", BATCH_NORM)
def test_batch_norm_keeps_to_its_policy(
    name: str, policy: BatchNormPolicy, optimizer: str, get: Callable[[str], Backbone]
) -> None:
    network, tree, freezer = prepared(get(name), FreezePlan(preset="last:2", batch_norm=policy))
    before = copied(network)
    list(epochs(network, freezer, 1, optimizer))
    moved = {tensor for tensor, value in copied(network).items() if not torch.equal(value, before[tensor])}
    norms = {n for n, m in network.backbone.named_modules() if isinstance(m, nn.BatchNorm2d)}
    moved_norms = {tensor for tensor in moved if tensor.rpartition(".")[0] in norms}
    assert bool(moved_norms) is (policy is BatchNormPolicy.FOLLOW)
    rates = freezer.rates(0)
    assert all(rates[owner(tensor, tree)] for tensor in moved)


def test_an_override_freezes_and_frees(get: Callable[[str], Backbone]) -> None:
    plan = FreezePlan(preset="last:1", overrides={"layer4.1.bn2": 0, "conv1": 2}, backbone_rate=0.5)
    network, _, freezer = prepared(get("resnet18"), plan)
    before = copied(network)
    list(epochs(network, freezer, 1))
    moved = {tensor for tensor, value in copied(network).items() if not torch.equal(value, before[tensor])}
    assert "conv1.weight" in moved
    assert "layer4.1.conv2.weight" in moved
    assert not {tensor for tensor in moved if tensor.startswith(("layer4.1.bn2", "bn1", "layer1", "layer4.0"))}
    assert freezer.rates(0)["conv1"] == 1.0


def test_gradual_groups_hold_what_learns_later_too(get: Callable[[str], Backbone]) -> None:
    _, tree, freezer = prepared(get("resnet18"), FreezePlan(preset="gradual"))
    first = {group.leaf for group in freezer.groups(1, 0.1)}
    third = {group.leaf for group in freezer.groups(3, 0.1)}
    assert first == {"fc"}
    assert third == {leaf.path for leaf in tree.leaves() if leaf.path.startswith(("layer4.0", "layer4.1", "fc"))}


@pytest.mark.parametrize("name", ["resnet18", "vit_b_32", "swin_t", "convnext_tiny"])
def test_every_learning_parameter_is_in_one_group(name: str, get: Callable[[str], Backbone]) -> None:
    network, _, freezer = prepared(get(name), FreezePlan(preset="all"))
    held = [id(parameter) for group in freezer.groups(1, 0.1) for parameter in group.parameters]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in network.backbone.parameters()}


def spared(groups: list[ParameterGroup], network: Network) -> set[str]:
    names = {id(parameter): name for name, parameter in network.backbone.named_parameters()}
    return {names[id(p)] for group in groups if not group.weight_decay for p in group.parameters}


def test_weight_decay_spares_norms_biases_positions_and_tokens(get: Callable[[str], Backbone]) -> None:
    network, _, freezer = prepared(get("vit_b_32"), FreezePlan(preset="all"))
    found = spared(freezer.groups(1, 0.1), network)
    assert {"class_token", "encoder.pos_embedding", "encoder.ln.weight", "heads.head.bias"} <= found
    decayed = {name for name, _ in network.backbone.named_parameters()} - found
    attention = "encoder.layers.encoder_layer_0.self_attention"
    assert {"conv_proj.weight", f"{attention}.in_proj_weight", f"{attention}.out_proj.weight", "heads.head.weight"} <= decayed
    assert not {name for name in decayed if "ln" in name or "bias" in name}

    network, _, freezer = prepared(get("swin_t"), FreezePlan(preset="all"))
    assert "features.1.0.attn.relative_position_bias_table" in spared(freezer.groups(1, 0.1), network)
    network, _, freezer = prepared(get("convnext_tiny"), FreezePlan(preset="all"))
    assert "features.1.0.layer_scale" in spared(freezer.groups(1, 0.1), network)
    assert {group.weight_decay for group in freezer.groups(1, 0.1)} == {0.0, 0.1}


def test_frozen_parts_rest_and_the_dropout_before_a_learning_head_does_not(get: Callable[[str], Backbone]) -> None:
    network, _, freezer = prepared(get("alexnet"), FreezePlan(preset="head"), 64)
    freezer.train_mode(0)
    parts = dict(network.backbone.named_modules())
    assert not parts["features"].training
    assert not parts["classifier.3"].training, "the dropout before a frozen layer"
    assert parts["classifier.6"].training

    network, _, freezer = prepared(get("efficientnet_b0"), FreezePlan(preset="last:2"))
    freezer.train_mode(0)
    parts = dict(network.backbone.named_modules())
    assert not parts["features.6.0.stochastic_depth"].training
    assert parts["features.7.0.stochastic_depth"].training
    assert parts["classifier.0"].training, "the dropout before the head"


def test_what_freezes_loses_its_gradient(get: Callable[[str], Backbone]) -> None:
    network, _, freezer = prepared(get("resnet18"), FreezePlan(preset="head"))
    for parameter in network.backbone.parameters():
        parameter.grad = torch.ones_like(parameter)
    freezer.apply(0)
    kept = {name for name, parameter in network.backbone.named_parameters() if parameter.grad is not None}
    assert kept == {"fc.weight", "fc.bias"}
