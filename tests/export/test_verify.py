"""Only a file that was proven to answer like the model gets its place."""

import dataclasses
import errno
import json
import os
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from desktop_ft.api import ExportJob
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.export import checking
from desktop_ft.export.checking import FileAnswers
from desktop_ft.export.onnx_model import OnnxModel
from desktop_ft.export.verify import Trial, check_writable, export_and_verify
from tests.export.conftest import METADATA, RULE, logits
from tests.export.nets import trained
from tests.runs.test_atomic import small_disk  # noqa: F401 (a fixture)

OLD = b"what was exported before"


def verify(exporter, out, model, reference, photos, **others):
    return export_and_verify(
        exporter,
        ExportJob(model=model, rule=RULE, metadata=METADATA, path=out),
        Trial(paths=photos, reference=reference),
        plugin="tested",
        **others,
    )


def copying(exporter, source: Path):
    """An exporter that writes what `source` holds: fast, where what is written is not what the test is about."""
    return dataclasses.replace(exporter, write=lambda job: job.path.write_bytes(source.read_bytes()))


@pytest.fixture
def quick(onnx_exporter, exported):
    return copying(onnx_exporter, exported[0])


def test_a_true_file_is_accepted_with_its_figures(exported, photos, reference):
    out, report = exported
    assert report.accepted
    assert report.compared == len(photos)
    assert 0 <= report.largest_difference < 1e-5
    assert report.changed_answers == 0
    assert report.bytes == out.stat().st_size
    assert report.worst_path in map(str, photos)
    assert [path.name for path in out.parent.iterdir()] == ["model.onnx"]
    assert len(set(reference.argmax(1))) > 1, "a model that always says the same would prove little"


class BatchStatistics(torch.nn.BatchNorm2d):
    """BatchNorm that was left in training mode, whatever the exporter does about modes."""

    def forward(self, values):
        return torch.nn.functional.batch_norm(values, None, None, self.weight, self.bias, training=True)


class Dropping(torch.nn.Dropout):
    """Dropout that was left in training mode, spelt out, since the exporter leaves out the operation of that name."""

    def forward(self, values):
        return values * (torch.rand_like(values) > 0.5) * 2


@pytest.mark.parametrize(("part", "left"), [("norm", BatchStatistics(8)), ("drop", Dropping())])
def test_a_model_exported_in_training_mode_is_refused_and_the_old_file_stays(tmp_path, onnx_exporter, photos, part, left):
    model = trained()
    honest = logits(model, photos)
    out = tmp_path / "model.onnx"
    out.write_bytes(OLD)
    setattr(model, part, left)
    with pytest.raises(UserError, match="does not answer like the trained model") as told:
        verify(onnx_exporter, out, model, honest, photos)
    assert any(str(photo) in told.value.what for photo in photos)
    assert f"{len(photos)} photos" in told.value.what
    assert out.read_bytes() == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_the_worst_photo_is_the_one_named(tmp_path, quick, photos, reference):
    planted = reference.copy()
    planted[7, 0] += 0.002 * np.abs(reference).max()
    with pytest.raises(UserError, match=photos[7].name) as told:
        verify(quick, tmp_path / "model.onnx", trained(), planted, photos)
    assert "2.0e-03" in told.value.what
    assert not list(tmp_path.iterdir())


def test_a_changed_answer_is_refused_however_small_the_difference(tmp_path, quick, photos, reference):
    # One logit of another photo is so large (in the file too) that the two best of photo 3 change places far below the limit.
    answered = reference.copy()
    answered[0, 0] = 1e6
    planted = answered.copy()
    best, second = np.argsort(planted[3])[-1], np.argsort(planted[3])[-2]
    planted[3, second] = planted[3, best] + 0.1
    ask = lambda *given, **others: FileAnswers(logits=answered, predicted=answered.argmax(1))  # noqa: E731
    with pytest.raises(UserError, match="1 answer changed") as told:
        verify(quick, tmp_path / "model.onnx", trained(), planted, photos, ask=ask)
    assert photos[3].name in told.value.what
    difference = float(re.search(r"by up to (\S+) ", told.value.what)[1])
    assert 0 < difference < 1e-4


