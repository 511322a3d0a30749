"""Weights files: where they lie, how they are fetched, and the one function that reads them.

A weights file is data. Nothing in it is ever run: a file that wants to run code is refused, and there is no way around it.
Looking up (`local_file`, `is_local`) and downloading import no torch.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_ft.api import Backbone, WeightsOrigin
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.core.values import plain_json
from desktop_ft.models import fetching
from desktop_ft.models.fetching import download as download

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_FILE = 16 * 2**30
_NESTED = ("state_dict", "model", "model_state_dict")
_ANOTHER = marked("Take a .safetensors file, or a .pth file that holds nothing but a state dict.")
_CODE = re.compile(r"(?:GLOBAL|global:?|Unsupported class)\s+`?([\w.]+)")


def local_file(backbone: Backbone) -> Path | None:
    """Where the published weights of `backbone` lie on this machine, or None. Quick: nothing is read or hashed."""
    if backbone.spec.weights.origin is WeightsOrigin.PACKAGE:
        return backbone.packaged_weights()
    if backbone.spec.weights.origin is WeightsOrigin.DOWNLOAD:
        path = fetching.cached_path(backbone)
        return path if path.is_file() and fetching.record_of(path).is_file() else None
    return None


def is_local(backbone: Backbone) -> bool:
    """Whether the published weights of `backbone` are on this machine. Quick; imports no torch."""
    return local_file(backbone) is not None


def verified_file(backbone: Backbone) -> Path:
    """The published weights of `backbone`, proven unchanged since their publisher, or the download, gave their SHA-256.

    Raises:
        UserError: the weights are not on this machine, or the file was changed.
    """
    source, name = backbone.spec.weights, backbone.spec.name
    path = local_file(backbone)
    if path is None:
        raise UserError(tr("The pre-trained weights of {name} are not on this machine.", name=name), how_to_get(backbone))
    digest = fetching.sha256(path)
    expected = source.sha256_prefix
    if source.origin is WeightsOrigin.DOWNLOAD:
        expected = _remembered(path)
    if not digest.startswith(expected) or not digest.startswith(source.sha256_prefix):
        cure = tr("Delete it and download it again.")
        if source.origin is not WeightsOrigin.DOWNLOAD:
            cure = tr("Install {package} again.", package=source.package)
        what = tr("The weights file of {name}, {path}, is not the one that was published or downloaded.", name=name, path=path)
        raise UserError(what, cure)
    return path


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors by name of a .safetensors file, or of a .pth/.pt file that holds a state dict.

    The kind is told by the content. The state dict may lie under `state_dict`, `model` or `model_state_dict`.
    Tensors are dense, on the CPU, and may be backed by the file itself: copy them before you change them.

    Raises:
        UserError: not a weights file, damaged, wants to run code, or holds something other than plain tensors.
    """
    start, size = _looked_at(path)
    content = _read_safetensors(path) if _is_safetensors(start, size) else _read_pickled(path, size, pickled=_is_pickled(start))
    return _plain_tensors(path.name, _state_dict(path.name, content), size)


def check_kind(path: Path) -> None:
    """Raise where the file at `path` cannot be weights, by how it begins. Quick; imports no torch, and nothing of it is opened.

    Raises:
        UserError: it cannot be read, is too large, or begins as no weights file does.
    """
    start, size = _looked_at(path)
    if not (_is_safetensors(start, size) or _is_pickled(start)):
        raise _no_weights(path.name)


