"""Tells the address in DESKTOP_FT_WEBHOOK that a run began, did an epoch or ended: as JSON, over https or to this machine."""

import json
import os
import queue
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

from desktop_ft.api import EpochDone, EventSink, RunEnded, RunStarted, TrainEvent, UserError, hookimpl, is_here, why_not_told

DESKTOP_FT_API = ">=1,<2"
ADDRESS = "DESKTOP_FT_WEBHOOK"
_WITHIN_S = 5.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Another address is not the one that was given: it may be anybody's."""

    def redirect_request(self, *asked: object, **more: object) -> None:
        """Refuse; the answer counts as a failure then."""
        return


@hookimpl
def register_event_sinks(register: Callable[[EventSink], None]) -> None:
    """Bring the listener, where there is an address to tell."""
    address = os.environ.get(ADDRESS, "")
    if not urlsplit(address).hostname:
        raise UserError(f"{ADDRESS} is not set.", f"Set it to the address to tell, and start again: {ADDRESS}=https://…")
    if (why := why_not_told(address)) is not None:
        raise UserError(f"{ADDRESS} {why[0]}", why[1])
    register(EventSink(name="webhook", title="Webhook", open=listen))


def listen(run: Path) -> Callable[[TrainEvent], None]:
    """Post each event with the run's name, in order, from a thread of its own: training never waits for the answer."""
    address, posts = os.environ[ADDRESS], queue.SimpleQueue[bytes | None]()
    # What stays on this machine goes through no proxy.
    here: dict[str, str] | None = {} if is_here(address) else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(here), _NoRedirect)
    failed: list[Exception] = []

    def post() -> None:
        while (body := posts.get()) is not None:
            try:
                _tell(opener, address, body)
            except Exception as error:  # whatever it is, the run tells of it: in a thread it would be lost
                failed.append(error)
                return

    thread = threading.Thread(target=post, name="webhook", daemon=True)
    thread.start()

    def told(event: TrainEvent) -> None:
        if failed:
            raise failed[0]  # the run tells of it, and goes on without this
        if isinstance(event, RunStarted | EpochDone | RunEnded):
            posts.put(json.dumps({"run": run.name, **asdict(event)}).encode())
        if isinstance(event, RunEnded):
            posts.put(None)
            thread.join(2 * _WITHIN_S)
            if failed:
                raise failed[0]
            if thread.is_alive():
                raise TimeoutError(f"the address was not told of all within {2 * _WITHIN_S:.0f} s")

    return told


def _tell(opener: urllib.request.OpenerDirector, address: str, body: bytes) -> None:
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310 (checked)
    try:
        opener.open(request, timeout=_WITHIN_S).close()
    except HTTPError as refused:
        refused.close()  # it carries the answer, and with it the connection
        raise
