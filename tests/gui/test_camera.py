"""A model answers while a camera looks. What a camera would send is sent by hand, through Qt's own way for frames."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtMultimedia import QVideoFrame, QVideoFrameInput
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from desktop_ft import jobs
from desktop_ft.gui import words
from desktop_ft.gui.camera import Camera
from desktop_ft.gui.camera_dialog import CameraDialog
from desktop_ft.gui.main_window import MainWindow
from tests.gui.test_exported_model_dialog import dropped
from tests.reliability import hostile_onnx

COLOURS = {"red": (220, 30, 20), "green": (10, 200, 40), "blue": (20, 40, 230)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(hostile_onnx.sound().SerializeToString())
    return path


def camera_of(window: MainWindow, file: Path, qtbot: QtBot) -> CameraDialog:
    """The camera's window of a file that was dropped, opened as a person does."""
    exported = dropped(window, file, qtbot)
    exported.tabs.setCurrentWidget(exported.trying)
    qtbot.mouseClick(exported.trying.ask_camera, Qt.MouseButton.LeftButton)
    dialog = exported.findChild(CameraDialog)
    assert dialog is not None
    return dialog


def hold_up(dialog: CameraDialog, source: QVideoFrameInput, picture: Path, qtbot: QtBot) -> str:
    """What is answered while the camera sees `picture`."""
    dialog.answer.setText("")

    def answered() -> bool:
        source.sendVideoFrame(QVideoFrame(QImage(str(picture)).convertToFormat(QImage.Format.Format_RGBA8888)))
        return bool(dialog.answer.text())

    qtbot.waitUntil(answered, timeout=20_000)
    return dialog.answer.text()


def test_it_answers_as_it_does_for_the_same_photo_in_a_file(window: MainWindow, file: Path, tmp_path: Path, qtbot: QtBot) -> None:
    dialog = camera_of(window, file, qtbot)
    assert "Connect a camera" in dialog.sight.instead and not dialog.choice.isEnabled()
    qtbot.waitUntil(lambda: not dialog.answer.text(), timeout=20_000)
    source = QVideoFrameInput()
    dialog.camera.capture.setVideoFrameInput(source)
    told = set()
    for name, colour in COLOURS.items():
        picture = tmp_path / f"{name}.png"
        Image.new("RGB", (64, 48), colour).save(picture)
        said = hold_up(dialog, source, picture, qtbot)
        (expected,) = jobs.predicting.predict(file, [picture])
        assert expected.label in said and words.percent(expected.confidence) in said
        told.add(said)
    assert len(told) > 1
    close = next(button for button in dialog.findChildren(QPushButton) if button.text() == "Close")
    qtbot.mouseClick(close, Qt.MouseButton.LeftButton)
    dialog.parentWidget().close()


def test_a_file_that_is_gone_is_told(window: MainWindow, file: Path, qtbot: QtBot) -> None:
    exported = dropped(window, file, qtbot)
    file.unlink()
    exported.tabs.setCurrentWidget(exported.trying)
    qtbot.mouseClick(exported.trying.ask_camera, Qt.MouseButton.LeftButton)
    dialog = exported.findChild(CameraDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: bool(dialog.notice.text), timeout=20_000)
    assert "small.onnx" in dialog.notice.text and not dialog.answer.text()
    dialog.close()
    exported.close()


def test_without_the_package_a_sentence_says_which(
    window: MainWindow, file: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PySide6.QtMultimedia", None)
    monkeypatch.delattr("PySide6.QtMultimedia")
    exported = dropped(window, file, qtbot)
    exported.tabs.setCurrentWidget(exported.trying)
    qtbot.mouseClick(exported.trying.ask_camera, Qt.MouseButton.LeftButton)
    assert "desktop-ft[camera]" in exported.trying.notice.text
    assert exported.findChild(CameraDialog) is None
    exported.close()


def test_the_window_does_not_load_it_before() -> None:
    code = "import sys, desktop_ft.app, desktop_ft.gui.trying; sys.exit('PySide6.QtMultimedia' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_who_chose_a_camera_stays_with_it_when_another_comes(
    window: MainWindow, file: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, started = {b"one": "One", b"two": "Two"}, list[bytes]()
    # This machine may have no camera: what the system tells of those there are is all that is put on.
    monkeypatch.setattr(Camera, "names", property(lambda camera: {bytes(bytearray(key)): name for key, name in there.items()}))
    monkeypatch.setattr(Camera, "start", lambda camera, identity: started.append(bytes(identity)))
    dialog = camera_of(window, file, qtbot)
    qtbot.waitUntil(lambda: not dialog.answer.text(), timeout=20_000)
    dialog.choice.setCurrentIndex(1)
    dialog.choice.activated.emit(1)
    there[b"three"] = "Three"
    dialog.camera.changed.emit()
    assert dialog.choice.currentText() == "Two" and started == [b"one", b"two"]
    del there[b"two"]
    dialog.camera.changed.emit()
    assert dialog.choice.currentText() == "One" and started == [b"one", b"two", b"one"]
    dialog.parentWidget().close()
