"""The two plugins that bring backbones: facts, architectures, registration without torch."""

import importlib
import json
import re
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from desktop_ft.api import Backbone, WeightsOrigin
from desktop_ft.api.catalog import Catalog
from desktop_ft.models.weights import load_tensors, verified_file
from desktop_ft.plugin_manager import load_plugins

LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


@pytest.fixture(scope="module")
def backbones() -> Catalog[Backbone]:
    return load_plugins(safe_mode=True).backbones


def built_with_published_weights(backbone: Backbone) -> nn.Module:
    model = backbone.build()
    model.load_state_dict(backbone.adapt(load_tensors(verified_file(backbone)), model))
    return model.eval()


@pytest.mark.parametrize("name", LITE)
def test_lite_answers_as_timm_does(name: str, backbones: Catalog[Backbone]) -> None:
    backbone = backbones.get(name)
    if backbone.packaged_weights() is None:
        pytest.skip(f"the package {backbone.spec.weights.package} is not installed")
    import timm

    ours = built_with_published_weights(backbone)
    reference = timm.create_model(f"tf_{name}")
    reference.load_state_dict(ours.state_dict())
    reference.eval()
    for size in (backbone.spec.resize.crop, 127):
        pictures = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(size))
        with torch.no_grad():
            torch.testing.assert_close(ours(pictures), reference(pictures), rtol=1e-5, atol=1e-5)
    assert sum(p.numel() for p in ours.parameters()) == backbone.spec.parameters
    assert timm.get_pretrained_cfg(f"tf_{name}").input_size[1] == backbone.spec.resize.crop


def test_lite0_is_on_this_machine_and_unchanged(backbones: Catalog[Backbone]) -> None:
    path = verified_file(backbones.get("efficientnet_lite0"))
    assert path.stat().st_size == backbones.get("efficientnet_lite0").spec.weights.bytes


@pytest.mark.slow
def test_the_facts_are_what_torchvision_says_now() -> None:
    plugin = importlib.import_module("desktop_ft_plugins.torchvision_backbones.collect_facts")
    assert json.loads(plugin.FACTS.read_text()) == json.loads(json.dumps(plugin.collect()))


def test_every_classification_weight_of_torchvision_is_there(backbones: Catalog[Backbone]) -> None:
    from torchvision import models

    published = {(m, w.url) for m in models.list_models(module=models) for w in models.get_model_weights(m)}
    ours = {b.spec.weights.url for b in backbones}
    missing = {url for _, url in published if url not in ours}
    # VGG-16's features for detection: their classifier holds no numbers, so they cannot classify.
    assert [url.rpartition("/")[2] for url in missing] == ["vgg16_features-amdegroot-88682ab5.pth"]
    assert {m for m, _ in published} <= {b.spec.name for b in backbones}


def test_the_plain_name_stands_for_the_default_weights(backbones: Catalog[Backbone]) -> None:
    from torchvision.models import ResNet50_Weights

    assert backbones.get("resnet50").spec.weights.url == ResNet50_Weights.DEFAULT.url
    assert backbones.get("resnet50.imagenet1k_v1").spec.weights.url == ResNet50_Weights.IMAGENET1K_V1.url


def test_the_licence_is_the_weights_own(backbones: Catalog[Backbone]) -> None:
    for backbone in backbones:
        weights = backbone.spec.weights
        swag = "swag" in weights.url
        assert weights.commercial_use is not swag
        assert (weights.licence == "CC-BY-NC-4.0") is swag
        assert weights.licence
    assert not backbones.get("vit_h_14").spec.weights.commercial_use


def test_facts_are_sound(backbones: Catalog[Backbone]) -> None:
    for spec in (backbone.spec for backbone in backbones):
        assert spec.top1 is not None
        assert 40 < spec.top1 < 90
        assert spec.gflops is not None
        assert 0.01 < spec.gflops < 1100
        assert spec.parameters > 1_000_000
        assert spec.resize.resize >= spec.resize.crop >= 224
        assert all(0.4 <= mean <= 0.5 for mean in spec.mean)
        # Four bytes a parameter, or two (wide_resnet101_2); two files carry heads that the count leaves out.
        assert 1.9 < spec.weights.bytes / spec.parameters < (8 if spec.name in ("googlenet", "inception_v3") else 4.2)
        if spec.weights.origin is WeightsOrigin.DOWNLOAD:
            assert spec.weights.url.startswith("https://")
            assert len(spec.weights.sha256_prefix) >= 8


def test_registering_imports_no_torch() -> None:
    code = (
        "import sys; from desktop_ft.plugin_manager import load_plugins; from desktop_ft.models.weights import is_local\n"
        "names = [b.spec.name for b in load_plugins(safe_mode=True).backbones if is_local(b)]\n"
        "assert 'efficientnet_lite0' in names, names\n"
        "assert not {'torch', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def _aged(tensors: dict[str, Tensor], model: str) -> dict[str, Tensor]:
    """`tensors` under the names that the published file of `model` has."""
    if model.startswith("densenet"):
        return {re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", name): t for name, t in tensors.items()}
    if model.startswith("vit"):
        return {n.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): t for n, t in tensors.items()}
    return tensors


@pytest.mark.parametrize("name", ["densenet121", "vit_b_32", "googlenet", "inception_v3"])
def test_files_with_older_names_and_auxiliary_heads_are_understood(name: str, backbones: Catalog[Backbone]) -> None:
    from torchvision import models

    extra: dict[str, Any] = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    full = models.get_model(name, weights=None, **extra).state_dict()
    model = backbones.get(name).build()
    adapted = backbones.get(name).adapt(_aged(full, name), model)
    assert set(adapted) == set(model.state_dict())
    model.load_state_dict(adapted)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_inceptions_give_a_tensor_while_training(name: str, backbones: Catalog[Backbone]) -> None:
    model = backbones.get(name).build().train()
    assert model.transform_input
    assert model(torch.zeros(2, 3, 96, 96)).shape == (2, 1000)
