"""What a network makes of its pictures by depth: the averages of what each block is given, in every family of the browser."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from desktop_ft.api import Backbone
from desktop_ft.core.errors import Cancelled
from desktop_ft.core.recipe import DeviceChoice, Precision
from desktop_ft.engine.device import choose
from desktop_ft.engine.feature_store import FeatureStore
from desktop_ft.engine.survey import Survey, averaged, survey
from desktop_ft.models.build import build_network
from desktop_ft.models.modes import eval_mode
from desktop_ft.models.network import Network
from desktop_ft.runs.kept import KeptFolder
from tests.models.test_cutting import SMALLEST, families

MEAN = (0.5, 0.5, 0.5)


class Dense(nn.Module):
    """As a dense layer does, it hands on what it was given and what it adds."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, 2, 3, padding=1)
        self.other = nn.Conv2d(2, 2, 1)

    def forward(self, given: Tensor) -> Tensor:
        return torch.cat([given, self.other(self.conv(given).relu())], dim=1)


def dense(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    body = nn.Sequential(
        nn.Conv2d(3, 4, 3), Dense(4), Dense(6), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    return Network(body, "6", MEAN, MEAN)


def some_pictures(count: int = 11, side: int = 16) -> Tensor:
    return torch.randint(256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def store_in(folder: Path) -> FeatureStore:
    return FeatureStore(KeptFolder(folder, 1 << 30), memory_bytes=1 << 30)


def surveyed(network: Network, pictures: Tensor, store: FeatureStore, **asked: object) -> Survey:
    compute, keys = choose(DeviceChoice.CPU, Precision.FP32), [f"picture-{number}" for number in range(len(pictures))]

    def inputs(asked_for: Sequence[str]) -> Tensor:
        return pictures[[keys.index(key) for key in asked_for]]

    return survey(network, keys, inputs, compute, store, warn=pytest.fail, **asked)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def chance() -> None:
    """Networks are made by chance here."""
    torch.manual_seed(0)


def test_it_sees_what_each_block_is_given(tmp_path: Path) -> None:
    network, pictures = dense(), some_pictures()
    found = surveyed(network, pictures, store_in(tmp_path))
    assert (found.depths, found.blocks) == ((1, 2, 3), 3)
    with eval_mode(network), torch.no_grad():
        body = network.backbone
        given = (pictures / 255 - 0.5) / 0.5
        first = body[0](given)  # type: ignore[index]
        second = body[1](first)  # type: ignore[index]
        last = body[5](body[4](body[3](body[2](second))))  # type: ignore[index]
    for features, expected in zip(found.features, (first, second, last), strict=True):
        assert np.allclose(features, averaged(expected), atol=1e-5)
    assert np.array_equal(found.last, found.features[-1])


def test_what_was_seen_is_not_looked_at_again_and_the_head_does_not_matter(tmp_path: Path) -> None:
    store, told = store_in(tmp_path), list[tuple[int, int]]()
    first = surveyed(dense(), some_pictures(), store, progress=lambda *done: told.append(done))
    assert told[-1] == (11, 11)
    told.clear()
    network = dense()
    nn.init.normal_(network.backbone.get_parameter("6.weight"))
    again = surveyed(network, some_pictures(), store, progress=lambda *done: told.append(done))
    assert not told
    assert all(map(np.array_equal, first.features, again.features))
    nn.init.normal_(network.backbone.get_parameter("0.weight"))
    other = surveyed(network, some_pictures(), store, progress=lambda *done: told.append(done))
    assert told, "other weights see something else"
    assert not np.allclose(other.last, first.last)


def test_what_is_done_when_it_is_cancelled_is_kept(tmp_path: Path) -> None:
    cancel, told = threading.Event(), list[tuple[int, int]]()

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        cancel.set()

    def heed() -> None:
        if cancel.is_set():
            raise Cancelled

    store = store_in(tmp_path)
    with pytest.raises(Cancelled):
        surveyed(dense(), some_pictures(100), store, progress=progress, heed=heed)
    done = told[-1][0]
    told.clear()
    cancel.clear()
    surveyed(dense(), some_pictures(100), store, progress=lambda *now: told.append(now))
    assert told[-1] == (100 - done, 100 - done)


def test_a_map_is_averaged_over_its_places_however_it_lies() -> None:
    features = torch.arange(2 * 5 * 3 * 3, dtype=torch.float32).reshape(2, 5, 3, 3)
    expected = features.mean((2, 3))
    assert torch.equal(averaged(features), expected)
    assert torch.allclose(averaged(features.permute(0, 2, 3, 1)), expected)
    assert torch.allclose(averaged(features.flatten(2).transpose(1, 2)), expected)
    assert torch.equal(averaged(expected), expected)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", families(), ids=lambda backbone: backbone.spec.name)
def test_every_family_is_seen_at_every_depth(backbone: Backbone, tmp_path: Path) -> None:
    size = SMALLEST.get(backbone.spec.family, 32)
    network = build_network(backbone, 3, pretrained=False, image_size=0 if size == backbone.spec.resize.crop else size)
    found = surveyed(network, some_pictures(3, size), store_in(tmp_path))
    assert found.depths == tuple(range(1, found.blocks + 1))
    for features in found.features:
        assert np.isfinite(features).all()
        assert features.shape[1] > 1
    head = network.backbone.get_submodule(backbone.spec.head)
    assert found.last.shape == (3, head.in_features if isinstance(head, nn.Linear) else head.in_channels)
