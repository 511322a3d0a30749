"""What is kept is what was given, or it is made again; a full disk is told; room is made and kept."""

import errno
import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from desktop_ft.core.errors import UserError
from desktop_ft.engine.feature_store import Features, FeatureStore, NoRoom, RowKind
from desktop_ft.models.tensor_file import Write
from desktop_ft.runs import atomic
from desktop_ft.runs.kept import KeptFolder, drop

KIND = RowKind(shape=(3, 2), dtype=torch.float32)
KEYS = tuple(f"{number:032x}" for number in range(10))


def rows(count: int, kind: RowKind = KIND, seed: int = 0) -> Tensor:
    return torch.randn(count, *kind.shape, generator=torch.Generator().manual_seed(seed)).to(kind.dtype)


def quiet(sentence: str) -> None:
    raise AssertionError(sentence)


def store(folder: Path, memory_bytes: int = 1 << 20, write: Write = atomic.write) -> FeatureStore:
    return FeatureStore(KeptFolder(folder, 1 << 20), memory_bytes=memory_bytes, write=write)


def filled(folder: Path, memory_bytes: int = 1 << 20) -> Features:
    features = store(folder, memory_bytes).open("a", KEYS, KIND, quiet)
    features.add(KEYS, rows(10))
    features.settle()
    return features


@pytest.mark.parametrize("memory_bytes", [1 << 20, 0])
def test_rows_for_a_device_are_the_same_rows(tmp_path: Path, memory_bytes: int) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    features = filled(tmp_path, memory_bytes)
    features.give_on(device)
    for _ in range(2):
        got = features.rows([KEYS[7], KEYS[3]])
        assert torch.equal(got.cpu(), rows(10)[[7, 3]])
        features.release()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("memory_bytes", [1 << 20, 0])
def test_the_next_run_finds_what_this_one_kept(tmp_path: Path, dtype: torch.dtype, memory_bytes: int) -> None:
    kind = RowKind(shape=(3, 2), dtype=dtype)
    given = rows(10, kind)
    first = store(tmp_path, memory_bytes).open("a", KEYS, kind, quiet)
    assert first.missing == list(KEYS)
    for start in (0, 4, 8):
        first.add(KEYS[start : start + 4], given[start : start + 4])
    first.settle()
    assert first.in_memory is bool(memory_bytes)
    second = store(tmp_path, memory_bytes).open("a", [*KEYS[3:], "f" * 32], kind, quiet)
    assert second.missing == ["f" * 32]
    assert second.reused == 7
    for features in (first, second):
        got = features.rows([KEYS[7], KEYS[3], KEYS[7]])
        assert got.dtype == dtype
        assert torch.equal(got, given[[7, 3, 7]])
    assert store(tmp_path).open("b", KEYS, kind, quiet).missing == list(KEYS)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_file_is_told_and_made_again(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("features")
    filled(folder)
    (file,) = folder.glob("a/*.safetensors")
    content = bytearray(file.read_bytes())
    at = int(place * len(content))
    if cut:
        del content[at:]
    else:
        content[at] ^= 1 << bit
    file.write_bytes(content)
    told: list[str] = []
    again = store(folder).open("a", KEYS, KIND, told.append)
    if again.missing:
        again.add(again.missing, rows(10)[[KEYS.index(key) for key in again.missing]])
    assert torch.equal(again.rows(KEYS), rows(10))


def full(path: Path, *parts: bytes | memoryview) -> None:
    raise UserError(f"No space left on the disk of {path.parent}.", "Make room.") from OSError(errno.ENOSPC, "")


def test_on_a_full_disk_a_run_goes_on_from_memory_and_says_so_once(tmp_path: Path) -> None:
    told: list[str] = []
    features = store(tmp_path, write=full).open("a", KEYS, KIND, told.append)
    for start in (0, 5):
        features.add(KEYS[start : start + 5], rows(10)[start : start + 5])
        features.settle()
    assert torch.equal(features.rows(KEYS), rows(10))
    (sentence,) = told
    assert "No space left" in sentence and "goes on from memory" in sentence


def test_what_fits_neither_memory_nor_disk_is_refused(tmp_path: Path) -> None:
    features = store(tmp_path, memory_bytes=0, write=full).open("a", KEYS, KIND, quiet)
    features.add(KEYS, rows(10))
    with pytest.raises(NoRoom, match="No space left"):
        features.settle()
    large = RowKind(shape=(1 << 20,), dtype=torch.float32)
    with pytest.raises(NoRoom, match="cannot be kept"):
        store(tmp_path, memory_bytes=0).open("b", KEYS, large, quiet)


def test_a_place_that_cannot_be_used_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    features = store(tmp_path / "file" / "inside").open("a", KEYS, KIND, quiet)
    features.add(KEYS, rows(10))
    features.settle()
    assert torch.equal(features.rows(KEYS), rows(10))


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    small = FeatureStore(KeptFolder(tmp_path, 3000), memory_bytes=1 << 20)
    for number, name in enumerate(("old", "older", "new")):
        features = small.open(name, KEYS, KIND, quiet)
        features.add(KEYS, rows(10))
        features.settle()
        os.utime(tmp_path / name, (1000 - 500 * number if name != "new" else 2000,) * 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old", "older"]
    big = RowKind(shape=(50,), dtype=torch.float32)
    small.open("next", KEYS, big, quiet)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"]


def test_clearing_drops_everything(tmp_path: Path) -> None:
    filled(tmp_path / "features")
    kept = store(tmp_path / "features").folder
    size = kept.size()
    assert size > 240
    assert drop(kept.path) == size
    assert kept.size() == 0
