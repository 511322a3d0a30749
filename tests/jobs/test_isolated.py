"""A process of its own trains: the same run, the same events, and nothing of it left when it dies or pauses."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft import places
from desktop_ft.api import TrainEvent
from desktop_ft.core import language, values
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import EpochDone, Paused, RunStarted, RunStatus, StepDone, Warned
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.values import to_json
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs import isolated, training
from desktop_ft.jobs.isolated_line import understood
from desktop_ft.plugin_manager import Plugins, set_enabled
from desktop_ft.runs.run_folder import RunFolder

Heard = Callable[[TrainEvent], None]


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def strike(number: int) -> None:
    for child in children():
        with contextlib.suppress(psutil.NoSuchProcess):  # struck before, and gone since it was listed
            child.send_signal(number)


def longer(recipe: Recipe, epochs: int) -> Recipe:
    return recipe.model_copy(update={"optimisation": recipe.optimisation.model_copy(update={"epochs": epochs})})


def weights(run: Path) -> bytes:
    folder = RunFolder.open(run)
    ended = folder.history().ended
    assert ended is not None
    return (run / ended.checkpoint).read_bytes()


def at(kind: type, do: Callable[[], object], heard: list[TrainEvent]) -> Heard:
    """Hear every event, and `do` something at the first of `kind`."""

    def hear(event: TrainEvent) -> None:
        first = isinstance(event, kind) and not any(isinstance(before, kind) for before in heard)
        heard.append(event)
        if first:
            do()

    return hear


@pytest.fixture
def whole(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> tuple[list[TrainEvent], bytes]:
    """What a run of three epochs in this process tells, and what it has learned."""
    told: list[TrainEvent] = []
    training.train(longer(recipe, 3), tmp_path / "here", plugins, told.append, RunControl())
    return told, weights(tmp_path / "here")


@pytest.mark.slow
def test_it_tells_and_learns_the_same_and_a_pause_leaves_no_process(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, whole: tuple[list[TrainEvent], bytes]
) -> None:
    run, control = tmp_path / "run", RunControl()
    heard: list[TrainEvent] = []
    modules: list[str] = []
    left: list[object] = []

    def look() -> None:
        modules.extend(mapped.path for child in children() for mapped in child.memory_maps())

    def pause() -> None:
        look()
        control.pause.set()

    def paused() -> None:
        def go_on() -> None:
            with contextlib.suppress(UserError):
                training.resume(run, plugins, lambda event: None, RunControl())
                left.append("another process could go on with it")
            left.extend(children())
            control.pause.clear()

        threading.Timer(1.0, go_on).start()

    hears_pause = at(Paused, paused, [])

    def hear(event: TrainEvent) -> None:
        hears_pause(event)
        at(StepDone, pause, heard)(event)

    ended = isolated.train(longer(recipe, 3), run, plugins, hear, control)
    assert ended.status is RunStatus.COMPLETED
    assert left == []
    assert any("torch" in path for path in modules)
    assert not any("Qt6" in path for path in modules)
    told, learned = whole
    assert weights(run) == learned
    assert [event.loss for event in heard if isinstance(event, StepDone)] == [e.loss for e in told if isinstance(e, StepDone)]
    assert [event.val_loss for event in heard if isinstance(event, EpochDone)] == [
        e.val_loss for e in told if isinstance(e, EpochDone)
    ]
    assert RunFolder.open(run).evaluation is not None


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_it_crashes_and_goes_on_from_where_it_had_saved(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, whole: tuple[list[TrainEvent], bytes]
) -> None:
    run = tmp_path / "run"
    heard: list[TrainEvent] = []
    ended = isolated.train(longer(recipe, 3), run, plugins, at(EpochDone, lambda: strike(signal.SIGSEGV), heard), RunControl())
    assert ended.status is RunStatus.FAILED
    assert "SIGSEGV" in ended.error
    assert heard[-1] == ended == RunFolder.open(run).history().ended
    assert "Segmentation fault" in (run / "trainer.log").read_text()
    assert children() == []
    assert isolated.resume(run, plugins, heard.append, RunControl()).status is RunStatus.COMPLETED
    assert weights(run) == whole[1]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_one_that_dies_while_it_evaluates_leaves_a_complete_run(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    run = tmp_path / "run"

    def progress(what: str, done: int, total: int | None) -> None:
        if what == "Evaluating":
            strike(signal.SIGKILL)

    with pytest.raises(UserError, match="evaluate the run"):
        isolated.train(recipe, run, plugins, lambda event: None, RunControl(), progress=progress)
    with pytest.raises(UserError, match="evaluate the run"):
        isolated.judge(run, plugins, lambda event: None, RunControl(), progress=progress)
    ended = RunFolder.open(run).history().ended
    assert ended is not None and ended.status is RunStatus.COMPLETED
    (run / "evaluation.json").unlink(missing_ok=True)  # it may have been quicker than the signal
    others: list[object] = []
    assert isolated.judge(run, plugins, others.append, RunControl(), progress=lambda *said: others.extend(children())) == ended
    assert others and RunFolder.open(run).evaluation is not None


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_one_that_hangs_is_told_of_and_can_be_stopped(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "_QUIET_S", 1.0)
    run, control = tmp_path / "run", RunControl()
    heard: list[TrainEvent] = []
    told: list[str] = []

    def progress(what: str, done: int, total: int | None) -> None:
        if "No sign of life" in what and any(isinstance(event, EpochDone) for event in heard):
            told.append(what)
            control.stop.set()

    hang = at(EpochDone, lambda: strike(signal.SIGSTOP), heard)
    ended = isolated.train(longer(recipe, 50), run, plugins, hang, control, progress=progress)
    assert told
    assert ended.status is RunStatus.STOPPED
    assert any(isinstance(event, Warned) and "was ended" in event.message for event in heard)
    assert RunFolder.open(run).history().ended == ended


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_one_that_hangs_is_cancelled_at_once(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    run, control = tmp_path / "run", RunControl()
    began = list[float]()

    def hang() -> None:
        strike(signal.SIGSTOP)
        control.cancel.set()
        began.append(time.monotonic())

    ended = isolated.train(longer(recipe, 50), run, plugins, at(RunStarted, hang, []), control)
    assert ended.status is RunStatus.CANCELLED
    assert time.monotonic() - began[0] < 10
    assert RunFolder.open(run).history().ended == ended


def test_what_it_refuses_is_told_in_the_persons_language_and_leaves_no_run(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, german: None
) -> None:
    nowhere = recipe.model_copy(update={"dataset": recipe.dataset.model_copy(update={"folder": str(tmp_path / "gone")})})
    with pytest.raises(UserError) as here:
        training.train(nowhere, tmp_path / "run", plugins, lambda event: None, RunControl())
    with pytest.raises(UserError) as there:
        isolated.train(nowhere, tmp_path / "run", plugins, lambda event: None, RunControl())
    assert there.value == here.value
    assert not (tmp_path / "run").exists()


@pytest.fixture
def german() -> Iterator[None]:
    with places.catalogue("de").open("rb") as texts:
        language.use(texts)
    yield
    language.use(None)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_one_that_dies_before_it_has_begun_leaves_no_run(recipe: Recipe, plugins: Plugins, tmp_path: Path) -> None:
    def progress(what: str, done: int, total: int | None) -> None:
        strike(signal.SIGKILL)

    with pytest.raises(UserError, match="SIGKILL"):
        isolated.train(recipe, tmp_path / "run", plugins, lambda event: None, RunControl(), progress=progress)
    assert not (tmp_path / "run").exists()
    control = RunControl()
    control.cancel.set()
    with pytest.raises(Cancelled):
        isolated.train(recipe, tmp_path / "run", plugins, lambda event: None, control)


FAILING = """
from pathlib import Path
from desktop_ft.api import SampleDataset, EventSink, hookimpl
DESKTOP_FT_API = ">=1,<2"

