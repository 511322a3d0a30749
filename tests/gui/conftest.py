"""A window of its own for every test, and silence: stray Qt warnings and widgets left behind fail the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import QCoreApplication, QEvent, QtMsgType, QTranslator, qInstallMessageHandler
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop_ft import app
from desktop_ft.core import language
from desktop_ft.gui.faults import Faults
from desktop_ft.gui.main_window import MainWindow

_KNOWN = ("This plugin does not support", "QRhi* {anonymous}::ThreadLocalRhiHolder")  # of the offscreen platform


@pytest.fixture(autouse=True)
def no_stray_qt_warnings() -> Iterator[None]:
    """A Qt warning is a fault of ours."""
    said: list[str] = []

    def take(kind: QtMsgType, context: object, text: str) -> None:
        if kind in (QtMsgType.QtWarningMsg, QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg) and not text.startswith(_KNOWN):
            said.append(text)

    before = qInstallMessageHandler(take)
    yield
    qInstallMessageHandler(before)
    assert not said, f"Qt warned: {said}"


@pytest.fixture(autouse=True)
def no_widget_left_behind(qtbot: QtBot, no_stray_qt_warnings: None) -> Iterator[None]:
    """A top-level widget that outlives the test fails it."""
    before = set(QApplication.topLevelWidgets())
    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QCoreApplication.processEvents()
    left = [widget for widget in QApplication.topLevelWidgets() if widget not in before]
    assert not left, f"widgets left: {left}"


@pytest.fixture
def faults(qtbot: QtBot) -> Iterator[Faults]:
    """Where unforeseen exceptions go; a test that does not ask for it fails on them."""
    made = Faults()
    yield made
    made.deleteLater()


@pytest.fixture
def window(no_widget_left_behind: None, faults: Faults, qtbot: QtBot) -> Iterator[MainWindow]:
    """A whole window, shown."""
    made = app.build_window(faults)
    made.resize(1280, 720)
    made.show()
    qtbot.waitExposed(made)
    yield made
    if made.session.training.running:
        made.session.training.cancel()
        qtbot.waitUntil(lambda: not made.session.training.running, timeout=60_000)
    made.close()
    qtbot.waitUntil(lambda: not made.session.worker.busy)
    made.deleteLater()
    assert faults.seen == []


@pytest.fixture(autouse=True)
def system_trash(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what a test throws away lies, not among what the person at this machine has deleted."""
    share = tmp_path_factory.mktemp("share")
    monkeypatch.setenv("XDG_DATA_HOME", str(share))
    return share / "Trash"


@pytest.fixture
def english_again(qapp: QApplication) -> Iterator[None]:
    """Whatever language the test lets the window speak, afterwards it is English in the font there was."""
    font = qapp.font()
    yield
    language.use(None)
    qapp.setFont(font)
    for own in qapp.findChildren(QTranslator):
        qapp.removeTranslator(own)
        own.deleteLater()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of plain colours, 12 pictures each; one file is broken."""
    folder = tmp_path / "colours"
    for label, (name, red) in enumerate((("dark", 40), ("light", 200))):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            colour = (red, 10 * number, 90 * label)
            Image.new("RGB", (40, 40), colour).save(folder / name / f"{number:02}.png")
    (folder / "dark" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n not really")
    return folder
