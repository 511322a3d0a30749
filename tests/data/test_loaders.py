"""Batches depend on seed, epoch and step alone; what changed on disk is told; nothing is left running."""

import contextlib
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from desktop_ft.core.backbone import Interpolation, ResizeRule
from desktop_ft.core.dataset import DatasetManifest, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.recipe import Balance
from desktop_ft.data import decode
from desktop_ft.data.loaders import PictureBatches, pictures, preview
from desktop_ft.data.scan import scan
from desktop_ft.data.splits import split
from tests.pictures import class_folders

RULE = ResizeRule(crop=16, resize=20, interpolation=Interpolation.BILINEAR)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DatasetManifest:
    return split(scan(class_folders(tmp_path_factory.mktemp("data"), {"a": 13, "b": 12, "c": 4})), 0.25)


def jitter(picture: Tensor, rng: random.Random, size: int) -> Tensor:
    """Slow by a chance that is not the picture's own, so that threads end in another order than they began."""
    time.sleep(random.random() / 500)
    left = rng.randrange(picture.shape[2] - size + 1)
    return (picture[:, :, left : left + size] if rng.random() < 0.9 else picture.flip(2)).clone() ^ rng.randrange(256)


def mix(pictures: Tensor, targets: Tensor, rng: random.Random) -> tuple[Tensor, Tensor]:
    share = rng.random()
    return share * pictures + (1 - share) * pictures.flip(0), share * targets + (1 - share) * targets.flip(0)


def same(first: Iterator[tuple[Tensor, Tensor]], second: Iterator[tuple[Tensor, Tensor]]) -> bool:
    pairs = list(zip(first, second, strict=True))
    return bool(pairs) and all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in pairs)


@pytest.mark.parametrize("options", [{}, {"transforms": [jitter]}, {"transforms": [jitter], "batch_transforms": [mix]}])
@pytest.mark.parametrize("balance", [Balance.NONE, Balance.SAMPLER])
def test_neither_threads_nor_cache_nor_where_one_starts_changes_a_batch(
    data: DatasetManifest, options: dict[str, Any], balance: Balance
) -> None:
    def make(threads: int, cache_bytes: int = 1 << 30, seed: int = 7) -> PictureBatches:
        return PictureBatches(
            data, RULE, batch_size=4, seed=seed, balance=balance, threads=threads, cache_bytes=cache_bytes, **options
        )

    with make(1) as one, make(5, cache_bytes=3000) as five, make(2, seed=8) as other:
        assert same(one.train(3), five.train(3))
        assert same(list(one.train(3))[2:], five.train(3, 2))  # type: ignore[arg-type]
        assert same(five.train(0), five.train(0))
        assert not same(one.train(0), one.train(1))
        assert not same(one.train(0), other.train(0))
        assert list(one.train(0, one.steps)) == []


def test_an_epoch_shows_every_training_picture_once(data: DatasetManifest) -> None:
    train = data.of(Subset.TRAIN)
    wanted = sorted(decode.network_input(Path(data.root) / s.path, RULE).tobytes() for s in train)
    with PictureBatches(data, RULE, batch_size=4, seed=0) as batches:
        shown = list(batches.train(0))
    assert len(shown) == batches.steps
    inputs = torch.cat([inputs for inputs, _ in shown])
    assert (inputs.dtype, inputs.shape[1:]) == (torch.uint8, (3, 16, 16))
    assert sorted(picture.permute(1, 2, 0).numpy().tobytes() for picture in inputs) == wanted
    assert torch.bincount(torch.cat([targets for _, targets in shown])).tolist() == list(data.counts(Subset.TRAIN).values())


def test_validation_is_in_manifest_order(data: DatasetManifest) -> None:
    held_out = data.of(Subset.VAL)
    with PictureBatches(data, RULE, batch_size=4, seed=0, transforms=[jitter]) as batches:
        got = list(batches.validation())
    assert torch.cat([targets for _, targets in got]).tolist() == [s.label for s in held_out]
    wanted = torch.cat(list(pictures([Path(data.root) / s.path for s in held_out], RULE, batch_size=3)))
    assert torch.equal(torch.cat([inputs for inputs, _ in got]), wanted)


