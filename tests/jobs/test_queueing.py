"""The queue at work: one run after another, whatever becomes of each."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from desktop_ft import places
from desktop_ft.api import TrainEvent
from desktop_ft.cli import main
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import EpochDone, RunEnded, RunStarted, RunStatus
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs import training
from desktop_ft.jobs.queueing import next_run, settle
from desktop_ft.jobs.training import Emit
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.queue import Queue
from desktop_ft.runs.run_folder import RunFolder
from tests.e2e.conftest import start


class Killed(BaseException):
    """The process is gone."""


def silent(event: TrainEvent) -> None:
    """Hears nothing."""


def quiet(what: str, done: int, total: int | None) -> None:
    """Shows nothing."""


def test_one_after_another_and_a_bad_one_does_not_stop_the_rest(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    queue, gone = Queue(), tmp_path / "gone"
    shutil.copytree(recipe.dataset.folder, gone)
    queue.add(recipe.model_copy(update={"dataset": recipe.dataset.model_copy(update={"folder": str(gone)})}), "gone")
    queue.add(recipe, "good")
    shutil.rmtree(gone)
    bad = next_run(queue, plugins)
    assert bad is not None and bad.name == "gone"
    with pytest.raises(UserError) as error:
        bad.fit(silent, RunControl(), quiet)
    settle(queue, bad.number, RunEnded(status=RunStatus.FAILED, error=str(error.value)))
    good = next_run(queue, plugins)
    assert good is not None and good.name == "good" and good.path.parent == places.runs()
    ended = good.fit(silent, RunControl(), quiet)
    settle(queue, good.number, ended)
    assert ended.status is RunStatus.COMPLETED and RunFolder.open(good.path).recipe == recipe
    assert next_run(queue, plugins) is None
    (left,) = queue.entries()
    assert left.name == "gone" and str(gone) in left.error  # it says why, until it is taken out


def test_a_run_that_broke_off_with_its_process_goes_on(recipe: Recipe, plugins: Plugins) -> None:
    queue = Queue()
    queue.add(recipe.with_optimisation(epochs=2))
    begun = next_run(queue, plugins)
    assert begun is not None

    def die(event: TrainEvent) -> None:
        if isinstance(event, EpochDone):
            raise Killed

    with pytest.raises(Killed):
        begun.fit(die, RunControl(), quiet)
    events = begun.path / "events.jsonl"
    kept = [line for line in events.read_text().splitlines() if '"run_ended"' not in line]
    events.write_text("".join(line + "\n" for line in kept))  # a process that is killed tells no end
    again = next_run(Queue(), plugins)
    assert again is not None and again.path == begun.path
    assert again.fit(silent, RunControl(), quiet).status is RunStatus.COMPLETED
    assert next_run(Queue(), plugins) is None and Queue().entries() == ()  # that it ended is seen, were it not settled


def test_a_run_that_takes_its_process_with_it_every_time_leaves_the_others_their_turn(recipe: Recipe, plugins: Plugins) -> None:
    queue = Queue()
    queue.add(recipe, "deadly")
    queue.add(recipe, "harmless")
    tried = [next_run(Queue(), plugins) for _ in range(4)]  # each in a process that died before it could settle anything
    assert [run.name for run in tried if run is not None] == ["deadly", "deadly", "deadly", "harmless"]
    deadly, _ = queue.entries()
    assert deadly.error == "Its process has died 3 times in a row. See the run's log, then add it again."


def test_what_cannot_be_read_any_more_is_left_out(recipe: Recipe, plugins: Plugins) -> None:
    queue = Queue()
    queue.add(recipe, "damaged")
    queue.add(recipe, "good")
    file = places.data() / "queue" / "queue.toml"
    file.write_text(file.read_text().replace('preset = "head"', 'preset = "newer"', 1))
    found = next_run(queue, plugins)
    assert found is not None and found.name == "good"
    assert "The recipe of 'damaged' is not valid" in queue.entries()[0].error
    queue.remove(found.number)
    settle(queue, found.number, RunEnded(status=RunStatus.COMPLETED))  # taken out meanwhile: nothing to settle
    assert [each.name for each in queue.entries()] == ["damaged"]


class Trained:
    """What stands in for training: each run ends as its name in `ends` says, or raises that; all others are complete."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.did: list[str] = []
        self.ends: dict[str, RunStatus | Exception] = {}
        monkeypatch.setattr(training, "train", self._train)
        monkeypatch.setattr(training, "resume", self._resume)
        monkeypatch.setattr(training, "evaluate_run", lambda run, plugins, **how: self.did.append("judged"))

    def _train(self, recipe: Recipe, path: Path, plugins: Plugins, emit: Emit, control: RunControl, **how: object) -> RunEnded:
        name = f"seed {recipe.seed}"
        self.did.append(name)
        return self._end(RunFolder.create(path), recipe, self.ends.get(name, RunStatus.COMPLETED), control)

    def _resume(self, path: Path, plugins: Plugins, emit: Emit, control: RunControl, **how: object) -> RunEnded:
        self.did.append("resumed")
        return self._end(RunFolder.open(path), RunFolder.open(path).recipe, RunStatus.COMPLETED, control)

    def _end(self, run: RunFolder, recipe: Recipe, end: RunStatus | Exception, control: RunControl) -> RunEnded:
        run.write_recipe(recipe)
        if isinstance(end, Exception):
            raise end
        if end is RunStatus.STOPPED:
            os.kill(os.getpid(), signal.SIGTERM)
            assert control.stop.wait(10)
        ended = RunEnded(status=end)
        with run.log() as log:
            log.append(ended)
        return ended


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    return Trained(monkeypatch)


