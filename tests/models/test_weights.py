"""The one loader: what it reads, and what it refuses without running anything of it."""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop_ft.core.errors import UserError
from desktop_ft.models.weights import check_kind, is_local, load_tensors, local_file, verified_file
from tests.models.tiny import save_safetensors, tiny_backbone
from tests.reliability import hostile_onnx

GOOD = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(3)}


def saved(content: Any, path: Path, **how: Any) -> Path:
    torch.save(content, path, **how)
    return path


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "misnamed.pth"])
def test_both_kinds_are_read_by_their_content(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    save_safetensors(GOOD, path) if name != "w.pth" else saved(GOOD, path)
    found = load_tensors(path)
    assert found.keys() == GOOD.keys()
    assert all(torch.equal(found[key], GOOD[key]) for key in GOOD)


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_a_nested_state_dict_is_found(key: str, tmp_path: Path) -> None:
    content = {"epoch": 3, key: OrderedDict(GOOD), "optimizer": {"state": {}}}
    assert load_tensors(saved(content, tmp_path / "w.pth")).keys() == GOOD.keys()


def test_the_old_format_is_read(tmp_path: Path) -> None:
    path = saved(GOOD, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(load_tensors(path)["a.weight"], GOOD["a.weight"])


class Payload:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def payloads(marker: Path) -> list[Any]:
    import builtins
    import os
    import subprocess

    return [
        Payload(os.system, f"touch {marker}"),
        Payload(subprocess.check_call, ["touch", str(marker)]),
        Payload(builtins.eval, f"open({str(marker)!r}, 'w')"),
        Payload(builtins.exec, f"open({str(marker)!r}, 'w')"),
        Payload(builtins.open, str(marker), "w"),
        Payload(builtins.getattr, "text", "upper"),
        {"a.weight": torch.ones(2), "hook": Payload(os.mkdir, str(marker))},
        {"state_dict": {"a.weight": Payload(os.system, f"touch {marker}")}},
    ]


@pytest.mark.parametrize("wrapping", ["zip", "legacy", "bare"])
@pytest.mark.parametrize("index", range(8))
def test_a_file_that_wants_to_run_code_is_refused(index: int, wrapping: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "w.pth"
    payload = payloads(marker)[index]
    if wrapping == "bare":
        path.write_bytes(pickle.dumps(payload))
    else:
        saved(payload, path, _use_new_zipfile_serialization=wrapping == "zip")
    with pytest.raises(UserError) as refused:
        load_tensors(path)
    assert not marker.exists()
    assert refused.value.what.endswith("Refused.")
    wants = "could run code" if wrapping == "bare" else "wants to run code"
    assert wants in refused.value.what


def test_the_code_a_file_wants_to_run_is_named(tmp_path: Path) -> None:
    import os

    with pytest.raises(UserError, match=r"w.pth wants to run code \((posix|nt)\.system\)\. Refused\."):
        load_tensors(saved(Payload(os.system, "true"), tmp_path / "w.pth"))


def sparse() -> torch.Tensor:
    return torch.sparse_coo_tensor(torch.tensor([[0]]), torch.ones(1), (4,), check_invariants=False)


QUANTIZE: Callable[..., torch.Tensor] = torch.quantize_per_tensor

HOSTILE: dict[str, Callable[[], Any]] = {
    "sparse": lambda: {"a": sparse()},
    "meta": lambda: {"a": torch.empty(3, device="meta")},
    "stride 0": lambda: {"a": torch.ones(1).expand(1 << 20)},
    "complex": lambda: {"a": torch.ones(2, dtype=torch.complex64)},
    "a number": lambda: {"a": 3},
    "text": lambda: {"a": torch.ones(1), "b": "text"},
    "nested deeper": lambda: {"a": {"b": torch.ones(1)}},
    "names that are numbers": lambda: {1: torch.ones(1)},
    "a lone tensor": lambda: torch.ones(3),
    "a list": lambda: [torch.ones(3)],
    "nothing": dict,
    "an empty state dict": lambda: {"state_dict": {}},
    "quantized": lambda: {"a": QUANTIZE(torch.ones(2), 0.1, 0, torch.qint8)},
}


@pytest.mark.filterwarnings("ignore:.*quantiz.*:Warning")
@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_not_plain_tensors_is_refused(kind: str, tmp_path: Path) -> None:
    path = saved(HOSTILE[kind](), tmp_path / "w.pth")
    with pytest.raises(UserError) as refused:
        load_tensors(path)
    assert "w.pth" in refused.value.what
    assert refused.value.cure


def test_a_zip_bomb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/data/0", bytes(1 << 24))
    with pytest.raises(UserError, match="compressed archive"):
        load_tensors(path)


@pytest.mark.parametrize("content", [b"", b"\x00", b"PK\x03\x04", b"\x89PNG\r\n", b"hello" * 100, b"\x80\x04."])
def test_junk_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"w\.pth"):
        load_tensors(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_tensors(tmp_path / "none.pth")


def _bytes_of(kind: str) -> bytes:
    if kind == "safetensors":
        from safetensors.torch import save

        return bytes(save(GOOD))
    buffer = io.BytesIO()
    torch.save(GOOD, buffer)
    return buffer.getvalue()


WHOLE = {kind: _bytes_of(kind) for kind in ("safetensors", "pth")}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["safetensors", "pth"]), data=st.data())
def test_a_damaged_file_is_read_or_refused_but_never_crashes(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    whole = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "w"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        found = load_tensors(path)
    except UserError:
        return
    assert all(tensor.layout is torch.strided for tensor in found.values())


def test_packaged_weights_are_checked_against_their_hash(tmp_path: Path) -> None:
    path = save_safetensors(GOOD, tmp_path / "w.safetensors")
    import hashlib

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert verified_file(tiny_backbone(path, prefix=digest)) == path
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    with pytest.raises(UserError, match=r"not the one that was published.*Install tiny-weights again"):
        verified_file(tiny_backbone(path, prefix=digest))


def test_weights_that_are_not_here() -> None:
    absent = tiny_backbone(None)
    assert not is_local(absent)
    assert local_file(absent) is None
    with pytest.raises(UserError, match=r"of tiny are not on this machine\. Install the package tiny-weights"):
        verified_file(absent)
    with pytest.raises(UserError, match=r"desktop-ft backbones --download tiny"):
        verified_file(tiny_backbone(url="https://weights.example/tiny-00000000.pth", size=12_000_000))


def test_an_exported_model_is_no_weights_and_is_told_as_what_it_is(tmp_path: Path) -> None:
    (file := tmp_path / "model.onnx").write_bytes(hostile_onnx.sound().SerializeToString())
    with pytest.raises(UserError, match="is an exported model") as refused:
        load_tensors(file)
    assert "desktop-ft card model.onnx" in refused.value.cure


@pytest.mark.parametrize("name", ["noise.pth", "noise.pt", "noise.safetensors"])
def test_noise_is_no_weights_file_and_is_not_called_dangerous(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(bytes(range(5, 100)))
    for look in (check_kind, load_tensors):
        with pytest.raises(UserError, match=f"{name} is not a weights file, or is damaged"):
            look(file)
