"""What a network that only answers says of many inputs, as rows to keep, and the name under which they are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import torch
from torch import Tensor, nn

from desktop_ft import __version__
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr
from desktop_ft.core.layers import is_under
from desktop_ft.core.parallel import in_order
from desktop_ft.engine.device import Compute, pass_size, single_threads
from desktop_ft.models import tensor_file

_VERSION = 4
_PLAIN = (bool, int, float, str, tuple, type(None))

Keys = Sequence[str]


def name_of(network: nn.Module, compute: Compute, way: str, *, besides: str | None = None) -> str:
    """A digest of all that decides an answer besides the input: layers, weights, arithmetic, torch's version.

    Args:
        network: all that inputs go through, and nothing else.
        way: how they go through it, as text.
        besides: path of a part that does not matter.
    """
    said = (_VERSION, __version__, torch.__version__, compute.device.type, str(compute.frozen_autocast), compute.channels_last)
    digest = hashlib.sha256(repr((*said, way)).encode())
    counts = [(path, part) for path, part in network.named_modules() if besides is None or not is_under(path, besides)]
    for path, part in counts:
        settings = {name: value for name, value in vars(part).items() if isinstance(value, _PLAIN) and name != "training"}
        digest.update(repr((path, type(part).__module__, type(part).__qualname__, sorted(settings.items()))).encode())
    tensors = dict(network.named_parameters()) | dict(network.named_buffers())
    _add(digest, {path: tensor for path, tensor in tensors.items() if besides is None or not is_under(path, besides)})
    return digest.hexdigest()[:32]


def in_parts(ask: Callable[[Tensor], Tensor], inputs: Tensor, device: torch.device) -> Tensor:
    """What `ask` says of `inputs` (N, …): (N, …), asked in parts of `pass_size`.

    Where memory runs out it is asked in smaller ones, and so are all that follow in this call.

    Raises:
        UserError: not even one input fits.
    """
    size = pass_size(device, inputs[0].numel())
    while True:
        try:
            return torch.cat([ask(part) for part in torch.split(inputs, size)])
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise UserError(
                    tr("Memory ran out even with one sample at a time."),
                    tr("Choose a smaller picture size, or train on the CPU."),
                ) from error
        size = (size + 1) // 2


@contextmanager
def answered(
    rows: Callable[[Tensor], Tensor],
    device: torch.device,
    batches: Sequence[Keys],
    inputs: Callable[[Keys], Tensor],
    size: int,
) -> Iterator[Iterator[Tensor]]:
    """The rows that are answered to each of `batches`, in order.

    Each batch is filled up to `size`, so that what is said of an input does not depend on which others are asked for. On
    the CPU as many batches are under way as torch has threads, each made and computed in one of them: threads that share a
    batch wait for each other at every layer, and for whoever else uses a core. Elsewhere threads make the batches ahead.

    Args:
        rows: inputs (size, …) to rows (size, …); on the CPU called from several threads at once.
        inputs: makes a batch; called from several threads at once.
    """
    on_cpu = device.type == "cpu"
    threads = torch.get_num_threads()

    def made(keys: Keys) -> Tensor:
        found = inputs(keys)
        return torch.cat([found, found[-1:].expand(size - len(found), *found.shape[1:])])

    def answer(keys: Keys, filled: Tensor) -> Tensor:
        return rows(filled)[: len(keys)]

    work = (lambda keys: answer(keys, made(keys))) if on_cpu else made
    with single_threads(threads, "frozen-layers") as pool, closing(in_order(pool, work, batches, ahead=2 * threads)) as done:
        yield done if on_cpu else map(answer, batches, done)


def _add(digest: hashlib._Hash, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor_file.memory(tensor))
