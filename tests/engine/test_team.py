"""Two processes learn what one learns from the same batches, and end together whatever happens to one of them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from desktop_ft.core.events import EpochDone, PrefixReady, RunEnded, RunStarted, RunStatus, StepDone, TrainEvent, Warned
from desktop_ft.core.values import from_json
from desktop_ft.models.checkpoint import CheckpointStore
from desktop_ft.runs import atomic
from tests.engine.team_run import Job, train
from tests.engine.tiny import Run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the processes of a team are forked")
# Not Adam: it divides by the gradient's size, and the bias before a batch normalisation has none but noise.
PLAN = {"epochs": 3, "batch_size": 6, "lr": 0.05, "optimizer": "sgd"}


class Teams:
    """Starts teams, and reads what they leave."""

    def __init__(self, server: "subprocess.Popen[bytes]") -> None:
        self._server = server

    def train(self, job: Job) -> list[int]:
        """The exit statuses of the processes."""
        Path(job.folder).mkdir(exist_ok=True, parents=True)
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(vars(job)).encode() + b"\n")
        self._server.stdin.flush()
        codes: list[int] = json.loads(self._server.stdout.readline())
        return codes


@pytest.fixture(scope="module")
def teams() -> Iterator[Teams]:
    command = [sys.executable, "-m", "tests.engine.team_run"]
    root = Path(__file__).parents[2]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=root, env=environment, bufsize=0, **pipes) as server:
        yield Teams(server)
        assert server.stdin
        server.stdin.close()


def job(folder: Path, size: int = 2, **options: Any) -> Job:
    return Job(folder=str(folder), size=size, **({"plan": PLAN} | options))


def weights(folder: Path, rank: int = 0) -> dict[str, Tensor]:
    return load_file(folder / f"{rank}.safetensors")


def told(folder: Path, rank: int = 0) -> list[TrainEvent]:
    """What the process told, and last what it ended with."""
    return [from_json(TrainEvent, line, "") for line in (folder / f"{rank}.jsonl").read_bytes().splitlines()]


def of(kind: type, events: list[TrainEvent]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def close(found: dict[str, Tensor], one: Run) -> None:
    for name, tensor in one.weights.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-6)


def same_curves(events: list[TrainEvent], one: Run) -> None:
    assert [(step.epoch, step.step) for step in of(StepDone, events)] == [(step.epoch, step.step) for step in one.of(StepDone)]
    assert [step.loss for step in of(StepDone, events)] == pytest.approx([step.loss for step in one.of(StepDone)], rel=1e-4)
    for ours, theirs in zip(of(EpochDone, events), one.of(EpochDone), strict=True):
        assert (ours.train_accuracy, ours.val_accuracy, ours.best) == (theirs.train_accuracy, theirs.val_accuracy, theirs.best)
        assert (ours.train_loss, ours.val_loss) == pytest.approx((theirs.train_loss, theirs.val_loss), rel=1e-4)


CASES: dict[str, dict[str, Any]] = {
    "head": {},
    "more than the head": {"learning": ["stem", "fc"]},
    "parts of unequal size": {"plan": PLAN | {"batch_size": 7}, "count": 23},
    "adamw, a clipped gradient": {"plan": PLAN | {"optimizer": "adamw", "clip_norm": 0.1}},
    "what learns changes": {"later": {"1": ["stem", "fc"], "2": ["fc"]}},
    "kept answers": {"features": {"memory_bytes": 1 << 20}, "views": 2, "plan": PLAN | {"epochs": 4}},
    "kept answers in files": {"features": {"memory_bytes": 0}, "count": 40},
    "answers anew each epoch": {"features": {"memory_bytes": 1 << 20}, "views": None},
}


@pytest.mark.parametrize("case", CASES)
def test_two_learn_what_one_learns(teams: Teams, tmp_path: Path, case: str) -> None:
    assert teams.train(job(tmp_path / "two", **CASES[case])) == [0, 0]
    one = train(job(tmp_path / "one", 1, **CASES[case]))
    close(weights(tmp_path / "two"), one)
    same_curves(told(tmp_path / "two"), one)
    first, second = weights(tmp_path / "two", 0), weights(tmp_path / "two", 1)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [ready.kept for ready in of(PrefixReady, told(tmp_path / "two"))] == [ready.kept for ready in one.of(PrefixReady)]
    assert [type(event) for event in told(tmp_path / "two", 1)] == [RunEnded]  # only the first tells


def test_three_share_unequal_parts(teams: Teams, tmp_path: Path) -> None:
    options: dict[str, Any] = {"plan": PLAN | {"batch_size": 7}, "features": {"memory_bytes": 1 << 20}, "count": 38}
    assert teams.train(job(tmp_path / "three", 3, **options)) == [0, 0, 0]
    one = train(job(tmp_path / "one", 1, **options))
    close(weights(tmp_path / "three"), one)
    same_curves(told(tmp_path / "three"), one)


def test_statistics_that_learn_are_shared_and_told_of(teams: Teams, tmp_path: Path) -> None:
    teams.train(job(tmp_path / "two", learning=["stem", "norm", "fc"]))
    first, second = weights(tmp_path / "two", 0), weights(tmp_path / "two", 1)
    assert all(torch.equal(first[name], second[name]) for name in first)
    one = train(job(tmp_path / "one", 1, learning=["stem", "norm", "fc"]))
    torch.testing.assert_close(first["norm.running_mean"], one.weights["norm.running_mean"], rtol=0.05, atol=0.01)
    (warned,) = of(Warned, told(tmp_path / "two"))
    assert "Batch normalisation learns" in warned.message


def test_each_process_draws_its_own_chance(teams: Teams, tmp_path: Path) -> None:
    """With batches of two equal inputs one process drops the same of both: the mean over two processes is another."""
    teams.train(job(tmp_path / "two", dropout=0.5))
    again, one = job(tmp_path / "again", dropout=0.5), train(job(tmp_path / "one", 1, dropout=0.5))
    teams.train(again)
    assert of(StepDone, told(tmp_path / "two"))[0].loss != pytest.approx(one.of(StepDone)[0].loss, rel=1e-3)
    first, second = weights(tmp_path / "two"), weights(tmp_path / "again")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("rank", ["0", "1"])
@pytest.mark.parametrize("stop_at", [1, 6])
def test_stopped_and_resumed_it_is_as_if_it_had_never_stopped(teams: Teams, tmp_path: Path, stop_at: int, rank: str) -> None:
    options: dict[str, Any] = {"features": {"memory_bytes": 1 << 20}, "views": None, "learning": ["norm", "fc"], "dropout": 0.3}
    teams.train(job(tmp_path / "whole", **options))
    assert teams.train(job(tmp_path / "broken", stop_at={rank: stop_at}, **options)) == [0, 0]
    assert {told(tmp_path / "broken", rank)[-1].status for rank in (0, 1)} == {RunStatus.STOPPED}
    assert teams.train(job(tmp_path / "broken", resume=True, **options)) == [0, 0]
    (started,) = of(RunStarted, told(tmp_path / "broken"))
    assert started.first_epoch * 4 + started.first_step == stop_at
    whole, broken = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


@pytest.mark.parametrize("rank", ["0", "1"])
def test_what_ends_one_ends_all_with_one_sentence(teams: Teams, tmp_path: Path, rank: str) -> None:
    assert teams.train(job(tmp_path, views=None, fail_at={rank: 6})) == [0, 0]
    ends = [told(tmp_path, each)[-1] for each in (0, 1)]
    assert {(end.status, end.error) for end in ends} == {(RunStatus.FAILED, f"Process {rank} has no picture. Bring it back.")}
    assert told(tmp_path)[-2] == ends[0]  # the first told it


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_loss_that_is_not_finite_in_one_part_ends_all_before_it_does_harm(teams: Teams, tmp_path: Path, rank: str) -> None:
    assert teams.train(job(tmp_path, views=None, spoil={rank: 5})) == [0, 0]
    ends = {(end.status, end.error) for end in (told(tmp_path, each)[-1] for each in (0, 1))}
    ((status, error),) = ends
    assert status is RunStatus.FAILED
    assert error.startswith("Loss became NaN at epoch 2, batch 2")
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path).values())


@pytest.mark.parametrize("rank", ["0", "1"])
def test_memory_that_runs_out_in_one_ends_all_with_what_to_do(teams: Teams, tmp_path: Path, rank: str) -> None:
    assert teams.train(job(tmp_path, learning=["stem", "fc"], starve={rank: "forward"})) == [0, 0]
    ends = {(end.status, end.error) for end in (told(tmp_path, each)[-1] for each in (0, 1))}
    ((status, error),) = ends
    assert status is RunStatus.FAILED
    assert "Memory ran out" in error
    assert "Take a smaller batch" in error


def test_memory_that_runs_out_on_the_way_back_cannot_be_told_and_breaks_the_team(teams: Teams, tmp_path: Path) -> None:
    assert teams.train(job(tmp_path, learning=["stem", "fc"], starve={"1": "back"})) == [1, 1]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_dies_breaks_off_the_others_at_once_and_untold(teams: Teams, tmp_path: Path, rank: int) -> None:
    codes = teams.train(job(tmp_path, views=None, die_at={str(rank): 6}))
    assert codes[rank] == -signal.SIGKILL
    assert codes[1 - rank] == 1
    kept = CheckpointStore(tmp_path / "checkpoints", atomic.write).load("last")
    assert kept.progress.epoch == 1  # and from there another team goes on
    assert teams.train(job(tmp_path, views=None, resume=True)) == [0, 0]
    close(weights(tmp_path), train(job(tmp_path / "one", 1, views=None)))