def wait(recipe: Recipe, count: int) -> None:
    for seed in range(count):
        Queue().add(recipe.model_copy(update={"seed": seed}), f"seed {seed}")


@pytest.mark.skipif(os.name == "nt", reason="there is no such signal")
def test_a_signal_leaves_the_run_in_the_queue_and_the_next_time_goes_on_with_it(recipe: Recipe, trained: Trained) -> None:
    wait(recipe, 3)
    trained.ends["seed 1"] = RunStatus.STOPPED
    assert main(["queue", "run"]) == 130
    assert trained.did == ["seed 0", "seed 1"]
    assert [each.name for each in Queue().entries()] == ["seed 1", "seed 2"]
    assert main(["queue", "run"]) == 0
    assert trained.did[2:] == ["resumed", "seed 2"] and Queue().entries() == ()


def test_a_fault_of_one_does_not_stop_the_rest(recipe: Recipe, trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    wait(recipe, 2)
    trained.ends["seed 0"] = RuntimeError("a fault of ours")
    assert main(["queue", "run"]) == 1
    assert trained.did == ["seed 0", "seed 1"]
    assert "Traceback" in capsys.readouterr().err
    (left,) = Queue().entries()
    assert left.error == "RuntimeError: a fault of ours" and main(["queue", "run"]) == 0  # it is not tried again and again
    assert trained.did == ["seed 0", "seed 1"]


def test_a_run_that_broke_off_before_its_folder_was_a_run_begins_in_another(
    recipe: Recipe, trained: Trained, tmp_path: Path
) -> None:
    wait(recipe, 1)
    (tmp_path / "begun" / "checkpoints").mkdir(parents=True)
    Queue().mark(1, run=str(tmp_path / "begun"))
    assert main(["queue", "run"]) == 0
    assert trained.did == ["seed 0"] and Queue().entries() == ()


def test_a_run_that_broke_off_while_it_was_judged_is_judged(recipe: Recipe, trained: Trained, plugins: Plugins) -> None:
    wait(recipe, 1)
    begun = next_run(Queue(), plugins)
    assert begun is not None and begun.fit(silent, RunControl(), quiet).status is RunStatus.COMPLETED
    assert main(["queue", "run"]) == 0
    assert trained.did == ["seed 0", "judged"] and Queue().entries() == ()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no such signal")
def test_a_signal_to_the_process_leaves_the_run_to_go_on_with(recipe: Recipe, plugins: Plugins) -> None:
    Queue().add(recipe.with_optimisation(epochs=10_000))
    with start("queue", "run") as working:
        assert working.stderr and any(line.startswith("Epoch 2/") for line in working.stderr)
        working.send_signal(signal.SIGTERM)
        working.communicate(timeout=120)
    assert working.returncode == 130 and not Queue().is_worked
    (left,) = Queue().entries()
    again = next_run(Queue(), plugins)
    assert again is not None and again.path == Path(left.run)
    control = RunControl()
    events: list[TrainEvent] = []

    def hear(event: TrainEvent) -> None:
        events.append(event)
        control.stop.set()

    assert again.fit(hear, control, quiet).status is RunStatus.STOPPED
    (began,) = [event for event in events if isinstance(event, RunStarted)]
    assert began.first_epoch >= 1


def test_what_could_never_be_trained_is_not_taken(recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["queue", "add", str(tmp_path / "empty")]) == 2
    assert "it is empty" in capsys.readouterr().err
    assert not Queue().entries()
    assert main(["queue", "add", recipe.dataset.folder, "--name", "good"]) == 0
    assert [each.name for each in Queue().entries()] == ["good"]


@pytest.mark.parametrize("what", ["gone", "no weights", "of another network"])
def test_weights_that_could_never_be_started_from_are_told_of_as_by_a_run(
    recipe: Recipe, tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "own.safetensors"
    if what == "no weights":
        weights.write_text("hello")
    elif what == "of another network":
        save_file({"conv.weight": torch.zeros(3, 3)}, weights)
    named = [recipe.dataset.folder, "--weights", str(weights)]
    said = []
    for command in (["queue", "add"], ["train", "--out", str(tmp_path / "run")]):
        assert main([*command, *named]) == 2
        said.append(capsys.readouterr().err.splitlines()[-1])
    assert said[0] == said[1] and "own.safetensors" in said[0]
    assert not Queue().entries()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--backbone", "resnet18"], "The pre-trained weights of resnet18 are not on this machine"),
        (["--rate", "nosuch.layer=0"], "no layer 'nosuch.layer'"),
        (["--backbone", "alexnet", "--freeze", "scratch", "--image-size", "32"], "32"),
        (["--device", "mps"], "There is no MPS device here"),
        (["--processes", "60"], "60 processes"),
    ],
)
def test_what_a_run_would_refuse_at_night_is_refused_when_it_is_added(
    recipe: Recipe, tmp_path: Path, options: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for command in (["queue", "add"], ["train", "--out", str(tmp_path / "run")]):
        assert main([*command, recipe.dataset.folder, *options]) == 2
        said.append(capsys.readouterr().err.splitlines()[-1])
    assert said[0] == said[1] and why in said[0]
    assert not Queue().entries()


def test_what_asks_for_nothing_unusual_is_added_without_torch(recipe: Recipe) -> None:
    said = (
        "import sys; from desktop_ft.cli import main; "
        f"code = main(['queue', 'add', {recipe.dataset.folder!r}]); sys.exit(code or 3 * ('torch' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", said], timeout=120).returncode == 0
