"""Grad-CAM finds what a network looks at, where that is known; and the sanity check sees when it shows nothing."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from desktop_ft.core.errors import Cancelled
from desktop_ft.evaluation.activation_maps import activation_maps, rank_correlation, sanity_check
from desktop_ft.evaluation.explanation import Explanation, Similarity, colours, explains, heat, nothing_to_show, overlay, verdict
from desktop_ft.models.network import Network

SIZE = 32


class Corner(nn.Module):
    """Calls a picture class 1 the redder its upper left quarter is, and class 0 the greener its lower right one."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4, bias=False), nn.ReLU(inplace=True))
        self.where = nn.Conv2d(4, 2, 1, bias=False)
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            self.features[0].weight.zero_()
            self.features[0].weight[0, 0] = 1 / 16
            self.features[0].weight[1, 1] = 1 / 16
            self.where.weight.zero_()
            self.where.weight[0, 0] = self.where.weight[1, 1] = 1
            self.head.weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
            self.head.bias.zero_()
        mask = torch.zeros(2, SIZE // 4, SIZE // 4)
        mask[0, : SIZE // 8, : SIZE // 8] = 1
        mask[1, SIZE // 8 :, SIZE // 8 :] = 1
        self.register_buffer("mask", mask)
        self.last = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.last(self.where(self.features(x)) * self.mask).mean((2, 3)))


def network(backbone: nn.Module, head: str) -> Network:
    return Network(backbone, head, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).eval()


def picture(size: int = SIZE) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, size, size), dtype=np.uint8))


def test_what_is_looked_at_in_a_corner_is_shown_in_that_corner():
    maps = activation_maps(network(Corner(), "head"), picture(), (1, 0))
    assert maps.place == "last"
    assert sum(maps.probabilities) == pytest.approx(1)
    half = SIZE // 8
    red, green = maps.grids
    assert red[:half, :half].min() > 0 and red.sum() == pytest.approx(red[:half, :half].sum())
    assert green[half:, half:].min() > 0 and green.sum() == pytest.approx(green[half:, half:].sum())
    # By hand: channel 0 at that place is the mean red of each patch, and weighs 1 / (8 * 8) for class 1.
    patches = (picture()[0].float() / 255).reshape(8, 4, 8, 4).mean((1, 3))[:half, :half].numpy()
    np.testing.assert_allclose(red[:half, :half], patches / 64, rtol=1e-5)


def test_a_map_of_what_was_learned_changes_when_that_is_forgotten():
    taught = network(Corner(), "head")
    before = {name: value.clone() for name, value in taught.state_dict().items()}
    maps, told = activation_maps(taught, picture(), (1,)), []
    checked = sanity_check(taught, picture(), (1,), maps.place, maps.grids, progress=lambda *at: told.append(at))
    assert [each.what for each in checked][0::3] == ["the head", "all layers"]
    assert checked[-1].values[0] < 0.7 and explains(checked, 0)
    assert "as it must" in verdict(checked, 0)
    assert told[-1] == (12, 12)
    assert "0.00 (the head)" in verdict((Similarity(what="the head", values=(-0.001,)),), 0), "nothing is less than nothing alike"
    assert checked == sanity_check(taught, picture(), (1,), maps.place, maps.grids), "the same draws at every call"
    assert all(torch.equal(value, before[name]) for name, value in taught.state_dict().items())
    assert not any(parameter.grad is not None for parameter in taught.parameters())


