"""A network is cut behind what never changes, and its parts answer as the whole does."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from desktop_ft.api import Backbone
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.layers import is_under
from desktop_ft.models.build import build_network
from desktop_ft.models.cutting import Cut, Uncuttable, cut
from desktop_ft.models.freezing import Freezer
from desktop_ft.models.layer_tree import layer_tree
from desktop_ft.models.network import Network
from desktop_ft.plugin_manager import load_plugins

SMALLEST = {"Inception v3": 299, "MaxViT": 224, "ViT": 224, "AlexNet": 64}
"""Sides at which a family still works; 32 pixels elsewhere."""


def families() -> list[Backbone]:
    """The smallest network of each family."""
    smallest: dict[str, Backbone] = {}
    for backbone in load_plugins(safe_mode=True).backbones:
        known = smallest.get(backbone.spec.family)
        if known is None or backbone.spec.parameters < known.spec.parameters:
            smallest[backbone.spec.family] = backbone
    return list(smallest.values())


def prepared(backbone: Backbone, plan: FreezePlan, classes: int = 3) -> tuple[Network, Tensor]:
    """The network in training mode as the plan has it, and three pictures for it."""
    size = SMALLEST.get(backbone.spec.family, 32)
    network = build_network(backbone, classes, pretrained=False, image_size=0 if size == backbone.spec.resize.crop else size)
    freezer = Freezer(network.backbone, plan, layer_tree(network.backbone, size), backbone.spec.head)
    freezer.apply(0)
    network.train()
    freezer.train_mode(0)
    pictures = torch.randint(256, (3, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return network, pictures


def holds(part: nn.Module) -> set[int]:
    return {id(parameter) for parameter in part.parameters()}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", families(), ids=lambda backbone: backbone.spec.name)
@pytest.mark.parametrize("preset", ["head", "last:2"])
def test_every_family_is_cut_before_what_learns(backbone: Backbone, preset: str) -> None:
    network, pictures = prepared(backbone, FreezePlan(preset=preset))
    modes = {module: module.training for module in network.modules()}
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    made = cut(network, pictures)
    assert made is not None
    assert {module: module.training for module in network.modules()} == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in made.prefix.parameters())
    learning = {id(parameter) for parameter in network.parameters() if parameter.requires_grad}
    assert learning <= holds(made.learning) and learning <= holds(made.judging)
    features = made.prefix(pictures)
    assert len(features) == len(pictures)
    _answers_alike(network, made, pictures, features)


def _answers_alike(network: nn.Module, made: Cut, pictures: Tensor, features: Tensor) -> None:
    torch.manual_seed(3)
    whole = network(pictures)
    torch.manual_seed(3)
    torch.testing.assert_close(made.learning(features), whole)  # dropout behind the cut draws the same
    network.eval()
    torch.testing.assert_close(made.judging(features), network(pictures))


@pytest.fixture
def get() -> Callable[[str], Backbone]:
    return load_plugins(safe_mode=True).backbones.get


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("efficientnet_lite0", "convnext_tiny")]


@pytest.mark.parametrize("name", ["resnet18", *SLOW])
def test_more_frozen_blocks_move_the_cut_towards_the_head(name: str, get: Callable[[str], Backbone]) -> None:
    in_front = []
    for preset in ("last:4", "last:2", "last:1", "head"):
        network, pictures = prepared(get(name), FreezePlan(preset=preset))
        made = cut(network, pictures)
        assert made is not None
        in_front.append(sum(parameter.numel() for parameter in made.prefix.parameters()))
    assert in_front == sorted(set(in_front))
    everything = sum(parameter.numel() for parameter in network.parameters())
    head = sum(p.numel() for name, p in network.backbone.named_parameters() if is_under(name, network.head_path))
    assert in_front[-1] == everything - head


@pytest.mark.parametrize("preset", ["all", "scratch"])
def test_where_the_first_layer_learns_there_is_nothing_to_cut(preset: str, get: Callable[[str], Backbone]) -> None:
    network, pictures = prepared(get("efficientnet_lite0"), FreezePlan(preset=preset))
    assert cut(network, pictures) is None


class Chance(nn.Module):
    """Frozen layers around something that is drawn by chance."""

    def __init__(self, chance: nn.Module) -> None:
        super().__init__()
        self.first, self.chance, self.second, self.head = nn.Linear(4, 4), chance, nn.Linear(4, 4), nn.Linear(4, 2)
        for part in (self.first, self.second):
            part.requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.second(self.chance(self.first(inputs))))
        return logits


class Functional(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.dropout(inputs, 0.5, self.training)


@pytest.mark.parametrize("chance", [nn.Dropout(0.5), nn.RReLU(), nn.BatchNorm1d(4, affine=False), Functional()])
def test_nothing_drawn_by_chance_is_kept(chance: nn.Module) -> None:
    made = cut(Chance(chance).train(), torch.randn(3, 4))
    assert made is not None
    assert made.after == "first"


class Always(nn.Module):
    """Draws in eval mode too, and says nothing of it."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + torch.rand_like(inputs)