def test_mixed_batches_are_floats_with_shared_targets(data: DatasetManifest) -> None:
    with PictureBatches(data, RULE, batch_size=4, seed=0, batch_transforms=[mix]) as batches:
        inputs, targets = next(batches.train(0))
        assert next(batches.validation())[1].dtype == torch.int64
    assert inputs.dtype == torch.float32
    assert inputs.min() >= 0 and inputs.max() <= 1
    assert targets.shape == (4, 3)
    assert torch.allclose(targets.sum(1), torch.ones(4))


@pytest.mark.parametrize("batch_size, last", [(4, [4, 5]), (1, [1, 1]), (100, [21]), (20, [21])])
def test_a_last_batch_of_one_joins_the_one_before(tmp_path: Path, batch_size: int, last: list[int]) -> None:
    class_folders(tmp_path / "train", {"a": 11, "b": 10}, size=(20, 20))
    class_folders(tmp_path / "val", {"a": 1, "b": 1}, start=50, size=(20, 20))
    with PictureBatches(scan(tmp_path), RULE, batch_size=batch_size, seed=0) as batches:
        sizes = [len(targets) for _, targets in batches.train(0)]
    assert sizes[-2:] == last
    assert sum(sizes) == 21


@pytest.mark.parametrize("batch_size", [4, 5, 6])
@pytest.mark.parametrize("parts", [2, 3, 4])
@pytest.mark.parametrize(
    "options", [{}, {"transforms": [jitter]}, {"transforms": [jitter], "views": 2, "balance": Balance.SAMPLER}]
)
def test_the_parts_of_a_batch_make_the_whole_and_none_is_empty(
    data: DatasetManifest, options: dict[str, Any], parts: int, batch_size: int
) -> None:
    made = [PictureBatches(data, RULE, batch_size=batch_size, seed=1, part=n, parts=parts, **options) for n in range(parts)]
    with contextlib.ExitStack() as stack:
        whole = stack.enter_context(PictureBatches(data, RULE, batch_size=batch_size, seed=1, **options))
        each = [stack.enter_context(one) for one in made]
        together = [torch.cat([inputs for inputs, _ in batch]) for batch in zip(*(one.train(2) for one in each), strict=True)]
        assert len(together) == each[0].steps
        assert torch.equal(torch.cat(together), torch.cat([inputs for inputs, _ in whole.train(2)]))
        if parts == 2:  # with more, a small last batch joins the one before
            assert [len(batch) for batch in together] == [len(targets) for _, targets in whole.train(2)]
        assert all(len(targets) for one in each for _, targets in (*one.train(2), *one.validation()))
        targets = [torch.cat([part for _, part in batch]) for batch in zip(*(one.validation() for one in each), strict=True)]
        assert torch.cat(targets).tolist() == [sample.label for sample in data.of(Subset.VAL)]
        assert {tuple(one.validation_keys) for one in each} == {tuple(whole.validation_keys)}


def test_the_sampler_shows_rare_classes_as_often_as_common_ones(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"common": 90, "rare": 10}, size=(8, 8))
    class_folders(tmp_path / "val", {"common": 1, "rare": 1}, start=500, size=(8, 8))
    rule = ResizeRule(crop=8, resize=8, interpolation=Interpolation.BILINEAR)
    with PictureBatches(scan(tmp_path), rule, batch_size=50, seed=0, balance=Balance.SAMPLER) as batches:
        targets = torch.cat([targets for epoch in range(6) for _, targets in batches.train(epoch)])
    assert 240 < int((targets == 1).sum()) < 360


def test_a_changed_or_vanished_picture_is_named(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 6, "b": 6})
    manifest = split(scan(tmp_path), 0.3)
    first = tmp_path / manifest.of(Subset.TRAIN)[0].path
    content = first.read_bytes()

    def all_of_it() -> int:
        with PictureBatches(manifest, RULE, batch_size=4, seed=0) as batches:
            return len(list(batches.train(0)))

    os.utime(first, ns=(1, 1))
    assert all_of_it()  # a new date on the same bytes is no change
    first.write_bytes(content[:-30] + bytes(30))
    with pytest.raises(UserError, match="has changed") as changed:
        all_of_it()
    first.unlink()
    with pytest.raises(UserError, match="not there any more") as gone:
        all_of_it()
    assert str(first) in changed.value.what
    assert str(first) in gone.value.what


