"""Where things lie on this machine: what ships with the application, and what is the person's own."""

import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

import platformdirs

_APP = "desktop-ft"
_DAY = 86_400
_CHILD = "DESKTOP_FT_CHILD"
"""Set in the environment of a process that this application has started for itself."""
_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The folder `plugins` or `resources`: inside the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "shipped" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def catalogue(code: str) -> Path:
    """The texts of the language `code`; English needs none, and has none."""
    return shipped("resources") / "translations" / f"{code}.mo"


def cache() -> Path:
    """What can be made again: unpacked archives, downloaded weights. `DESKTOP_FT_HOME` moves it, for tests and labs."""
    return _under("cache", platformdirs.user_cache_path(_APP))


def data() -> Path:
    """What is the person's own: settings, plugins, the index of runs."""
    return _under("data", platformdirs.user_data_path(_APP))


def runs() -> Path:
    """Where runs go when no folder is named."""
    return data() / "runs"


def environment() -> dict[str, str]:
    """The environment for a child process, which finds this package in it before any other, and nothing in its working folder."""
    paths = [str(_PACKAGE.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1", _CHILD: "1"}


def is_child() -> bool:
    """Whether another process of the application has started this one, with `environment`, and may end it at any time."""
    return _CHILD in os.environ


def forget_leftovers(folder: Path, named: re.Pattern[str]) -> None:
    """Take away what processes that were killed have left in `folder`, and was not changed for a day. What cannot be, stays.

    Args:
        named: matches whole names that nobody but this application gives.
    """
    with suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            with suppress(OSError):
                if named.fullmatch(entry.name) and entry.stat(follow_symlinks=False).st_mtime < time.time() - _DAY:
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path, ignore_errors=True)
                    else:
                        Path(entry.path).unlink()


def _under(name: str, usual: Path) -> Path:
    home = os.environ.get("DESKTOP_FT_HOME")
    return Path(home) / name if home else usual
