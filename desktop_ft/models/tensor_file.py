"""Tensors as a .safetensors file, piece by piece: what is saved lies in memory once, not three times over as with the library.

The format is a header of JSON behind its length, then the tensors' bytes without gaps (safetensors, Hugging Face 2022). The
library reads it back.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr

_TYPES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.complex64: "C64",
    torch.uint16: "U16",
    torch.uint32: "U32",
    torch.uint64: "U64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}
_ALIGNED = 8


class Write(Protocol):
    """Puts bytes, in pieces, at a path: all of them for good, or none and what was there stays."""

    def __call__(self, path: Path, /, *parts: bytes | memoryview) -> None:
        """Raises UserError where it cannot."""


def parts(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """The bytes of the file, in pieces. Equal tensors and metadata (in one order) make equal files; tensors may share memory.

    Where a tensor lies on the CPU as the format wants it, its piece is its own memory.

    Raises:
        UserError: a type that such a file cannot hold.
    """
    # Wide types first, as the library does: so that every tensor starts where its type may.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    start = 0
    for name, tensor in ordered:
        if tensor.dtype not in _TYPES:
            what = tr(
                "The tensor '{name}' is of a type that a .safetensors file cannot hold ({type}).", name=name, type=tensor.dtype
            )
            raise UserError(what, tr("Take another network."))
        end = start + tensor.nbytes
        header[name] = {"dtype": _TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    said = json.dumps(header, separators=(",", ":")).encode()
    said += b" " * (-len(said) % _ALIGNED)
    yield len(said).to_bytes(8, "little") + said
    for _, tensor in ordered:
        yield memory(tensor)


def memory(tensor: Tensor) -> memoryview:
    """The bytes of `tensor` in row-major order; where it lies on the CPU in that order, its own memory."""
    flat = tensor.detach().to("cpu").contiguous().view(-1).view(torch.uint8)
    view: memoryview = flat.numpy().data
    return view
