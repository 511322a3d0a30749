"""Several processes train one run: the same run as one process makes, whatever happens to any of them. Real processes, gloo."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from PIL import Image, ImageOps

from desktop_ft.api import TrainEvent
from desktop_ft.cli import main
from desktop_ft.core.changes import Change
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import EpochDone, Paused, PlanChanged, RunEnded, RunStarted, RunStatus, StepDone, Warned
from desktop_ft.core.freezing import BatchNormPolicy, FreezePlan
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, DeviceChoice, Optimisation, Optimizer, Precision, Recipe
from desktop_ft.data.scan import scan
from desktop_ft.data.splits import split
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs import distributed
from desktop_ft.jobs.running import OpenRun, open_run
from desktop_ft.jobs.training import resume, train
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder
from tests.e2e.conftest import shapes, start

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are killed by signal")
MEMBER = "desktop_ft.jobs.team_member"
WITHIN_S = 60


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A network without chance inside, all of which learns."""
    return Recipe(
        dataset=DatasetChoice(folder=str(shapes(tmp_path / "photos"))),
        backbone=BackboneChoice(name="shufflenet_v2_x0_5", image_size=32),
        freeze=FreezePlan(preset="scratch", batch_norm=BatchNormPolicy.FROZEN),
        optimisation=Optimisation(epochs=2, batch_size=7, lr=0.05, optimizer=Optimizer.SGD),
        device=DeviceChoice.CPU,
        precision=Precision.FP32,
        processes=2,
    )


def long(recipe: Recipe, epochs: int = 200) -> Recipe:
    return recipe.model_copy(update={"optimisation": recipe.optimisation.model_copy(update={"epochs": epochs})})


def members() -> dict[int, psutil.Process]:
    """The processes under this one that train, by rank."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        if MEMBER in process.cmdline() and "RANK" in (environment := process.environ()):
            found[int(environment["RANK"])] = process
    return found


class Listener:
    """Keeps what it hears, and acts once: at the first event of `kind` after `count` of them."""

    def __init__(self, kind: type = RunEnded, act: Callable[[], object] = lambda: None, count: int = 1) -> None:
        self.events: list[TrainEvent] = []
        self._kind, self._act, self._count = kind, act, count

    def __call__(self, event: TrainEvent) -> None:
        self.events.append(event)
        if isinstance(event, self._kind) and len(self.of(self._kind)) == self._count:
            self._act()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def curves(run: Path) -> list[tuple[float, ...]]:
    history = RunFolder.open(run).history()
    steps = [(step.epoch, step.step, step.loss) for step in history.steps]
    return [*steps, *((epoch.epoch, epoch.train_loss, epoch.val_loss, epoch.val_accuracy) for epoch in history.epochs)]


@pytest.mark.slow
def test_two_processes_make_the_run_that_one_makes(
    recipe: Recipe, tmp_path: Path, plugins: Plugins, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(recipe.to_toml(), encoding="utf-8")
    assert main(["train", "--recipe", str(file), "--out", str(tmp_path / "two"), "--json"]) == 0
    said, noted = capsys.readouterr()
    assert json.loads(said)["status"] == "completed"
    assert "Training on 2 × CPU" in noted
    assert main(["train", "--recipe", str(file), "--processes", "1", "--out", str(tmp_path / "one")]) == 0
    assert [pytest.approx(row, rel=1e-3) for row in curves(tmp_path / "one")] == curves(tmp_path / "two")
    first, second = (open_run(tmp_path / name, plugins) for name in ("one", "two"))
    one, other = (run.store().load("last").model for run in (first, second))
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-3, atol=1e-5)
    assert first.folder.evaluation
    assert second.folder.evaluation
    assert first.folder.evaluation.confusion == second.folder.evaluation.confusion
    assert (tmp_path / "two" / "team.log").read_text() == ""  # and nobody warned of anything


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"processes": 0}, 1),
        ({"processes": 1}, 1),
        ({"processes": 3}, 3),
        ({"processes": 64}, "Take at most"),
        ({"processes": 2, "optimisation": Optimisation(batch_size=1)}, "Take at most 1"),
        ({"processes": 2, "device": DeviceChoice.MPS}, "no MPS device here"),
    ],
)
def test_how_many_processes(recipe: Recipe, changes: dict[str, Any], wanted: int | str) -> None:
    asked, manifest = recipe.model_copy(update=changes), split(scan(Path(recipe.dataset.folder)), 0.25)
    if isinstance(wanted, int):
        assert distributed.processes(asked, manifest) == wanted
    else:
        with pytest.raises(UserError, match=wanted):
            distributed.processes(asked, manifest)


def test_a_device_that_processes_cannot_share_is_refused_also_where_it_was_not_named(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    asked = recipe.model_copy(update={"processes": 2, "device": DeviceChoice.AUTO})
    with pytest.raises(UserError, match="cannot train on mps"):
        distributed.processes(asked, split(scan(Path(recipe.dataset.folder)), 0.25))


@pytest.mark.parametrize(
    ("gpus", "asked", "wanted"), [(4, 0, 4), (9, 0, 6), (4, 2, 2), (1, 0, 1), (4, 6, "are 4 GPUs"), (1, 2, "is 1 GPU")]
)
def test_as_many_processes_as_gpus(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, gpus: int, asked: int, wanted: int | str
) -> None:
    monkeypatch.setattr(distributed, "_gpus", lambda device: gpus)
    changed, manifest = recipe.model_copy(update={"processes": asked}), split(scan(Path(recipe.dataset.folder)), 0.25)
    if isinstance(wanted, int):
        assert distributed.processes(changed, manifest) == wanted
    else:
        with pytest.raises(UserError, match=wanted):
            distributed.processes(changed, manifest)


@pytest.mark.slow
def test_nothing_listens_to_other_machines(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    heard_by: set[str] = set()

    def look() -> None:
        for process in psutil.Process().children(recursive=True):
            heard_by.update(each.laddr.ip for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN)

    assert train(recipe, tmp_path / "run", plugins, Listener(StepDone, look, 2), RunControl()).status is RunStatus.COMPLETED
    assert heard_by == {"127.0.0.1"}


@pytest.mark.slow
def test_what_one_process_cannot_open_ends_all_in_a_sentence(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a folder is not there on one of them: found out before they have met, while the others wait."""
    begun, started = prepared(recipe, tmp_path / "run", plugins), distributed._started

    @contextmanager
    def without_recipe(run: OpenRun, count: int, cut: bool) -> Iterator[Any]:
        (run.folder.path / "recipe.toml").rename(run.folder.path / "elsewhere.toml")
        with started(run, count, cut) as team:
            yield team

    monkeypatch.setattr(distributed, "_started", without_recipe)
    hears = Listener()
    ended = distributed.fit(begun, 2, hears, RunControl())
    assert ended.status is RunStatus.FAILED
    assert f"{begun.folder.path}" in ended.error and "torchrun" not in ended.error
    assert hears.of(RunEnded) == [ended]
    assert not members()


