"""Files that are not exactly the model: smaller numbers, and pictures that the file itself resizes."""

import dataclasses
import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from desktop_ft.api import ExportJob, FileInput, FilePrecision
from desktop_ft.core.backbone import Interpolation, ResizeRule
from desktop_ft.core.errors import UserError
from desktop_ft.core.exporting import ExportSettings
from desktop_ft.core.values import to_json
from desktop_ft.data.decode import load, network_input
from desktop_ft.export import check_child
from desktop_ft.export.checking import FileAnswers, answers_of_file
from desktop_ft.export.metadata import RESIZE, build_metadata
from desktop_ft.export.onnx_model import OnnxModel
from desktop_ft.export.verify import Trial, export_and_verify
from tests.export.conftest import CLASSES, METADATA, RECIPE, RULE, SPEC
from tests.export.nets import trained


def job_of(out: Path, photos, rule: ResizeRule = RULE, model: torch.nn.Module | None = None, **kind) -> ExportJob:
    return ExportJob(
        model=model or trained(),
        rule=rule,
        metadata=build_metadata(RECIPE, CLASSES, rule, SPEC, settings=ExportSettings(**kind)),
        path=out,
        calibration=lambda: (network_input(path, rule) for path in photos),
        **kind,
    )


@pytest.fixture
def trial(photos, reference) -> Trial:
    """Photos that the trained model knows all of, two of three judged."""
    return Trial(
        paths=photos,
        reference=reference,
        labels=reference.argmax(1),
        judged=np.arange(len(photos)) % 3 > 0,
    )


