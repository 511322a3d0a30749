"""The application's own window, without a screen, for faults that a person meets in it."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from desktop_ft import app
from desktop_ft.core.recipe import Recipe
from desktop_ft.gui.faults import Faults
from desktop_ft.gui.main_window import MainWindow

_LOOK_EVERY_S = 0.01


def pause(seconds: float) -> None:
    """Let the event loop run for a while."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Let the event loop run until `condition` holds."""
    latest = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < latest, "the window did not get there in time"
        pause(_LOOK_EVERY_S)


@contextmanager
def window() -> Iterator[MainWindow]:
    """One that is shown, and closed afterwards. What nobody foresaw in it fails, unless it was taken out of `faults.seen`."""
    application = QApplication.instance() or QApplication([])
    assert isinstance(application, QApplication)
    faults = Faults()
    faults.install()
    made = app.build_window(faults)
    made.show()
    try:
        yield made
        assert not faults.seen, faults.seen
    finally:
        made.session.training.cancel()
        until(lambda: not made.session.training.running)
        made.close()
        until(lambda: not made.session.worker.busy)
        made.deleteLater()
        faults.uninstall()
        faults.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def opened(made: MainWindow, recipe: Recipe) -> None:
    """Open the recipe and its pictures."""
    made.session.opening.open_recipe(recipe)
    until(lambda: made.session.state.manifest is not None and not made.session.opening.running)