@hookimpl
def register_event_sinks(register):
    register(EventSink(name="failing", title="Failing", open=lambda run: listen))

def listen(event):
    tries = Path({tries!r})
    if event.type == "epoch_done" and (count := len(list(tries.iterdir()))) < {times}:
        (tries / str(count)).touch()
        raise Lost("CUDA error: device-side assert triggered")

class Lost(BaseException):
    pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_where_a_gpu_fails_a_new_process_goes_on_once(
    recipe: Recipe, plugins: Plugins, tmp_path: Path, whole: tuple[list[TrainEvent], bytes], times: int
) -> None:
    """The error is planted by a listener, since there is no GPU: after an epoch, as torch raises it."""
    (tmp_path / "tries").mkdir()
    folder = places.data() / "plugins"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "failing.py").write_text(FAILING.format(tries=str(tmp_path / "tries"), times=times))
    set_enabled("failing", on=True)
    heard: list[TrainEvent] = []
    run = tmp_path / "run"
    if times == 2:
        with pytest.raises(isolated.TrainerFailed, match="device-side assert"):
            isolated.train(longer(recipe, 3), run, plugins, heard.append, RunControl())
        return
    assert isolated.train(longer(recipe, 3), run, plugins, heard.append, RunControl()).status is RunStatus.COMPLETED
    assert any(isinstance(event, Warned) and "A new process goes on" in event.message for event in heard)
    assert weights(run) == whole[1]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_it_ends_with_who_supervises_it(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(longer(recipe, 500).to_toml())
    command = [sys.executable, "-m", "desktop_ft", "train", "--recipe", "recipe.toml", "--out", "run", "--isolate"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as window:
        assert window.stderr is not None
        assert any("Epoch 1/" in line for line in window.stderr)
        trainers = psutil.Process(window.pid).children(recursive=True)
        assert trainers
        window.kill()
    _gone, alive = psutil.wait_procs(trainers, timeout=10)
    assert not alive
    assert not RunFolder.open(tmp_path / "run").is_locked


@given(st.binary(max_size=200) | st.dictionaries(st.text(max_size=5), st.integers()).map(lambda d: str(d).encode()))
def test_what_comes_over_the_line_is_something_it_may_say_or_is_refused(line: bytes) -> None:
    with contextlib.suppress(UserError):  # anything else that it raises fails
        assert understood(line).type in line.decode()


def test_reading_what_it_says_makes_nothing_anew() -> None:
    """A reader that is built for each line takes 40 ms: the window would hear of a death seconds late."""
    line = to_json(StepDone(epoch=0, step=0, loss=1.0, lr=0.1, seconds=1.0))
    assert understood(line) == understood(line)
    kept = values._adapter.cache_info().currsize
    understood(line)
    assert values._adapter.cache_info().currsize == kept
