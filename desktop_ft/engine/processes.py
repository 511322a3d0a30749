"""A team of several processes: torch's own process group and DistributedDataParallel, and nothing but tensors between them."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed, nn
from torch.distributed import FileStore, PrefixStore, Store  # type: ignore[attr-defined]  # its stubs leave them out
from torch.distributed.rendezvous import rendezvous
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parallel import DistributedDataParallel

from desktop_ft.core.errors import UserError
from desktop_ft.core.recipe import DeviceChoice
from desktop_ft.engine.team import DESK, Refusal, Result, Team, TeamBroken

if TYPE_CHECKING:
    from desktop_ft.engine.team import Forward

# One process may look at a large folder, or write a checkpoint, while the others wait; a dead one is noticed by its connection.
_PATIENCE = datetime.timedelta(hours=4)
_MEET_WITHIN = datetime.timedelta(minutes=10)
_OUT_OF_MEMORY = "Memory ran out in one of the processes. Choose a smaller batch or picture size, or let fewer layers learn."


@contextmanager
def gather(device: DeviceChoice) -> Iterator[ProcessTeam]:
    """Meet the other processes that torchrun has started, for the length of the block.

    Raises:
        TeamBroken: this machine has fewer GPUs than processes of the team, or the others are not there.
    """
    on_cuda = device in (DeviceChoice.AUTO, DeviceChoice.CUDA) and torch.cuda.is_available()
    if on_cuda:
        _take_gpu()
    # What is agreed on lies on the CPU and goes over gloo: no step waits for the GPU because of it.
    backend = "cpu:gloo,cuda:nccl" if on_cuda else "gloo"
    with _in_touch():
        store, rank, size = _met()
        distributed.init_process_group(backend, timeout=_MEET_WITHIN, store=store, rank=rank, world_size=size)
        distributed.set_timeout(_PATIENCE)
    yield ProcessTeam()
    # Not where the block raises: the others are not there any more to say goodbye to.
    distributed.destroy_process_group()


class ProcessTeam(Team):
    """Several processes, each with the whole network; see `Team`."""

    def __init__(self) -> None:
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()
        self.leads_machine = int(os.environ.get("LOCAL_RANK", self.rank)) == 0
        self.on_machine = int(os.environ.get("LOCAL_WORLD_SIZE", self.size))
        self.restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
        self._told: UserError | None = None
        self._way: tuple[tuple[object, ...], Forward] | None = None
        self._statistics: list[Tensor] = []
        self._remarked = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """As `Team.together`."""
        try:
            yield
            self._agree()
        except UserError as error:
            if error is not self._told:
                self._agree(trouble=error)
            raise

    def meet(self) -> None:
        """As `Team.meet`."""
        self._agree()

    def sums(self, one: float, two: float, three: float) -> tuple[float, float, float]:
        """As `Team.sums`."""
        return self._agree(one, two, three)

    def any(self, one: bool, two: bool, three: bool) -> tuple[bool, bool, bool]:
        """As `Team.any`."""
        counts = self._agree(one, two, three)
        return counts[0] > 0, counts[1] > 0, counts[2] > 0

    def union(self, flags: Sequence[bool]) -> list[bool]:
        """As `Team.union`."""
        self._agree()
        return [bool(flag) for flag in self._reduced(torch.tensor(flags, dtype=torch.uint8), distributed.ReduceOp.MAX)]

    def agreed(self, work: Callable[[], Result], refusal: type[Refusal]) -> Result:
        """As `Team.agreed`."""
        said, result = "", None
        try:
            result = work()
        except refusal as error:
            said = str(error) or refusal.__name__
        self._agree()
        if words := self._first_words(said):
            raise refusal(words)
        return result  # type: ignore[return-value]  # no word, so there is a result

    def rows(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        """As `Team.rows`."""
        self._agree()
        most = max(counts)
        filled = own.new_zeros((most, *own.shape[1:]))
        filled[: len(own)] = own
        # As bytes: gloo knows fewer types than torch.
        pieces = [torch.empty_like(filled).view(-1).view(torch.uint8) for _ in range(self.size)]
        with _in_touch():
            distributed.all_gather(pieces, filled.view(-1).view(torch.uint8))
        tables = [piece.view(own.dtype).view(filled.shape) for piece in pieces]
        return torch.cat([table[:count] for table, count in zip(tables, counts, strict=False)])

    def way(self, network: nn.Module, forward: Forward) -> Forward:
        """As `Team.way`."""
        self._statistics = _learning_statistics(network)
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        key = (forward, *map(id, learning))
        if self._way is None or self._way[0] != key:
            self._way = None  # its hooks on the parameters go with it
            self._agree()
            with _in_touch():
                made = DistributedDataParallel(_Way(learning, forward), find_unused_parameters=True)
            self._way = key, made
        return self._way[1]

    def backward(self, loss: Tensor) -> None:
        """As `Team.backward`."""
        with _in_touch():
            super().backward(loss)

    def remark(self) -> str:
        """As `Team.remark`."""
        if not self._statistics or self._remarked:
            return ""
        self._remarked = True
        return (
            f"Batch normalisation learns here, and each of the {self.size} processes takes its statistics from its own part of a "
            "batch: the run may differ a little from that of one process."
        )

    @torch.no_grad()
    def share_statistics(self) -> None:
        """As `Team.share_statistics`."""
        if not self._statistics:
            return
        mean = self._reduced(torch.cat([kept.flatten() for kept in self._statistics]), distributed.ReduceOp.SUM) / self.size
        for kept, part in zip(self._statistics, torch.split(mean, [kept.numel() for kept in self._statistics]), strict=True):
            kept.copy_(part.view_as(kept))

    def _agree(
        self, one: float = 0, two: float = 0, three: float = 0, trouble: UserError | None = None
    ) -> tuple[float, float, float]:
        """The sums of three numbers. Always of this one form, so that who is in trouble can join in wherever the others are.

        Raises:
            UserError: some process is in trouble; all raise the same.
        """
        table = torch.tensor([trouble is not None, one, two, three], dtype=torch.float64)
        in_trouble, *sums = self._reduced(table, distributed.ReduceOp.SUM).tolist()
        if in_trouble:
            what, cure = json.loads(self._first_words(json.dumps([trouble.what, trouble.cure]) if trouble else ""))
            self._told = UserError(what, cure)
            raise self._told
        return sums[0], sums[1], sums[2]

    def _first_words(self, words: str) -> str:
        """What the first process says that says anything; "" where none does."""
        said = words.encode()
        lengths = torch.zeros(self.size, dtype=torch.int64)
        lengths[self.rank] = len(said)
        sizes = self._reduced(lengths, distributed.ReduceOp.SUM).tolist()
        speaker = next((rank for rank, size in enumerate(sizes) if size), None)
        if speaker is None:
            return ""
        heard = torch.zeros(sizes[speaker], dtype=torch.uint8)
        if speaker == self.rank:
            heard.copy_(torch.frombuffer(bytearray(said), dtype=torch.uint8))
        with _in_touch():
            distributed.broadcast(heard, speaker)
        return bytes(heard.tolist()).decode()

    @staticmethod
    def _reduced(tensor: Tensor, how: distributed.ReduceOp.RedOpType) -> Tensor:
        with _in_touch():
            distributed.all_reduce(tensor, how)
        return tensor


class _Way(nn.Module):
    """What learns, and a way through it. Not all of it need take part (an auxiliary head, say).

    Buffers are left out: torch would copy those of the first process, where `share_statistics` takes the mean.
    """

    def __init__(self, learning: Sequence[nn.Parameter], forward: Forward) -> None:
        super().__init__()
        self._forward = forward
        # The one more never takes part: torch warns where everything does after all.
        self.learning = nn.ParameterList([*learning, nn.Parameter(learning[0].new_zeros(1))])

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs to logits."""
        return self._forward(inputs)


