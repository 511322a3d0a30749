"""Checkpoints: whole or not there, found out when damaged, never the last good one deleted."""

import hashlib
import json
import random
import shutil
import threading

import pytest
import safetensors.torch
import torch

from desktop_ft.core.errors import UserError
from desktop_ft.models.checkpoint import Checkpoint, CheckpointStore, Progress
from desktop_ft.runs import atomic


def checkpoint(number: int, *, step: int = 0, best_epoch: int | None = None) -> Checkpoint:
    return Checkpoint(
        model={"fc.weight": torch.full((2, 3), float(number)), "norm.num_batches_tracked": torch.tensor(number)},
        optimizer={"fc.weight/exp_avg": torch.full((2, 3), 0.1 * number)},
        progress=Progress(epoch=number, step=step, loss_sum=0.1 + number, best_epoch=best_epoch, best_accuracy=1 / 3),
        scaler={"scale": 65536.0},
        facts={"threads": "2"},
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    return tmp_path / "run" / "checkpoints"


@pytest.fixture
def store(folder):
    return CheckpointStore(folder, atomic.write)


def number_of(found: Checkpoint) -> int:
    return found.progress.epoch


def test_a_checkpoint_comes_back_as_it_was(store, folder):
    given = checkpoint(3, step=2)
    path = store.save(given, best=False)
    assert (folder.parent / path).is_file()
    found = store.load("last")
    assert found.progress == given.progress and found.scaler == given.scaler and found.facts == given.facts and not found.note
    for kind in ("model", "optimizer"):
        one, other = getattr(found, kind), getattr(given, kind)
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        assert all(one[name].dtype is other[name].dtype for name in one)


def test_layouts_and_shared_memory_are_no_hindrance(store):
    tied = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    store.save(Checkpoint(model={"a": tied, "b": tied}, optimizer={}, progress=Progress()), best=True)
    found = store.load("best").model
    assert torch.equal(found["a"], tied) and torch.equal(found["b"], tied)


def test_a_saved_checkpoint_does_not_change_with_the_network(store):
    weight = torch.ones(3)
    store.save(Checkpoint(model={"w": weight}, optimizer={}, progress=Progress()), best=True)
    weight.zero_()
    assert torch.equal(store.load("last").model["w"], torch.ones(3))


def test_last_and_best_and_one_older_are_kept_and_the_rest_deleted(store, folder):
    paths = [store.save(checkpoint(n), best=n == 1) for n in range(6)]
    assert {f"checkpoints/{path.name}" for path in folder.glob("*.safetensors")} == {paths[1], paths[4], paths[5]}
    assert number_of(store.load("last")) == 5 and number_of(store.load("best")) == 1
    assert store.best == paths[1]
    index = json.loads((folder / "index.json").read_bytes().split(b"\n")[0])
    for name in ("last", "best"):
        assert hashlib.sha256((folder / index[name]["file"]).read_bytes()).hexdigest() == index[name]["sha256"]


def test_before_the_first_epoch_ends_the_last_checkpoint_stands_in_for_the_best(store):
    assert store.best == ""
    path = store.save(checkpoint(0, step=3), best=False)
    assert store.best == path
    assert store.load("best").note == "No epoch was finished, so there is no best one. Using the one of epoch 1, batch 3."


def test_nothing_saved_is_told_in_a_sentence(store):
    with pytest.raises(UserError, match=r"^The run run has no usable checkpoint\. Nothing was saved yet\."):
        store.load("last")


def test_a_damaged_checkpoint_is_named_and_the_next_one_used(store, folder):
    store.save(checkpoint(1), best=True)
    last = store.save(checkpoint(2), best=False)
    flip(folder.parent / last, 1000)
    found = store.load("last")
    assert number_of(found) == 1
    assert found.note == "The checkpoint after epoch 2 is damaged (checksum). Using the one after epoch 1."
    assert number_of(store.load("best")) == 1 and not store.load("best").note


def test_when_all_are_damaged_it_says_so(store, folder):
    for number in range(2):
        flip(folder.parent / store.save(checkpoint(number), best=True), 77)
    with pytest.raises(UserError, match=r"after epoch 1 is damaged \(checksum\)"):
        store.load("best")


def test_any_flipped_bit_in_any_file_is_found(store, folder):
    store.save(checkpoint(0), best=True)
    store.save(checkpoint(1), best=False)
    chance = random.Random(0)
    found = tries = 0
    for name in ("index.json", *(path.name for path in folder.glob("*-step*") if path.name.startswith("epoch0001"))):
        path = folder / name
        whole = path.read_bytes()
        for _ in range(250):
            flip(path, chance.randrange(8 * len(whole)))
            tries += 1
            found += bool(store.load("last").note)
            path.write_bytes(whole)
    assert (found, tries) == (500, 500)


def test_any_cut_is_found(store, folder):
    store.save(checkpoint(0), best=True)
    path = folder.parent / store.save(checkpoint(1), best=False)
    whole = path.read_bytes()
    for percent in range(100):
        path.write_bytes(whole[: len(whole) * percent // 100])
        assert number_of(store.load("last")) == 0


BEST_AND_LAST = [(checkpoint(2), True), (checkpoint(3), False)]


def files(folder):
    return sorted(path.name.partition("-")[0] for path in folder.glob("epoch*"))


def test_the_best_and_the_last_are_written_at_once_and_kept_in_order(folder):
    both_under_way = threading.Barrier(2)

    def write(path, *parts):
        if path.name.startswith(("epoch0002", "epoch0003")):
            both_under_way.wait(timeout=30)
        atomic.write(path, *parts)

    store = CheckpointStore(folder, write)
    store.save(checkpoint(1), best=True)
    (best, last), problem = store.save_in_order(BEST_AND_LAST)
    assert problem is None and store.best == best
    assert [number_of(store.load(name)) for name in ("best", "last")] == [2, 3]
    assert files(folder) == ["epoch0002", "epoch0003"]
    flip(folder.parent / last, 77)
    found = store.load("last")
    assert number_of(found) == 2 and "damaged" in found.note


@pytest.mark.parametrize(
    ("refused", "kept", "left"), [("epoch0002", 0, ["epoch0001"]), ("epoch0003", 1, ["epoch0001", "epoch0002"])]
)
def test_where_one_of_two_cannot_be_written_what_comes_before_is_kept(folder, refused, kept, left):
    def write(path, *parts):
        if path.name.startswith(refused):
            raise UserError("The disk is full.", "Free some space there.")
        atomic.write(path, *parts)

    store = CheckpointStore(folder, write)
    store.save(checkpoint(1), best=True)
    paths, problem = store.save_in_order(BEST_AND_LAST)
    assert len(paths) == kept and problem and "disk is full" in str(problem)
    assert [number_of(store.load(name)) for name in ("best", "last")] == [kept + 1] * 2
    assert files(folder) == left


@pytest.mark.parametrize("why", ["no room", "large"])
def test_two_that_have_no_room_together_are_written_one_after_the_other(folder, monkeypatch, why):
    size = sum(each.nbytes for each, _ in BEST_AND_LAST)
    if why == "large":
        monkeypatch.setattr("desktop_ft.models.checkpoint._MOST_AT_ONCE", size - 1)
    else:
        usage = shutil.disk_usage(folder)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=size))
    written = []

    def write(path, *parts):
        written.append(path.name.partition("-")[0])
        atomic.write(path, *parts)

    paths, problem = CheckpointStore(folder, write).save_in_order(BEST_AND_LAST)
    assert len(paths) == 2 and problem is None
    assert written == ["epoch0002", "index.json", "epoch0003", "index.json"]


@pytest.mark.parametrize("loss", ["cut", "gone"])
def test_a_lost_index_is_made_again_from_the_files(store, folder, loss):
    for number in range(4):
        store.save(checkpoint(number + 1, best_epoch=min(number, 1)), best=number < 2)
    index = folder / "index.json"
    index.write_bytes(b"{") if loss == "cut" else index.unlink()
    assert [number_of(store.load(name)) for name in ("last", "best")] == [4, 2]
    assert "list of checkpoints is damaged" in store.load("last").note
    store.save(checkpoint(9, best_epoch=1), best=False)
    assert [number_of(store.load(name)) for name in ("last", "best")] == [9, 2]
    assert not store.load("last").note


def test_a_newer_version_is_refused_in_a_sentence(store, folder):
    store.save(checkpoint(1), best=True)
    body = (folder / "index.json").read_bytes().split(b"\n")[0].replace(b'"version":1', b'"version":2')
    (folder / "index.json").write_bytes(body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n")
    with pytest.raises(UserError, match="newer Desktop FT"):
        store.load("last")


class Killed(BaseException):
    """Stands in for a process that dies."""


@pytest.mark.parametrize("how", ["before", "half", "after"])
@pytest.mark.parametrize(("several", "call"), [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)])
def test_whenever_a_save_dies_a_whole_checkpoint_remains(folder, several, call, how):
    kept = BEST_AND_LAST[:several]
    CheckpointStore(folder, atomic.write).save(checkpoint(1), best=True)
    calls = []

    def write(path, *parts):
        calls.append(path)
        if len(calls) - 1 != call:
            return atomic.write(path, *parts)
        if how == "half":
            data = b"".join(parts)
            path.with_name(path.name + ".1.tmp").write_bytes(data[: len(data) // 2])
        if how == "after":
            atomic.write(path, *parts)
        raise Killed

    with pytest.raises(Killed):
        CheckpointStore(folder, write).save_in_order(kept)
    again = CheckpointStore(folder, atomic.write)
    saved = how == "after" and call == len(kept)  # the index
    assert [number_of(again.load(name)) for name in ("last", "best")] == ([number_of(kept[-1][0]), 2] if saved else [1, 1])
    again.save(checkpoint(3), best=True)
    assert number_of(again.load("best")) == 3
    assert {path.suffix for path in folder.glob("epoch*")} == {".safetensors"}


def test_a_disk_that_does_not_keep_what_it_is_given_is_found_before_anything_is_deleted(folder):
    CheckpointStore(folder, atomic.write).save(checkpoint(1), best=True)

    def lose(path, *parts):
        data = b"".join(parts)
        atomic.write(path, data[:-1] if path.suffix == ".safetensors" else data)

    with pytest.raises(UserError, match="did not keep"):
        CheckpointStore(folder, lose).save(checkpoint(2), best=True)
    assert number_of(CheckpointStore(folder, atomic.write).load("last")) == 1


def test_the_file_is_a_plain_safetensors_file(store, folder):
    path = folder.parent / store.save(checkpoint(1), best=True)
    assert set(safetensors.torch.load_file(path)) == {
        "model/fc.weight",
        "model/norm.num_batches_tracked",
        "optimizer/fc.weight/exp_avg",
    }


def flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def forged(folder, **fields):
    """Let the index, with a seal that fits, say something else of the last checkpoint."""
    index = json.loads((folder / "index.json").read_bytes().split(b"\n")[0])
    index["last"] |= fields
    body = json.dumps(index, separators=(",", ":")).encode()
    (folder / "index.json").write_bytes(body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n")


@pytest.mark.parametrize("file", ["../secret", "/dev/zero", "sub/epoch0001-step000000-0123456789abcdef.safetensors"])
def test_an_index_of_a_stranger_leads_nowhere_else(store, folder, file):
    store.save(checkpoint(1), best=True)
    (folder.parent / "secret").write_bytes(b"not yours")
    forged(folder, file=file)
    assert "The list of checkpoints is damaged." in store.load("last").note


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 64, b"\x08\0\0\0\0\0\0\0[[[[[[[["])
def test_a_file_of_a_stranger_that_is_no_checkpoint_is_told(store, folder, content):
    store.save(checkpoint(1), best=True)
    digest = hashlib.sha256(content).hexdigest()
    name = f"epoch0001-step000000-{digest[:16]}.safetensors"
    (folder / name).write_bytes(content)
    forged(folder, file=name, sha256=digest)
    with pytest.raises(UserError, match="is not valid"):
        store.load("last")
