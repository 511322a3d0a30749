"""The listeners that ship, each turned on by a person: a real run is told to each."""

import csv
import http.server
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError

import pytest

from desktop_ft.core.errors import UserError
from desktop_ft.core.events import EpochDone, RunEnded, RunStatus, StepDone, TrainEvent
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
    """Keeps what is posted to it; answers `status` after `slow` seconds, but for the first few what stands in `first`."""

    def __init__(self) -> None:
        self.told: list[dict[str, object]] = []
        self.status = 204
        self.first: list[int] = []
        self.slow = 0.0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.told.append(json.loads(body, parse_constant=pytest.fail))
                threading.Event().wait(server.slow)
                if not (status := server.first.pop(0) if server.first else server.status):
                    self.wfile.write(b"no http")
                    return
                self.send_response(status)
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
    assert history.ended is not None and history.ended.status == "completed"
    assert [told["type"] for told in server.told][-3:] == ["run_ended"] * 3
    assert any("webhook: The address in DESKTOP_FT_WEBHOOK was not told" in warning for warning in history.warnings)
    assert sum("was not told that the run ended" in warning for warning in history.warnings) == 1


def epoch(number: int, loss: float = 1.0) -> EpochDone:
    return EpochDone(
        epoch=number, train_loss=loss, train_accuracy=0.5, val_loss=loss, val_accuracy=0.5, seconds=1.0, best=not number
    )


def all_told(run: Path, *events: TrainEvent, until: Callable[[list[str]], bool] = bool) -> list[str]:
    """What a listener says of the events, of which the first is awaited `until` what is said of it is enough."""
    told, lost = listen(run), list[str]()

    def tell(event: TrainEvent) -> None:
        try:
            told(event)
        except UserError as error:
            lost.append(error.what)

    tell(events[0])
    waits_until = time.monotonic() + 30
    while not until(lost) and time.monotonic() < waits_until:
        tell(StepDone(epoch=0, step=0, loss=1.0, lr=0.1, seconds=1.0))
    for event in events[1:]:
        tell(event)
    return lost


def test_an_address_that_is_away_for_a_moment_is_told_of_what_follows(run: Path, server: _Server) -> None:
    server.first = [502]
    lost = all_told(run, epoch(0), epoch(1), RunEnded(status=RunStatus.COMPLETED))
    assert [(each["type"], each.get("epoch")) for each in server.told] == [
        ("epoch_done", 0), ("epoch_done", 1), ("run_ended", None)
    ]  # fmt: skip
    assert lost == ["The address in DESKTOP_FT_WEBHOOK was not told of an epoch: it answered 502 (Bad Gateway)."]


@pytest.mark.slow
def test_a_slow_but_willing_address_hears_of_the_end(run: Path, server: _Server) -> None:
    server.slow = 1.5
    told = listen(run)
    for number in range(12):
        told(epoch(number))
    with pytest.raises(UserError, match=r"before the end \(left out: \d+\): it answers too slowly\."):
        told(RunEnded(status=RunStatus.COMPLETED))
    assert [each["type"] for each in server.told].index("run_ended") == len(server.told) - 1 < 12


def test_every_failure_is_told(run: Path, server: _Server) -> None:
    server.first = [502, 503, 503, 503]
    lost = " ".join(all_told(run, epoch(0), RunEnded(status=RunStatus.COMPLETED), until=lambda lost: True))
    assert "of an epoch: it answered 502" in lost and "that the run ended: it answered 503" in lost


def test_the_end_is_tried_again(run: Path, server: _Server) -> None:
    server.first = [502, 0]
    listen(run)(RunEnded(status=RunStatus.STOPPED))
    assert [each["status"] for each in server.told] == ["stopped"] * 3


def test_numbers_that_are_none_are_told_as_null(run: Path, server: _Server) -> None:
    told = listen(run)
    told(epoch(0, loss=math.nan))
    told(epoch(1, loss=math.inf))
    told(RunEnded(status=RunStatus.FAILED))
    assert [each.get("val_loss") for each in server.told] == [None, None, None] and server.told[0]["val_accuracy"] == 0.5


def test_an_answer_that_refuses_is_let_go(run: Path, server: _Server) -> None:
    server.status = 500
    told = listen(run)
    with pytest.raises(UserError) as refused:
        told(RunEnded(status=RunStatus.COMPLETED))
    assert isinstance(refused.value.__cause__, HTTPError) and refused.value.__cause__.closed


UNSAFE = {
    "": "is not set",
    "no address": "is not an https address",
    "https://[": "is not an https address",
    "https://": "is not an https address",
    "https://far.example:port/": "is not an https address",
    "http://far.example/told": "is not an https address",
    "https://me:secret@far.example/": "holds a name or a password",
}


@pytest.mark.parametrize(("address", "why"), UNSAFE.items())
def test_without_a_safe_address_it_says_what_it_lacks(address: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS, address)
    set_enabled("webhook_sink", on=True)
    found = record("webhook_sink")
    assert found.state is PluginState.FAILED and why in found.reason and found.cure


def test_a_listener_that_is_on_and_could_not_be_loaded_is_told_in_the_run(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    history = trained(recipe, tmp_path / "run", on("webhook_sink")).history()
    (said,) = (warning for warning in history.warnings if "webhook_sink" in warning)
    assert said.startswith(f"The plugin webhook_sink is on, and hears nothing of this run: {ADDRESS} is not set")


@pytest.mark.parametrize(
    ("state", "enabled", "told"),
    [
        (PluginState.FAILED, True, True),
        (PluginState.STOPPED, False, True),
        (PluginState.INCOMPATIBLE, True, True),
        (PluginState.DISABLED, False, False),
        (PluginState.LOADED, True, False),
    ],
)
@pytest.mark.parametrize("hooks", [("register_event_sinks",), ()])
def test_who_is_wanted_and_hears_nothing_is_known_by_its_source_or_by_what_it_brought(
    state: PluginState, enabled: bool, told: bool, hooks: tuple[str, ...]
) -> None:
    plugins = on("csv_sink")  # what it brings is known from now on
    known = next(each for each in plugins.records if each.name == "csv_sink")
    plugins.records = [replace(known, state=state, enabled=enabled, hooks=hooks)]
    assert bool(plugins.failed_at("register_event_sinks")) is told
    assert not plugins.failed_at("register_exporters")
