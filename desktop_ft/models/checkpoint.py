"""Everything a run needs to go on exactly as if it had never stopped, and the folder where that is kept."""

import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr
from desktop_ft.core.values import from_json, plain_json, to_json
from desktop_ft.models import tensor_file

VERSION = 1
_NAME = re.compile(r"epoch(?P<epoch>\d+)-step(?P<step>\d+)-(?P<digest>[0-9a-f]{16})\.safetensors")
_MODEL, _OPTIMIZER, _STATISTICS = "model/", "optimizer/", "statistics/"
_CHECKSUM = marked("checksum")
_MOST_AT_ONCE = 1 << 30
"""Bytes of checkpoints that are written at once: all of them lie in memory then, laid out as in the file."""
_ROOM = 2
"""How many times as much must be free: others write to the disk, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run has come.

    Attributes:
        epoch, step: the next training batch, 0-based; `step` equals the number of batches where only the epoch's validation
            is left.
        loss_sum, correct, seen: sums over the training samples of this epoch so far.
        best_epoch, best_accuracy, best_loss: of the best validation so far; None before the first.
        stale_epochs: epochs since the best one, for early stopping.
        parts: how many pieces a batch is computed in; above 1 where memory ran out.
        afresh: whether BatchNorm layers that learn are judged with each epoch's own pictures, see `engine.statistics`.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    best_epoch: int | None = None
    best_accuracy: float | None = None
    best_loss: float | None = None
    stale_epochs: int = 0
    parts: int = 1
    afresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """Everything a run needs to go on exactly as if it had never stopped.

    The state of random generators is not among it: every step draws from a generator seeded with (seed, epoch, step).

    Attributes:
        model: the network's state dict, buffers included.
        optimizer: `PARAMETER/KEY`, such as `fc.weight/exp_avg`, to the optimiser's tensor.
        statistics: what BatchNorm layers had when the epoch began, where it has begun; see `engine.statistics`.
        scaler: state of the loss scaler, where there is one (fp16).
        facts: what bit-identical results depend on besides: torch's version, threads, device, precision.
        file: where it was loaded from, as `FOLDER/FILE`; not kept.
        note: a sentence for the person, where this is not the checkpoint that was asked for; not kept.
    """

    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    progress: Progress
    statistics: Mapping[str, Tensor] = field(default_factory=dict)
    scaler: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    note: str = ""

    @property
    def nbytes(self) -> int:
        """Of all its tensors."""
        return sum(tensor.nbytes for part in (self.model, self.optimizer, self.statistics) for tensor in part.values())

    def fill(self, network: nn.Module) -> None:
        """Give `network` the weights and statistics that it had.

        Raises:
            RuntimeError: they are of another network.
        """
        # With what the network itself says of the version of each part: torchvision's MNASNet takes nothing without it.
        tensors = network.state_dict()
        tensors.clear()
        tensors.update(self.model)
        network.load_state_dict(tensors)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What a checkpoint file says in its metadata."""

    progress: Progress
    scaler: dict[str, float]
    facts: dict[str, str]
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One checkpoint file as the index knows it."""

    file: str
    sha256: str
    epoch: int
    step: int

    @property
    def used(self) -> str:
        """That this one is taken, in a sentence."""
        if self.step:
            return tr("Using the one of epoch {epoch}, batch {step}.", epoch=self.epoch + 1, step=self.step)
        return tr("Using the one after epoch {epoch}.", epoch=self.epoch)

    def damaged(self, problem: str) -> str:
        """That this one is damaged, in a sentence."""
        if self.step:
            return tr(
                "The checkpoint of epoch {epoch}, batch {step} is damaged ({problem}).",
                epoch=self.epoch + 1,
                step=self.step,
                problem=problem,
            )
        return tr("The checkpoint after epoch {epoch} is damaged ({problem}).", epoch=self.epoch, problem=problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    """Which file is what. `older` is the last checkpoint but one, kept in case the last is damaged."""

    last: _Entry
    best: _Entry | None = None
    older: _Entry | None = None
    version: int = VERSION

    def entries(self, first: str) -> list[_Entry]:
        """All different entries, the one named `first` before the rest."""
        order = {"last": (self.last, self.older, self.best), "best": (self.best, self.last, self.older)}[first]
        return list(dict.fromkeys(entry for entry in order if entry is not None))


class CheckpointStore:
    """Keeps the last, the one before it and the best checkpoint of a run.

    A new file is written and read again before the index names it, and only then is an old one deleted: whenever the process
    dies, the index names checkpoints that are whole.

    Args:
        folder: the folder of the checkpoints, which exists.
        write: raises UserError where it cannot.
    """

    def __init__(self, folder: Path, write: tensor_file.Write) -> None:
        self._folder = folder
        self._write = write

    @property
    def best(self) -> str:
        """What `load("best")` takes unless it is damaged, as `FOLDER/FILE`; "" where nothing is kept yet."""
        index = self._read_index()
        return self._named(index.entries("best")[0]) if index else ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever saved here."""
        return not self._index_path.exists() and not any(_NAME.fullmatch(path.name) for path in self._folder.glob("*"))

    def save(self, checkpoint: Checkpoint, best: bool) -> str:
        """Keep `checkpoint` as the last one, and as the best one too if it is; returns `FOLDER/FILE`.

        Raises:
            UserError: it cannot be written, or reads back differently; what was kept before is still there.
        """
        paths, problem = self.save_in_order([(checkpoint, best)])
        if problem:
            raise problem
        return paths[0]

    def save_in_order(self, kept: Sequence[tuple[Checkpoint, bool]]) -> tuple[list[str], UserError | None]:
        """As `save` of each in turn; but small ones are written at once, where the disk has room for all.

        Args:
            kept: at least one, no two alike.

        Returns:
            `FOLDER/FILE` of each, up to the first that could not be kept; and why not, as `save` would raise it.
        """
        size = sum(checkpoint.nbytes for checkpoint, _ in kept)
        if len(kept) > 1 and (size > _MOST_AT_ONCE or not self._has_room(size)):
            paths, problem = self.save_in_order(kept[:1])
            if problem:
                return paths, problem
            others, problem = self.save_in_order(kept[1:])
            return paths + others, problem
        index = self._read_index() or self._index_of_files()
        *others_parts, last_parts = [(checkpoint.progress, _packed(checkpoint)) for checkpoint, _ in kept]
        with ThreadPoolExecutor(len(kept), thread_name_prefix="checkpoint") as pool:
            writing = [pool.submit(self._attempt, *each) for each in others_parts]
            last = self._attempt(*last_parts)
        paths, problem = [], None
        for written, (_, best) in zip([*(one.result() for one in writing), last], kept, strict=True):
            if isinstance(written, UserError):
                problem = written
                break
            index = _after(index, written, best)
            paths.append(self._named(written))
        if index is not None:
            if paths:
                self._write_index(index)
            self._forget_all_but(index)  # also what was written after the one that could not be
        return paths, problem

    def _has_room(self, size: int) -> bool:
        """Whether so many bytes fit on the disk beside all that is kept."""
        try:
            return shutil.disk_usage(self._folder).free > _ROOM * size
        except OSError:  # the attempt will tell
            return False

    def _attempt(self, at: Progress, parts: list[bytes | memoryview]) -> _Entry | UserError:
        try:
            return self._written(at, parts)
        except UserError as error:
            return error

    def _written(self, at: Progress, parts: list[bytes | memoryview]) -> _Entry:
        """The file of a checkpoint, which no index names yet. Raises as `save`."""
        digest = _sha256(parts)
        # The digest in the name keeps a file that the index names from ever being overwritten.
        name = f"epoch{at.epoch:04}-step{at.step:06}-{digest[:16]}.safetensors"
        entry = _Entry(file=name, sha256=digest, epoch=at.epoch, step=at.step)
        self._write(self._folder / name, *parts)
        if problem := self._problem(entry):
            raise UserError(
                tr("The disk did not keep {file}: {problem}.", file=name, problem=problem),
                tr("Check the disk, or go on in another folder."),
            )
        return entry

    def load(self, name: str) -> Checkpoint:
        """The checkpoint called "last" or "best"; where it is damaged the next one that is whole, with a `note` that says so.

        Raises:
            UserError: no checkpoint is whole, or it was written by a newer version.
        """
        index = self._read_index()
        notes = []
        if index is None:
            index = self._index_of_files()
            if index is not None:
                notes.append(tr("The list of checkpoints is damaged."))
        elif name == "best" and index.best is None:
            notes.append(tr("No epoch was finished, so there is no best one."))
        for entry in index.entries(name) if index else ():
            data, problem = self._checked(entry)
            if problem:
                notes.append(entry.damaged(problem))
                continue
            note = " ".join([*notes, entry.used]) if notes else ""
            return replace(_unpacked(data, entry.file), file=self._named(entry), note=note)
        what = " ".join(notes) or tr("Nothing was saved yet.")
        said = tr("The run {name} has no usable checkpoint.", name=self._folder.parent.name)
        raise UserError(f"{said} {what}", tr("Train it again."))

    def _named(self, entry: _Entry) -> str:
        return f"{self._folder.name}/{entry.file}"

    def _problem(self, entry: _Entry) -> str:
        """What is wrong with the file of `entry`; "" if nothing."""
        try:
            with (self._folder / entry.file).open("rb") as file:
                return "" if hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256 else tr(_CHECKSUM)
        except OSError as error:
            return error.strerror or str(error)

    def _checked(self, entry: _Entry) -> tuple[bytes, str]:
        """What the file of `entry` holds, and what is wrong with it ("" if nothing)."""
        path = self._folder / entry.file
        try:
            data = path.read_bytes() if path.is_file() or not path.exists() else b""  # a pipe would be waited for
        except OSError as error:
            return b"", error.strerror or str(error)
        return data, "" if _sha256([data]) == entry.sha256 else tr(_CHECKSUM)

    @property
    def _index_path(self) -> Path:
        return self._folder / "index.json"

    def _write_index(self, index: _Index) -> None:
        body = to_json(index)
        seal = hashlib.sha256(body).hexdigest().encode()
        self._write(self._index_path, body + b"\n" + seal + b"\n")

    def _read_index(self) -> _Index | None:
        """The index; None where there is none, or it is damaged."""
        try:
            body, seal = self._index_path.read_bytes().removesuffix(b"\n").split(b"\n")
        except (FileNotFoundError, ValueError):
            return None
        if hashlib.sha256(body).hexdigest().encode() != seal:
            return None
        where = str(self._index_path)
        _refuse_newer(_object(body, where), self._index_path.name)
        index: _Index = from_json(_Index, body, where)
        # A run may be a stranger's: its checkpoints lie beside the index, and nowhere else.
        return index if all(_NAME.fullmatch(entry.file) for entry in index.entries("last")) else None

    def _index_of_files(self) -> _Index | None:
        """An index made from the files themselves: those that are whole by the digest in their name."""
        found = []
        for path in self._folder.iterdir():
            name = _NAME.fullmatch(path.name)
            if name and (full := hashlib.sha256(path.read_bytes()).hexdigest()).startswith(name["digest"]):
                found.append(_Entry(file=path.name, sha256=full, epoch=int(name["epoch"]), step=int(name["step"])))
        if not found:
            return None
        found.sort(key=lambda entry: (entry.epoch, entry.step))
        progress = _unpacked((self._folder / found[-1].file).read_bytes(), found[-1].file).progress
        after_best = None if progress.best_epoch is None else (progress.best_epoch + 1, 0)
        best = next((entry for entry in found if (entry.epoch, entry.step) == after_best), None)
        return _Index(last=found[-1], best=best, older=found[-2] if len(found) > 1 else None)

    def _forget_all_but(self, index: _Index) -> None:
        kept = {entry.file for entry in index.entries("last")}
        for path in self._folder.glob("epoch*"):
            if path.name not in kept:
                with suppress(OSError):  # a virus scanner may hold it; the next save tries again
                    path.unlink()


