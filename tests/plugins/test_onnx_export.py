"""The ONNX exporter: one file that computes what the model does, and tells nothing of this machine."""

import getpass
import logging
import site
import socket
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from desktop_ft.api import Exporter, ExportJob, Interpolation, ResizeRule, UserError
from plugins import onnx_export
from tests.export.nets import trained

METADATA = {"zebra": "line\nline", "desktop_ft.classes": '["\\u00e9\\"", "猫", "<b>"]', "quote": "\"'=;\\"}


def exporter() -> Exporter:
    found: list[Exporter] = []
    onnx_export.register_exporters(found.append)
    assert [one.name for one in found] == ["onnx"]
    return found[0]


def export(model: nn.Module, path: Path, size: int = 32) -> Path:
    one, rule = exporter(), ResizeRule(crop=size, resize=size, interpolation=Interpolation.BILINEAR)
    one.write(ExportJob(model=model, rule=rule, metadata=METADATA, path=path))
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return export(trained(), tmp_path_factory.mktemp("export") / "tiny.onnx")


def answers(path: Path, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    probabilities, logits = session.run(["probabilities", "logits"], {"pictures": pictures})
    return probabilities, logits


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_any_batch_agrees_with_the_model(written, batch):
    pictures = torch.rand(batch, 3, 32, 32, generator=torch.Generator().manual_seed(batch))
    probabilities, logits = answers(written, pictures.numpy())
    with torch.no_grad():
        expected = trained()(pictures)
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(probabilities, expected.softmax(1).numpy(), atol=1e-6)


def test_the_ends_are_named_and_the_batch_axis_is_free(written):
    graph = onnx.load(written).graph
    assert [entry.name for entry in graph.input] == ["pictures"]
    assert [entry.name for entry in graph.output] == ["probabilities", "logits"]
    shape = [axis.dim_param or axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["batch", 3, 32, 32]
    for output in graph.output:
        assert [axis.dim_param or axis.dim_value for axis in output.type.tensor_type.shape.dim] == ["batch", 3]


def test_metadata_comes_back_as_it_was(written):
    assert {entry.key: entry.value for entry in onnx.load(written).metadata_props} == METADATA


def test_nothing_of_this_machine_is_in_the_file(written):
    content = written.read_bytes()
    places = [Path.home(), Path.cwd(), Path(__file__).parent, Path(torch.__file__).parent, *map(Path, site.getsitepackages())]
    people = [name for name in (getpass.getuser(), socket.gethostname()) if len(name) > 3]
    for told in [*map(str, places), *people, ".py", "stack_trace", "site-packages", "nets"]:
        assert told.encode() not in content, told


@pytest.mark.slow
def test_three_exports_leave_one_file_of_one_size(tmp_path):
    sizes = {export(trained(), tmp_path / "same.onnx").stat().st_size for _ in range(3)}
    assert len(sizes) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["same.onnx"]


def test_nothing_is_printed_logged_or_warned(tmp_path, capfd, caplog, recwarn):
    export(trained(), tmp_path / "quiet.onnx")
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.INFO]
    assert not recwarn.list


def test_a_network_that_onnx_cannot_express_is_told_in_a_sentence(tmp_path):
    class Odd(nn.Module):
        def forward(self, pictures):
            return pictures.mean((2, 3)) if pictures.sum().item() > 0 else pictures.amax((2, 3))

    with pytest.raises(UserError, match="could not be written as ONNX") as told:
        export(Odd().eval(), tmp_path / "odd.onnx")
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


class Windowed(nn.Module):
    """Attention inside each of four windows of a picture: five dimensions, as in Twins and Hiera."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(3, 3 * 2 * 4)
        self.head = nn.Linear(8, 3)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        tokens = pictures.unfold(2, 16, 16).unfold(3, 16, 16)[..., ::4, ::4].flatten(2, 3).flatten(3)  # N, 3, windows, pixels
        query, key, value = self.qkv(tokens.permute(0, 2, 3, 1)).unflatten(-1, (3, 2, 4)).permute(3, 0, 4, 1, 2, 5)
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        return self.head(seen.permute(0, 2, 3, 1, 4).flatten(3).mean((1, 2)))


class HeadsInTheBatch(Windowed):
    """Attention of three dimensions, with a mask of three: pictures and heads in one, as in SAM."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        tokens = pictures[..., ::8, ::8].flatten(2).mT  # N, pixels, 3
        query, key, value = self.qkv(tokens).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4).flatten(1, 2)
        mask = (query @ key.mT) / 7
        seen = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.head(seen.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2).mean(1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Windowed, HeadsInTheBatch])
def test_attention_of_other_than_four_dimensions_is_written(kind, tmp_path):
    torch.manual_seed(0)
    model, pictures = kind().eval(), torch.rand(5, 3, 32, 32)
    session = onnxruntime.InferenceSession(export(model, tmp_path / "windowed.onnx"))
    logits = session.run(["logits"], {"pictures": pictures.numpy()})[0]
    assert logits == pytest.approx(model(pictures).detach().numpy(), abs=1e-6)


def test_a_model_whose_weights_alone_are_too_large_for_one_file_is_told_before_it_is_translated(tmp_path, monkeypatch):
    monkeypatch.setattr("plugins.onnx_export.writer._LARGEST", 1000)
    monkeypatch.setattr("torch.onnx.export", lambda *args, **options: pytest.fail("it was translated"))
    with pytest.raises(UserError, match="too large for one ONNX file"):
        export(trained(), tmp_path / "large.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_model_too_large_for_one_file_is_told(tmp_path, monkeypatch):
    weights = sum(held.nbytes for held in trained().parameters())
    monkeypatch.setattr("plugins.onnx_export.writer._LARGEST", weights)
    with pytest.raises(UserError, match="too large for one ONNX file"):
        export(trained(), tmp_path / "large.onnx")
    assert not list(tmp_path.iterdir())


def test_a_model_that_no_single_file_holds_is_refused_at_once_and_told_what_to_do(tmp_path: Path) -> None:
    with torch.device("meta"):  # takes no memory
        large = nn.Linear(1 << 15, 1 << 15)
    with pytest.raises(UserError, match="too large for one ONNX file") as refused:
        export(large, tmp_path / "large.onnx")
    assert "torch_export" in refused.value.cure and not list(tmp_path.iterdir())


class _Bounded(nn.Module):
    """Bounds what has bounds already, for several layers, as Gemma's networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        for name, bound in (("low", -1.0), ("high", 0.6), ("lower", -2.0), ("higher", 0.9)):
            self.register_buffer(name, torch.tensor(bound))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        bounded = torch.clamp(pictures.mean((2, 3)) * 2, self.low, self.high)
        return sum(self.linear(torch.clamp(bounded, self.lower, self.higher) * share) for share in (1.0, 2.0, 3.0))


def test_bounds_in_a_row_for_several_layers_keep_their_values(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, pictures = _Bounded().eval(), torch.rand(3, 3, 32, 32)
    _, logits = answers(export(model, tmp_path / "bounded.onnx"), pictures.numpy())
    with torch.no_grad():
        np.testing.assert_allclose(logits, model(pictures).numpy(), atol=1e-5)
