"""The processes that train one network together; without torchrun, a team of one, which asks nobody and costs nothing.

Every process has the whole network, computes its part of each batch, and makes the same step. What they must agree on (what was
asked of the run, who cannot go on) they say to each other in a few numbers. Imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

from desktop_ft.core.recipe import DeviceChoice

if TYPE_CHECKING:
    from torch import Tensor, nn

    Forward = Callable[[Tensor], Tensor]

Result = TypeVar("Result")
Refusal = TypeVar("Refusal", bound=Exception)


class TeamBroken(Exception):
    """The processes cannot go on together, and cannot say so to each other any more; the reason is a sentence.

    Attributes:
        is_final: whether it would come to the same if they were started anew.
    """

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


class Team:
    """A team of one, and what any team can do. Every process of a team calls the same methods in the same order.

    Attributes:
        rank: which of the team this process is, from 0; the first is the only one who writes and tells.
        size: how many processes there are.
        leads_machine: whether it is the first of the team on its machine.
        on_machine: how many of the team are on this machine.
        restarts: how often the team was started anew because one of them died.
    """

    rank = 0
    size = 1
    leads_machine = True
    on_machine = 1
    restarts = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes and tells."""
        return self.rank == 0

    def words(self, device: str) -> str:
        """What the team computes on, for people: `2 × NVIDIA H200`."""
        return f"{self.size} × {device}" if self.size > 1 else device

    def together(self) -> AbstractContextManager[None]:
        """A block that all run. A UserError that ends it in one of them ends it in all, with the same sentence.

        It is told to the others at the next point where they agree on anything, so it may come from anywhere between two such.
        """
        return nullcontext()

    def meet(self) -> None:
        """Go on when all have come here."""

    def sums(self, one: float, two: float, three: float) -> tuple[float, float, float]:
        """Each of three numbers, added up over the team."""
        return one, two, three

    def any(self, one: bool, two: bool, three: bool) -> tuple[bool, bool, bool]:
        """Each of three flags: whether it is set in some process."""
        return one, two, three

    def union(self, flags: Sequence[bool]) -> list[bool]:
        """As `any`, for as many flags as it may be, equally many in every process."""
        return list(flags)

    def agreed(self, work: Callable[[], Result], refusal: type[Refusal]) -> Result:
        """What `work` gives here, unless it ends in a `refusal` in some process: then in all, with the same sentence."""
        return work()

    def rows(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        """The rows of all processes, in their order.

        Args:
            own: (counts[rank], …) on the CPU, of one kind in the whole team.
            counts: how many rows each has; fewer entries than processes where the last have none.
        """
        return own

    def way(self, network: nn.Module, forward: Forward) -> Forward:
        """`forward`, such that gradients that come back through it are the team's mean. Asked anew when what learns changes."""
        return forward

    def backward(self, loss: Tensor) -> None:
        """Gradients of `loss`, added to those that are there.

        Raises:
            TeamBroken: another process died, or memory ran out where the others cannot be told.
        """
        loss.backward()  # type: ignore[no-untyped-call]

    def remark(self) -> str:
        """A sentence on how this team learns by the present `way` that a person should know, told once; else ""."""
        return ""

    def share_statistics(self) -> None:
        """Let the statistics that layers keep of the batches they learn from be the mean of all processes'; once a step."""


ALONE = Team()


DESK = "DESKTOP_FT_TEAM_DESK"
"""Names in the environment the folder where a team on one machine, that `jobs.distributed` has started, finds each other."""

LAST_WORDS = "last-words"
"""File in that folder: why all must end, in a sentence, by who found it out first."""


def size_here() -> int:
    """As one of how many torchrun (or what sets the same variables) has started this process; 1 without a team."""
    return int(os.environ["WORLD_SIZE"]) if {"WORLD_SIZE", "RANK"} <= os.environ.keys() else 1


def rank_here() -> int:
    """Which of its team this process is; 0 without a team."""
    return int(os.environ["RANK"]) if size_here() > 1 else 0


@contextmanager
def gathered(device: DeviceChoice) -> Iterator[Team]:
    """The team that this process was started in, for the length of the block; a team of one where nobody started others.

    On CUDA each process takes the GPU of its number on its machine.

    Raises:
        TeamBroken: this machine has fewer GPUs than processes of the team, or the others are not there.
    """
    if size_here() == 1:
        yield ALONE
        return
    from desktop_ft.engine.processes import gather

    with gather(device) as team:
        yield team