def _after(before: _Index | None, entry: _Entry, best: bool) -> _Index:
    """The index once `entry` is saved."""
    if before is None:
        return _Index(last=entry, best=entry if best else None)
    older = before.older if before.last == entry else before.last
    return _Index(last=entry, best=entry if best else before.best, older=older)


def _packed(checkpoint: Checkpoint) -> list[bytes | memoryview]:
    """The bytes of the file, in pieces that may be the tensors' own memory."""
    tensors = {_MODEL + name: tensor for name, tensor in checkpoint.model.items()}
    tensors |= {_OPTIMIZER + name: tensor for name, tensor in checkpoint.optimizer.items()}
    tensors |= {_STATISTICS + name: tensor for name, tensor in checkpoint.statistics.items()}
    header = _Header(progress=checkpoint.progress, scaler=dict(checkpoint.scaler), facts=dict(checkpoint.facts))
    return list(tensor_file.parts(tensors, {"checkpoint": to_json(header).decode()}))


def _sha256(parts: Iterable[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _unpacked(data: bytes, where: str) -> Checkpoint:
    length = int.from_bytes(data[:8], "little")
    try:
        metadata = plain_json(data[8 : 8 + length])["__metadata__"]["checkpoint"]
        tensors = safetensors.torch.load(data)
    except (ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise UserError(tr("{where} is not valid: {error}.", where=where, error=error), tr("Train it again.")) from error
    _refuse_newer(_object(metadata, where), where)
    header = from_json(_Header, metadata, where)
    return Checkpoint(
        model=_under(_MODEL, tensors),
        optimizer=_under(_OPTIMIZER, tensors),
        statistics=_under(_STATISTICS, tensors),
        progress=header.progress,
        scaler=header.scaler,
        facts=header.facts,
    )


def model_tensors(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The network's tensors among those of a checkpoint file; tensors of any other file as they are."""
    return _under(_MODEL, tensors) or tensors


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _object(text: bytes | str, where: str) -> dict[str, Any]:
    """What `text` says of itself, whichever version wrote it."""
    return from_json(dict[str, Any], text, where)


def _refuse_newer(found: dict[str, Any], where: str) -> None:
    if isinstance(found.get("version"), int) and found["version"] > VERSION:
        raise UserError(
            tr("{file} was written by a newer Desktop FT (checkpoint version {version}).", file=where, version=found["version"]),
            tr("Update Desktop FT."),
        )