class Pixels(torch.nn.Module):
    """Answers with what it sees: a class for every value of every pixel."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.flatten(1)


@pytest.mark.parametrize("interpolation", list(Interpolation))
def test_the_file_prepares_pictures_as_training_does(tmp_path, onnx_exporter, interpolation):
    """Values may be others by 1/255, of small pictures by 2/255: the two round their sums in another order."""
    rule = ResizeRule(crop=16, resize=20, interpolation=interpolation)
    names = tuple(f"{number}" for number in range(3 * 16 * 16))
    metadata = build_metadata(RECIPE, names, rule, SPEC, settings=ExportSettings(input=FileInput.PICTURE))
    out = tmp_path / "pixels.onnx"
    onnx_exporter.write(ExportJob(model=Pixels().eval(), rule=rule, metadata=metadata, path=out, input=FileInput.PICTURE))
    model, picture = OnnxModel(out), tmp_path / "picture.png"

    @settings(max_examples=40, deadline=None)
    @given(width=st.integers(1, 90), height=st.integers(1, 90), long=st.integers(1, 12))
    def compare(width: int, height: int, long: int) -> None:
        rng = np.random.default_rng((width, height, long))
        rough = rng.integers(0, 256, (max(1, height // 3), max(1, width * long // 3), 3), dtype=np.uint8)
        Image.fromarray(rough).resize((width * long, height), Image.Resampling.BILINEAR).save(picture)
        _, seen = model.run([load(picture)])
        expected = network_input(picture, rule).transpose(2, 0, 1).ravel().astype(float)
        apart = np.abs(np.round(seen[0] * 255) - expected)
        assert apart.max() <= (1 if min(width * long, height) >= 2 * rule.resize else 2), (width * long, height)

    compare()


@pytest.mark.parametrize("precision", [FilePrecision.FLOAT16, FilePrecision.INT8])
@pytest.mark.parametrize("taken", list(FileInput))
def test_smaller_files_are_kept_with_what_they_lose(tmp_path, onnx_exporter, photos, trial, precision, taken):
    report = export_and_verify(
        onnx_exporter,
        job_of(tmp_path / "model.onnx", photos, precision=precision, input=taken),
        trial,
        plugin="tested",
        largest_drop=20,
    )
    assert report.accepted
    assert report.settings == ExportSettings(precision=precision, input=taken, largest_drop=20)
    assert report.judged == int(trial.judged.sum())
    assert report.trained_accuracy == 1
    assert 0 < report.largest_difference < 0.2, "another arithmetic leaves its traces"
    assert len(report.changed) == report.changed_answers
    model = OnnxModel(tmp_path / "model.onnx")
    assert (model.metadata["desktop_ft.precision"], model.metadata["desktop_ft.input"]) == (precision, taken)
    said = [answer.predicted for answer in model.answer(photos)]
    changed = {changed.path: changed.exported for changed in report.changed}
    assert said == [changed.get(str(path), int(label)) for path, label in zip(photos, trial.labels, strict=True)]


def test_int8_is_a_fraction_of_the_size(tmp_path, onnx_exporter, photos):
    wide = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(192, 4096), torch.nn.ReLU())
    model = torch.nn.Sequential(wide, torch.nn.Linear(4096, 3)).eval()
    sizes = {}
    for precision in FilePrecision:
        out = tmp_path / f"{precision}.onnx"
        onnx_exporter.write(job_of(out, photos, model=model, precision=precision))
        sizes[precision] = out.stat().st_size
    assert sizes[FilePrecision.FLOAT16] < 0.55 * sizes[FilePrecision.FLOAT32]
    assert sizes[FilePrecision.INT8] < 0.32 * sizes[FilePrecision.FLOAT32]


def answering(predicted: np.ndarray, reference: np.ndarray):
    """Asks a file that gives these answers."""
    logits = reference.copy()
    for row, best in zip(logits, predicted, strict=True):
        row[[best, row.argmax()]] = row[[row.argmax(), best]]
    return lambda *given, **others: FileAnswers(logits=logits, predicted=predicted)


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_file_that_loses_more_than_is_allowed_is_refused_and_no_other(tmp_path, onnx_exporter, photos, trial, exported, wrong):
    """Of 12 judged photos one is 8.3 percentage points: allowed are 10."""
    judged = np.flatnonzero(trial.judged)
    predicted = trial.labels.copy()
    predicted[judged[:wrong]] = (predicted[judged[:wrong]] + 1) % 3
    predicted[~trial.judged] = (predicted[~trial.judged] + 1) % 3  # what was learned from says nothing
    copying = dataclasses.replace(onnx_exporter, write=lambda job: job.path.write_bytes(exported[0].read_bytes()))
    out = tmp_path / "model.onnx"

    def verify():
        job = job_of(out, photos, precision=FilePrecision.INT8)
        return export_and_verify(copying, job, trial, plugin="tested", largest_drop=10, ask=answering(predicted, trial.reference))

    if wrong == 2:
        with pytest.raises(
            UserError,
            match=r"of 12 validation photos it knows 83\.3%, the trained model 100\.0%; percentage points that may be lost: 10\.",
        ):
            verify()
        assert not list(tmp_path.iterdir())
        return
    report = verify()
    assert report.accuracy == pytest.approx(1 - wrong / 12)
    assert report.drop == pytest.approx(100 * wrong / 12)
    paths = {photos[number] for number in np.flatnonzero(predicted != trial.labels)}
    assert {Path(changed.path) for changed in report.changed} == paths


@pytest.mark.parametrize(("wrong", "said"), [(1, "1 answer changed"), (2, "2 answers changed")])
def test_without_photos_to_judge_it_by_a_smaller_file_may_change_no_answer(
    tmp_path, onnx_exporter, photos, trial, exported, wrong, said
):
    predicted = trial.labels.copy()
    predicted[:wrong] = (predicted[:wrong] + 1) % 3
    copying = dataclasses.replace(onnx_exporter, write=lambda job: job.path.write_bytes(exported[0].read_bytes()))
    unjudged = dataclasses.replace(trial, labels=None, judged=None)
    job = job_of(tmp_path / "m.onnx", photos, precision=FilePrecision.INT8)
    with pytest.raises(UserError, match="no validation photos") as caught:
        export_and_verify(copying, job, unjudged, plugin="tested", largest_drop=10, ask=answering(predicted, trial.reference))
    assert said in caught.value.what and "allowed" not in caught.value.what and "inf" not in caught.value.what


def test_what_is_told_of_answers_is_against_the_model_as_it_was_trained(tmp_path, onnx_exporter, photos, trial, exported):
    """A file that takes whole pictures sees each pixel, where training lets the decoder shrink a large photo first."""
    first = int(np.flatnonzero(trial.judged)[0])
    as_trained = trial.reference.copy()
    as_trained[first] = -as_trained[first]
    told = dataclasses.replace(trial, as_trained=as_trained)
    copying = dataclasses.replace(onnx_exporter, write=lambda job: job.path.write_bytes(exported[0].read_bytes()))
    job = job_of(tmp_path / "m.onnx", photos, input=FileInput.PICTURE)
    report = export_and_verify(copying, job, told, plugin="tested", ask=answering(trial.labels, trial.reference))
    assert report.accuracy == 1 and report.trained_accuracy == pytest.approx(11 / 12) and report.largest_difference == 0
    (changed,) = report.changed
    assert Path(changed.path) == photos[first] and report.changed_answers == 1
    labels = trial.labels.copy()
    labels[first] = as_trained[first].argmax()
    for lost in (dataclasses.replace(told, labels=labels), dataclasses.replace(told, labels=None, judged=None)):
        report = export_and_verify(copying, job, lost, plugin="tested", ask=answering(trial.labels, trial.reference))
        assert report.accepted and report.changed_answers == 1, "the file is not to blame for what the decoder makes of a photo"


def test_a_file_that_resizes_otherwise_is_refused_whatever_may_be_lost(tmp_path, onnx_exporter, photos, trial):
    """A crop that is off by a few pixels rarely changes an answer, and is a fault all the same."""

    def off(job: ExportJob) -> None:
        onnx_exporter.write(dataclasses.replace(job, rule=dataclasses.replace(job.rule, resize=job.rule.resize + 12)))

    moved = dataclasses.replace(onnx_exporter, write=off)
    with pytest.raises(UserError, match="does not answer like the trained model"):
        export_and_verify(
            moved, job_of(tmp_path / "m.onnx", photos, input=FileInput.PICTURE), trial, plugin="tested", largest_drop=20
        )


def test_no_photo_to_calibrate_on_is_told(tmp_path, onnx_exporter, photos, trial):
    job = dataclasses.replace(job_of(tmp_path / "m.onnx", photos, precision=FilePrecision.INT8), calibration=tuple)
    with pytest.raises(UserError, match="no training photo"):
        export_and_verify(onnx_exporter, job, trial, plugin="tested")
    assert not list(tmp_path.iterdir())


def test_latency_is_measured_by_batch_where_it_is_asked_for(exported, photos):
    found = answers_of_file(exported[0], photos[:2], {}, timed=True)
    assert [latency.batch for latency in found.latency] == [1, 8, 32]
    assert all(latency.milliseconds > 0 for latency in found.latency)
    assert answers_of_file(exported[0], photos[:2], {}).latency == ()


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [(0.001, {1: 301, 8: 39, 32: 11}), (0.1, {1: 6, 8: 4, 32: 1}), (1.0, {1: 4, 8: 1}), (4.0, {1: 1})],
)
def test_a_slow_file_is_asked_less_often_to_time_it(monkeypatch, photos, seconds, calls):
    """At that many seconds a picture, on a clock that only the file moves."""
    assert timed(monkeypatch, photos, calls, seconds=seconds) == pytest.approx({batch: 1000 * seconds * batch for batch in calls})


def test_batches_that_do_not_fit_are_not_timed_and_spoil_nothing(monkeypatch, photos):
    assert list(timed(monkeypatch, photos, {1: 6, 8: 4}, seconds=0.1, fits=8)) == [1, 8]
    assert list(timed(monkeypatch, photos, {1: 6, 8: 2}, seconds=0.1, calls_of_8=2)) == [1], "nor the second time"


def test_a_file_of_large_pictures_is_asked_about_few_at_a_time(monkeypatch, photos):
    large = METADATA | {RESIZE: to_json(dataclasses.replace(RULE, resize=896, crop=896)).decode()}
    assert list(timed(monkeypatch, photos, {1: 6}, seconds=0.1, metadata=large)) == [1]


def timed(monkeypatch, photos, calls, *, seconds, fits=32, calls_of_8=99, metadata=METADATA):
    """The latency in ms by batch of a file that takes so many seconds a picture; it was asked as often as `calls` say."""
    now, asked = 0.0, Counter()

    class Slow:
        def __init__(self):
            self.metadata = metadata

        def run(self, pictures):
            nonlocal now
            if len(pictures) > fits or asked[8] >= calls_of_8:
                raise UserError("It cannot be computed: no memory is left.", "Free some.")
            now += seconds * len(pictures)
            asked[len(pictures)] += 1
            same = np.zeros((len(pictures), len(CLASSES)), dtype=np.float32)
            return same + 1 / len(CLASSES), same

    monkeypatch.setattr(check_child.time, "perf_counter", lambda: now)
    told = io.StringIO()
    request = {"model": "slow.onnx", "paths": [str(photos[0])], "time": True}
    check_child.main(io.StringIO(json.dumps(request) + "\n"), told, lambda _: Slow(), require=lambda: None)
    asked[1] -= 1  # the photo's own answer
    assert asked == pytest.approx(calls, abs=1)  # of the last digit of the sums
    return dict(json.loads(told.getvalue().splitlines()[-1])["latency"])


def test_a_format_that_cannot_be_run_here_is_kept_and_marked(tmp_path, onnx_exporter, photos, trial):
    def never(*given, **others):
        raise AssertionError("asked a file that cannot be run")

    elsewhere = dataclasses.replace(onnx_exporter, unverified="It runs on the moon only.")
    report = export_and_verify(elsewhere, job_of(tmp_path / "m.onnx", photos), trial, plugin="tested", ask=never)
    assert (report.compared, report.accuracy, report.unverified) == (0, None, "It runs on the moon only.")
    assert (tmp_path / "m.onnx").is_file()


@pytest.mark.parametrize("damage", ["crop", "nonsense"])
def test_metadata_that_does_not_fit_the_graph_is_refused(tmp_path, exported, damage):
    import onnx

    proto = onnx.load(exported[0])
    taken = {"crop": "picture", "nonsense": json.dumps(["picture"])}[damage]
    for entry in proto.metadata_props:
        if entry.key == "desktop_ft.input":
            entry.value = taken
    (tmp_path / "changed.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(UserError, match="is damaged"):
        OnnxModel(tmp_path / "changed.onnx")


class Large(torch.nn.Module):
    """Between its layers values are larger than float16 can tell, and come back."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = trained()

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.inner((pictures + 1).mul(100_000).relu().div(100_000) - 1)


