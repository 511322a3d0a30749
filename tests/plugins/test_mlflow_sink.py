"""The listener for MLflow, turned on by a person: real runs, a real store, and a server on this machine."""

import importlib.util
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from desktop_ft.api import EpochDone, RunEnded, RunStatus, StepDone, TrainEvent, UserError
from desktop_ft.conformance import checks
from desktop_ft.conformance.sinks import EVENTS
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.training import resume, train
from desktop_ft.plugin_manager import Plugins, PluginState, load_plugins, set_enabled
from plugins import mlflow_sink
from plugins.mlflow_sink import STORE
from tests.jobs.conftest import recipe as recipe

with_mlflow = pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="MLflow is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(STORE, str(tmp_path / "mlruns"))
    for name in (*mlflow_sink._USUAL, "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")  # so that what the listener sets is gone afterwards
        monkeypatch.delenv(name)
    return tmp_path / "mlruns"


def on() -> Plugins:
    set_enabled("mlflow_sink", on=True)
    return load_plugins()


def tracked(store: Path) -> tuple[Any, list[Any]]:
    """A client of the store, and the runs in it."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=store.as_uri())
    experiment = client.get_experiment_by_name("Desktop FT")
    return client, list(client.search_runs([experiment.experiment_id]))


@with_mlflow
def test_mlflow_reads_what_is_written(recipe: Recipe, tmp_path: Path, store: Path) -> None:
    recipe = recipe.with_optimisation(epochs=2)
    said = list[TrainEvent]()
    train(recipe, tmp_path / "run", on(), said.append, RunControl())
    client, (run,) = tracked(store)
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params["optimisation.epochs"] == "2" and run.data.params["backbone.name"] == recipe.backbone.name
    assert run.data.params["dataset.folder"] == recipe.dataset.folder
    assert run.data.tags["desktop_ft.status"] == "completed" and run.data.tags["desktop_ft.device"]
    steps, epochs = ([event for event in said if isinstance(event, kind)] for kind in (StepDone, EpochDone))
    losses = client.get_metric_history(run.info.run_id, "step/loss")
    assert [(point.step, point.value) for point in losses] == [(at + 1, step.loss) for at, step in enumerate(steps)]
    judged = client.get_metric_history(run.info.run_id, "accuracy/val")
    assert [(point.step, point.value) for point in judged] == [(epoch.epoch + 1, epoch.val_accuracy) for epoch in epochs]
    assert run.data.metrics["best/accuracy"] == max(epoch.val_accuracy for epoch in epochs)
    (kept,) = store.rglob("artifacts/recipe.toml")
    assert Recipe.from_toml(kept.read_text(encoding="utf-8"), "kept") == recipe


@with_mlflow
def test_a_run_that_is_resumed_goes_on_where_it_was(recipe: Recipe, tmp_path: Path, store: Path) -> None:
    control, plugins = RunControl(), on()

    def cancel_after_the_first(event: TrainEvent) -> None:
        if isinstance(event, EpochDone):
            control.cancel.set()

    train(recipe.with_optimisation(epochs=2), tmp_path / "run", plugins, cancel_after_the_first, control)
    assert [run.info.status for run in tracked(store)[1]] == ["KILLED"]
    resume(tmp_path / "run", plugins, lambda event: None, RunControl())
    client, (run,) = tracked(store)
    assert run.info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "accuracy/val")] == [1, 2]


def listening(run: Path) -> Callable[[TrainEvent], None]:
    run.mkdir(exist_ok=True)
    return mlflow_sink.listen(run)


def tell(run: Path, *more: TrainEvent, status: RunStatus = RunStatus.COMPLETED) -> None:
    told = listening(run)
    for event in (*EVENTS, *more, RunEnded(status=status, error="It broke off." if status is RunStatus.FAILED else "")):
        told(event)


@with_mlflow
@pytest.mark.parametrize(
    ("status", "ending"), [("completed", "FINISHED"), ("stopped", "FINISHED"), ("cancelled", "KILLED"), ("failed", "FAILED")]
)
def test_every_ending_is_told(status: str, ending: str, tmp_path: Path, store: Path) -> None:
    tell(tmp_path / "run", status=RunStatus(status))
    (run,) = tracked(store)[1]
    assert run.info.status == ending and run.data.tags["desktop_ft.status"] == status
    assert ("desktop_ft.error" in run.data.tags) == (status == "failed")
    assert run.data.tags["desktop_ft.precision"] == "bf16", "the one that was chosen"


@with_mlflow
def test_conforms(tmp_path: Path, store: Path) -> None:
    asked = checks(mlflow_sink)
    assert any(check.of == "event sink mlflow" for check in asked)
    for number, check in enumerate(asked):
        (folder := tmp_path / str(number)).mkdir()
        check.run(folder)


@with_mlflow
def test_a_run_that_is_gone_from_the_store_begins_anew(tmp_path: Path, store: Path) -> None:
    tell(tmp_path / "run")
    client, (run,) = tracked(store)
    client.delete_run(run.info.run_id)
    tell(tmp_path / "run")
    (tmp_path / "run" / "mlflow_run.txt").write_text("0123", encoding="utf-8")
    tell(tmp_path / "run")
    assert len(tracked(store)[1]) == 2


@with_mlflow
def test_an_epoch_of_many_steps_and_a_long_recipe_are_taken(tmp_path: Path, store: Path) -> None:
    (tmp_path / "run").mkdir()
    names = "\n".join(f'"{number}: ü/猫" = "b"' for number in range(300))
    (tmp_path / "run" / "recipe.toml").write_text(
        f"seed = 7\n[dataset]\nfolder = 'a'\n[dataset.rename]\n{names}\n", encoding="utf-8"
    )
    steps = [StepDone(epoch=1, step=step, loss=0.1, lr=0.1, seconds=1.0) for step in range(1200)]
    tell(tmp_path / "run", *steps)
    client, (run,) = tracked(store)
    assert run.data.params["seed"] == "7" and run.data.params["dataset.rename"].endswith("…")
    assert len(client.get_metric_history(run.info.run_id, "step/loss")) == 1201


class _Server(ThreadingHTTPServer):
    """Answers as a tracking server does, or with `status`; what is in `refused` once with 400. Files are taken in `folder`."""

    def __init__(self, folder: Path, status: int = 200) -> None:
        self.asked = list[tuple[str, dict[str, Any]]]()
        self.status = status
        self.refused = list[str]()
        self.answered = queue.SimpleQueue[tuple[str, int]]()
        info = {
            "run_id": "r1",
            "experiment_id": "7",
            "status": "RUNNING",
            "lifecycle_stage": "active",
            "artifact_uri": folder.as_uri(),
        }
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}"))

            def do_GET(self) -> None:
                self.answer({})

            def answer(self, body: dict[str, Any]) -> None:
                verb = urlsplit(self.path).path.partition("/mlflow/")[2]
                server.asked.append((verb, body))
                experiment = {"experiment_id": "7", "name": "Desktop FT", "lifecycle_stage": "active", "artifact_location": ""}
                answer = {"experiment": experiment, "run": {"info": info, "data": {}}, "run_info": info}
                status = 400 if verb in server.refused else server.status
                if verb in server.refused:
                    server.refused.remove(verb)
                content = json.dumps(answer if status == 200 else {"error_code": "INTERNAL_ERROR", "message": "no"}).encode()
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                server.answered.put((verb, status))

            def log_message(self, *said: object) -> None:
                return

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def server(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    (tmp_path / "taken").mkdir()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with _Server(tmp_path / "taken") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv(STORE, f"http://127.0.0.1:{server.server_address[1]}")
        yield server
        server.shutdown()
        thread.join()


@with_mlflow
def test_a_server_is_told(recipe: Recipe, tmp_path: Path, server: _Server) -> None:
    train(recipe, tmp_path / "run", on(), lambda event: None, RunControl())
    metrics = [metric["key"] for verb, body in server.asked if verb == "runs/log-batch" for metric in body.get("metrics", [])]
    assert {"step/loss", "loss/train", "accuracy/val", "best/accuracy"} <= set(metrics)
    ended = [body["status"] for verb, body in server.asked if verb == "runs/update" and "status" in body]
    assert ended == ["FINISHED"] and (tmp_path / "taken" / "recipe.toml").is_file()


@with_mlflow
@pytest.mark.parametrize("status", [400, 302])
def test_a_server_that_refuses_ends_no_run(status: int, recipe: Recipe, tmp_path: Path, server: _Server) -> None:
    server.status = status
    said = list[TrainEvent]()
    ended = train(recipe, tmp_path / "run", on(), said.append, RunControl())
    assert ended.status is RunStatus.COMPLETED
    warnings = [event.message for event in said if event.type == "warned"]
    assert sum("MLflow has not taken all of the run" in warning for warning in warnings) == 2  # once an epoch, and at the end


@with_mlflow
def test_what_a_server_misses_while_it_is_away_is_told_later(tmp_path: Path, server: _Server) -> None:
    told, complaints = listening(tmp_path / "run"), list[str]()

    def say(event: TrainEvent, status: int) -> None:
        """Tell `event` while the server answers so, and wait until it has."""
        server.status = status
        try:
            told(event)
        except UserError as error:
            complaints.append(error.what)
        while not isinstance(event, RunEnded) and server.answered.get(timeout=20) != ("runs/log-batch", status):
            pass

    say(EVENTS[0], 200)
    for number, status in enumerate((200, 400, 200)):
        done = EpochDone(
            epoch=number, train_loss=1.0, train_accuracy=0.5, val_loss=1.0, val_accuracy=0.5, seconds=1.0, best=not number
        )
        say(done, status)
    say(RunEnded(status=RunStatus.COMPLETED), 200)
    assert len(complaints) == 1 and complaints[0].startswith("MLflow has not taken all of the run")
    judged = [
        metric["step"]
        for verb, body in server.asked
        if verb == "runs/log-batch"
        for metric in body.get("metrics", [])
        if metric["key"] == "accuracy/val"
    ]
    assert judged == [1, 2, 2, 3], "the second was refused, and came again with the third"
    assert [body["status"] for verb, body in server.asked if verb == "runs/update" and "status" in body] == ["FINISHED"]


@with_mlflow
def test_the_recipe_comes_though_its_first_try_was_refused(recipe: Recipe, tmp_path: Path, server: _Server) -> None:
    server.refused = ["runs/log-batch"]
    train(recipe, tmp_path / "run", on(), lambda event: None, RunControl())
    told = [[each["key"] for each in body.get("params", [])] for verb, body in server.asked if verb == "runs/log-batch"]
    assert "optimisation.epochs" in told[0] and sum("optimisation.epochs" in keys for keys in told) == 2
    assert [body["status"] for verb, body in server.asked if verb == "runs/update" and "status" in body] == ["FINISHED"]


@with_mlflow
@pytest.mark.slow
def test_nothing_is_told_to_its_makers(tmp_path: Path, store: Path) -> None:
    telling = (
        "import sys, pathlib, mlflow_sink; mlflow_sink.listen(pathlib.Path(sys.argv[1])); import mlflow.telemetry.client as t"
    )
    left_out = {"CI", "PYTEST_CURRENT_TEST", "GITHUB_ACTIONS"}  # where it keeps quiet by itself
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(mlflow_sink.__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", f"{telling}; print(t.get_telemetry_client())", str(tmp_path)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["None"]


UNSAFE = {
    "": "is not set",
    "sqlite:///runs.db": "is not an https address",
    "http://far.example:5000": "is not an https address",
    "https://me:secret@far.example/": "holds a name or a password",
}


@pytest.mark.parametrize(("said", "why"), UNSAFE.items())
def test_without_a_safe_place_it_says_what_it_lacks(said: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STORE, said)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    found = next(each for each in on().records if each.name == "mlflow_sink")
    assert found.state is PluginState.FAILED and why in found.reason and found.cure


def test_without_mlflow_it_says_what_to_install(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = next(each for each in on().records if each.name == "mlflow_sink")
    assert found.state is PluginState.FAILED and found.reason == "mlflow is not installed"
    assert "desktop-ft[mlflow]" in found.cure