def test_a_network_that_never_answers_twice_alike_is_not_cut() -> None:
    with pytest.raises(Uncuttable, match="do not answer as the whole"):
        cut(Chance(Always()).train(), torch.randn(3, 4))


def test_chance_that_rests_may_lie_in_front() -> None:
    network = Chance(nn.Dropout(0.5)).train()
    network.chance.eval()
    made = cut(network, torch.randn(3, 4))
    assert made is not None
    assert made.after == "second"


class Skip(nn.Module):
    """The first layer's answer is used again at the head: between them two tensors are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        for part in (self.first, self.second):
            part.requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        early = self.first(inputs)
        logits: Tensor = self.head(self.second(early)) + self.head(early)
        return logits


def test_one_tensor_alone_crosses_the_cut() -> None:
    made = cut(Skip().train(), torch.randn(3, 4))
    assert made is not None
    assert made.after == "first"


class Undecided(nn.Module):
    """Goes by what it sees, so it cannot be traced; as a part of another network it is taken whole."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs) if inputs.sum() > 0 else -self.layer(inputs)


def test_a_part_that_cannot_be_traced_is_taken_whole() -> None:
    part = Undecided().requires_grad_(False)
    made = cut(nn.Sequential(part, nn.Linear(4, 2)).train(), torch.randn(3, 4))
    assert made is not None
    assert made.after == "0"
    assert [node.op for node in made.prefix.graph.nodes] == ["placeholder", "call_module", "output"]


def test_a_network_that_cannot_be_traced_says_so() -> None:
    with pytest.raises(Uncuttable, match="cannot be traced"):
        cut(Undecided().train(), torch.randn(3, 4))


def test_a_network_that_acts_otherwise_in_training_is_not_cut() -> None:
    class TwoFaced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            logits: Tensor = self.head(self.first(inputs * 2) if self.training else self.first(inputs))
            return logits

    with pytest.raises(Uncuttable, match="training mode"):
        cut(TwoFaced().train(), torch.randn(3, 4))


def test_other_threads_compute_as_ever_while_a_network_is_traced(get: Callable[[str], Backbone]) -> None:
    networks = [prepared(get("efficientnet_lite0"), FreezePlan(preset="head")) for _ in range(2)]
    other = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 2))
    inputs = torch.randn(5, 4)
    wanted = other(inputs)
    with ThreadPoolExecutor(3) as pool:
        cuts = [pool.submit(cut, network, pictures) for network, pictures in networks]
        answers = []
        while not all(future.done() for future in cuts):
            answers.append(other(inputs))
    assert answers
    assert all(torch.equal(answer, wanted) for answer in answers)
    assert all(future.result() is not None for future in cuts)


class InPlace(nn.Module):
    """Frozen layers that write over what they were given, around a skip that keeps two tensors alive."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        for part in (self.first, self.second):
            part.requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        early = self.first(inputs)
        late = nn.functional.relu_(early)
        logits: Tensor = self.head(self.second(late) + late)
        return logits


def test_layers_that_write_in_place_do_not_spoil_the_proof() -> None:
    network, inputs = InPlace().train(), torch.randn(3, 4)
    made = cut(network, inputs)
    assert made is not None
    assert made.after == "second"
    features = made.prefix(inputs)
    torch.testing.assert_close(made.learning(features), network(inputs))


def test_a_network_that_fails_while_it_is_looked_at_is_not_cut() -> None:
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            logits: Tensor = self.head(self.first(inputs.view(8, 4)))
            return logits

    with pytest.raises(Uncuttable, match="cannot be found out"):
        cut(Picky().train(), torch.randn(3, 4))
