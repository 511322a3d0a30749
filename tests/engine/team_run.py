"""A process that lets several processes train one tiny run together.

A line of JSON on standard input starts a team: {"folder": …, "size": N, …}; see `Job`. When all have ended, a line of JSON tells
their exit statuses. Each leaves its weights and what it told in the folder. Forked, so that torch is imported once.
"""

import json
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch._dynamo  # An optimiser imports it when first made, for a second: once here, not in every child
from safetensors.torch import save_file
from torch import Tensor, nn

from desktop_ft.core.errors import UserError
from desktop_ft.core.recipe import DeviceChoice, Optimisation
from desktop_ft.core.values import to_json
from desktop_ft.engine.control import RunControl
from desktop_ft.engine.feature_store import FeatureStore
from desktop_ft.engine.team import ALONE, Team, gathered
from desktop_ft.runs.kept import KeptFolder
from tests.engine.tiny import CLASSES, RecurringTiny, Run, TinyNet


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to train.

    Attributes:
        later: by epoch (as text), what learns from then on instead.
        features: where answers of frozen layers are kept, such as {"memory_bytes": 0}; None: nowhere.
        stop_at, die_at, fail_at, spoil: by rank (as text), the batch at whose making it asks to stop, dies or fails, or that it
            makes not finite.
        starve: by rank, whether memory runs out on the way "forward" or "back".
    """

    folder: str
    size: int
    plan: dict
    learning: list = field(default_factory=lambda: ["fc"])
    later: dict = field(default_factory=dict)
    views: int | None = 1
    count: int = 21
    dropout: float = 0.0
    features: dict | None = None
    resume: bool = False
    stop_at: dict = field(default_factory=dict)
    die_at: dict = field(default_factory=dict)
    fail_at: dict = field(default_factory=dict)
    spoil: dict = field(default_factory=dict)
    starve: dict = field(default_factory=dict)


class Starved(nn.Module):
    """Where memory runs out."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def forward(self, features: Tensor) -> Tensor:
        if self.way == "forward":
            self.run_out()
        features.register_hook(self.run_out)
        return features

    def run_out(self, gradient: Tensor | None = None) -> None:
        raise torch.OutOfMemoryError("none left")


class TeamTiny(RecurringTiny):
    """Its part of every batch, as `PictureBatches` cuts them; counts its steps, and fails or dies where it is told to."""

    def __init__(self, job: Job, team: Team) -> None:
        chance = torch.Generator().manual_seed(5)
        targets = torch.randint(CLASSES, (job.count,), generator=chance)
        inputs = torch.randn(job.count, 3, 5, 5, generator=chance) + nn.functional.one_hot(targets, 3)[:, :, None, None] * 0.7
        super().__init__(inputs, targets, size=job.plan["batch_size"], views=job.views)
        self.job, self.team, self.made, self.stop = job, team, 0, threading.Event()

    def _part(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        return keys[len(keys) * self.team.rank // self.team.size : len(keys) * (self.team.rank + 1) // self.team.size]

    def _mine(self, given: dict) -> int | None:
        return given.get(str(self.team.rank))

    def _keys(self, epoch: int, step: int) -> tuple[str, ...]:
        return self._part(super()._keys(epoch, step))

    def _counted(self, batches):
        for batch in batches:
            if self.made == self._mine(self.job.stop_at):
                self.stop.set()
            if self.made == self._mine(self.job.fail_at):
                raise UserError(f"Process {self.team.rank} has no picture.", "Bring it back.")
            if self.made == self._mine(self.job.die_at):
                os.kill(os.getpid(), signal.SIGKILL)
            self.made += 1
            yield batch

    def train(self, epoch: int, first_step: int = 0):
        for inputs, targets in self._counted(super().train(epoch, first_step)):
            spoilt = self.made - 1 == self._mine(self.job.spoil)
            yield inputs * float("nan") if spoilt else inputs, targets

    def keyed_validation(self):
        keys = self._part(tuple(self.validation_keys))
        yield keys, self._labels(keys)

    def validation(self):
        yield self._named(self._part(tuple(self.validation_keys)))


def train(job: Job, team: Team = ALONE) -> Run:
    """One process's share of the run, or all of it."""
    network = TinyNet()
    network.drop.p = job.dropout
    if way := job.starve.get(str(team.rank)):
        network.drop = Starved(way)
    kept = None
    if job.features is not None:
        kept = FeatureStore(KeptFolder(Path(job.folder) / "features", 1 << 24), memory_bytes=job.features["memory_bytes"])
    batches = TeamTiny(job, team)
    run = Run(
        Path(job.folder) / "checkpoints",
        plan=Optimisation(**job.plan),
        batches=batches,
        control=RunControl(stop=batches.stop),
        network=network,
        learning=tuple(job.learning),
        later={int(epoch): tuple(names) for epoch, names in job.later.items()},
        features=kept,
        team=team,
    )
    run.ended = run.fit(run.store.load("last") if job.resume else None)
    return run


def _member(job: Job, rank: int, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(job.size), "LOCAL_WORLD_SIZE": str(job.size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with gathered(DeviceChoice.CPU) as team:
        run = train(job, team)
    folder = Path(job.folder)
    save_file({name: tensor.contiguous() for name, tensor in run.weights.items()}, folder / f"{rank}.safetensors")
    (folder / f"{rank}.jsonl").write_bytes(b"".join(to_json(event) + b"\n" for event in (*run.events, run.ended)))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main() -> None:
    """Serve teams until standard input ends."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        job, port, children = Job(**json.loads(line)), _free_port(), []
        for rank in range(job.size):
            child = os.fork()
            if not child:
                code = 1
                try:
                    _member(job, rank, port)
                    code = 0
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