def prepared(recipe: Recipe, path: Path, plugins: Plugins) -> OpenRun:
    """A run that was begun, and broke off at once."""
    control = RunControl()
    train(recipe.model_copy(update={"processes": 1}), path, plugins, Listener(RunStarted, control.cancel.set), control)
    return open_run(path, plugins)


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_what_a_picture_has_become_is_told(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    control, run = RunControl(), tmp_path / "run"
    hears = Listener(StepDone, control.stop.set, 30)
    assert train(long(recipe, 20), run, plugins, hears, control).status is RunStatus.STOPPED
    assert RunFolder.open(run).events() == hears.events
    assert not members()

    pictures = {path: path.read_bytes() for path in Path(recipe.dataset.folder).rglob("*.png")}
    for path in pictures:
        ImageOps.invert(Image.open(path)).save(path)
    hears = Listener()
    ended = resume(run, plugins, hears, RunControl())
    assert ended.status is RunStatus.FAILED
    assert "has changed since the folder was looked at. Scan the folder again." in ended.error
    assert hears.of(RunEnded) == [ended]
    assert "Traceback" not in (run / "team.log").read_text()

    for path, content in pictures.items():
        path.write_bytes(content)
    assert resume(run, plugins, Listener(), RunControl()).status is RunStatus.COMPLETED
    folder = RunFolder.open(run)
    assert folder.history().ended == folder.events()[-1]
    assert folder.evaluation
    assert not folder.is_locked


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_is_started_anew(recipe: Recipe, plugins: Plugins, tmp_path: Path, rank: int) -> None:
    hears = Listener(EpochDone, lambda: members()[rank].kill(), 3)
    ended = train(long(recipe, 20), tmp_path / "run", plugins, hears, RunControl())
    assert ended.status is RunStatus.COMPLETED, ended.error
    assert hears.of(RunEnded) == [ended]
    first, second = hears.of(RunStarted)
    assert (first.first_epoch, second.first_epoch > 0) == (0, True)
    assert any("has died" in warned.message for warned in hears.of(Warned))
    train(long(recipe.model_copy(update={"processes": 1}), 20), tmp_path / "one", plugins, Listener(), RunControl())
    assert [pytest.approx(row, rel=0.05, abs=0.02) for row in curves(tmp_path / "one")] == curves(tmp_path / "run")


@pytest.mark.slow
def test_processes_that_keep_dying_end_a_run_that_can_go_on(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "_RESTARTS", 0)
    hears = Listener(EpochDone, lambda: members()[1].kill(), 5)
    ended = train(long(recipe, 60), tmp_path / "run", plugins, hears, RunControl())
    assert ended.status is RunStatus.FAILED
    assert ended.error.startswith("The processes that train together have ended")
    assert hears.of(RunEnded) == [ended]
    assert RunFolder.open(tmp_path / "run").events() == hears.events
    assert not members()
    assert resume(tmp_path / "run", plugins, Listener(), RunControl()).status is RunStatus.COMPLETED


@pytest.mark.slow
def test_what_a_recipe_plans_is_followed_by_all(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    frozen = FreezePlan(preset="scratch", batch_norm=BatchNormPolicy.FROZEN)
    changing = long(recipe, 3).with_change(1, Change(lr=0.01)).with_change(2, Change(freeze=frozen))
    told = []
    for processes in (1, 2):
        path, heard = tmp_path / f"of {processes}", Listener()
        assert (
            train(changing.model_copy(update={"processes": processes}), path, plugins, heard, RunControl()).status
            is RunStatus.COMPLETED
        )
        assert [(event.epoch, event.change) for event in heard.of(PlanChanged)] == [
            (1, Change(lr=0.01)),
            (2, Change(freeze=frozen)),
        ]
        told.append(curves(path))
    assert told[0] == [pytest.approx(values, rel=1e-3, abs=1e-4) for values in told[1]]


@pytest.mark.slow
def test_it_pauses_and_is_cancelled(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    control = RunControl()
    heard: list[TrainEvent] = []

    def hear(event: TrainEvent) -> None:
        heard.append(event)
        match event:
            case StepDone() if sum(isinstance(each, StepDone) for each in heard) == 20:
                control.pause.set()
            case Paused(paused=True):
                control.pause.clear()
            case StepDone() if any(isinstance(each, Paused) and not each.paused for each in heard):
                control.cancel.set()

    assert train(long(recipe), tmp_path / "run", plugins, hear, control).status is RunStatus.CANCELLED
    assert [event.paused for event in heard if isinstance(event, Paused)] == [True, False]
    assert isinstance(heard[-1], RunEnded)
    assert not members()


@pytest.mark.slow
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("who listens broke")])
def test_what_breaks_here_leaves_no_process_behind(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, error: BaseException
) -> None:
    def broken() -> None:
        raise error

    hears = Listener(StepDone, broken, 3)
    with pytest.raises(type(error)):
        train(long(recipe), tmp_path / "run", plugins, hears, RunControl())
    assert not members()
    ended = RunFolder.open(tmp_path / "run").history().ended
    assert ended
    assert ended.status is (RunStatus.CANCELLED if isinstance(error, KeyboardInterrupt) else RunStatus.FAILED)


@contextmanager
def under_way(recipe: Recipe, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A command line whose processes have trained for two epochs."""
    file = folder / "recipe.toml"
    file.write_text(recipe.to_toml(), encoding="utf-8")
    with start("train", "--recipe", file, "--out", folder / "run") as starter:
        assert starter.stderr
        assert any(line.startswith("Epoch 2/") for line in starter.stderr)
        yield starter


@pytest.mark.slow
@pytest.mark.parametrize("dies", ["who started it", "torchrun"])
def test_none_outlives_who_started_it(recipe: Recipe, tmp_path: Path, dies: str) -> None:
    with under_way(long(recipe, 10_000), tmp_path) as starter:
        below = psutil.Process(starter.pid).children(recursive=True)
        torchrun = next(process for process in below if "torch.distributed.run" in process.cmdline())
        assert len(below) == 3
        (starter if dies == "who started it" else torchrun).kill()
        _, alive = psutil.wait_procs(below, timeout=WITHIN_S)
        assert not alive
        starter.communicate(timeout=WITHIN_S)
        assert starter.returncode == (-signal.SIGKILL if dies == "who started it" else 1)


@pytest.mark.slow
def test_ctrl_c_stops_and_keeps(recipe: Recipe, tmp_path: Path, plugins: Plugins) -> None:
    with under_way(long(recipe, 10_000), tmp_path) as starter:
        starter.send_signal(signal.SIGINT)
        _, said = starter.communicate(timeout=WITHIN_S)
    assert starter.returncode == 130
    assert "The run was stopped. Go on with it" in said
    assert open_run(tmp_path / "run", plugins).store().load("last").progress.epoch >= 1
