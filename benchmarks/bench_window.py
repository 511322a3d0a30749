"""Whether the window answers at once, whatever goes on in it; everything real, in the whole application's own window.

    bench_window.py gaps PHOTOS [--files N]   how late the event loop is: scan, photos scrolled, training, checkpoints, export
    bench_window.py paint [--rounds N]        from the start of the process to the first painted window, and what it has imported
    bench_window.py points [--points N]       frames a second while a curve of so many points is panned
    bench_window.py pace PHOTOS [--rounds N]  how fast a run is in the window, in turns with the same one from the command line
    bench_window.py cycles [--cycles N]       what opening, training and closing again and again leaves behind

Each prints one line of JSON. A tick is asked for every 5 ms; the gap is the time between two of them. PHOTOS holds
train/ and val/. Without a screen Qt's offscreen platform paints into memory; the line says which it was.
"""

import argparse
import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from desktop_ft.engine import process

if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
process.prepare()  # as the application does, before torch is there

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QObject, Qt, QTimer  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

from desktop_ft import app  # noqa: E402
from desktop_ft.core.events import RunStarted, StepDone  # noqa: E402
from desktop_ft.core.exporting import ExportSettings  # noqa: E402
from desktop_ft.core.freezing import FreezePlan  # noqa: E402
from desktop_ft.core.metrics import MetricHistory  # noqa: E402
from desktop_ft.core.recipe import BackboneChoice, DatasetChoice, Optimisation, Recipe  # noqa: E402
from desktop_ft.gui.data_page import DataPage  # noqa: E402
from desktop_ft.gui.faults import Faults  # noqa: E402
from desktop_ft.gui.main_window import MainWindow  # noqa: E402
from desktop_ft.runs.run_folder import RunFolder  # noqa: E402

TICK_MS = 5
TINY = Path(__file__).parents[1] / "tests" / "tiny_backbone.py"
SIZE = (1280, 720)

BARE = """
import json, sys, time
began = float(sys.argv[1])
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMainWindow

class Window(QMainWindow):
    def paintEvent(self, event):
        super().paintEvent(event)
        QTimer.singleShot(0, self.told)

    def told(self):
        print(json.dumps({"bare_s": time.monotonic() - began}), flush=True)
        self.close()

application = QApplication(sys.argv[:1])
window = Window()
window.show()
sys.exit(application.exec())
"""
PAINT = """
import json, sys, time
began = float(sys.argv[1])
told = {}
before = set(sys.modules)

def watch(window):
    from PySide6.QtCore import QEvent, QObject, QTimer

    class Painted(QObject):
        def eventFilter(self, watched, event):
            if event.type() is QEvent.Type.Paint:
                watched.removeEventFilter(self)
                QTimer.singleShot(0, self.flushed)
            return False

        def flushed(self):
            told["page_s" if "window_s" in told else "window_s"] = time.monotonic() - began
            if "page_s" not in told:
                heavy = {"torch", "torchvision", "numpy", "PIL", "pyqtgraph", "onnxruntime", "http.client"}
                told["imported"] = sorted(heavy & (set(sys.modules) - before))
                return self.page()
            print(json.dumps(told), flush=True)
            window.close()

        def page(self):
            shown = window.stack.currentWidget()
            if shown is None:
                return QTimer.singleShot(0, self.page)
            shown.installEventFilter(self)
            shown.update()

    watch.painted = Painted()
    window.installEventFilter(watch.painted)
    return window

from desktop_ft import cli
opened = cli._open_window
def window(*given):
    from desktop_ft import app
    built = app.build_window
    app.build_window = lambda faults: watch(built(faults))
    return opened(*given)
cli._open_window = window
sys.exit(cli.main([]))
"""


