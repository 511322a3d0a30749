"""Tells the address in DESKTOP_FT_WEBHOOK that a run began, did an epoch or ended: as JSON, over https or to this machine."""

import json
import math
import os
import queue
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from desktop_ft.api import EpochDone, EventSink, RunEnded, RunStarted, TrainEvent, UserError, hookimpl, is_here, why_not_told

DESKTOP_FT_API = ">=1,<2"
ADDRESS = "DESKTOP_FT_WEBHOOK"
_WITHIN_S = 5.0
_REST_WITHIN_S = 2.0
"""Once the end has come: what still waits before it is let go then."""
_ENDS_WITHIN_S = _REST_WITHIN_S + 2 * _WITHIN_S
"""Enough for the answer that is awaited meanwhile, and for that to the end."""
_PAUSES_S = (0.0, 0.3, 1.0)
"""Before each time that the end is tried; all else is tried once, with no pause."""
_TOLD = {RunStarted: "that the run began", EpochDone: "of an epoch", RunEnded: "that the run ended"}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Another address is not the one that was given: it may be anybody's."""

    def redirect_request(self, *asked: object, **more: object) -> None:
        """Refuse; the answer counts as a failure then."""
        return


@hookimpl
def register_event_sinks(register: Callable[[EventSink], None]) -> None:
    """Bring the listener, where there is an address to tell."""
    address = os.environ.get(ADDRESS, "")
    if not address:
        raise UserError(f"{ADDRESS} is not set.", f"Set it to the address to tell, and start again: {ADDRESS}=https://…")
    if (why := why_not_told(address)) is not None:
        raise UserError(f"{ADDRESS} {why[0]}", why[1])
    register(EventSink(name="webhook", title="Webhook", open=listen))


def listen(run: Path) -> Callable[[TrainEvent], None]:
    """Post each event with the run's name, in order, from a thread of its own: training waits for the answer to the last alone.

    An event that the address does not take is told of and dropped, with all that had to wait meanwhile, but never the last: what
    still waits when the run has ended is dropped for it, and told of, where the address is slow.
    """
    posts, failed = queue.SimpleQueue[tuple[TrainEvent, float]](), list[UserError]()
    thread = threading.Thread(target=_post, args=(run.name, posts, failed), name="webhook", daemon=True)
    thread.start()

    def told(event: TrainEvent) -> None:
        if type(event) in _TOLD:
            posts.put((event, time.monotonic()))
        if isinstance(event, RunEnded):
            thread.join(_REST_WITHIN_S)
            if dropped := _drop_all_but_the_end(posts):
                failed.append(_dropped(dropped))
            thread.join(_ENDS_WITHIN_S - _REST_WITHIN_S)
            if thread.is_alive():
                failed.append(_not_told(event, f"no answer within {_ENDS_WITHIN_S:.0f} s"))
        if failed:
            raise _in_one([failed.pop(0) for _ in range(len(failed))])  # the run tells of it

    return told


def _drop_all_but_the_end(posts: queue.SimpleQueue[tuple[TrainEvent, float]]) -> int:
    """Let the end, where it waits, be the next; how many waited before it."""
    waiting = list[tuple[TrainEvent, float]]()
    with suppress(queue.Empty):
        while True:
            waiting.append(posts.get_nowait())
    for last in waiting[-1:]:  # nothing comes behind the end
        posts.put(last)
    return len(waiting[:-1])


def _post(run: str, posts: queue.SimpleQueue[tuple[TrainEvent, float]], failed: list[UserError]) -> None:
    address, failed_at, last = os.environ[ADDRESS], -math.inf, False
    # What stays on this machine goes through no proxy.
    here: dict[str, str] | None = {} if is_here(address) else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(here), _NoRedirect)
    while not last:
        event, came_at = posts.get()
        last = isinstance(event, RunEnded)
        if came_at < failed_at and not last:
            continue
        body = json.dumps({"run": run, **_plain(asdict(event))}, allow_nan=False).encode()
        for pause in _PAUSES_S if last else _PAUSES_S[:1]:
            time.sleep(pause)
            left = came_at + _ENDS_WITHIN_S - time.monotonic() if last else _WITHIN_S
            try:
                _tell(opener, address, body, within=min(_WITHIN_S, max(left, 0.1)))
                break
            except Exception as error:  # whatever it is, the run tells of it: in a thread it would be lost
                why = error
        else:
            failed_at = time.monotonic()
            failed.append(_not_told(event, _words(why), why))


def _words(error: Exception) -> str:
    """What went wrong with the address, for a person."""
    if isinstance(error, HTTPError):
        return f"it answered {error.code} ({error.reason})"
    inner = error.reason if isinstance(error, URLError) else error
    if isinstance(inner, TimeoutError):
        return f"no answer within {_WITHIN_S:.0f} s"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return f"{type(error).__name__}: {error}"


def _not_told(event: TrainEvent, why: str, cause: Exception | None = None) -> UserError:
    error = UserError(
        f"The address in {ADDRESS} was not told {_TOLD[type(event)]}: {why}.",
        "See that it answers." if isinstance(event, RunEnded) else "The next event is tried again: see that it answers.",
    )
    error.__cause__ = cause
    return error


def _dropped(count: int) -> UserError:
    return UserError(
        f"The address in {ADDRESS} was not told all that came before the end (left out: {count}): it answers too slowly.",
        "See that it answers at once.",
    )


def _in_one(failed: list[UserError]) -> UserError:
    error = UserError(" ".join(dict.fromkeys(each.what for each in failed)), failed[-1].cure)
    error.__cause__ = failed[-1].__cause__
    return error


def _plain(value: Any) -> Any:
    """`value` as JSON has it, which has no numbers that are not finite: null instead."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tell(opener: urllib.request.OpenerDirector, address: str, body: bytes, within: float) -> None:
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310 (checked)
    try:
        opener.open(request, timeout=within).close()
    except HTTPError as refused:
        refused.close()  # it carries the answer, and with it the connection
        raise