def test_not_a_number_is_never_equal(tmp_path, quick, photos, reference):
    planted = reference.copy()
    planted[2, 1] = np.nan
    with pytest.raises(UserError, match=photos[2].name):
        verify(quick, tmp_path / "model.onnx", trained(), planted, photos)


def test_other_classes_than_the_models_are_refused(tmp_path, quick, photos, reference):
    with pytest.raises(UserError, match="gives 3 answers a photo, and the trained model 2"):
        verify(quick, tmp_path / "model.onnx", trained(), reference[:, :2], photos)


def test_a_file_that_says_something_else_of_itself_is_refused(tmp_path, onnx_exporter, photos, reference):
    """The same answers under other names would make a dog of every cat."""

    def renamed(job):
        classes = json.dumps(json.loads(job.metadata["desktop_ft.classes"])[::-1])
        onnx_exporter.write(dataclasses.replace(job, metadata={**job.metadata, "desktop_ft.classes": classes}))

    liar = dataclasses.replace(onnx_exporter, write=renamed)
    with pytest.raises(UserError, match=r"its desktop_ft\.classes is another one"):
        verify(liar, tmp_path / "model.onnx", trained(), reference, photos)
    assert not list(tmp_path.iterdir())


def test_a_file_that_does_not_load_is_refused(tmp_path, onnx_exporter, photos, reference):
    broken = dataclasses.replace(onnx_exporter, write=lambda job: job.path.write_bytes(b"not a model"))
    with pytest.raises(UserError, match="cannot be used"):
        verify(broken, tmp_path / "model.onnx", trained(), reference, photos)
    assert not list(tmp_path.iterdir())


def test_a_photo_that_is_gone_is_named(tmp_path, quick, photos, reference):
    paths = [*photos[:-1], photos[-1].with_name("gone.png")]
    with pytest.raises(UserError, match=r"gone\.png"):
        verify(quick, tmp_path / "model.onnx", trained(), reference, paths)


def test_no_photo_no_proof(tmp_path, quick, reference):
    with pytest.raises(UserError, match="no photo to compare"):
        verify(quick, tmp_path / "model.onnx", trained(), reference[:0], [])


def test_progress_counts_the_photos(tmp_path, quick, photos, reference):
    told = []
    verify(quick, tmp_path / "new folder" / "model.onnx", trained(), reference, photos, progress=lambda *at: told.append(at))
    (written, _, _), *compared = told
    assert written.startswith("Writing the file")
    assert compared == [(compared[0][0], done, len(photos)) for done in range(len(photos) + 1)]
    assert OnnxModel(tmp_path / "new folder" / "model.onnx").classes