class Ticks(QObject):
    """Asks the event loop for a tick again and again, and keeps how long each took to come."""

    def __init__(self) -> None:
        super().__init__()
        self.gaps: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(TICK_MS)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps.append(1000 * (now - self._last))
        self._last = now

    def taken(self) -> dict[str, object]:
        """What came since the last call, in milliseconds."""
        gaps, self.gaps = np.array(self.gaps), []
        return {
            "ticks": len(gaps),
            "p50_ms": round(float(np.percentile(gaps, 50)), 1),
            "p99_ms": round(float(np.percentile(gaps, 99)), 1),
            "most_ms": round(float(gaps.max()), 1),
            "over_100_ms": int((gaps > 100).sum()),
        }


@contextmanager
def home() -> Iterator[Path]:
    """A place of its own for settings, runs and what is kept."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DESKTOP_FT_HOME"] = folder
        yield Path(folder)


def wait(milliseconds: int) -> None:
    """Let the event loop run. (`QTest.qWait` would keep Python's lock, and all other threads waiting.)"""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def until(condition: Callable[[], bool], seconds: float = 600) -> None:
    """Let the event loop run until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("The window did not get there in time.")
        wait(10)


def opened(faults: Faults) -> MainWindow:
    """The application's window, shown."""
    window = app.build_window(faults)
    window.resize(*SIZE)
    window.show()
    until(window.isVisible)
    return window


def closed(window: MainWindow, faults: Faults) -> None:
    """Close it and let it go."""
    window.close()
    until(lambda: not window.session.worker.busy)
    window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    if faults.seen:
        raise SystemExit(f"Something unforeseen happened: {faults.seen}")


def train(window: MainWindow, recipe: Recipe) -> None:
    """Open the recipe and train with it, to the end."""
    session = window.session
    session.opening.open_recipe(recipe)
    until(lambda: session.state.manifest is not None and not session.opening.running)
    window.commands.start_training()
    until(lambda: not session.training.running)
    end = session.training.end
    if end is None or end.status != "completed":
        raise SystemExit(f"The run ended as {end}.")


def drawn(folder: Path, pictures: int, classes: int = 10) -> Path:
    """So many different small pictures in folders of classes."""
    chance = np.random.default_rng(0)
    for number in range(pictures):
        place = folder / f"class{number % classes:02d}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(chance.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(place / f"{number:06d}.png", compress_level=0)
    return folder


def gaps(photos: Path, files: int) -> dict[str, object]:
    """The event loop's gaps through the whole job."""
    found: dict[str, object] = {}
    with home() as place:
        faults = Faults()
        window = opened(faults)
        session = window.session
        for name in ("data", "model", "layers", "augment", "train", "results", "export", "runs"):
            session.state.go(name)  # torch is imported here, once, for all that follows
        until(lambda: not session.worker.busy)
        session.state.go("data")
        drawn(place / "many", files)
        ticks = Ticks()
        wait(2000)
        found["at rest"] = ticks.taken()
        session.opening.open(place / "many")
        until(lambda: not session.opening.running and session.state.manifest is not None, 1800)
        wait(500)
        found[f"scan of {files:,} files"] = ticks.taken()
        page = window.page("data")
        if not isinstance(page, DataPage):
            raise TypeError("the page Data shows the photos")
        bar = page.wall.verticalScrollBar()
        for step in range(400):
            bar.setValue(bar.maximum() * step // 400)
            wait(10)
        found["photos scrolled"] = ticks.taken()
        for what, preset, epochs in (("the head trains", "head", 10), ("all layers train", "all", 2)):
            recipe = Recipe(
                dataset=DatasetChoice(folder=str(photos)),
                freeze=FreezePlan(preset=preset),
                optimisation=Optimisation(epochs=epochs),
            )
            train(window, recipe)
            found[f"{what}, checkpoints and evaluation"] = ticks.taken()
        session.state.go("export")
        run = session.state.run
        if run is None:
            raise SystemExit("The run is not shown.")
        session.runs.export(run, place / "model.onnx", ExportSettings())
        until(lambda: not session.runs.busy)
        found["export and proof"] = ticks.taken()
        closed(window, faults)
    return found


def pace(photos: Path, rounds: int) -> dict[str, object]:
    """Seconds of one recipe's training, from both. Frozen layers have answered before: all of it is steps and validation."""
    recipe = Recipe(
        dataset=DatasetChoice(folder=str(photos.absolute())),
        freeze=FreezePlan(preset="last:2"),
        optimisation=Optimisation(epochs=10),
    )
    in_window, on_command_line = list[float](), list[float]()
    with home() as place:
        (place / "recipe.toml").write_text(recipe.to_toml())
        faults = Faults()
        window = opened(faults)
        for number in range(1 + rounds):
            train(window, recipe)
            shown = window.session.state.run
            if shown is None:
                raise SystemExit("The run is not shown.")
            run = place / f"run {number}"
            command = [sys.executable, "-m", "desktop_ft", "train", "--recipe", str(place / "recipe.toml"), "--out", str(run)]
            subprocess.run(command, check=True, capture_output=True)
            if number:  # the first answers for the frozen layers
                in_window.append(RunFolder.open(shown).history().work_seconds)
                on_command_line.append(RunFolder.open(run).history().work_seconds)
        closed(window, faults)
    shares = [line / own for own, line in zip(in_window, on_command_line, strict=True)]
    return {
        "rounds": rounds,
        "window_s": round(statistics.median(in_window), 2),
        "command_line_s": round(statistics.median(on_command_line), 2),
        "share": round(statistics.median(shares), 3),
    }


def paint(rounds: int) -> dict[str, object]:
    """Seconds until an empty window of Qt, ours, and its first page are painted; the first round compiles and does not count."""
    told = []
    with home() as place:
        compiled = {"PYTHONPYCACHEPREFIX": str(place / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}  # as an installed one is
        for _ in range(rounds + 1):
            line: dict[str, Any] = {}
            for program in (BARE, PAINT):
                # Not when a process says it began: that counts from the machine's start, which is told in whole seconds.
                command = [sys.executable, "-c", program, str(time.monotonic())]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | compiled)
                line |= json.loads(done.stdout.splitlines()[0])
            told.append(line)
    medians = {what: round(statistics.median(line[what] for line in told[1:]), 3) for what in ("bare_s", "window_s", "page_s")}
    return {"rounds": rounds, **medians, "imported": told[-1]["imported"]}


class Paints(QObject):
    """Counts what is painted of whatever it is put on."""

    seen = 0

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Count, and let it pass."""
        self.seen += event.type() == QEvent.Type.Paint
        return False


def points(count: int) -> dict[str, object]:
    """Frames a second of panning over a run of so many steps, the plots of the page Train painted each time."""
    from desktop_ft.gui.run_plots import Plots
    from desktop_ft.gui.theme import Theme, ThemeChoice

    per, history = 1000, MetricHistory()
    history.add(
        RunStarted(
            epochs=count // per,
            steps_per_epoch=per,
            first_epoch=0,
            first_step=0,
            device="",
            precision="",
            learning_share=1,
            time=0,
        )
    )
    noise = np.random.default_rng(0).random(count)
    for step in range(count):
        loss = float(1 / (1 + step / 1000) + 0.2 * noise[step])
        history.add(StepDone(epoch=step // per, step=step % per, loss=loss, lr=0.001, seconds=0.01 * step))
    plots = Plots(Theme(ThemeChoice.LIGHT))
    plots.resize(*SIZE)
    plots.show()
    until(lambda: (screen := plots.windowHandle()) is not None and screen.isExposed())  # nothing is painted before
    wait(200)
    began = time.perf_counter()
    plots.show_history(history, count // per)
    shown = time.perf_counter() - began
    history.add(StepDone(epoch=count // per - 1, step=per, loss=0.1, lr=0.001, seconds=0.01 * count))
    began = time.perf_counter()
    plots.show_history(history, count // per)
    again = time.perf_counter() - began
    wait(200)
    frames, paints = [], Paints()
    plots.learning.loss.viewport().installEventFilter(paints)
    box = plots.learning.loss.getPlotItem().getViewBox()
    for frame in range(100):
        began = time.perf_counter()
        box.setXRange(frame, frame + count / per / 4, padding=0)
        plots.learning.loss.viewport().repaint()
        frames.append(time.perf_counter() - began)
    if paints.seen < len(frames):
        raise SystemExit(f"{len(frames)} frames were asked for, and {paints.seen} painted.")
    plots.shut_down()
    plots.close()
    return {
        "points": count,
        "first_drawn_ms": round(1000 * shown),
        "one_more_point_ms": round(1000 * again, 1),
        "frames_per_s": round(1 / statistics.median(frames), 1),
        "slowest_frame_ms": round(1000 * max(frames), 1),
    }


def _own_bytes(process: psutil.Process) -> int:
    """Of memory that it filled itself: that it shares a library with others, or does no more, makes no difference."""
    held = process.memory_info()
    return int(held.rss - held.shared) if hasattr(held, "shared") else int(process.memory_full_info().uss)


def cycles(count: int) -> dict[str, object]:
    """What is left of opening a window, training in it and closing it, so many times in one process."""
    with home() as place:
        (place / "data" / "plugins").mkdir(parents=True)
        shutil.copy(TINY, place / "data" / "plugins" / "tiny.py")
        (place / "data" / "plugins.json").write_text(json.dumps({"enabled": ["tiny"]}))
        recipe = Recipe(
            dataset=DatasetChoice(folder=str(drawn(place / "few", 24, 2)), val=0.3),
            backbone=BackboneChoice(name="tiny"),
            freeze=FreezePlan(preset="scratch"),
            optimisation=Optimisation(epochs=1, batch_size=8),
        )
        own = psutil.Process()
        taken: list[float] = []
        began = time.monotonic()
        for _ in range(count):
            faults = Faults()
            window = opened(faults)
            train(window, recipe)
            closed(window, faults)
            faults.deleteLater()
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            shutil.rmtree(place / "data" / "runs")
            gc.collect()  # what waits for the next search is not left behind
            taken.append(_own_bytes(own) / 1e6)
        # What is imported and warmed up on first use is no leak: counted from a tenth of the cycles on.
        first = taken[count // 10]
        return {
            "cycles": count,
            "seconds": round(time.monotonic() - began),
            "memory_mb": [round(taken[count * tenth // 10]) for tenth in range(10)] + [round(taken[-1])],
            "grown_mb": round(taken[-1] - first, 1),
            "threads": sorted(each.name for each in {*threading.enumerate()} - {threading.main_thread()} if not each.daemon),
            "processes": [child.name() for child in own.children(recursive=True)],
            "widgets": len(QApplication.topLevelWidgets()),
        }


def main() -> None:
    """Measure one thing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    kind = kinds.add_parser("gaps")
    kind.add_argument("photos", type=Path)
    kind.add_argument("--files", type=int, default=100_000)
    kind = kinds.add_parser("pace")
    kind.add_argument("photos", type=Path)
    kind.add_argument("--rounds", type=int, default=5)
    kinds.add_parser("paint").add_argument("--rounds", type=int, default=9)
    kinds.add_parser("points").add_argument("--points", type=int, default=1_000_000)
    kinds.add_parser("cycles").add_argument("--cycles", type=int, default=1000)
    asked = parser.parse_args()
    application = QApplication.instance() or QApplication(sys.argv[:1])
    if isinstance(application, QApplication):
        app.name_application(application)
    if asked.kind == "gaps":
        found = gaps(asked.photos, asked.files)
    elif asked.kind == "pace":
        found = pace(asked.photos, asked.rounds)
    elif asked.kind == "paint":
        found = paint(asked.rounds)
    else:
        found = points(asked.points) if asked.kind == "points" else cycles(asked.cycles)
    print(json.dumps({"benchmark": f"window {asked.kind}", "platform": QApplication.platformName(), **found}))


if __name__ == "__main__":
    main()
