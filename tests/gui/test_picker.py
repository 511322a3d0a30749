"""The ending of a file that is to be written."""

import pytest

from desktop_ft.gui.picker import with_ending


@pytest.mark.parametrize(
    ("chosen", "kinds", "file"),
    [
        ("model", "Models (*.onnx)", "model.onnx"),
        ("model.ONNX", "Models (*.onnx)", "model.ONNX"),
        ("curves.svg", "Curves (*.png *.svg)", "curves.svg"),
        ("curves.txt", "Curves (*.png *.svg)", "curves.png"),
        ("model", "Models (*.openvino.zip)", "model.openvino.zip"),
        ("model.zip", "Models (*.openvino.zip)", "model.openvino.zip"),
        ("model.openvino.zip", "Models (*.openvino.zip)", "model.openvino.zip"),
        ("", "Models (*.onnx)", ""),
    ],
)
def test_a_file_gets_the_ending_of_its_kind(chosen: str, kinds: str, file: str) -> None:
    assert with_ending(chosen, kinds) == file
