"""The transforms: bounded, repeatable, robust, and torchvision's where they say so."""

import math
import random
import tomllib
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torchvision.transforms import InterpolationMode, v2

from desktop_ft import places
from desktop_ft.api import Augmentation, AugmentationKind
from plugins import augmentations
from plugins.augmentations import automatic

ALL: dict[str, Augmentation] = {}
augmentations.register_augmentations(lambda one: ALL.update({one.name: one}))
PICTURE = [name for name, one in ALL.items() if one.kind is AugmentationKind.PICTURE]
ALWAYS = {"probability": 1.0}


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


def make(name: str, **values: object):
    one = ALL[name]
    known = {key: value for key, value in values.items() if key in one.parameters.model_fields}
    return one.make(one.parameters.model_validate(known))


def test_all_thirteen_are_there_and_described():
    assert len(ALL) == 13
    for one in ALL.values():
        assert one.title and one.description
        for name, field in one.parameters.model_fields.items():
            assert field.description, (one.name, name)
            assert field.metadata or not isinstance(field.default, int | float), (one.name, name, "has no bounds")


@pytest.mark.parametrize("name", PICTURE)
@settings(max_examples=12, deadline=None)
@given(size=st.integers(1, 40), longer=st.integers(0, 90), tall=st.booleans(), seed=st.integers(0, 2**32))
def test_any_shape_stays_a_usable_picture(name, size, longer, tall, seed):
    given_ = picture(size + longer, size) if tall else picture(size, size + longer)
    before = given_.clone()
    result = make(name, **ALWAYS)(given_, random.Random(seed), size)
    assert result.dtype is torch.uint8
    assert result.shape[0] == 3
    assert min(result.shape[1:]) >= size
    assert torch.equal(given_, before), "the picture it was given has changed"


@pytest.mark.parametrize("name", PICTURE)
def test_same_seed_same_picture_in_any_thread_whatever_torch_draws(name):
    transform, shown = make(name, **ALWAYS), picture(48, 64)

    def one(seed: int) -> torch.Tensor:
        torch.rand(3)
        return transform(shown, random.Random(seed), 32)

    alone = [one(seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(one, range(16)))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    if name not in {"horizontal_flip", "vertical_flip", "grayscale"}:
        assert any(not torch.equal(alone[0], other) for other in alone[1:]), "the seed makes no difference"


@pytest.mark.parametrize("name", [name for name in PICTURE if "probability" in ALL[name].parameters.model_fields])
def test_probability_zero_changes_nothing(name):
    shown = picture(40, 50)
    assert torch.equal(make(name, probability=0.0)(shown, random.Random(1), 32), shown)


def test_flips_are_exact():
    shown = picture(20, 30)
    assert torch.equal(make("horizontal_flip", **ALWAYS)(shown, random.Random(0), 16), shown.flip(-1))
    assert torch.equal(make("vertical_flip", **ALWAYS)(shown, random.Random(0), 16), shown.flip(-2))


def test_a_flip_of_one_half_flips_half():
    flip, shown = make("horizontal_flip"), picture(8, 9)
    flipped = sum(not torch.equal(flip(shown, random.Random(seed), 8), shown) for seed in range(400))
    assert 150 < flipped < 250


def test_grayscale_has_equal_channels():
    grey = make("grayscale", **ALWAYS)(picture(20, 20), random.Random(0), 16)
    assert torch.equal(grey[0], grey[1])
    assert torch.equal(grey[1], grey[2])


def test_a_crop_of_everything_without_stretch_is_the_picture():
    shown = picture(32, 32)
    assert torch.equal(make("random_resized_crop", scale_min=1, scale_max=1, stretch=1)(shown, random.Random(3), 32), shown)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_erasing_hides_the_share_it_says_inside_what_the_network_sees(seed):
    shown = torch.full((3, 60, 100), 7, dtype=torch.uint8)
    hidden = make("erasing", probability=1.0, area_min=0.1, area_max=0.2, fill="black")(shown, random.Random(seed), 40)
    changed = (hidden != shown).any(0)
    assert not changed[:10].any() and not changed[50:].any() and not changed[:, :30].any() and not changed[:, 70:].any()
    assert 0.08 <= changed.float().sum() / 1600 <= 0.22


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(automatic.RAND_AUGMENT, v2.RandAugment), (automatic.TRIVIAL_AUGMENT, v2.TrivialAugmentWide)],
)
def test_operations_and_strengths_are_torchvisions(ours, theirs):
    reference, shown = theirs(interpolation=InterpolationMode.BILINEAR), picture(33, 47)
    space = theirs._AUGMENTATION_SPACE
    assert list(ours) == list(space)
    assert {name for name, (_, signed) in space.items() if signed} == automatic.SIGNED
    for name, (strengths, _) in space.items():
        expected = strengths(automatic.STEPS, 33, 47)
        for step in (0, 9, 17, 30):
            strength = ours[name](step, 33, 47)
            theirs_strength = 0.0 if expected is None else float(expected[step])
            assert strength == pytest.approx(theirs_strength, abs=1e-5), (name, step)
            for sign in (1, -1) if name in automatic.SIGNED else (1,):
                wanted = reference._apply_image_or_video_transform(
                    shown, name, sign * theirs_strength, InterpolationMode.BILINEAR, {torch.Tensor: None}
                )
                difference = (automatic._change(shown, name, strength, sign).int() - wanted.int()).abs().max()
                assert difference <= 1, (name, step)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), batch=st.integers(1, 5))
