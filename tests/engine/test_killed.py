"""A run that is killed at any moment goes on as if it had never been."""

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.models.checkpoint import CheckpointStore
from desktop_ft.runs import atomic
from desktop_ft.runs.run_folder import RunFolder
from tests.engine.tiny import STEPS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="children are forked and killed by signal")


class Children:
    """Starts children that train, and kills them."""

    def __init__(self, server: subprocess.Popen) -> None:
        self._server = server

    def train(self, folder: Path, *, die_at_call: int = 0, kill_after_s: float | None = None) -> int:
        """Exit status of one child; -9 where it was killed."""
        folder.mkdir(exist_ok=True)
        (folder / "checkpoints").mkdir(exist_ok=True)
        self._server.stdin.write(json.dumps({"folder": str(folder), "die_at_call": die_at_call}).encode() + b"\n")
        self._server.stdin.flush()
        child = int(self._server.stdout.readline())
        if kill_after_s is not None and not select.select([self._server.stdout], [], [], kill_after_s)[0]:
            with contextlib.suppress(ProcessLookupError):  # it ended in the very moment
                os.kill(child, signal.SIGKILL)
        return int(self._server.stdout.readline())


@pytest.fixture(scope="module")
def children():
    command = [sys.executable, "-m", "tests.engine.killed_run"]
    root = Path(__file__).parents[2]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=root, env=environment, bufsize=0, **pipes) as server:
        yield Children(server)
        server.stdin.close()


@pytest.fixture(scope="module")
def whole(children, tmp_path_factory):
    """(Outcome of a run that nothing interrupted, seconds it took)."""
    folder = tmp_path_factory.mktemp("whole")
    children.train(folder / "warm-up")
    begun = time.monotonic()
    assert children.train(folder / "run") == 0
    return outcome(folder / "run"), time.monotonic() - begun


def outcome(folder: Path):
    """All that must be the same: the last checkpoint to the byte, and the curves."""
    index = json.loads((folder / "checkpoints" / "index.json").read_bytes().split(b"\n")[0])
    history = RunFolder(folder).history()
    steps = [(step.epoch, step.step, step.loss, step.lr) for step in history.steps]
    epochs = [(epoch.epoch, epoch.train_loss, epoch.val_loss, epoch.best) for epoch in history.epochs]
    return index["last"]["sha256"], index["best"]["sha256"], steps, epochs


def check_and_finish(children, folder: Path, whole) -> None:
    store = CheckpointStore(folder / "checkpoints", atomic.write)
    if store.best:
        assert not store.load("last").note
    assert len([event for event in RunFolder(folder).events() if isinstance(event, RunEnded)]) <= 1
    assert children.train(folder) == 0
    assert RunFolder(folder).history().ended.status is RunStatus.COMPLETED
    assert outcome(folder) == whole[0]


def kill_at_random(children, folder: Path, whole, seed: int) -> int:
    """Kill a run at up to three random moments, finish it, compare; how many kills hit."""
    chance = random.Random(seed)
    hit = 0
    while hit < 3 and children.train(folder, kill_after_s=chance.uniform(0, whole[1])) == -signal.SIGKILL:
        hit += 1
    check_and_finish(children, folder, whole)
    return hit


def test_killed_at_random_times_it_goes_on_identically(children, tmp_path, whole):
    hits = sum(kill_at_random(children, tmp_path / str(seed), whole, seed) for seed in range(6))
    assert hits >= 3


@pytest.mark.slow
def test_killed_at_many_random_times_it_goes_on_identically(children, tmp_path, whole):
    hits = sum(kill_at_random(children, tmp_path / str(seed), whole, seed) for seed in range(100, 170))
    assert hits >= 70


# A save makes 2 fsyncs and a rename each for the checkpoint and the index, then deletes an old file.
@pytest.mark.parametrize("call", [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 18, 19, 20, 21, 22, 23])
def test_killed_at_any_call_of_a_save_it_goes_on_identically(children, tmp_path, whole, call):
    assert children.train(tmp_path / "run", die_at_call=call) == -signal.SIGKILL
    check_and_finish(children, tmp_path / "run", whole)


@pytest.mark.slow
def test_killed_at_every_call_of_a_run_it_goes_on_identically(children, tmp_path, whole):
    call = 0
    while children.train(tmp_path / str(call), die_at_call=call + 1) == -signal.SIGKILL:
        check_and_finish(children, tmp_path / str(call), whole)
        call += 1
    assert call > 3 * (STEPS + 1) * 6
