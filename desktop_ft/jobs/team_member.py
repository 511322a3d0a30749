"""One of several processes that train a run together; started by `distributed`, through torchrun, with the run's folder.

Standard input belongs to the first of them. A line of JSON says what is asked of the run; its end, that nobody is there any more
to train for: then all end. The first writes what happens into the run's events, where who started them reads it.
"""

import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

import psutil

from desktop_ft.core.errors import UserError
from desktop_ft.engine import process
from desktop_ft.engine.control import RunControl
from desktop_ft.engine.team import DESK, LAST_WORDS, TeamBroken, rank_here
from desktop_ft.jobs.children import heed
from desktop_ft.jobs.running import open_run
from desktop_ft.jobs.training import take_part
from desktop_ft.plugin_manager import load_plugins

_LOOK_EVERY_S = 0.5


def main() -> None:
    """Take part in the run named on the command line; `--whole` lets every step go through the whole network."""
    process.prepare()
    control, torchrun = RunControl(), os.getppid()
    if not _is_torchrun(torchrun):
        os._exit(1)  # it has died already, and this is whoever takes its orphans
    threading.Thread(target=_end_with, args=(torchrun,), name="end-with-torchrun", daemon=True).start()
    if rank_here() == 0:
        threading.Thread(target=_listen, args=(control, torchrun), name="what-is-asked", daemon=True).start()
    code = 1
    try:
        from torch.distributed.elastic.multiprocessing.errors import record

        record(_train)(Path(sys.argv[1]), control, torchrun, cut="--whole" not in sys.argv)
        code = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the threads cannot be ended, and waking up while the interpreter ends they would abort the process


def _train(path: Path, control: RunControl, torchrun: int, *, cut: bool) -> None:
    """An end that a person must mend is told, and is one: only what starting anew may mend leaves with an error."""
    try:
        plugins = load_plugins()
        run = open_run(path, plugins)
    except UserError as error:  # the others don't know, and wait
        _leave_words(str(error))
        _end_all(torchrun)
        raise
    try:
        take_part(run, plugins, control, cut=cut)
    except UserError as error:  # all have raised the same
        _leave_words(str(error))
    except TeamBroken as error:
        if error.is_final:  # as above
            _leave_words(str(error))
            _end_all(torchrun)
        raise


def _leave_words(sentence: str) -> None:
    """Leave `sentence` for who started the team, unless another process has left one."""
    with suppress(OSError), (Path(os.environ[DESK]) / LAST_WORDS).open("x", encoding="utf-8") as words:
        words.write(sentence)


def _listen(control: RunControl, torchrun: int) -> None:
    heed(sys.stdin, control)
    _end_all(torchrun)


def _end_all(torchrun: int) -> None:
    os.kill(torchrun, signal.SIGTERM)  # it ends the others, and starts none anew
    os._exit(1)


def _is_torchrun(process_id: int) -> bool:
    try:
        return "torch.distributed.run" in psutil.Process(process_id).cmdline()
    except psutil.Error:
        return False


def _end_with(torchrun: int) -> None:
    """On Windows a process keeps its dead parent's number, elsewhere it gets another parent."""
    while os.getppid() == torchrun and psutil.pid_exists(torchrun):
        time.sleep(_LOOK_EVERY_S)
    os._exit(1)


if __name__ == "__main__":
    main()
