"""What processes that train for this one have in common: how they are started, asked, held, and spoken for once they are gone.

Each has a line from this process to its standard input. What goes over it, in JSON, says what is asked of the run. It also holds
them: when it is cut, since this process has died or closed it, they end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, Any

from desktop_ft.api import TrainEvent
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import RunEnded
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs.running import OpenRun

Emit = Callable[[TrainEvent], None]
_LOOK_EVERY_S = 0.05
_LETS_GO_WITHIN_S = 5.0

# Ctrl-C in the terminal is for this process alone, who asks the others to stop.
APART: dict[str, Any]
if sys.platform == "win32":
    APART = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
else:
    APART = {"start_new_session": True}


class Wishes:
    """What is asked of a run, told to who trains it whenever it is something new.

    Attributes:
        told_at: when that was last, by the monotonic clock.
    """

    def __init__(self, line: IO[bytes]) -> None:
        self._line = line
        self._told: dict[str, bool] = {}
        self.told_at = time.monotonic()

    def tell(self, control: RunControl) -> None:
        """Tell what `control` asks, if it is something new."""
        wishes = {name: getattr(control, name).is_set() for name in ("cancel", "stop", "pause")}
        if wishes != self._told:
            self._told, self.told_at = wishes, time.monotonic()
            with suppress(OSError, ValueError):  # they have just ended
                self._line.write(json.dumps(wishes).encode() + b"\n")
                self._line.flush()

    def tell_anew(self) -> None:
        """Who trains was started anew, and has heard nothing yet."""
        self._told = {}


def heed(line: Iterable[str], control: RunControl) -> None:
    """In a child: set `control` as the lines ask, until there is nobody any more to train for."""
    for wishes in line:
        for name, wanted in json.loads(wishes).items():
            wish: threading.Event = getattr(control, name)
            (wish.set if wanted else wish.clear)()


def let_go(run: OpenRun) -> None:
    """Wait, for some seconds at most, until the last of those who trained has let go of the run."""
    latest = time.monotonic() + _LETS_GO_WITHIN_S
    while run.folder.is_locked and time.monotonic() < latest:
        time.sleep(_LOOK_EVERY_S)


def tell_end(run: OpenRun, ended: RunEnded, emit: Emit) -> RunEnded:
    """Keep and pass on an end that those who trained did not tell, once the last of them has let go of the run."""
    let_go(run)
    whole = RunEnded(status=ended.status, checkpoint=run.store().best, error=ended.error)
    with suppress(UserError), run.folder.lock(), run.folder.log() as log:  # a full disk may have been what ended them
        log.append(whole)
    emit(whole)
    return whole
