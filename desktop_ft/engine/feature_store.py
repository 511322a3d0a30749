"""Keeps what the frozen layers answer: in memory while it fits, in mapped files past that, and on the disk for the next run.

A namespace stands for all that decides an answer besides the input: the layers, their weights, the arithmetic. A key stands
for an input. Files are written whole or not at all, each with the SHA-256 of its rows: a damaged one is made again.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.models import tensor_file
from desktop_ft.runs import atomic
from desktop_ft.runs.kept import KeptFolder

_FILE_BYTES = 32 << 20
_ROWS = "rows"


class NoRoom(Exception):
    """The answers fit neither into memory nor onto the disk; the reason is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKind:
    """What one answer is: its shape without the batch axis, and its type."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        """Size of one answer."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


class FeatureStore:
    """Opens what is kept.

    Args:
        folder: all that is kept on the disk.
        memory_bytes: what one run may hold in memory; more is read from mapped files.
        write: puts a file there, whole or not at all.
    """

    def __init__(self, folder: KeptFolder, *, memory_bytes: int, write: tensor_file.Write = atomic.write) -> None:
        self.folder = folder
        self.memory_bytes = memory_bytes
        self.write = write

    def open(self, namespace: str, keys: Sequence[str], kind: RowKind, warn: Callable[[str], None]) -> "Features":
        """The answers of `keys` in `namespace`, as far as they are kept.

        Raises:
            NoRoom: all of them together fit neither into memory nor onto the disk.
        """
        return Features(self, self.folder.path / namespace, keys, kind, warn)


class Features:
    """The kept answers of one namespace that one run asks for; made by `FeatureStore.open`."""

    def __init__(
        self, store: FeatureStore, folder: Path, keys: Sequence[str], kind: RowKind, warn: Callable[[str], None]
    ) -> None:
        self._store = store
        self._folder = folder
        self._kind = kind
        self._warn = warn
        self._wanted = tuple(dict.fromkeys(keys))
        self.bytes = kind.bytes * len(self._wanted)
        self.in_memory = self.bytes <= store.memory_bytes
        self._table = torch.empty((len(self._wanted) if self.in_memory else 0, *kind.shape), dtype=kind.dtype)
        self._place = {key: number for number, key in enumerate(self._wanted)}
        self._known: dict[str, Tensor] = {}
        self._pending: list[tuple[str, Tensor]] = []
        self._device: torch.device | None = None
        self._near: Tensor | None = None
        self._read()
        self.reused = len(self._known)
        refusal = store.folder.make_room(kind.bytes * len(self.missing), folder) if self.missing else ""
        self._writing = not refusal
        if refusal and not self.in_memory:
            raise NoRoom(
                tr("What the frozen layers answer ({size:.1f} GB) cannot be kept: {why}.", size=self.bytes / 1e9, why=refusal)
            )

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys asked for, each once, in order."""
        return self._wanted

    @property
    def missing(self) -> list[str]:
        """Those of `keys` whose answers are not known yet, in order."""
        return [key for key in self._wanted if key not in self._known]

    @property
    def no_rows(self) -> Tensor:
        """Answers of this kind, none of them: (0, …)."""
        return torch.empty((0, *self._kind.shape), dtype=self._kind.dtype)

    def add(self, keys: Sequence[str], rows: Tensor) -> None:
        """Take in the answers of `keys`: (len(keys), …) of this kind. Once it is `full` it asks for a `settle`."""
        for key, row in zip(keys, rows, strict=True):
            self._keep(key, row)
            self._pending.append((key, self._known[key]))

    @property
    def full(self) -> bool:
        """Whether what was added since the last `settle` makes a file."""
        return len(self._pending) * self._kind.bytes >= _FILE_BYTES

    def settle(self) -> None:
        """Write what is not on the disk yet, unless another process of this run has just done so.

        Raises:
            NoRoom: the rows do not fit into memory, and the disk takes no more.
        """
        pending, self._pending = self._pending, []
        if not pending or not self._writing:
            return
        try:
            self._write([key for key, _ in pending], torch.stack([row for _, row in pending]))
        except (OSError, UserError, SafetensorError, ValueError, KeyError) as error:
            self._writing = False
            why = error.what if isinstance(error, UserError) else str(error)
            if not self.in_memory:
                raise NoRoom(tr("What the frozen layers answer cannot be kept any more: {why}", why=why)) from error
            self._warn(
                tr("What the frozen layers answer is not kept for the next run: {why} This run goes on from memory.", why=why)
            )

    def give_on(self, device: torch.device) -> None:
        """Let `rows` lie on `device` from now on, where what is held in memory has a copy there; all must be known."""
        self._device = device if self.in_memory else None

    def release(self) -> None:
        """Give the copy on a device back. The next `rows` makes another."""
        self._near = None

    def rows(self, keys: Sequence[str]) -> Tensor:
        """The answers of `keys`, (len(keys), …); each must be known."""
        if self.in_memory:
            if self._near is None:
                self._near = self._table if self._device is None else self._table.to(self._device)
            places = torch.tensor([self._place[key] for key in keys])
            return self._near.index_select(0, places.to(self._near.device))
        return torch.stack([self._known[key] for key in keys])

    def _keep(self, key: str, row: Tensor) -> None:
        if self.in_memory:
            place = self._table[self._place[key]]
            place.copy_(row)
            row = place
        self._known[key] = row

    def _write(self, keys: list[str], rows: Tensor) -> None:
        names = " ".join(keys)
        path = self._folder / f"{hashlib.sha256(names.encode()).hexdigest()[:24]}.safetensors"
        self._folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            told = {"keys": names, "sha256": _digest(names, rows)}
            self._store.write(path, *tensor_file.parts({_ROWS: rows}, told))
        if not self.in_memory:
            self._take(path)  # from the file now, so that the memory is free again

    def _read(self) -> None:
        if not self._folder.is_dir():
            return
        with suppress(OSError):
            self._folder.touch()  # used just now
        for path in sorted(self._folder.glob("*.safetensors")):
            try:
                self._take(path)
            except (SafetensorError, OSError, ValueError, KeyError) as error:
                self._warn(tr("A file of kept answers was damaged and is made again ({error}).", error=error))
                with suppress(OSError):
                    path.unlink()

    def _take(self, path: Path) -> None:
        """Know the rows in the file `path` that are wanted.

        Raises:
            ValueError, KeyError, SafetensorError: it is damaged.
        """
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
            keys = told["keys"].split(" ")
            if not any(key in self._place for key in keys):
                return
            rows: Tensor = file.get_tensor(_ROWS)
        if (
            rows.shape != (len(keys), *self._kind.shape)
            or rows.dtype != self._kind.dtype
            or _digest(told["keys"], rows) != told["sha256"]
        ):
            raise ValueError("its checksum is wrong")
        for key, row in zip(keys, rows, strict=True):
            if key in self._place:
                self._keep(key, row)


def _digest(keys: str, rows: Tensor) -> str:
    """SHA-256, in hex, of the keys and the rows' bytes."""
    digest = hashlib.sha256(keys.encode())
    digest.update(tensor_file.memory(rows))
    return digest.hexdigest()
