"""Networks for a new task: heads, own weights, image sizes, and what stays untouched."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from desktop_ft.api import Backbone
from desktop_ft.core.errors import UserError
from desktop_ft.core.layers import blocks, is_under
from desktop_ft.models.build import build_network
from desktop_ft.models.checkpoint import Checkpoint, CheckpointStore, Progress
from desktop_ft.models.layer_tree import layer_tree, layers_of
from desktop_ft.plugin_manager import load_plugins
from desktop_ft.runs import atomic
from tests.models.tiny import save_safetensors, tiny_backbone, tiny_network

# The smallest of each family.
FAMILIES = {
    "AlexNet": "alexnet",
    "ConvNeXt": "convnext_tiny",
    "DenseNet": "densenet121",
    "EfficientNet": "efficientnet_b0",
    "EfficientNet-Lite": "efficientnet_lite0",
    "GoogLeNet": "googlenet",
    "Inception v3": "inception_v3",
    "MNASNet": "mnasnet0_5",
    "MaxViT": "maxvit_t",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3": "mobilenet_v3_small",
    "RegNet": "regnet_y_400mf",
    "ResNet": "resnet18",
    "ShuffleNetV2": "shufflenet_v2_x0_5",
    "SqueezeNet": "squeezenet1_1",
    "Swin": "swin_t",
    "VGG": "vgg11",
    "ViT": "vit_b_32",
}


@pytest.fixture(scope="module")
def get() -> Callable[[str], Backbone]:
    return load_plugins(safe_mode=True).backbones.get


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, dict[str, Tensor]]:
    torch.manual_seed(5)
    tensors = tiny_network().state_dict()
    return save_safetensors(tensors, tmp_path / "published.safetensors"), tensors


def test_the_families_tested_are_all_there_are() -> None:
    assert {b.spec.family for b in load_plugins(safe_mode=True).backbones} == set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES.values())
def test_every_family_gives_a_tree_and_takes_a_new_head(name: str, get: Callable[[str], Backbone]) -> None:
    backbone = get(name)
    tree = layers_of(backbone, classes=5)
    assert sum(leaf.parameters for leaf in tree.leaves()) == tree.parameters
    assert tree.output_shape == (5,)
    head = tree.find(backbone.spec.head)
    assert head is not None
    assert head.type in ("Linear", "Conv2d")
    assert head.output_shape is not None
    assert head.output_shape[0] == 5
    cut = blocks(tree, backbone.spec.head)
    assert len(cut) >= 5
    outside = [leaf.path for leaf in tree.leaves() if not is_under(leaf.path, backbone.spec.head)]
    assert sorted(outside) == sorted(path for block in cut for path in block)
    # Inception's published count holds its auxiliary head, which is not built.
    if name != "inception_v3":
        assert layers_of(backbone).parameters == backbone.spec.parameters


def test_looking_at_a_giant_takes_no_memory(get: Callable[[str], Backbone]) -> None:
    tree = layers_of(get("regnet_y_128gf"), image_size=384)
    assert tree.parameters == get("regnet_y_128gf").spec.parameters


@pytest.mark.parametrize("name", ["googlenet", "maxvit_t", "regnet_y_400mf", "swin_t", "vit_b_32"])
def test_looking_draws_nothing_from_a_run_in_another_thread(name: str, get: Callable[[str], Backbone]) -> None:
    before = torch.get_rng_state()
    layers_of(get(name), classes=3)
    assert torch.equal(before, torch.get_rng_state())


def test_reading_the_tree_leaves_the_network_as_it_was() -> None:
    module = tiny_network().train()
    module.get_submodule("1").eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    tree = layer_tree(module, 32)
    assert tree.output_shape == (10,)
    assert next(node.output_shape for node in tree.children) == (4, 15, 15)
    assert [part.training for part in module.children()] == [True, False, True, True, True, True, True]
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert not any(part._forward_hooks for part in module.modules())


def test_pretrained_layers_are_the_published_ones(published: tuple[Path, dict[str, Tensor]]) -> None:
    path, tensors = published
    network = build_network(tiny_backbone(path), 3, pretrained=True)
    state = network.backbone.state_dict()
    assert all(torch.equal(state[name], tensors[name]) for name in tensors if not name.startswith("6."))
    assert state["6.weight"].shape == (3, 8)
    assert not state["6.bias"].any()
    assert 0 < state["6.weight"].abs().max() < 0.1


def test_the_seed_decides_the_head_and_nothing_else_is_drawn(published: tuple[Path, dict[str, Tensor]]) -> None:
    backbone = tiny_backbone(published[0])
    before = torch.get_rng_state()
    built = [build_network(backbone, 3, pretrained=pretrained, seed=seed) for pretrained in (True, False) for seed in (0, 0, 1)]
    assert torch.equal(before, torch.get_rng_state())
    for first, same, other in (built[:3], built[3:]):
        assert torch.equal(first.backbone.get_parameter("6.weight"), same.backbone.get_parameter("6.weight"))
        assert not torch.equal(first.backbone.get_parameter("6.weight"), other.backbone.get_parameter("6.weight"))
    scratch = built[3].backbone.state_dict()
    assert torch.equal(scratch["0.weight"], built[4].backbone.state_dict()["0.weight"])
    assert not torch.equal(scratch["0.weight"], published[1]["0.weight"])


def test_bytes_and_fractions_of_one_give_the_same_answer() -> None:
    network = build_network(tiny_backbone(), 3, pretrained=False).eval()
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    answer = network(pixels)
    torch.testing.assert_close(answer, network(pixels / 255))
    by_hand = (pixels / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1)
    torch.testing.assert_close(answer, network.backbone(by_hand))


def test_weights_that_are_not_here_are_told() -> None:
    with pytest.raises(UserError, match="of tiny are not on this machine"):
        build_network(tiny_backbone(), 3, pretrained=True)


def test_own_weights_keep_their_head_where_the_classes_are_as_many(published: tuple[Path, dict[str, Tensor]]) -> None:
    path, tensors = published
    same = build_network(tiny_backbone(), 10, pretrained=True, own_weights=path)
    assert all(torch.equal(same.backbone.state_dict()[name], tensors[name]) for name in tensors)
    other = build_network(tiny_backbone(), 3, pretrained=True, own_weights=path).backbone.state_dict()
    assert other["6.weight"].shape == (3, 8)
    assert torch.equal(other["3.weight"], tensors["3.weight"])


@pytest.mark.parametrize("wrapped", ["network", "parallel"])
def test_own_weights_of_our_network_or_a_wrapped_one_are_understood(wrapped: str, tmp_path: Path) -> None:
    network = build_network(tiny_backbone(), 4, pretrained=False, seed=3)
    state = network.state_dict() if wrapped == "network" else {f"module.{k}": t for k, t in network.backbone.state_dict().items()}
    path = save_safetensors(state, tmp_path / "own.safetensors")
    again = build_network(tiny_backbone(), 4, pretrained=True, own_weights=path, seed=9)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_a_checkpoint_of_a_run_serves_as_own_weights(tmp_path: Path) -> None:
    network = build_network(tiny_backbone(), 4, pretrained=False, seed=3)
    momentum = {"backbone.6.weight/exp_avg": torch.ones(4, 8)}
    saved = Checkpoint(model=network.state_dict(), optimizer=momentum, progress=Progress(epoch=1))
    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / CheckpointStore(tmp_path / "checkpoints", atomic.write).save(saved, best=True)
    again = build_network(tiny_backbone(), 4, pretrained=True, own_weights=path, seed=9)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in network.state_dict().items())


def _without(name: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name}


MISFITS = {
    "missing": (_without("0.weight"), r"1 tensors missing \(0\.weight\)"),
    "unknown": (lambda tensors: tensors | {"9.weight": torch.ones(1)}, r"1 tensors unknown \(9\.weight\)"),
    "reshaped": (
        lambda tensors: tensors | {"3.weight": torch.ones(8, 4, 1, 1)},
        r"1 tensors of another shape \(3\.weight is 8×4×1×1, not 8×4×3×3\)",
    ),
    "infinite": (lambda tensors: tensors | {"3.bias": torch.full((8,), torch.inf)}, "not numbers, in 3.bias"),
    "not a number": (lambda tensors: tensors | {"3.bias": torch.full((8,), torch.nan)}, "not numbers, in 3.bias"),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_own_weights_that_do_not_fit_are_refused_with_the_difference(
    kind: str, published: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    change, told = MISFITS[kind]
    path = save_safetensors(change(published[1]), tmp_path / "own.safetensors")
    with pytest.raises(UserError, match=told) as refused:
        build_network(tiny_backbone(), 3, pretrained=True, own_weights=path)
    assert "own.safetensors" in refused.value.what


def test_a_bound_that_binds_nothing_may_be_infinite(tmp_path: Path) -> None:
    plain = tiny_backbone()

    def build() -> torch.nn.Module:
        module = plain.build()
        module.register_buffer("bound", torch.tensor(torch.inf))
        return module

    path = save_safetensors(build().state_dict(), tmp_path / "own.safetensors")
    network = build_network(replace(plain, build=build), 3, pretrained=True, own_weights=path)
    assert network.backbone.get_buffer("bound") == torch.inf


def test_half_precision_files_fill_whole_precision_networks(published: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    halved = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in published[1].items()}
    network = build_network(tiny_backbone(save_safetensors(halved, tmp_path / "half.safetensors")), 3, pretrained=True)
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}


def test_weights_without_batch_counts_are_complete(published: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    path = save_safetensors(_without("1.num_batches_tracked")(published[1]), tmp_path / "old.safetensors")
    assert build_network(tiny_backbone(path), 3, pretrained=True).backbone.state_dict()["1.num_batches_tracked"] == 0


def test_lite0_with_its_weights_has_a_fresh_head(get: Callable[[str], Backbone]) -> None:
    network = build_network(get("efficientnet_lite0"), 2, pretrained=True).eval()
    assert network.head_path == "classifier"
    assert network(torch.zeros(1, 3, 224, 224, dtype=torch.uint8)).shape == (1, 2)
    assert network.backbone.get_buffer("bn1.running_mean").any()


def test_a_vision_transformer_takes_pictures_of_another_size(get: Callable[[str], Backbone]) -> None:
    network = build_network(get("vit_b_32"), 2, pretrained=False, image_size=96).eval()
    assert network(torch.zeros(1, 3, 96, 96)).shape == (1, 2)
    assert layers_of(get("vit_b_32"), 96, 2).parameters == sum(p.numel() for p in network.parameters())


def test_resized_positions_agree_with_torchvisions_own(get: Callable[[str], Backbone]) -> None:
    from torchvision.models.vision_transformer import interpolate_embeddings

    plain = build_network(get("vit_b_32"), 2, pretrained=False, seed=1).backbone.state_dict()
    resized = build_network(get("vit_b_32"), 2, pretrained=False, seed=1, image_size=160).backbone
    theirs = interpolate_embeddings(160, 32, dict(plain))
    torch.testing.assert_close(resized.get_parameter("encoder.pos_embedding"), theirs["encoder.pos_embedding"])


@pytest.mark.parametrize(("name", "size"), [("vit_b_32", 100), ("maxvit_t", 96), ("alexnet", 32)])
def test_a_size_that_does_not_fit_is_refused(name: str, size: int, get: Callable[[str], Backbone]) -> None:
    with pytest.raises(UserError, match=f"{name} cannot take pictures of {size} pixels. Leave the image size at 224"):
        layers_of(get(name), image_size=size)


def test_a_head_of_an_unknown_kind_is_the_plugins_fault() -> None:
    backbone = tiny_backbone()
    wrong = replace(backbone, spec=replace(backbone.spec, head="2"))
    with pytest.raises(TypeError, match="ReLU"):
        build_network(wrong, 2, pretrained=False)


def test_norms_with_an_activation_inside_are_one_layer() -> None:
    class NormAct(nn.BatchNorm2d):
        def __init__(self) -> None:
            super().__init__(3)
            self.act = nn.ReLU()

    tree = layer_tree(nn.Sequential(NormAct(), nn.Flatten(), nn.Linear(48, 2)), 4)
    assert [leaf.path for leaf in tree.leaves()] == ["0", "2"]
