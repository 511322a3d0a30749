"""Every run's recipe, curves and ending in MLflow: in the folder, or on the tracking server, that DESKTOP_FT_MLFLOW names."""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
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
_PAUSES_S = (0.0, 0.3, 1.0)
"""Before each time that the end is tried; all else is tried once, and again with what comes after it."""
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

    client, heard, failed = client_of(tracking_uri()), queue.SimpleQueue[tuple[TrainEvent, int]](), list[UserError]()

    def write() -> None:
        tracked, last = Tracked(client, run), False
        while not last:
            event, time_ms = heard.get()
            last = isinstance(event, RunEnded)
            tracked.keep(event, time_ms)
            if tracked.is_due and (why := _unsent(tracked.send, _PAUSES_S if last else _PAUSES_S[:1])) is not None:
                failed.append(_not_taken(why, last))

    thread = threading.Thread(target=write, name="mlflow", daemon=True)
    thread.start()

    def told(event: TrainEvent) -> None:
        if isinstance(event, RunStarted | PrecisionChosen | StepDone | EpochDone | RunEnded):
            heard.put((event, int(time.time() * 1000)))
        if isinstance(event, RunEnded):
            thread.join(_WITHIN_S)
        if isinstance(event, RunEnded) and thread.is_alive():
            failed.append(_not_taken(TimeoutError(f"no answer within {_WITHIN_S:.0f} s"), True))
        if failed:
            raise [failed.pop(0) for _ in range(len(failed))][-1]  # the run tells of it

    return told


def _unsent(send: Callable[[], None], pauses: Iterable[float]) -> Exception | None:
    """Why `send` failed, each time that it was tried; None where it did not."""
    why: Exception | None = None
    for pause in pauses:
        time.sleep(pause)
        try:
            send()
        except Exception as error:  # whatever it is, the run tells of it: in a thread it would be lost
            why = error
        else:
            return None
    return why


def _not_taken(why: Exception, last: bool) -> UserError:
    said = f"{type(why).__name__}: {why}".splitlines()[0].rstrip(".")
    cure = "See that it answers, and has room." if last else "It is told again at the next epoch: see that it answers."
    error = UserError(f"MLflow has not taken all of the run: {said}.", cure)
    error.__cause__ = why
    return error
