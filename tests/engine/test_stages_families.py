"""Of every family in the browser: trained behind its frozen layers, a network becomes what it becomes as a whole."""

from pathlib import Path

import pytest
import torch

from desktop_ft.api import Backbone
from desktop_ft.core.events import PrefixReady, TrainEvent
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.recipe import DeviceChoice, Optimisation, Optimizer, Precision
from desktop_ft.engine.control import RunControl
from desktop_ft.engine.device import choose
from desktop_ft.engine.feature_store import FeatureStore
from desktop_ft.engine.losses import classification_loss
from desktop_ft.engine.trainer import Trainer
from desktop_ft.models.build import build_network
from desktop_ft.models.checkpoint import CheckpointStore
from desktop_ft.models.freezing import Freezer
from desktop_ft.models.layer_tree import layer_tree
from desktop_ft.runs import atomic
from desktop_ft.runs.kept import KeptFolder
from tests.engine.tiny import RecurringTiny
from tests.models.test_cutting import SMALLEST, families

CLASSES = 3


def trained(
    backbone: Backbone, preset: str, folder: Path, features: FeatureStore | None
) -> tuple[dict[str, torch.Tensor], list[TrainEvent]]:
    size = SMALLEST.get(backbone.spec.family, 32)
    network = build_network(backbone, CLASSES, pretrained=False, image_size=0 if size == backbone.spec.resize.crop else size)
    tree = layer_tree(network.backbone, size)
    chance = torch.Generator().manual_seed(2)
    pictures = torch.randint(256, (8, 3, size, size), dtype=torch.uint8, generator=chance)
    events: list[TrainEvent] = []
    folder.mkdir()
    Trainer(
        network=network,
        learner=Freezer(network.backbone, FreezePlan(preset=preset, backbone_rate=1), tree, backbone.spec.head),
        batches=RecurringTiny(pictures, torch.arange(8) % CLASSES, size=4),
        # Not Adam: it divides by the gradient's size, and a bias before a batch normalisation has none but noise.
        optimisation=Optimisation(epochs=2, batch_size=4, lr=1e-2, optimizer=Optimizer.SGD),
        compute=choose(DeviceChoice.CPU, Precision.FP32),
        store=CheckpointStore(folder, atomic.write),
        seed=0,
        loss=classification_loss(0.1),
        features=features,
    ).fit(events.append, RunControl())
    return network.state_dict(), events


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["head", "last:2"])
@pytest.mark.parametrize("backbone", families(), ids=lambda backbone: backbone.spec.name)
def test_cached_and_ordinary_training_give_the_same_weights(backbone: Backbone, preset: str, tmp_path: Path) -> None:
    plain, _ = trained(backbone, preset, tmp_path / "plain", None)
    store = FeatureStore(KeptFolder(tmp_path / "features", 1 << 30), memory_bytes=1 << 30)
    cached, events = trained(backbone, preset, tmp_path / "cached", store)
    assert [event.kept for event in events if isinstance(event, PrefixReady)] == [8]
    for name, tensor in plain.items():
        apart = (cached[name].double() - tensor.double()).abs()
        # Rounding tips a few activations over the kink of a ReLU, whichever way they are computed.
        beyond = apart > 1e-5 + 1e-3 * tensor.double().abs()
        assert beyond.double().mean() < 0.01, f"{name}: {beyond.sum()} of {beyond.numel()} differ"
        assert (apart < 1e-3 * (1 + tensor.double().abs())).all(), f"{name}: one differs by {apart.max():.2g}"
