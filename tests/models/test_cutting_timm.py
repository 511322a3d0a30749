"""Networks that timm builds are cut as ours are: their code is traced, whatever it does between blocks."""

import pytest
import torch

from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import DeviceChoice, Precision
from desktop_ft.engine.device import choose
from desktop_ft.engine.prefix import Prefix
from desktop_ft.models.cutting import cut
from desktop_ft.models.freezing import Freezer
from desktop_ft.models.layer_tree import layer_tree
from desktop_ft.models.network import Network
from tests.models.test_cutting import holds

FAMILIES = {
    "resnet18": 64,
    "tf_efficientnet_lite0": 64,
    "mobilenetv3_small_050": 64,
    "convnext_atto": 64,
    "vit_tiny_patch16_224": 224,
    "swin_tiny_patch4_window7_224": 224,
    "regnetx_002": 64,
    "densenet121": 64,
    "mixer_s32_224": 224,
    "maxvit_rmlp_pico_rw_256": 256,
    "edgenext_xx_small": 64,
    "poolformer_s12": 64,
}
"""Model and the side of its input."""


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["head", "last:1"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_timm_family_is_cut_before_what_learns(name: str, preset: str) -> None:
    import timm

    torch.manual_seed(0)
    size = FAMILIES[name]
    module = timm.create_model(name, num_classes=3)
    head = module.default_cfg["classifier"]
    tree = layer_tree(module, size)
    network = Network(module, head, (0.5,) * 3, (0.5,) * 3)
    freezer = Freezer(module, FreezePlan(preset=preset), tree, head)
    freezer.apply(0)
    network.train()
    freezer.train_mode(0)
    pictures = torch.randint(256, (3, 3, size, size), dtype=torch.uint8)
    made = cut(network, pictures)
    assert made is not None
    learning = {id(parameter) for parameter in network.parameters() if parameter.requires_grad}
    assert learning and not learning & holds(made.prefix)
    if preset == "head":  # next to nothing is left to compute
        assert sum(p.numel() for p in made.learning.parameters()) < 0.15 * sum(p.numel() for p in network.parameters())
    Prefix(network, made, choose(DeviceChoice.CPU, Precision.FP32)).prove(pictures)
