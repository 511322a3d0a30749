"""An exported file, opened without torch."""

import json
import subprocess
import sys
import tomllib

import numpy as np
import onnx
import pytest
from onnx import external_data_helper

from desktop_ft.core.errors import UserError
from desktop_ft.core.recipe import Recipe
from desktop_ft.export import metadata
from desktop_ft.export.onnx_model import OnnxModel
from tests.export.conftest import CLASSES, RECIPE, RULE


@pytest.fixture(scope="module")
def model(exported):
    return OnnxModel(exported[0])


def changed(exported, tmp_path, change):
    proto = onnx.load(exported[0])
    change(proto)
    out = tmp_path / "changed.onnx"
    onnx.save(proto, out)
    return out


def test_tells_classes_rule_and_recipe_as_they_were(model):
    assert model.classes == CLASSES
    assert model.rule == RULE
    recipe = Recipe.from_toml(model.metadata[metadata.RECIPE], "the file")
    assert recipe.digest() == RECIPE.digest() == model.metadata[metadata.RECIPE_SHA256]
    assert tomllib.loads(model.metadata[metadata.RECIPE])["dataset"]["folder"] == "my photos"
    assert model.metadata[metadata.BACKBONE] == "tiny"
    assert model.metadata[metadata.WEIGHTS_LICENCE] == "CC0-1.0"


@pytest.mark.parametrize("batch", [1, 2, 7, 16])
def test_answers_like_the_model_in_any_batch(model, photos, reference, batch):
    answers = list(model.answer(photos, batch))
    assert [answer.path for answer in answers] == photos
    np.testing.assert_allclose([answer.logits for answer in answers], reference, atol=1e-4)
    assert [answer.predicted for answer in answers] == reference.argmax(1).tolist()
    for answer in answers:
        assert sum(answer.probabilities) == pytest.approx(1, abs=1e-5)
        assert answer.confidence == max(answer.probabilities)
        assert not answer.problem


def test_a_picture_that_cannot_be_read_is_an_answer_with_a_problem(model, photos, tmp_path):
    broken, empty, missing = tmp_path / "broken.jpg", tmp_path / "empty.png", tmp_path / "missing.png"
    broken.write_bytes(photos[0].read_bytes()[:200])
    empty.touch()
    asked = [broken, photos[0], empty, tmp_path, photos[1], missing]
    answers = list(model.answer(asked, batch=4))
    assert [answer.path for answer in answers] == asked
    assert [bool(answer.problem) for answer in answers] == [True, False, True, True, False, True]
    assert all(answer.predicted == -1 and not answer.probabilities for answer in answers if answer.problem)
    assert answers[1].predicted == next(iter(model.answer([photos[0]]))).predicted
    assert list(model.answer([broken])) == answers[:1]
    assert list(model.answer([])) == []


def test_needs_no_torch(exported, photos):
    code = f"""
import sys
from pathlib import Path
from desktop_ft.export.onnx_model import OnnxModel
answers = list(OnnxModel(Path({str(exported[0])!r})).answer([Path({str(photos[0])!r})]))
sys.exit("torch" in sys.modules or bool(answers[0].problem))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_file_a_folder_and_other_content_are_told(tmp_path, exported):
    with pytest.raises(UserError, match="There is no file"):
        OnnxModel(tmp_path / "none.onnx")
    with pytest.raises(UserError, match="is not a file"):
        OnnxModel(tmp_path)
    whole = exported[0].read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2], b"\xff" * 4000, b"PK\x03\x04" + whole):
        (tmp_path / "odd.onnx").write_bytes(content)
        with pytest.raises(UserError, match=r"odd\.onnx"):
            OnnxModel(tmp_path / "odd.onnx")


def test_a_file_of_somebody_else_is_told(exported, tmp_path):
    with pytest.raises(UserError, match="was not exported by Desktop FT"):
        OnnxModel(changed(exported, tmp_path, lambda proto: proto.ClearField("metadata_props")))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (metadata.CLASSES, "["),
        (metadata.CLASSES, "[]"),
        (metadata.CLASSES, "[1, 2, 3]"),
        (metadata.CLASSES, json.dumps(["a", "b"])),
        (metadata.THRESHOLD, "sure"),
        (metadata.THRESHOLD, "1.5"),
        (metadata.THRESHOLD, "nan"),
        (metadata.RESIZE, "{}"),
        (metadata.RESIZE, '{"crop": 64, "resize": 64, "interpolation": "bilinear"}'),
        (metadata.RESIZE, '{"crop": 32, "resize": 1000000000, "interpolation": "bilinear"}'),
        (metadata.RESIZE, '{"crop": 32, "resize": 9000, "interpolation": "bilinear"}'),
        (metadata.RESIZE, '{"crop": -1, "resize": 32, "interpolation": "bilinear"}'),
    ],
)
def test_damaged_metadata_is_told(exported, tmp_path, key, value):
    def damage(proto):
        onnx.helper.set_model_props(proto, {entry.key: entry.value for entry in proto.metadata_props} | {key: value})

    with pytest.raises(UserError, match=r"changed\.onnx"):
        OnnxModel(changed(exported, tmp_path, damage))


def test_a_file_too_large_to_be_one_is_not_read(tmp_path):
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match=r"huge\.onnx is larger"):
        OnnxModel(tmp_path / "huge.onnx")


def test_a_graph_that_cannot_be_computed_is_told_in_one_line(exported, tmp_path, photos, capfd):
    def swell(proto):
        proto.graph.initializer.append(onnx.helper.make_tensor("sides", onnx.TensorProto.INT64, [1], [1 << 50]))
        proto.graph.node.append(onnx.helper.make_node("ConstantOfShape", ["sides"], ["swollen"]))
        proto.graph.node.append(onnx.helper.make_node("ReduceSum", ["swollen"], ["sum"]))
        proto.graph.output.append(onnx.helper.make_tensor_value_info("sum", onnx.TensorProto.FLOAT, None))

    model = OnnxModel(changed(exported, tmp_path, swell))
    with pytest.raises(UserError, match=r"changed\.onnx cannot be computed"):
        list(model.answer(photos[:1]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("operation", ["If", "Loop", "Scan", "SequenceMap", "BeamSearch"])
@pytest.mark.parametrize("several", [False, True])
def test_what_computes_more_or_less_by_the_picture_is_not_opened(exported, tmp_path, operation, several):
    def branch(proto):
        inner = onnx.helper.make_graph([], "inner", [], [])
        proto.graph.node.append(onnx.helper.make_node(operation, [], ["x"], body=[inner] if several else inner))

    with pytest.raises(UserError, match=r"changed\.onnx holds functions, loops or branches"):
        OnnxModel(changed(exported, tmp_path, branch))


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "/etc/passwd"])
def test_nothing_outside_the_file_is_read(exported, tmp_path, location, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(1 << 16))

    def point_outside(proto):
        tensor = proto.graph.initializer[0]
        external_data_helper.set_external_data(tensor, location)
        tensor.ClearField("raw_data")

    proto = onnx.load(exported[0])
    point_outside(proto)
    (tmp_path / "changed.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(UserError, match="second file"):
        OnnxModel(tmp_path / "changed.onnx")


def test_pixels_are_scaled_and_turned_as_the_network_expects(model, photos):
    from desktop_ft.data.decode import network_input

    pixels = np.stack([network_input(path, model.rule) for path in photos[:3]])
    probabilities, logits = model.run(pixels)
    assert probabilities.shape == logits.shape == (3, 3)
    answers = list(model.answer(photos[:3]))
    np.testing.assert_allclose(logits, [answer.logits for answer in answers], atol=1e-5)
