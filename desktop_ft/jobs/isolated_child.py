"""The process that trains a run for another one, `isolated`, which is told of it as it goes.

The first line of standard input is the order; the lines after it say what is asked of the run, and their end that nobody is there
any more to train for.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from desktop_ft import places
from desktop_ft.core import language
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.events import RunEnded
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.values import from_json, to_json
from desktop_ft.engine import process
from desktop_ft.engine.control import RunControl
from desktop_ft.jobs import training
from desktop_ft.jobs.children import heed
from desktop_ft.jobs.isolated_line import Alive, GivenUp, Order, Phase, Refused, Returned, Unforeseen
from desktop_ft.plugin_manager import load_plugins

_ALIVE_EVERY_S = 5.0


def main() -> None:
    """Do as ordered."""
    process.prepare()
    process.stand_back()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever supervises it is asked, and asks it
    line, control = _speaking_line(), RunControl()
    order: Order = from_json(Order, sys.stdin.readline(), "the order")
    _speak(order.language)
    threading.Thread(target=_listen, args=(control,), name="what-is-asked", daemon=True).start()

    speaking = threading.Lock()

    def say(value: object) -> None:
        said = to_json(value) + b"\n"
        try:
            with speaking:
                line.write(said)
        except OSError:
            os._exit(1)  # nobody is there any more: a run that is broken off tells no end

    threading.Thread(target=_show_life, args=(say,), name="alive", daemon=True).start()
    say(_done(order, control, say))
    sys.stderr.flush()
    os._exit(0)  # the thread cannot be ended, and waking up while the interpreter ends it would abort the process


def _done(order: Order, control: RunControl, say: Callable[[object], None]) -> Returned | Refused | GivenUp | Unforeseen:
    def progress(what: str, done: int, total: int | None) -> None:
        say(Phase(what=what, done=done, total=total))

    try:
        run, plugins = Path(order.run), load_plugins()
        if order.verb == "train":
            recipe = Recipe.from_toml(order.recipe, "the order")
            ended = training.train(recipe, run, plugins, say, control, progress=progress)
        else:
            with_the_run: dict[str, Callable[..., RunEnded]] = {
                "resume": training.resume,
                "keep_best": training.keep_best,
                "judge": training.judge,
            }
            ended = with_the_run[order.verb](run, plugins, say, control, progress=progress)
    except UserError as error:
        return Refused(what=error.what, cure=error.cure)
    except Cancelled:
        return GivenUp()
    except BaseException:
        return Unforeseen(traceback=traceback.format_exc())
    return Returned(ended=ended)


def _show_life(say: Callable[[object], None]) -> None:
    while True:
        time.sleep(_ALIVE_EVERY_S)
        say(Alive())


def _speaking_line() -> IO[bytes]:
    """What was standard output; what else is printed there goes to the log, where it harms nobody."""
    line = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return line


def _speak(code: str) -> None:
    if (catalogue := places.catalogue(code)).is_file():
        with catalogue.open("rb") as texts:
            language.use(texts)


def _listen(control: RunControl) -> None:
    with suppress(ValueError):  # the last line was cut in the middle
        heed(sys.stdin, control)
    os._exit(1)


if __name__ == "__main__":
    main()