@pytest.mark.parametrize("when", ["before", "while comparing"])
def test_cancel_leaves_nothing_behind(tmp_path, quick, photos, reference, when):
    out, cancel = tmp_path / "model.onnx", threading.Event()
    out.write_bytes(OLD)
    if when == "before":
        cancel.set()
    with pytest.raises(Cancelled):
        verify(quick, out, trained(), reference, photos, progress=lambda what, done, total: done and cancel.set(), cancel=cancel)
    assert out.read_bytes() == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("export-check")]


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "permission denied")])
def test_a_disk_that_does_not_take_it_is_told(tmp_path, onnx_exporter, photos, reference, number, words):
    def fail(job):
        job.path.write_bytes(b"half")
        raise OSError(number, os.strerror(number))

    out = tmp_path / "model.onnx"
    out.write_bytes(OLD)
    with pytest.raises(UserError, match=words):
        verify(dataclasses.replace(onnx_exporter, write=fail), out, trained(), reference, photos)
    assert out.read_bytes() == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("of its own"), SystemExit("of its own"), MemoryError("of its own")], ids=repr
)
def test_an_exporter_that_raises_is_named_with_its_plugin(tmp_path, onnx_exporter, photos, reference, error):
    def fail(job):
        job.path.write_bytes(b"half")
        raise error

    out = tmp_path / "model.onnx"
    out.write_bytes(OLD)
    words = f"The format onnx of the plugin tested failed: {type(error).__name__}: of its own\\. Export with another"
    with pytest.raises(UserError, match=words) as told:
        verify(dataclasses.replace(onnx_exporter, write=fail), out, trained(), reference, photos)
    assert told.value.__cause__ is error and out.read_bytes() == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: [path.write_bytes(b"x"), path.with_name("weights.data").touch()], "more than its file: weights\\.data"),
        (lambda path: [path.mkdir(), (path / "part").touch()], "no file"),
        (lambda path: path.unlink(missing_ok=True), "no file"),
    ],
    ids=["two files", "a folder", "nothing"],
)
def test_an_exporter_that_writes_other_than_one_file_is_named_and_leaves_nothing(
    tmp_path, onnx_exporter, photos, reference, write, words
):
    out = tmp_path / "model.onnx"
    out.write_bytes(OLD)
    exporter = dataclasses.replace(onnx_exporter, write=lambda job: write(job.path))
    with pytest.raises(UserError, match=f"The format onnx of the plugin tested failed: it wrote {words}\\. Export with"):
        verify(exporter, out, trained(), reference, photos)
    assert out.read_bytes() == OLD and [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_what_a_killed_export_left_goes_a_day_later(tmp_path, onnx_exporter, photos, reference):
    def killed(job):
        job.path.write_bytes(b"half")
        shutil.copytree(job.path.parent, tmp_path / "copy")
        names.append(job.path.parent.name)
        raise KeyboardInterrupt

    names, out = [], tmp_path / "model.onnx"
    with pytest.raises(KeyboardInterrupt):
        verify(dataclasses.replace(onnx_exporter, write=killed), out, trained(), reference, photos)
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    there = (tmp_path / "copy").rename(tmp_path / names[0])
    check_writable(out)
    assert list(there.iterdir()), "it may still be at work"
    os.utime(there, (0, 0))
    check_writable(out)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_take_a_file_are_told_before_the_work(tmp_path, quick, photos, reference):
    def never(job):
        raise AssertionError("worked for nothing")

    exporter = dataclasses.replace(quick, write=never)
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe.onnx")
    for out, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "pipe.onnx", "is not a file"),
        (tmp_path / "file" / "model.onnx", "model|file"),
        (Path("/proc/model.onnx"), "cannot be"),
    ):
        with pytest.raises(UserError, match=words):
            verify(exporter, out, trained(), reference, photos)


def test_the_checking_process_has_no_torch_and_says_so_when_it_has(tmp_path, exported, photos, monkeypatch):
    """A stand-in for whatever might bring torch in: the child must fail, not pass in silence."""
    (tmp_path / "sitecustomize.py").write_text("import sys, types\nsys.modules['torch'] = types.ModuleType('torch')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UserError, match="torch was imported"):
        checking.answers_of_file(exported[0], photos[:1], METADATA)


def test_a_checking_process_that_dies_is_told(exported, photos, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UserError, match=r"ended too early.*code -9"):
        checking.answers_of_file(exported[0], photos, METADATA)


def test_an_untrained_head_of_zeros_must_be_met_exactly(tmp_path, onnx_exporter, photos):
    model = trained()
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.zero_()
    report = verify(onnx_exporter, tmp_path / "model.onnx", model, logits(model, photos), photos)
    assert report.largest_difference == 0


@pytest.fixture
def quick_unverified(onnx_exporter):
    """Writes as many bytes as it is told, which nobody compares."""

    def of(size: int):
        return dataclasses.replace(onnx_exporter, write=lambda job: job.path.write_bytes(b"x" * size), unverified="Nobody can.")

    return of


def test_a_disk_with_room_for_the_file_is_enough(small_disk, quick_unverified, photos, reference):  # noqa: F811 (a fixture)
    report = verify(quick_unverified(700_000), small_disk / "model.onnx", trained(), reference, photos)
    assert report.bytes == 700_000 and [path.name for path in small_disk.iterdir()] == ["model.onnx"]


def test_what_a_full_disk_has_free_is_told_without_what_was_half_written(
    small_disk,  # noqa: F811 (a fixture)
    quick_unverified,
    photos,
    reference,
):
    with pytest.raises(UserError, match=r"and 1\.0 MB are free"):
        verify(quick_unverified(1_200_000), small_disk / "model.onnx", trained(), reference, photos)
    assert not list(small_disk.iterdir())