def test_float16_keeps_what_is_too_large_for_it_in_float32(tmp_path, onnx_exporter, photos):
    """ONNX Runtime computes float16 in float32 on a processor, where what overflows would not show: so ask onnx itself."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    out = tmp_path / "model.onnx"
    onnx_exporter.write(job_of(out, photos, model=Large().eval(), precision=FilePrecision.FLOAT16))
    pictures = np.stack([network_input(path, RULE) for path in photos[:2]]).transpose(0, 3, 1, 2).astype(np.float32) / 255
    probabilities, logits = ReferenceEvaluator(onnx.load(out)).run(["probabilities", "logits"], {"pictures": pictures})
    with torch.no_grad():
        expected = trained()(torch.from_numpy(pictures)).numpy()
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(logits, expected, atol=0.1 * np.abs(expected).max())


class ConvHead(torch.nn.Module):
    """As SqueezeNet: a convolution tells the classes apart, and the mean over the picture comes after."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.head = torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.Conv2d(8, 3, 1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.head(self.first(pictures).relu()).mean((2, 3))


@pytest.mark.parametrize("model", [trained(), ConvHead().eval()])
def test_the_last_layer_of_an_int8_file_stays_float32(tmp_path, onnx_exporter, photos, model):
    import onnx

    out = tmp_path / "model.onnx"
    onnx_exporter.write(job_of(out, photos, model=model, precision=FilePrecision.INT8))
    graph = onnx.load(out).graph
    makers = {name: node for node in graph.node for name in node.output}
    weights = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1}
    waiting, last = ["logits"], None
    while last is None:
        node = makers[waiting.pop(0)]
        assert "Quantize" not in node.op_type, "the answers were rounded to 8 bits"
        last = node if weights & set(node.input) else None
        waiting.extend(node.input)
    assert last.op_type in ("Gemm", "MatMul", "Conv")


def test_what_a_converter_cannot_do_is_one_sentence(tmp_path, onnx_exporter, photos, trial, monkeypatch):
    def fails(*given, **others):
        raise RuntimeError("no such node\nand more")

    monkeypatch.setattr("onnxruntime.quantization.quantize_static", fails)
    with pytest.raises(UserError, match="cannot be written in int8: no such node"):
        export_and_verify(
            onnx_exporter, job_of(tmp_path / "m.onnx", photos, precision=FilePrecision.INT8), trial, plugin="tested"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "suffix", "name"),
    [
        ({}, ".onnx", "model.onnx"),
        ({"precision": "int8", "input": "picture"}, ".onnx", "model-int8-picture.onnx"),
        ({"format": "openvino", "precision": "float16"}, ".openvino.zip", "model-float16.openvino.zip"),
        ({"format": "onnx-edge"}, ".onnx", "model-onnx-edge.onnx"),
    ],
)
def test_no_two_kinds_have_one_name(kind, suffix, name):
    assert ExportSettings(**kind).file_name(suffix) == name
