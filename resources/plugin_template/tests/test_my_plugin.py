"""What is particular to this plugin, and one line for all that Desktop FT asks of any."""

import random
from pathlib import Path

import my_plugin
import onnxruntime
import torch
from my_plugin.shadow import Shadow
from my_plugin.writer import ANSWER, INPUT, write
from torch import nn

from desktop_ft.api import ExportJob, Interpolation, ResizeRule
from desktop_ft.api.testing import conformance_tests

test_conforms = conformance_tests(my_plugin)


def test_a_black_shadow_of_half_the_width_hides_half_the_picture() -> None:
    white = torch.full((3, 20, 40), 255, dtype=torch.uint8)
    shaded = Shadow(probability=1, width=0.5, darkness=1)(white, random.Random(0), 20)
    assert int((shaded == 0).sum()) == white.numel() // 2


def test_a_shadow_that_never_happens_changes_nothing() -> None:
    white = torch.full((3, 20, 40), 255, dtype=torch.uint8)
    assert torch.equal(Shadow(probability=0, width=0.5, darkness=1)(white, random.Random(0), 20), white)


def test_the_file_answers_by_name(tmp_path: Path) -> None:
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()  # as many classes as channels: red, green, blue
    path, rule = tmp_path / "model.onnx", ResizeRule(crop=8, resize=8, interpolation=Interpolation.BILINEAR)
    write(ExportJob(model=model, rule=rule, metadata={"desktop_ft.classes": '["red", "green", "blue"]'}, path=path))
    green = torch.zeros(1, 3, 8, 8)
    green[:, 1] = 1
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.run([ANSWER], {INPUT: green.numpy()})[0].tolist() == ["green"]
