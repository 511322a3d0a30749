"""The listeners that ship, each turned on by a person: a real run is told to each."""

import csv
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from desktop_ft.core.events import RunEnded, RunStatus
from desktop_ft.core.recipe import Recipe
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.training import train
from desktop_ft.plugin_manager import PluginRecord, Plugins, PluginState, load_plugins, set_enabled
from desktop_ft.runs.run_folder import RunFolder
from plugins.webhook_sink import ADDRESS, listen
from tests.jobs.conftest import recipe as recipe


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


def on(name: str) -> Plugins:
    set_enabled(name, on=True)
    return load_plugins()


def record(name: str) -> PluginRecord:
    return next(each for each in load_plugins().records if each.name == name)


def trained(recipe: Recipe, run: Path, plugins: Plugins) -> RunFolder:
    train(recipe.with_optimisation(epochs=2), run, plugins, lambda event: None, RunControl())
    return RunFolder.open(run)


def test_a_table_is_written(recipe: Recipe, run: Path) -> None:
    assert "csv" not in load_plugins().sinks, "nobody has turned it on"
    assert record("csv_sink").state is PluginState.DISABLED and not record("csv_sink").always_on
    history = trained(recipe, run, on("csv_sink")).history()
    with (run / "log.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    told = [(row["epoch"], row["step"], float(row["loss"])) for row in rows if row["kind"] == "step"]
    assert told == [(str(step.epoch + 1), str(step.step + 1), step.loss) for step in history.steps]
    assert [float(row["val_accuracy"]) for row in rows if row["kind"] == "epoch"] == [e.val_accuracy for e in history.epochs]
    set_enabled("csv_sink", on=False)
    assert "csv" not in load_plugins().sinks


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_what_is_written(recipe: Recipe, run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = trained(recipe, run, on("tensorboard_sink")).history()
    kept = EventAccumulator(str(run / "tensorboard")).Reload()
    assert [point.value for point in kept.Scalars("step/loss")] == pytest.approx([step.loss for step in history.steps])
    read = [(point.step, point.value) for point in kept.Scalars("accuracy/val")]
    assert read == [(epoch.epoch + 1, pytest.approx(epoch.val_accuracy)) for epoch in history.epochs]


class _Server(http.server.ThreadingHTTPServer):
    """Keeps what is posted to it; answers `status`."""

    def __init__(self) -> None:
        self.told: list[dict[str, object]] = []
        self.status = 204
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                if not server.status:
                    self.wfile.write(b"no http")
                    return
                self.send_response(server.status)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()

            def log_message(self, *said: object) -> None:
                return

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv(ADDRESS, f"http://127.0.0.1:{server.server_address[1]}/told")
        yield server
        server.shutdown()
        thread.join()


def test_an_address_is_told(recipe: Recipe, run: Path, server: _Server) -> None:
    trained(recipe, run, on("webhook_sink"))
    assert [(told["run"], told["type"]) for told in server.told] == [
        ("run", "run_started"), ("run", "epoch_done"), ("run", "epoch_done"), ("run", "run_ended")
    ]  # fmt: skip
    assert server.told[-1]["status"] == "completed"


@pytest.mark.parametrize("status", [500, 302, 0])
def test_an_address_that_refuses_ends_no_run(status: int, recipe: Recipe, run: Path, server: _Server) -> None:
    server.status = status
    history = trained(recipe, run, on("webhook_sink")).history()
    assert history.ended is not None and history.ended.status == "completed" and len(server.told) == 1
    assert any("webhook failed and hears no more of this run" in warning for warning in history.warnings)


def test_an_answer_that_refuses_is_let_go(run: Path, server: _Server) -> None:
    server.status = 500
    told = listen(run)
    with pytest.raises(HTTPError) as refused:
        told(RunEnded(status=RunStatus.COMPLETED))
    assert refused.value.closed


UNSAFE = {
    "": "is not set",
    "no address": "is not set",
    "http://far.example/told": "is not an https address",
    "https://me:secret@far.example/": "holds a name or a password",
}


@pytest.mark.parametrize(("address", "why"), UNSAFE.items())
def test_without_a_safe_address_it_says_what_it_lacks(address: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS, address)
    set_enabled("webhook_sink", on=True)
    found = record("webhook_sink")
    assert found.state is PluginState.FAILED and why in found.reason and found.cure
