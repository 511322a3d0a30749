"""Pictures that are one though their bytes differ, among others that only look alike."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from desktop_ft.core.checkup import Fault
from desktop_ft.core.dataset import Sample
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.data import looks
from desktop_ft.data.looks import greys_of, look_at, sharpness
from desktop_ft.data.near_doubles import SIDE, grouped, near_doubles, neighbours, unit_rows
from desktop_ft.data.source import read_picture
from tests.pictures import encoded, write

pairs = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).filter(lambda pair: pair[0] < pair[1]), max_size=15)


def scene(seed: int, side: int = 240) -> Image.Image:
    """A picture with coarse shapes and fine grain, of its own for each seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    grain = rng.normal(0, 12, (side, side))
    return Image.fromarray(np.clip(np.asarray(coarse, float) + grain, 0, 255).astype(np.uint8))


def grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))


def found_among(images: list[Image.Image]) -> list[tuple[int, int]]:
    greys = np.stack([grey(image) for image in images])
    nearest, _ = neighbours(unit_rows(greys.reshape(len(greys), -1).astype(np.float32)), 3, lambda: None)
    return near_doubles(nearest, greys, lambda: None)


@pytest.mark.parametrize("nearest", [[[0], [1], [2]], [[1], [0], [2]]])
def test_a_picture_is_no_double_of_itself(nearest: list[list[int]]) -> None:
    greys = np.stack([grey(scene(1)), grey(scene(1)), grey(scene(2))])
    assert near_doubles(np.array(nearest), greys, lambda: None) == [(0, 1)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 0.1), st.floats(0.0, 0.1), st.floats(0.3, 1.0))
def test_what_was_cut_and_made_smaller_is_found_and_nothing_else(seed: int, left: float, top: float, scale: float) -> None:
    scenes = [scene(12 * seed + number) for number in range(12)]
    side = scenes[0].width
    cut = scenes[5].crop((round(left * side), round(top * side), round((left + 0.9) * side), round((top + 0.9) * side)))
    smaller = cut.resize((max(SIDE, round(scale * cut.width)),) * 2)
    assert found_among([*scenes, smaller]) == [(5, 12)]


def test_pictures_that_all_look_alike_are_not_one_but_a_copy_of_one_is() -> None:
    """Digits and icons: a little of each is its own."""
    drawn = [Image.blend(scene(0), scene(number), 0.12) for number in range(1, 25)]
    assert found_among(drawn) == []
    assert found_among([*drawn, drawn[3].resize((100, 100))]) == [(3, 24)]


def test_pictures_of_one_colour_are_not_one() -> None:
    assert found_among([Image.new("L", (60, 60), level) for level in (0, 128, 128, 255)]) == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_so_few_that_there_is_nothing_to_compare(count: int) -> None:
    assert found_among([scene(number) for number in range(count)]) == [] if count else True


def test_the_neighbours_are_the_nearest_whatever_the_block() -> None:
    rows = unit_rows(np.random.default_rng(0).normal(size=(1200, 8)).astype(np.float32))
    found, cosines = neighbours(rows, 5, lambda: None)
    whole = rows @ rows.T
    np.fill_diagonal(whole, -np.inf)
    assert np.allclose(cosines, -np.sort(-whole, axis=1)[:, :5], atol=1e-5)
    assert np.allclose(np.take_along_axis(whole, found, axis=1), cosines, atol=1e-5)


@given(pairs)
def test_groups_hold_all_that_is_connected_and_each_picture_once(connected: list[tuple[int, int]]) -> None:
    groups = grouped(connected)
    of = {number: place for place, group in enumerate(groups) for number in group}
    assert sum(map(len, groups)) == len(of) == len({number for pair in connected for number in pair})
    assert all(of[one] == of[other] for one, other in connected)
    reached = {number: {number} for number in of}
    for _ in of:
        for one, other in connected:
            reached[one] |= reached[other]
            reached[other] |= reached[one]
    assert all(set(group) == reached[group[0]] for group in groups)


def sample_of(folder: Path, name: str, image: Image.Image) -> Sample:
    content = encoded(image.convert("RGB"))
    write(folder / name, content)
    width, height = image.size
    return Sample(path=name, label=0, subset=None, sha256="", width=width, height=height, bytes=len(content), mtime_ns=0)


def test_tiny_dark_and_blurred_pictures_are_known(tmp_path: Path) -> None:
    sharp = scene(1, 300)
    samples = [
        sample_of(tmp_path, "sharp.png", sharp),
        sample_of(tmp_path, "tiny.png", sharp.resize((40, 40))),
        sample_of(tmp_path, "dark.png", sharp.point(lambda level: level // 5)),
        sample_of(tmp_path, "blurred.png", sharp.filter(ImageFilter.GaussianBlur(6))),
        sample_of(tmp_path, "plain.png", Image.new("L", (300, 300), 200)),
    ]
    told = list[tuple[int, int]]()
    seen = look_at(tmp_path, samples, 224, lambda *done: told.append(done), lambda: None)
    assert seen.faults == (frozenset(), {Fault.TINY}, {Fault.DARK}, {Fault.BLURRED}, frozenset())
    assert seen.greys.shape == (5, SIDE, SIDE) and told == [(5, 5)]
    assert sharpness(np.asarray(sharp, np.float32)) > 0.006


def test_a_look_that_is_cancelled_ends_and_a_picture_that_is_gone_is_named(tmp_path: Path) -> None:
    samples = [sample_of(tmp_path, "one.png", scene(1))]

    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        look_at(tmp_path, samples, 224, lambda *_: None, cancel)
    (tmp_path / "one.png").unlink()
    with pytest.raises(UserError, match=r"one\.png"):
        look_at(tmp_path, samples, 224, lambda *_: None, lambda: None)


@pytest.mark.parametrize("how", ["look", "greys"])
def test_cancelled_it_decodes_no_more_than_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    samples = [sample_of(tmp_path, "one.png", scene(1, 40))] * 300
    decoded, told = list[Path](), list[tuple[int, int]]()

    def counted(path: Path, read: Callable[[Path], np.ndarray]) -> np.ndarray:
        decoded.append(path)
        return read_picture(path, read)

    def heed() -> None:
        if told:
            raise Cancelled

    monkeypatch.setattr(looks, "read_picture", counted)
    with pytest.raises(Cancelled):
        if how == "look":
            look_at(tmp_path, samples, 224, lambda *done: told.append(done), heed)
        else:
            greys_of(tmp_path, samples, lambda *done: told.append(done), heed)
    assert told == [(len(decoded), 300)] and len(decoded) < 300