def _looked_at(path: Path) -> tuple[bytes, int]:
    """How the file begins, and its bytes."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise UserError(
            tr("{file} cannot be read ({error}).", file=path, error=error.strerror), tr("Check the path and its permissions.")
        ) from error
    if size > LARGEST_FILE:
        raise UserError(
            tr("{file} has {size:.0f} GB, too much for a weights file.", file=path.name, size=size / 2**30), tr(_ANOTHER)
        )
    return start, size


def how_to_get(backbone: Backbone) -> str:
    """What a person can do where the published weights of `backbone` are not on this machine."""
    source, name = backbone.spec.weights, backbone.spec.name
    if source.origin is WeightsOrigin.DOWNLOAD:
        return tr(
            "Download them ({size}): `desktop-ft backbones --download {name}`, or on the Model page. "
            "Or choose a weights file of your own, or train from scratch.",
            size=f"{source.bytes / 1e6:.0f} MB" if source.bytes else tr("size not known"),
            name=name,
        )
    if source.origin is WeightsOrigin.BY_HAND:
        return fetching.by_hand(source)
    if source.origin is WeightsOrigin.PACKAGE:
        return tr(
            "Install the package {package}, or choose a weights file of your own, or train from scratch.", package=source.package
        )
    return tr("Choose a weights file of your own, or train from scratch.")


def _remembered(path: Path) -> str:
    record = fetching.record_of(path)
    try:
        digest = plain_json(record.read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            tr("{file}, the record of a download, is damaged.", file=record), tr("Download the weights again.")
        ) from error
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise UserError(tr("{file}, the record of a download, is damaged.", file=record), tr("Download the weights again."))
    return digest


def _is_pickled(start: bytes) -> bool:
    """Whether a file begins as torch writes it: as a .zip, or, long ago, with a pickle."""
    return start[:4] == b"PK\x03\x04" or start[:1] == b"\x80"


def _is_safetensors(start: bytes, size: int) -> bool:
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= size - 8


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(tr("{file} is damaged ({error}).", file=path.name, error=error), tr(_ANOTHER)) from error


def _read_pickled(path: Path, size: int, *, pickled: bool) -> Any:
    import torch

    zipped = zipfile.is_zipfile(path)
    try:
        if zipped:
            _refuse_inflating(path, size)
        with warnings.catch_warnings():
            # torch warns of newer pickles before it refuses them; the person is told by the refusal.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except UserError:
        raise
    # A damaged or hostile file can make the reader fail in any way; whatever it is, the file is refused.
    except Exception as error:
        raise _refusal(path.name, error, pickled=pickled) from error


def _refuse_inflating(path: Path, size: int) -> None:
    """torch stores its records uncompressed; a file that grows while it is read was not written by torch."""
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > size:
            raise UserError(tr("{file} is a compressed archive, not a weights file.", file=path.name), tr(_ANOTHER))


def _refusal(name: str, error: Exception, *, pickled: bool) -> UserError:
    message = str(error)
    if name.endswith(".onnx"):
        return UserError(
            tr("{file} is an exported model; a training starts from weights.", file=name),
            tr("`desktop-ft card {file}` tells which run it comes from, and how to train on from that.", file=name),
        )
    if "TorchScript" in message:
        return UserError(tr("{file} is a TorchScript program, not plain weights. Refused.", file=name), tr(_ANOTHER))
    if code := _CODE.search(message):
        return UserError(tr("{file} wants to run code ({code}). Refused.", file=name, code=code[1]), tr(_ANOTHER))
    if pickled and isinstance(error, pickle.UnpicklingError):
        return UserError(tr("{file} is a pickle of more than tensors, which could run code. Refused.", file=name), tr(_ANOTHER))
    return _no_weights(name)


def _no_weights(name: str) -> UserError:
    return UserError(tr("{file} is not a weights file, or is damaged.", file=name), tr(_ANOTHER))


def _state_dict(name: str, content: Any) -> Mapping[Any, Any]:
    if isinstance(content, Mapping):
        inner = next((content[key] for key in _NESTED if isinstance(content.get(key), Mapping)), None)
        if inner is not None or content:
            return content if inner is None else inner
    raise UserError(tr("{file} holds no tensors by name.", file=name), tr(_ANOTHER))


def _plain_tensors(name: str, state: Mapping[Any, Any], size: int) -> dict[str, Tensor]:
    found = {}
    for key, value in state.items():
        if not isinstance(key, str):
            raise UserError(
                tr("{file} holds a tensor named {key!r}, which is not text.", file=name, key=str(key)[:60]), tr(_ANOTHER)
            )
        if fault := _fault(value, size):
            raise UserError(
                tr("{file} holds {fault} under '{key}'. Refused.", file=name, fault=fault, key=key[:120]), tr(_ANOTHER)
            )
        found[key] = value.detach()
    if not found:
        raise UserError(tr("{file} holds no tensors by name.", file=name), tr(_ANOTHER))
    return found


def _fault(value: Any, size: int) -> str:
    """What keeps `value` from being a plain dense tensor that the file really has room for; "" if nothing does."""
    import torch

    if type(value) not in (torch.Tensor, torch.nn.Parameter):
        return tr("a {type}, not a tensor,", type=type(value).__name__)
    if value.layout is not torch.strided or value.is_quantized:
        return tr("a sparse or quantized tensor")
    if value.device.type != "cpu":
        return tr("a tensor without data")
    if value.dtype.is_complex:
        return tr("a tensor of complex numbers")
    # Overlapping strides make a few bytes look like many: what is dense has room for each of its elements.
    if value.numel() * value.element_size() > min(value.untyped_storage().nbytes(), size):
        return tr("a tensor larger than its data")
    return ""
