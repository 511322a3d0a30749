"""The wall of photos in a real window: how long until it shows, filters and edits, and how smoothly it scrolls. A line of JSON.

    bench_wall.py [--photos N] [--seconds N]

The photos are a few drawn ones, linked under as many names as asked for. A gap is the time between two turns of the event loop,
which a timer asks for every millisecond: so long the window could not answer. Busy is the processor's time that the window's own
thread took for a turn: what remains of the gap is left to other threads, and to whatever else the machine has to do.
"""

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

if not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEvent, QEventLoop, QObject, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication

from desktop_ft import app
from desktop_ft.core.dataset import DatasetManifest, Layout, Problem, Sample, Severity
from desktop_ft.gui.data_page import DataPage
from desktop_ft.gui.faults import Faults
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.thumbnails import Wall

CLASSES, DRAWN = 40, 200
NOTCH = 120
"""What a wheel's notch is to Qt."""


def linked(folder: Path, photos: int) -> DatasetManifest:
    """So many photos in classes of unequal size, and the manifest that a scan would make of them."""
    rng = random.Random(1)
    (folder / "drawn").mkdir()
    for number in range(DRAWN):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((640, 480), Image.Resampling.BICUBIC).save(folder / "drawn" / f"{number}.jpg", quality=85)
    names = [f"class {number:02}" for number in range(CLASSES)]
    for name in names:
        (folder / "photos" / name).mkdir(parents=True)
    labels = sorted(min(CLASSES - 1, int(rng.expovariate(4 / CLASSES))) for _ in range(photos))
    samples = []
    for number, label in enumerate(labels):
        path = f"{names[label]}/{number:06}.jpg"
        os.link(folder / "drawn" / f"{number % DRAWN}.jpg", folder / "photos" / path)
        samples.append(
            Sample(
                path=path,
                label=label,
                subset=None,
                sha256=hashlib.sha256(str(number).encode()).hexdigest(),
                width=640,
                height=480,
                bytes=30_000,
                mtime_ns=0,
            )
        )
    problems = tuple(
        Problem(path=s.path, class_name=names[s.label], kind="cmyk", severity=Severity.NOTE, reason="Is CMYK.", cure="")
        for s in samples[:: max(1, photos // 500)]
    )
    where = str(folder / "photos")
    return DatasetManifest(
        root=where, source=where, layout=Layout.CLASS_FOLDERS, classes=tuple(names), samples=tuple(samples), problems=problems
    )


class Gaps(QObject):
    """Looks at the clock as often as the event loop lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, float]] = []
        self._last = _clocks()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._look)
        self._timer.start(1)

    def _look(self) -> None:
        now = _clocks()
        self.seen.append((now[0] - self._last[0], now[1] - self._last[1]))
        self._last = now

    def during(self, work: Callable[[], object]) -> dict[str, float]:
        """The worst gap and the 99th percentile, in milliseconds, while `work` goes on; and the same of what was busy."""
        self.seen.clear()
        self._last = _clocks()
        work()
        self._look()
        gaps, busy = np.array(self.seen).T
        return {
            "gap_p99_ms": milliseconds(float(np.quantile(gaps, 0.99))),
            "gap_max_ms": milliseconds(float(gaps.max())),
            "busy_p99_ms": milliseconds(float(np.quantile(busy, 0.99))),
            "busy_max_ms": milliseconds(float(busy.max())),
        }


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.thread_time()


class Painted(QObject):
    """Counts how often a widget was painted."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Look, and let it pass."""
        self.count += event.type() is QEvent.Type.Paint
        return False


def milliseconds(seconds: float) -> float:
    """To a tenth."""
    return round(1000 * seconds, 1)


def until(reached: Callable[[], bool]) -> float:
    """Let the window live until then; returns the seconds it took."""
    began = time.perf_counter()
    while not reached():
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        if time.perf_counter() - began > 120:
            raise SystemExit("what the benchmark waits for did not come")
    return time.perf_counter() - began


def turned(wall: Wall, seconds: float) -> None:
    """Turn the wheel down for so long, a page every 16 ms: more at a time Qt does not take."""
    middle = QPointF(wall.viewport().rect().center())
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        event = QWheelEvent(
            middle,
            wall.viewport().mapToGlobal(middle),
            QPoint(),
            QPoint(0, -4 * NOTCH),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.postEvent(wall.viewport(), event)
        rest()


def dragged(wall: Wall, seconds: float) -> None:
    """Draw the scroll bar from top to bottom in so long."""
    bar, began = wall.verticalScrollBar(), time.perf_counter()
    while bar.value() < bar.maximum():
        bar.setSliderPosition(round(bar.maximum() * (time.perf_counter() - began) / seconds))
        rest()


def rest() -> None:
    """Until the next picture on a usual screen is due."""
    began = time.perf_counter()
    until(lambda: time.perf_counter() - began >= 0.016)


def measured(window: MainWindow, scanned: DatasetManifest, seconds: float) -> dict[str, object]:
    """Everything, in the order in which a person would do it."""
    state, opening = window.session.state, window.session.opening
    data = window.page("data")
    if not isinstance(data, DataPage):
        raise TypeError("the page Data is another")
    state.go("data")
    gaps, painted, arrived = Gaps(), Painted(), list[float]()
    data.wall.viewport().installEventFilter(painted)

    def change(act: Callable[[], object], done: Callable[[], bool] = lambda: True) -> dict[str, float]:
        """Act, and wait until that is done and painted."""
        before, took = painted.count, list[float]()

        def go() -> None:
            began = time.perf_counter()
            act()
            until(done)
            until(lambda: painted.count > before)
            took.append(time.perf_counter() - began)

        gap = gaps.during(go)
        until(lambda: data.wall.thumbs.waiting == 0)
        return {"ms": milliseconds(took[0])} | {name: value for name, value in gap.items() if "max" in name}

    opening.ended.connect(lambda: arrived.append(time.perf_counter()))
    found: dict[str, object] = {"photos": len(scanned.samples), "platform": QApplication.platformName()}
    opening.look(Path(scanned.source), "photos", lambda report, cancel: scanned)
    show = gaps.during(lambda: until(lambda: bool(arrived) and data.wall.thumbs.rowCount() > 0 and painted.count > 0))
    found["show"] = {"ms": milliseconds(time.perf_counter() - arrived[0])} | show
    found["decoded_in_sight_ms"] = milliseconds(until(lambda: data.wall.thumbs.waiting == 0 and data.wall.thumbs.decoded > 0))
    photos, wall = data.photos, data.wall
    found["filter_class"] = change(lambda: photos.class_filter.setCurrentIndex(1))
    found["filter_none"] = change(lambda: photos.class_filter.setCurrentIndex(0))
    found["filter_subset"] = change(lambda: photos.subset_filter.setCurrentIndex(1))
    photos.subset_filter.setCurrentIndex(0)
    found["filter_problem"] = change(lambda: photos.problem_filter.setCurrentIndex(1))
    photos.problem_filter.setCurrentIndex(0)
    until(lambda: data.wall.thumbs.waiting == 0)
    found["wheel"] = gaps.during(lambda: turned(wall, seconds))
    wall.verticalScrollBar().setValue(0)
    found["top_to_bottom"] = gaps.during(lambda: dragged(wall, seconds))
    found["waiting_at_the_end"] = wall.thumbs.waiting
    wall.verticalScrollBar().setValue(0)
    before = state.manifest
    wall.choose_rows(list(range(12)))
    found["move_12_photos"] = change(photos.to_test, lambda: state.manifest is not before)
    moved = state.manifest
    found["undo"] = change(window.commands.undo, lambda: state.manifest is not moved)
    found["select_all"] = change(wall.selectAll)
    return found


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20, help="to scroll from top to bottom in")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["DESKTOP_FT_HOME"] = str(Path(name) / "home")
        scanned = linked(Path(name), asked.photos)
        application = QApplication(sys.argv[:1])
        app.name_application(application)
        window = app.build_window(Faults(application))
        window.resize(1280, 720)
        window.show()
        found = measured(window, scanned, asked.seconds)
        window.close()
    print(json.dumps({"benchmark": "wall"} | found))


if __name__ == "__main__":
    main()
