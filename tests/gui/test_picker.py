"""Where a file is to be written: its ending, and that nothing is replaced unasked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from desktop_ft.core.recipe import Recipe
from desktop_ft.gui import picker
from desktop_ft.gui.main_window import MainWindow
from desktop_ft.gui.picker import with_ending
from tests.gui.test_window import opened


@pytest.mark.parametrize(
    ("chosen", "kinds", "file"),
    [
        ("model", "Models (*.onnx)", "model.onnx"),
        ("model.ONNX", "Models (*.onnx)", "model.ONNX"),
        ("curves.svg", "Curves (*.png *.svg)", "curves.svg"),
        ("curves.txt", "Curves (*.png *.svg)", "curves.txt.png"),
        ("birds-v1.2", "Recipes (*.toml)", "birds-v1.2.toml"),
        ("cats vs. dogs", "Tables (*.csv)", "cats vs. dogs.csv"),
        ("model", "Models (*.openvino.zip)", "model.openvino.zip"),
        ("model.zip", "Models (*.openvino.zip)", "model.openvino.zip"),
        ("model.openvino.zip", "Models (*.openvino.zip)", "model.openvino.zip"),
        ("", "Models (*.onnx)", ""),
    ],
)
def test_a_file_gets_the_ending_of_its_kind(chosen: str, kinds: str, file: str) -> None:
    assert with_ending(chosen, kinds) == file


def test_what_was_typed_without_its_ending_replaces_nothing_unasked(
    window: MainWindow, photos: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(window, photos, qtbot)
    kept = tmp_path / "recipe.toml"
    kept.write_text("of last week")
    typed: Iterator[str]
    starts: list[str] = []

    def type_name(parent: object, title: str, start: str, kinds: str) -> tuple[str, str]:
        starts.append(start)
        name = next(typed)
        return (str(tmp_path / name) if name else "", kinds)

    def answer(text: str) -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox) and "recipe.toml" in box.text()
        QTest.mouseClick(next(way for way in box.buttons() if way.text() == text), Qt.MouseButton.LeftButton)

    monkeypatch.setattr(picker.QFileDialog, "getSaveFileName", type_name)
    typed = iter(("recipe", "birds-v1.2"))
    QTimer.singleShot(0, lambda: answer("Choose another name"))
    window.commands.save_recipe()
    assert kept.read_text() == "of last week" and starts[-1] == str(kept)
    assert Recipe.from_toml((tmp_path / "birds-v1.2.toml").read_text(), "") == window.session.state.recipe
    typed = iter(("recipe", ""))
    QTimer.singleShot(0, lambda: answer("Choose another name"))
    window.commands.save_recipe()
    assert kept.read_text() == "of last week", "the dialog was left without a file"
    typed = iter(("recipe",))
    QTimer.singleShot(0, lambda: answer("Replace"))
    window.commands.save_recipe()
    assert Recipe.from_toml(kept.read_text(), "") == window.session.state.recipe