def test_a_map_that_depends_on_nothing_learned_is_said_to_explain_nothing():
    # All that its convolution can do is brighten: whatever the weights, the map is the picture's brightness.
    plain = nn.Sequential(nn.Conv2d(3, 1, 4, stride=4, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
    with torch.no_grad():
        plain[0].weight.fill_(0.1)
        plain[3].weight.fill_(1.0)
    maps = activation_maps(network(plain, "3"), picture(), (0,))
    checked = sanity_check(network(plain, "3"), picture(), (0,), maps.place, maps.grids)
    assert checked[-1].values[0] == pytest.approx(1)
    assert not explains(checked, 0)
    assert "explains nothing" in verdict(checked, 0)


def test_it_can_be_broken_off():
    taught = network(Corner(), "head")
    maps = activation_maps(taught, picture(), (1,))

    def heed() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        sanity_check(taught, picture(), (1,), maps.place, maps.grids, heed=heed)


def test_a_network_without_a_place_in_space_says_so():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 4), nn.ReLU(), nn.Linear(4, 2))
    maps = activation_maps(network(flat, "3"), picture(), (0,))
    assert (maps.place, maps.grids) == ("", ())
    told = Explanation(
        picture=picture().permute(1, 2, 0).numpy(), classes=("a", "b"), probabilities=maps.probabilities, shown=(0,),
        place=maps.place, grids=maps.grids,
    )  # fmt: skip
    assert "where in the picture" in nothing_to_show(told, 0)


def test_rank_correlation_agrees_with_scipy():
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, other = rng.integers(0, 5, (2, 6, 6)).astype(np.float32)
        assert rank_correlation(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    level = np.zeros((6, 6), np.float32)
    assert (rank_correlation(level, one), rank_correlation(level, level)) == (0, 1)


def test_the_overlay_covers_what_speaks_for_the_class_alone():
    photo = np.full((8, 8, 3), 100, np.uint8)
    grid = np.zeros((8, 8), np.float32)
    grid[0, 0] = 3
    shown = overlay(photo, grid, 1.0)
    assert tuple(shown[0, 0]) == (240, 249, 33)
    assert (shown[4:, 4:] == 100).all()
    assert (overlay(photo, grid, 0.0) == photo).all()
    assert (overlay(photo, np.zeros((8, 8), np.float32), 1.0) == photo).all()
    assert heat(grid, 16).shape == (16, 16)


def test_the_map_is_told_from_any_photo_below_it():
    steps = colours(np.linspace(0, 1, 32, dtype=np.float32)) @ np.array((0.2126, 0.7152, 0.0722), np.float32)
    assert (np.diff(steps) > 0).all(), "the brightness alone tells how much"
    ramp = np.tile(np.linspace(0, 1, 8, dtype=np.float32), (8, 1))
    for photo in (np.full((8, 8, 3), tone, np.uint8) for tone in ((255, 255, 255), (0, 0, 0), (250, 240, 40), (90, 0, 160))):
        shown = overlay(photo, ramp, 0.75).astype(int)
        assert np.abs(shown[0, -1] - shown[0, 0]).max() > 60
        assert np.abs(shown[0, 4] - shown[0, 0]).max() > 50, "half of it is seen as well"


def test_the_verdict_takes_the_map_that_stays_most_alike():
    checked = (Similarity(what="the head", values=(0.1, 0.9)), Similarity(what="all layers", values=(0.2, 0.0)))
    assert explains(checked, 0) and not explains(checked, 1)
    assert "0.90 (the head)" in verdict(checked, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "size", "head", "place", "grid"),
    [
        ("resnet18", 64, "fc", "layer4", (2, 2)),
        ("efficientnet_b0", 64, "classifier.1", "features", (2, 2)),
        ("densenet121", 64, "classifier", "features", (2, 2)),
        ("squeezenet1_1", 64, "classifier.1", "classifier.0", (3, 3)),
        ("convnext_tiny", 64, "classifier.2", "features", (2, 2)),
        ("vit_b_32", 224, "heads.head", "encoder.layers.encoder_layer_11.ln_1", (7, 7)),
        ("swin_t", 64, "head", "permute", (2, 2)),
    ],
)
def test_each_family_of_networks_has_its_place(family, size, head, place, grid):
    from torchvision import models

    torch.manual_seed(0)
    built = network(getattr(models, family)(weights=None), head)
    nn.init.normal_(built.backbone.get_submodule(head).weight, std=0.1)  # a vision transformer's begins at zero
    maps = activation_maps(built, picture(size), (0, 1))
    assert maps.place == place
    assert [each.shape for each in maps.grids] == [grid, grid]
    assert any(each.any() for each in maps.grids)
    with torch.inference_mode():
        plain = torch.softmax(built(picture(size)[None])[0].double(), 0)
    np.testing.assert_allclose(maps.probabilities, plain.numpy(), atol=1e-6)