def test_leaving_early_leaves_no_thread_and_no_open_file(data: DatasetManifest) -> None:
    threads = threading.active_count()
    files = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with PictureBatches(data, RULE, batch_size=2, seed=0, transforms=[jitter], threads=3) as batches:
            iterator = batches.train(0)
            next(iterator)
            next(batches.validation())
        del iterator
        stream = pictures([Path(data.root) / s.path for s in data.samples], RULE, batch_size=2, threads=3)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
    assert threading.active_count() == threads
    assert len(list(Path("/proc/self/fd").iterdir())) == files


def test_the_preview_shows_what_the_network_sees(data: DatasetManifest) -> None:
    path = Path(data.root) / data.samples[0].path
    assert (preview(path, RULE, [], 0) == decode.network_input(path, RULE)).all()
    first, again, other = (preview(path, RULE, [jitter], seed) for seed in (1, 1, 2))
    assert first.shape == (16, 16, 3) and first.dtype == np.uint8
    assert (first == again).all()
    assert (first != other).any()


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"x\.jpg cannot be read: Is empty"):
        list(pictures([tmp_path / "x.jpg"], RULE, batch_size=2))


@pytest.mark.parametrize("options", [{}, {"transforms": [jitter], "views": 2}, {"balance": Balance.SAMPLER}])
def test_what_is_asked_for_by_key_is_what_the_batches_bring(data: DatasetManifest, options: dict[str, Any]) -> None:
    with PictureBatches(data, RULE, batch_size=4, seed=7, **options) as batches:
        keys = batches.training_keys
        assert keys is not None
        assert len(set(keys)) == len(keys) == len(data.of(Subset.TRAIN)) * options.get("views", 1)
        for epoch in range(3):
            for (inputs, targets), (named, labels) in zip(batches.train(epoch, 1), batches.keyed_train(epoch, 1), strict=True):
                assert torch.equal(targets, labels)
                assert torch.equal(inputs, batches.inputs(named))
                assert set(named) <= set(keys)
        for (inputs, targets), (named, labels) in zip(batches.validation(), batches.keyed_validation(), strict=True):
            assert torch.equal(targets, labels)
            assert torch.equal(inputs, batches.inputs(named))


def test_views_take_turns_and_as_many_as_epochs_are_new_each_time(data: DatasetManifest) -> None:
    with (
        PictureBatches(data, RULE, batch_size=4, seed=7, transforms=[jitter], views=2) as two,
        PictureBatches(data, RULE, batch_size=4, seed=7, transforms=[jitter], views=3) as three,
        PictureBatches(data, RULE, batch_size=4, seed=7, transforms=[jitter]) as exact,
    ):
        epochs = [sorted(key for keys, _ in two.keyed_train(epoch) for key in keys) for epoch in range(4)]
        assert epochs[0] == epochs[2] != epochs[1] == epochs[3]
        assert all(same(three.train(epoch), exact.train(epoch)) for epoch in range(3))
        assert exact.training_keys is None


def test_every_part_of_an_input_is_in_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path, {"a": 3, "b": 3})
    manifest = split(scan(tmp_path), 0.3)

    def keys(
        manifest: DatasetManifest = manifest, rule: ResizeRule = RULE, seed: int = 0, what: str = "", views: int = 2
    ) -> list[str]:
        options: dict[str, Any] = {"transforms": [jitter], "transforms_id": what, "views": views} if what else {}
        with PictureBatches(manifest, rule, batch_size=4, seed=seed, **options) as batches:
            return list(batches.training_keys or ())

    plain, changed = keys(), keys(what="jitter")
    assert plain == keys(seed=1)  # unchanged pictures know no chance
    others = [
        *changed,
        *keys(what="jitter", seed=1),
        *keys(what="jitter 2"),
        *keys(rule=ResizeRule(crop=16, resize=20, interpolation=Interpolation.BICUBIC)),
        *keys(rule=ResizeRule(crop=16, resize=21, interpolation=Interpolation.BILINEAR)),
        *keys(rule=ResizeRule(crop=15, resize=20, interpolation=Interpolation.BILINEAR)),
    ]
    monkeypatch.setattr(decode, "IDENTITY", "another decoder")
    others += keys()
    monkeypatch.undo()
    assert len({*plain, *others}) == len(plain) + len(others)
    first = tmp_path / manifest.of(Subset.TRAIN)[0].path
    first.write_bytes(first.read_bytes() + b"\0")
    assert len(set(keys(split(scan(tmp_path), 0.3))) - set(plain)) >= 1