def test_mixing_shares_pictures_and_labels_alike(name, seed, batch):
    # Every picture holds one flat value, its own number: the mean of the mixed picture tells the real shares.
    numbers = torch.arange(batch, dtype=torch.float32)
    pictures, targets = numbers.view(-1, 1, 1, 1).expand(-1, 3, 16, 16) / batch, torch.eye(batch)
    mixed, labels = make(name, alpha=1.0, **ALWAYS)(pictures, targets, random.Random(seed))
    assert mixed.shape == pictures.shape
    torch.testing.assert_close(labels.sum(1), torch.ones(batch))
    torch.testing.assert_close(mixed.mean((1, 2, 3)) * batch, labels @ numbers, atol=1e-4, rtol=1e-4)
    again, _ = make(name, alpha=1.0, **ALWAYS)(pictures, targets, random.Random(seed))
    assert torch.equal(mixed, again)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixing_that_does_not_happen_changes_nothing(name):
    pictures, targets = torch.rand(4, 3, 8, 8), torch.eye(4)
    mixed, labels = make(name, probability=0.0)(pictures, targets, random.Random(0))
    assert torch.equal(mixed, pictures)
    assert torch.equal(labels, targets)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rotation", {"degrees": 181}),
        ("colour", {"hue": 0.6}),
        ("erasing", {"area_min": 0.5, "area_max": 0.1}),
        ("random_resized_crop", {"scale_min": 0.9, "scale_max": 0.5}),
        ("horizontal_flip", {"probabilty": 0.5}),
        ("blur", {"sigma_max": float("nan")}),
        ("erasing", {"fill": "pink"}),
    ],
)
def test_values_out_of_bounds_and_unknown_names_are_refused(name, values):
    with pytest.raises(ValidationError):
        ALL[name].parameters.model_validate(values)


def test_every_preset_is_valid_for_the_transforms():
    presets = tomllib.loads((places.shipped("resources") / "presets" / "augmentation.toml").read_text())
    assert list(presets) == ["none", "light", "standard", "strong"]
    for preset in presets.values():
        assert preset["title"] and preset["description"]
        shown = picture(50, 70)
        for entry in preset["transforms"]:
            one = ALL[entry["transform"]]
            transform = one.make(one.parameters.model_validate(entry["parameters"]))
            if one.kind is AugmentationKind.PICTURE:
                shown = transform(shown, random.Random(0), 48)
        assert min(shown.shape[1:]) >= 48


def test_a_crop_of_a_strip_shows_all_its_parts():
    strip = torch.arange(640, dtype=torch.float).div(640).mul(255).to(torch.uint8).expand(3, 64, 640)
    crop = make("random_resized_crop")
    middles = [int(crop(strip, random.Random(seed), 32)[0, 16, 16]) for seed in range(40)]
    assert min(middles) < 60
    assert max(middles) > 195


@pytest.mark.parametrize("sigma_max", [0.5, 3.0, 10.0])
def test_a_blur_is_torchvisions(sigma_max):
    from torchvision.transforms.v2 import functional

    picture = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    rng = random.Random(5)
    rng.random()
    sigma = rng.uniform(0.1, sigma_max)
    reach = min(math.ceil(3 * sigma), 49)
    expected = functional.gaussian_blur(picture, [2 * reach + 1] * 2, [sigma] * 2)
    blurred = make("blur", probability=1.0, sigma_max=sigma_max)(picture, random.Random(5), 32)
    assert (blurred.int() - expected.int()).abs().max() <= 1
