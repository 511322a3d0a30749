"""The composition root of the window: builds everything once and wires it; nothing else does."""

import atexit
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

from PySide6.QtCore import QTimer, QtMsgType, qInstallMessageHandler
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QApplication

from desktop_ft import __version__
from desktop_ft.gui import languages
from desktop_ft.gui.faults import Faults
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.session import session
from desktop_ft.gui.settings import Settings
from desktop_ft.gui.theme import Theme
from desktop_ft.gui.warm_up import WarmUp
from desktop_ft.plugin_manager import load_plugins

_SIGNALS_EVERY_MS = 250
_TURN_S = 0.0002
"""How long Python lets another thread work before the window's may go on; its own 5 ms add up.

Every call into Qt gives Python's lock away, and waits for it again: a curve that is painted takes hundreds of them."""


def run_window(given: Path | None = None) -> int:
    """Open the window, with `given` (a folder, .zip, recipe or run) opened in it; returns the exit code."""
    application = QApplication.instance() or QApplication(sys.argv[:1])
    if not isinstance(application, QApplication):
        raise TypeError("the window needs a QApplication")
    name_application(application)
    faults = Faults(application)
    faults.install()
    _log_what_libraries_say()
    languages.speak(application, Settings().language)
    window = build_window(faults)
    window.begin_with(given.absolute() if given is not None else None)
    window.show()
    warm_up = WarmUp(window.session.worker)
    QTimer.singleShot(300, warm_up.start)
    _quit_on_signals(application, window)
    try:
        code = application.exec()
    finally:
        faults.uninstall()
        qInstallMessageHandler(None)
        logging.captureWarnings(False)
    if window.left:
        _leave(code)  # a run that is saved may still wait to go on, or something hangs
    _leave_at_once(code)
    return code


def _log_what_libraries_say() -> None:
    """Python's warnings and Qt's messages go into the log of the window instead of a terminal that nobody looks at."""
    logging.captureWarnings(True)
    qInstallMessageHandler(_log_qt_message)


def _log_qt_message(kind: QtMsgType, context: object, text: str) -> None:
    levels = {QtMsgType.QtDebugMsg: logging.DEBUG, QtMsgType.QtInfoMsg: logging.INFO, QtMsgType.QtWarningMsg: logging.WARNING}
    logging.getLogger("Qt").log(levels.get(kind, logging.ERROR), "%s", text)


def _leave_at_once(code: int) -> None:
    """Let the process end as soon as Python comes to its end, instead of taking thousands of modules apart first.

    With torch and its exporter loaded that takes seconds in which a window that is closed already seems to hang. Nothing of
    ours waits for it: by now all background work has ended, every file was closed and the settings written.
    """
    atexit.register(_leave, code)


def _leave(code: int) -> None:
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def name_application(application: QApplication) -> None:
    """Name, desktop entry and a readable font."""
    application.setApplicationName("desktop-ft")
    application.setApplicationDisplayName("Desktop FT")
    application.setApplicationVersion(__version__)
    application.setDesktopFileName("io.github.desktop_ft.DesktopFT")
    font = QFont(application.font())
    if font.pointSizeF() < 10:
        font.setPointSizeF(10)
        application.setFont(font)


def build_window(faults: Faults) -> MainWindow:
    """A window with everything it needs, not shown yet."""
    settings = Settings()
    theme = Theme(settings.theme)
    theme.apply()
    window = MainWindow(session(load_plugins(), settings, theme, faults))
    theme.setParent(window)
    sys.setswitchinterval(_TURN_S)
    window.setWindowIcon(theme.icon("app"))
    return window


def _quit_on_signals(application: QApplication, window: MainWindow) -> None:
    """Ctrl-C in a terminal closes the window as its button does; a SIGTERM waits for nobody."""

    def close(number: int, frame: object) -> None:
        QTimer.singleShot(0, window.close if number == signal.SIGINT else window.leave)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, close)
    # Only a question: somebody else may still keep the session from ending.
    application.commitDataRequest.connect(window.save_all)
    # Python looks at signals only between its own instructions: wake it now and then.
    timer = QTimer(application)
    timer.setInterval(_SIGNALS_EVERY_MS)
    timer.timeout.connect(_do_nothing)
    timer.start()


def _do_nothing() -> None:
    return
