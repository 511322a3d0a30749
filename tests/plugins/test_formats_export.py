"""The formats that ship and are off until turned on: each computes what the model does, and tells nothing of this machine."""

import getpass
import importlib
import io
import json
import logging
import pickletools
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from desktop_ft.api import Exporter, ExportJob, FilePrecision, Interpolation, ResizeRule, UserError
from desktop_ft.api.testing import Check, checks
from desktop_ft.plugin_manager import PluginRecord, PluginState, load_plugins, set_enabled
from tests.export.nets import trained

METADATA = {"zebra": "line\nline\r\t", "desktop_ft.classes": '["\\u00e9\\"", "猫", "<b>"]', "quote": "\"'=;\\&"}
NEEDS = {"torch_export": (), "openvino_export": ("openvino",), "ncnn_export": ("ncnn", "pnnx"), "coreml_export": ("coremltools",)}
RUN_HERE = [name for name in NEEDS if name != "coreml_export" or sys.platform == "darwin"]
SLOW = pytest.param("coreml_export", marks=pytest.mark.slow)
"""Its tools take seconds for every export."""
FORMATS = ["torch_export", "openvino_export", "ncnn_export", SLOW]


def exporter(name: str) -> Exporter:
    for package in NEEDS[name]:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    found: list[Exporter] = []
    importlib.import_module(f"plugins.{name}").register_exporters(found.append)
    (one,) = found
    return one


def export(one: Exporter, folder: Path, model: nn.Module | None = None, **more: object) -> Path:
    rule = ResizeRule(crop=32, resize=32, interpolation=Interpolation.BILINEAR)
    path = folder / f"tiny{one.suffix}"
    one.write(ExportJob(model=model or trained(), rule=rule, metadata=METADATA, path=path, **more))  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Exporter, Path]]:
    """The exporter of a plugin and a file of its, made once."""
    made: dict[str, tuple[Exporter, Path]] = {}

    def of(name: str) -> tuple[Exporter, Path]:
        one = exporter(name)
        if name not in made:
            made[name] = one, export(one, tmp_path_factory.mktemp(name))
        return made[name]

    return of


@pytest.mark.parametrize("name", RUN_HERE)
def test_any_batch_agrees_with_the_model_and_the_metadata_come_back(name, written):
    one, path = written(name)
    opened = one.open(path)
    assert opened.metadata == METADATA
    for count in (1, 2, 7):
        pixels = np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        probabilities, logits = opened.run(list(pixels))
        with torch.no_grad():
            expected = trained()(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
        np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)
        np.testing.assert_allclose(probabilities, expected.softmax(1).numpy(), atol=1e-6)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_of_this_machine_is_in_the_file(name, written):
    content = written(name)[1].read_bytes()  # what is in an archive is stored as it is
    places = [Path.home(), Path.cwd(), Path(__file__).parent, Path(torch.__file__).parent, Path(sys.prefix)]
    people = [person for person in (getpass.getuser(), socket.gethostname()) if len(person) > 4]
    for told in [*map(str, places), *people, "nets.py", "stack_trace", "site-packages"]:
        assert told.encode() not in content, told


@pytest.mark.parametrize("name", FORMATS)
def test_an_archive_is_stored_and_carries_no_time(name, written):
    with zipfile.ZipFile(written(name)[1]) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert len({entry.date_time for entry in archive.infolist()}) == 1
        assert archive.testzip() is None


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_printed_logged_or_warned_and_nothing_is_left(name, tmp_path, capfd, caplog, recwarn):
    path = export(exporter(name), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.INFO]
    assert not recwarn.list
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", FORMATS[1:])
def test_float16_takes_half(name, written, tmp_path):
    class Wide(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Conv2d(3, 256, 3), nn.Conv2d(256, 64, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3))

    one, model = exporter(name), Wide().eval()
    sizes = []
    for precision in (FilePrecision.FLOAT32, FilePrecision.FLOAT16):
        (folder := tmp_path / precision).mkdir()
        sizes.append(export(one, folder, model, precision=precision).stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]


