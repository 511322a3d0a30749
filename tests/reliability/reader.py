"""A process that opens strangers' files as the application does, for whoever tells it which: its memory is bounded.

On stdin a line of JSON for each file: `{"kind": one of READS, "path": …}`. On stdout `{"ready": …}`, then an answer for each:
`{"refused": sentence, "cure": sentence}`, `{"read": in a word}`, or `{"fault": …}` where anything else was raised; with the most
memory that was ever used, in bytes.
"""

import contextlib
import json
import os
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from desktop_ft import places, plugin_manager
from desktop_ft.core.dataset import DatasetManifest
from desktop_ft.core.errors import UserError
from desktop_ft.core.plan_text import plan_in
from desktop_ft.core.recipe import Recipe
from desktop_ft.core.values import from_json
from desktop_ft.data import archive
from desktop_ft.export.onnx_model import OnnxModel
from desktop_ft.gui.settings import Settings
from desktop_ft.models.build import build_network
from desktop_ft.runs import atomic
from desktop_ft.runs.known import KnownRuns
from desktop_ft.runs.queue import Queue
from desktop_ft.runs.run_folder import RunFolder
from tests.models.tiny import tiny_backbone

ROOM = 2 << 30
"""So much memory more than what the application itself needs."""


def _weights(path: Path) -> object:
    return build_network(tiny_backbone(), 3, pretrained=False, own_weights=path)


def _onnx(path: Path) -> object:
    (answer,) = OnnxModel(path).answer([path.parents[1] / "picture.png"])
    return answer.problem or answer.predicted


def _archive(path: Path) -> object:
    return archive.unpack(path, path.parent / "unpacked")


def _recipe(path: Path) -> object:
    return Recipe.from_toml(atomic.read(path).decode("utf-8", "replace"), str(path)).digest()


def _project(path: Path) -> object:
    """What the next start opens, without a window."""
    from desktop_ft.gui.autosave import Autosave
    from desktop_ft.gui.state import ProjectState
    from desktop_ft.gui.worker import Worker

    _move_home(path)
    saved = Autosave(ProjectState(), Worker())
    try:
        return saved.last(), saved.last_run()
    finally:
        saved.release()


def _settings(path: Path) -> object:
    _move_home(path)
    kept = Settings()
    found = [getattr(kept, name) for name, kind in vars(Settings).items() if isinstance(kind, property)]
    found += [kept.splitter("data"), kept.layout("runs"), kept.window("log"), kept.detached("plots")]
    kept.remember_opened("photos")
    kept.save()
    return found


def _queue(path: Path) -> object:
    queue = Queue(path.parent)
    found = [queue.next]
    for each in queue.entries():
        with contextlib.suppress(UserError):  # it is told when its turn comes
            found.append(each.recipe)
    return found


def _events(path: Path) -> object:
    return RunFolder(path.parent).history()


def _run(path: Path) -> object:
    """All that is kept of a run, one after the other, as its page reads it."""
    run = RunFolder.open(path.parent)
    return run.recipe, run.note, run.threshold, run.export_reports, run.evaluation, run.asked_change(), run.is_locked


def _manifest(path: Path) -> object:
    return from_json(DatasetManifest, path.read_bytes(), str(path))


def _known(path: Path) -> object:
    return KnownRuns(path).folders()


def _plan(path: Path) -> object:
    return plan_in(path.read_bytes().decode("utf-8", "replace"))


def _plugins(path: Path) -> object:
    _move_home(path)
    return plugin_manager.trust.read()


def _move_home(path: Path) -> None:
    """`path` lies in the person's own data."""
    os.environ["DESKTOP_FT_HOME"] = str(path.parents[1])
    assert path.parent == places.data()


READS: dict[str, Callable[[Path], object]] = {
    "weights": _weights,
    "onnx": _onnx,
    "archive": _archive,
    "recipe": _recipe,
    "project": _project,
    "settings": _settings,
    "queue": _queue,
    "events": _events,
    "run": _run,
    "manifest": _manifest,
    "known": _known,
    "plan": _plan,
    "plugins": _plugins,
}


def answer(kind: str, path: Path) -> dict[str, object]:
    """What came of opening `path`."""
    try:
        return {"read": type(READS[kind](path)).__name__}
    except UserError as error:
        return {"refused": error.what, "cure": error.cure}
    except Exception as error:
        return {"fault": f"{type(error).__name__}: {str(error)[:300]}"}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main() -> None:
    """Answer until nobody asks any more."""
    warnings.simplefilter("ignore")
    torch.zeros(1).isfinite()
    told, sys.stdout = sys.stdout, sys.stderr
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(json.dumps({"ready": True, "peak": _peak()}), file=told, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(answer(asked["kind"], Path(asked["path"])) | {"peak": _peak()}), file=told, flush=True)


if __name__ == "__main__":
    main()
