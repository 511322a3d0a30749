"""Every run's recipe, curves and ending in MLflow: in the folder, or on the tracking server, that DESKTOP_FT_MLFLOW names."""

import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from desktop_ft.api import (
    EpochDone,
    EventSink,
    PrecisionChosen,
    RunEnded,
    RunStarted,
    StepDone,
    TrainEvent,
    UserError,
    hookimpl,
    why_not_told,
)

DESKTOP_FT_API = ">=1,<2"
DESKTOP_FT_NEEDS = {"mlflow": "desktop-ft[mlflow]"}
STORE = "DESKTOP_FT_MLFLOW"
_WITHIN_S = 30.0
_USUAL = {
    "MLFLOW_ALLOW_FILE_STORE": "true",  # else it refuses every folder
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",  # another address is not the one that was given
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""What MLflow is told of how to work; what the person set in the environment stays."""


@hookimpl
def register_event_sinks(register: Callable[[EventSink], None]) -> None:
    """Bring the listener, where it is said where to write."""
    tracking_uri()
    register(EventSink(name="mlflow", title="MLflow", open=listen))


def tracking_uri() -> str:
    """Where to write, as MLflow names it.

    Raises:
        UserError: nobody said where, or it is no folder and no address that may be told.
    """
    said = os.environ.get(STORE, "")
    if not said:
        raise UserError(
            f"{STORE} is not set.", f"Set it to a folder or to the address of a tracking server, and start again: {STORE}=mlruns"
        )
    if "://" not in said:
        return Path(said).expanduser().absolute().as_uri()
    if (why := why_not_told(said)) is not None:
        raise UserError(f"{STORE} {why[0]}", why[1])
    return said


def listen(run: Path) -> Callable[[TrainEvent], None]:
    """Write what is told in order, from a thread of its own: training never waits for a disk or a server.

    MLflow itself is imported before that: it alters how Python imports, which is no matter for a thread beside others.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # it would tell its makers over the network that it is used
    for name, usual in _USUAL.items():
        os.environ.setdefault(name, usual)
    from .tracking import Tracked, client_of

    client, heard, failed = client_of(tracking_uri()), queue.SimpleQueue[tuple[TrainEvent, int]](), list[Exception]()

    def write() -> None:
        try:
            tracked = Tracked(client, run)
            while not tracked.has_ended:
                tracked.hear(*heard.get())
        except Exception as error:  # whatever it is, the run tells of it: in a thread it would be lost
            failed.append(error)

    thread = threading.Thread(target=write, name="mlflow", daemon=True)
    thread.start()

    def told(event: TrainEvent) -> None:
        if isinstance(event, RunStarted | PrecisionChosen | StepDone | EpochDone | RunEnded):
            heard.put((event, int(time.time() * 1000)))
        if isinstance(event, RunEnded):
            thread.join(_WITHIN_S)
        if failed:
            raise failed[0]  # the run tells of it, and goes on without this
        if isinstance(event, RunEnded) and thread.is_alive():
            raise TimeoutError(f"MLflow had not taken all within {_WITHIN_S:.0f} s")

    return told