class Odd(nn.Module):
    def forward(self, pictures):
        return pictures.mean((2, 3)) if pictures.sum().item() > 0 else pictures.amax((2, 3))


@pytest.mark.parametrize("name", ["torch_export", "openvino_export", SLOW])
def test_a_network_that_cannot_be_traced_is_told_in_a_sentence(name, tmp_path):
    with pytest.raises(UserError, match="could not be traced") as told:
        export(exporter(name), tmp_path, Odd().eval())
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


class Foreign(nn.Module):
    """Has an operation that the small runtimes lack."""

    def forward(self, pictures):
        return torch.fft.fft2(pictures).abs().mean((2, 3))


@pytest.mark.parametrize("name", ["ncnn_export", SLOW])
def test_an_operation_that_a_format_lacks_is_told_in_a_sentence(name, tmp_path):
    with pytest.raises(UserError, match="could not be written for") as told:
        export(exporter(name), tmp_path, Foreign().eval())
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def record(name: str) -> PluginRecord:
    return next(record for record in load_plugins().records if record.name == name)


@pytest.mark.parametrize(("name", "package"), [(name, package) for name, needs in NEEDS.items() for package in needs])
def test_a_package_that_is_missing_is_told(name, package, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda asked: None if asked == package else found(asked))
    command = f"pip install 'desktop-ft[{name.removesuffix('_export')}]'"
    off = record(name)
    assert off.state is PluginState.DISABLED and command in off.told, "before it is turned on"
    set_enabled(name, on=True)
    turned = record(name)
    assert turned.state is PluginState.FAILED and package in turned.reason and command in turned.cure


def test_they_are_off_until_turned_on():
    records = {record.name: record.state for record in load_plugins().records}
    assert {records[name] for name in NEEDS} == {PluginState.DISABLED}
    set_enabled("torch_export", on=True)
    assert "torch" in load_plugins().exporters


def test_no_pickle_is_in_a_pytorch_program_and_the_same_model_gives_the_same_bytes(written, tmp_path):
    one, path = written("torch_export")
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert not zipfile.is_zipfile(io.BytesIO(content)), f"{name} is what torch.save writes"
            with pytest.raises(ValueError):
                list(pickletools.genops(content))
    assert export(one, tmp_path).read_bytes() == path.read_bytes()


def test_openvino_tells_its_makers_nothing(tmp_path):
    exporter("openvino_export")
    (tmp_path / "openvino_telemetry").mkdir()
    (tmp_path / "openvino_telemetry" / "__init__.py").write_text("raise SystemExit('it would tell')\n")
    path = [str(tmp_path), *filter(None, sys.path)]
    code = f"import sys; sys.path[:] = {path!r}; import plugins.openvino_export.ir"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow
def test_core_ml_names_the_ends_and_is_marked_where_it_cannot_run(written):
    one, path = written("coreml_export")
    import coremltools

    assert bool(one.unverified) is (sys.platform != "darwin")
    with zipfile.ZipFile(path) as archive:
        spec = coremltools.proto.Model_pb2.Model()
        spec.ParseFromString(archive.read("model.mlpackage/Data/com.apple.CoreML/model.mlmodel"))
    assert [entry.name for entry in spec.description.input] == ["pictures"]
    assert [entry.name for entry in spec.description.output] == ["probabilities", "logits"]
    assert json.loads(spec.description.metadata.userDefined["desktop_ft"]) == METADATA


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NEEDS))
def test_conforms(name, tmp_path):
    exporter(name)
    told = [check.run(_folder(tmp_path, check)) for check in checks(importlib.import_module(f"plugins.{name}"))]
    assert bool(list(filter(None, told))) is (name not in RUN_HERE)


def _folder(tmp_path: Path, check: Check) -> Path:
    (folder := tmp_path / check.name.replace(" ", "_")).mkdir()
    return folder
