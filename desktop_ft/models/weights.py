"""Weights files: where they lie, how they are fetched, and the one function that reads them.

A weights file is data. Nothing in it is ever run: a file that wants to run code is refused, and there is no way around it.
Looking up (`local_file`, `is_local`) and downloading import no torch.
"""

from __future__ import annotations

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_ft.api import Backbone, WeightsOrigin
from desktop_ft.core.errors import UserError
from desktop_ft.models import fetching
from desktop_ft.models.fetching import download as download

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_FILE = 16 * 2**30
_NESTED = ("state_dict", "model", "model_state_dict")
_ANOTHER = "Take a .safetensors file, or a .pth file that holds nothing but a state dict."
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
        raise UserError(f"The pre-trained weights of {name} are not on this machine.", _how_to_get(backbone))
    digest = fetching.sha256(path)
    expected = source.sha256_prefix
    if source.origin is WeightsOrigin.DOWNLOAD:
        expected = _remembered(path)
    if not digest.startswith(expected) or not digest.startswith(source.sha256_prefix):
        cure = (
            "Delete it and download it again." if source.origin is WeightsOrigin.DOWNLOAD else f"Install {source.package} again."
        )
        raise UserError(f"The weights file of {name}, {path}, is not the one that was published or downloaded.", cure)
    return path


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors by name of a .safetensors file, or of a .pth/.pt file that holds a state dict.

    The kind is told by the content. The state dict may lie under `state_dict`, `model` or `model_state_dict`.
    Tensors are dense, on the CPU, and may be backed by the file itself: copy them before you change them.

    Raises:
        UserError: not a weights file, damaged, wants to run code, or holds something other than plain tensors.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).", "Check the path and its permissions.") from error
    if size > LARGEST_FILE:
        raise UserError(f"{path.name} has {size / 2**30:.0f} GB, too much for a weights file.", _ANOTHER)
    content = _read_safetensors(path) if _is_safetensors(start, size) else _read_pickled(path, size)
    return _plain_tensors(path.name, _state_dict(path.name, content), size)


def _how_to_get(backbone: Backbone) -> str:
    source, name = backbone.spec.weights, backbone.spec.name
    if source.origin is WeightsOrigin.DOWNLOAD:
        return (
            f"Download them ({source.bytes / 1e6:.0f} MB): `desktop-ft backbones --download {name}`, or on the Model page. "
            "Or choose a weights file of your own, or train from scratch."
        )
    if source.origin is WeightsOrigin.PACKAGE:
        return f"Install the package {source.package}, or choose a weights file of your own, or train from scratch."
    return "Choose a weights file of your own, or train from scratch."


def _remembered(path: Path) -> str:
    record = fetching.record_of(path)
    try:
        digest = json.loads(record.read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{record}, the record of a download, is damaged.", "Download the weights again.") from error
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise UserError(f"{record}, the record of a download, is damaged.", "Download the weights again.")
    return digest


def _is_safetensors(start: bytes, size: int) -> bool:
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= size - 8


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path.name} is damaged ({error}).", _ANOTHER) from error


def _read_pickled(path: Path, size: int) -> Any:
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
        raise _refusal(path.name, error) from error


def _refuse_inflating(path: Path, size: int) -> None:
    """torch stores its records uncompressed; a file that grows while it is read was not written by torch."""
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > size:
            raise UserError(f"{path.name} is a compressed archive, not a weights file.", _ANOTHER)


def _refusal(name: str, error: Exception) -> UserError:
    message = str(error)
    if "TorchScript" in message:
        return UserError(f"{name} is a TorchScript program, not plain weights. Refused.", _ANOTHER)
    if code := _CODE.search(message):
        return UserError(f"{name} wants to run code ({code[1]}). Refused.", _ANOTHER)
    if isinstance(error, pickle.UnpicklingError):
        return UserError(f"{name} is a pickle of more than tensors, which could run code. Refused.", _ANOTHER)
    return UserError(f"{name} is not a weights file, or is damaged.", _ANOTHER)


def _state_dict(name: str, content: Any) -> Mapping[Any, Any]:
    if isinstance(content, Mapping):
        inner = next((content[key] for key in _NESTED if isinstance(content.get(key), Mapping)), None)
        if inner is not None or content:
            return content if inner is None else inner
    raise UserError(f"{name} holds no tensors by name.", _ANOTHER)


def _plain_tensors(name: str, state: Mapping[Any, Any], size: int) -> dict[str, Tensor]:
    found = {}
    for key, value in state.items():
        if not isinstance(key, str):
            raise UserError(f"{name} holds a tensor named {str(key)[:60]!r}, which is not text.", _ANOTHER)
        if fault := _fault(value, size):
            raise UserError(f"{name} holds {fault} under '{key[:120]}'. Refused.", _ANOTHER)
        found[key] = value.detach()
    if not found:
        raise UserError(f"{name} holds no tensors by name.", _ANOTHER)
    return found


def _fault(value: Any, size: int) -> str:
    """What keeps `value` from being a plain dense tensor that the file really has room for; "" if nothing does."""
    import torch

    if type(value) not in (torch.Tensor, torch.nn.Parameter):
        return f"a {type(value).__name__}, not a tensor,"
    if value.layout is not torch.strided or value.is_quantized:
        return "a sparse or quantized tensor"
    if value.device.type != "cpu":
        return "a tensor without data"
    if value.dtype.is_complex:
        return "a tensor of complex numbers"
    # Overlapping strides make a few bytes look like many: what is dense has room for each of its elements.
    if value.numel() * value.element_size() > min(value.untyped_storage().nbytes(), size):
        return "a tensor larger than its data"
    return ""