@contextmanager
def _in_touch() -> Iterator[None]:
    """What another process's death does to this one, in words."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TeamBroken(_OUT_OF_MEMORY, is_final=True) from error
    except RuntimeError as error:  # gloo and NCCL have no type of their own for it
        raise TeamBroken(f"The processes that train together lost touch: {error}") from error


def _learning_statistics(network: nn.Module) -> list[Tensor]:
    norms = [part for part in network.modules() if isinstance(part, _NormBase) and part.training]
    return [kept for norm in norms for kept in (norm.running_mean, norm.running_var) if kept is not None]


def _met() -> tuple[Store, int, int]:
    """Where the processes find each other: in a file, where one person's program on one machine has started them, so that nothing
    listens to others; else where torchrun says.
    """
    start = _start_name()
    if desk := os.environ.get(DESK):
        size = int(os.environ["WORLD_SIZE"])
        return FileStore(str(Path(desk) / start), size), int(os.environ["RANK"]), size
    store, rank, size = next(rendezvous("env://", timeout=_MEET_WITHIN))
    return PrefixStore(start, store), rank, size


def _start_name() -> str:
    """Tells this start from earlier ones: torchrun has one store for all, with addresses in it where nobody listens any more.

    Over several machines its counts may differ; there torchrun must be told to make a new store for each start.
    """
    return f"start-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '')}" if os.environ.get("GROUP_WORLD_SIZE") == "1" else "start"


def _take_gpu() -> None:
    mine, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if mine >= there:
        wanted = os.environ.get("LOCAL_WORLD_SIZE", str(mine + 1))
        # Those on other machines cannot be told yet.
        raise TeamBroken(f"{there} GPUs are here for {wanted} processes. Start {there}, or take --device cpu.", is_final=True)
    torch.cuda.set_device(mine)
