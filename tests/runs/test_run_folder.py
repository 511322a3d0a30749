"""What a run leaves behind, and who may write it."""

import json
import os
import platform
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_ft.core.changes import Change
from desktop_ft.core.dataset import DatasetManifest, Layout, Sample, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.events import (
    CheckpointSaved,
    EpochDone,
    Paused,
    PlanChanged,
    RunEnded,
    RunStarted,
    RunStatus,
    StepDone,
    Warned,
)
from desktop_ft.core.freezing import FreezePlan
from desktop_ft.core.metrics import Answer, ClassScore, Evaluation, ExportReport, Interval, Threshold
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.core.values import to_json
from desktop_ft.runs import run_folder
from desktop_ft.runs.index import RunIndex
from desktop_ft.runs.run_folder import RunFolder

NOT_UTF8 = b"caf\xe9/\xff.jpg".decode("utf-8", "surrogateescape")
STARTED = RunStarted(
    epochs=2, steps_per_epoch=1, first_epoch=0, first_step=0, device="CPU", precision="fp32", learning_share=0.1, time=5.0
)
EVENTS = [
    STARTED,
    StepDone(epoch=0, step=0, loss=0.1 + 0.2, lr=1e-3, seconds=1.5),
    EpochDone(epoch=0, train_loss=1.0, train_accuracy=0.5, val_loss=0.9, val_accuracy=2 / 3, seconds=2.0, best=True),
    CheckpointSaved(path="checkpoints/x", epoch=1, step=0, best=True),
    Paused(paused=True),
    Warned(message=f"{NOT_UTF8} is strange"),
    RunEnded(status=RunStatus.STOPPED, checkpoint="checkpoints/x"),
]


def recipe():
    return Recipe(dataset=DatasetChoice(folder="/photos/flowers"))


def manifest():
    sample = Sample(path=NOT_UTF8, label=0, subset=Subset.VAL, sha256="ab", width=1, height=2, bytes=3, mtime_ns=4)
    return DatasetManifest(
        root="/photos", source="/photos", layout=Layout.CLASS_FOLDERS, classes=("é",), samples=(sample,), problems=()
    )


def test_who_follows_hears_each_event_once_and_none_from_before(tmp_path):
    run = make(tmp_path / "run", EVENTS[:2])
    following = run.follow()
    assert following.news() == []
    with run.log() as log:
        log.append(EVENTS[2])
        log.append(EVENTS[3])
        assert following.news() == EVENTS[2:4]
        with (run.path / "events.jsonl").open("ab") as file:
            file.write(b'{"type":')  # half a line, as a process that is killed leaves it
        assert following.news() == []
    with run.log() as log:
        for event in EVENTS[4:]:
            log.append(event)
    assert following.news() == EVENTS[4:]
    assert following.news() == []


def make(path, events=()):
    run = RunFolder.create(path)
    run.write_recipe(recipe())
    run.write_manifest(manifest())
    with run.log() as log:
        for event in events:
            log.append(event)
    return run


def test_all_that_is_written_is_read_again(tmp_path):
    run = make(tmp_path / "run", EVENTS)
    again = RunFolder.open(tmp_path / "run")
    assert again == run and again.name == "run"
    assert again.recipe == recipe() and again.manifest == manifest() and again.events() == EVENTS
    assert again.history().best == EVENTS[2] and again.history().ended == EVENTS[-1]
    assert again.evaluation is None and again.export_reports == ()
    half = Interval(value=0.5, low=0.1, high=0.9)
    evaluation = Evaluation(
        dataset="d", subset="val", classes=("é",), accuracy=half, top5=None, confusion=((1,),), calibration_error=0.1,
        per_class=(ClassScore(name="é", precision=1.0, recall=1.0, f1=1.0, support=1),),
        answers=(Answer(path=NOT_UTF8, label=0, predicted=0, confidence=1.0, probabilities=(1.0,)),),
    )  # fmt: skip
    run.write_evaluation(evaluation)
    assert again.evaluation == evaluation
    assert again.threshold is None
    threshold = Threshold(value=0.8, dataset="d", subset="val", pictures=1, fingerprint="f")
    run.write_threshold(threshold)
    assert again.threshold == threshold
    run.write_threshold(None)
    assert again.threshold is None


def test_the_report_of_an_export_replaces_the_older_one_of_the_same_file(tmp_path):
    run = make(tmp_path / "run")

    def report(file, compared):
        return ExportReport(
            file=file, bytes=1, compared=compared, largest_difference=0.0, changed_answers=0, worst_path=NOT_UTF8, accepted=True
        )

    for each in (report("a", 1), report("b", 2), report("a", 3)):
        run.add_export_report(each)
    assert run.export_reports == (report("b", 2), report("a", 3))
    run.forget_export(report("b", 2))
    assert run.export_reports == (report("a", 3),)


def test_what_an_older_version_kept_carries_no_seal_and_is_read_all_the_same(tmp_path):
    run = make(tmp_path / "run", EVENTS)
    known = ExportReport(file="a", bytes=1, compared=1, largest_difference=0.0, changed_answers=0, worst_path="", accepted=True)
    (run.path / "recipe.toml").write_text(recipe().to_toml())
    (run.path / "manifest.json").write_bytes(to_json(manifest()))
    (run.path / "events.jsonl").write_bytes(b"".join(to_json(event) + b"\n" for event in EVENTS))
    (run.exports / "reports.jsonl").write_bytes(to_json(known) + b"\n")
    assert (run.recipe, run.manifest, run.events()) == (recipe(), manifest(), EVENTS)
    assert run.export_reports == (known,)
    run.add_export_report(known)
    assert run.export_reports == (known,)


def test_a_folder_that_holds_something_is_not_taken(tmp_path):
    make(tmp_path / "run")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    (tmp_path / "file").write_bytes(b"")
    for name, words in (
        ("run", "already holds a run"),
        ("photos", "is not empty"),
        ("file", "a file of that name is in the way"),
    ):
        with pytest.raises(UserError, match=words):
            RunFolder.create(tmp_path / name)
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["cat.jpg"]
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty")


def test_what_is_no_run_is_told(tmp_path):
    for path, words in ((tmp_path / "nowhere", "There is no folder"), (tmp_path, "is not a run")):
        with pytest.raises(UserError, match=words):
            RunFolder.open(path)


@pytest.mark.parametrize("name", ["recipe.toml", "manifest.json", "evaluation.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"version": 99}', b"version = 99", b"[" * 5000])
def test_a_damaged_file_is_told_in_a_sentence(tmp_path, name, content):
    run = make(tmp_path / "run")
    (run.path / name).write_bytes(content)
    with pytest.raises(UserError, match=r"recipe\.toml|manifest\.json|evaluation\.json"):
        getattr(run, name.partition(".")[0])


def test_a_crash_in_the_middle_of_a_line_loses_that_line_alone(tmp_path):
    run = make(tmp_path / "run", EVENTS[:3])
    path = run.path / "events.jsonl"
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert run.events() == EVENTS[: whole[:cut].count(b"\n")]
    with run.log() as log:
        log.append(EVENTS[2])
    assert run.events() == EVENTS[:3]


def test_a_damaged_line_is_named(tmp_path):
    run = make(tmp_path / "run", EVENTS)
    path = run.path / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"step_done"', b'"step_dome"'))
    assert run.events()[:-1] == [EVENTS[0], *EVENTS[2:]]
    assert run.history().warnings[-1] == f"{path}: damaged lines are left out (2)."
    assert run.history().ended == EVENTS[-1], "and the run can be shown, gone on with and evaluated"


HOLDER = """
import sys, pathlib
from desktop_ft.runs.run_folder import RunFolder
with RunFolder(pathlib.Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_trains_a_run_and_a_dead_one_lets_go(tmp_path):
    run = make(tmp_path / "run")
    assert not run.is_locked
    with subprocess.Popen([sys.executable, "-c", HOLDER, run.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert run.is_locked
        words = rf"^The run run is being trained by process {holder.pid} on {platform.node()}, since \d{{4}}-"
        with pytest.raises(UserError, match=words), run.lock():
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert not run.is_locked
    with run.lock():
        assert run.is_locked
        with pytest.raises(UserError, match=f"process {os.getpid()} "), run.lock():
            pass
    assert not run.is_locked


def test_a_lock_of_another_machine_is_not_taken(tmp_path):
    run = make(tmp_path / "run")
    (run.path / "run.lock").write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "yesterday"}))
    assert run.is_locked
    with pytest.raises(UserError, match=r"process 1 on elsewhere, since yesterday\. If nothing runs there"), run.lock():
        pass
    (run.path / "run.lock").write_text('{"pid": 1, "ho')
    with run.lock():
        pass


def test_the_index_can_be_deleted_and_made_again(tmp_path):
    root = tmp_path / "runs"
    make(root / "done", EVENTS)
    make(root / "killed", EVENTS[:3])
    make(root / b"\xff".decode("utf-8", "surrogateescape"))
    damaged = make(root / "damaged")
    (damaged.path / "recipe.toml").write_bytes(b"?")
    (root / "no run").mkdir()
    database = tmp_path / "data" / "runs.sqlite"
    index = RunIndex(database, root)
    index.rescan()
    rows = index.rows()
    assert {row.name: (row.status, row.epochs, row.accuracy) for row in rows} == {
        "done": ("stopped", 1, 2 / 3),
        "killed": ("interrupted", 1, 2 / 3),
        "\udcff": ("interrupted", 0, None),
        "damaged": ("damaged", 0, None),
    }
    done = next(row for row in rows if row.name == "done")
    assert (done.path, done.created, done.dataset) == (str(root / "done"), 5.0, "flowers")
    assert (done.backbone, done.preset) == ("efficientnet_lite0", "head")
    for spoil in (database.unlink, lambda: database.write_bytes(b"no database" * 1000)):
        spoil()
        index = RunIndex(database, root)
        index.rescan()
        assert index.rows() == rows


def test_the_index_follows_what_happens_to_runs(tmp_path):
    run = make(tmp_path / "runs" / "it", [STARTED])
    index = RunIndex(tmp_path / "runs.sqlite", tmp_path / "runs")

    def status():
        index.rescan()
        return [row.status for row in index.rows()]

    assert status() == ["interrupted"]
    with run.lock():
        assert status() == ["running"]
        with run.log() as log:
            log.append(EVENTS[-1])
    assert status() == ["stopped"]
    run.path.rename(tmp_path / "elsewhere")
    assert status() == []
    assert RunIndex(tmp_path / "runs.sqlite", tmp_path / "nowhere").rows() == []


OLD_CHANGE = (
    '{"epoch":1,"plan":{"preset":"last:1","backbone_rate":0.03,"overrides":{},"batch_norm":"follow"},'
    '"learning_share":0.2,"type":"plan_changed"}\n'
)


def test_changes_told_before_recipes_held_any_are_read_and_followed(tmp_path):
    run = make(tmp_path / "run", EVENTS[:4])
    with (run.path / "events.jsonl").open("a") as file:
        file.write(OLD_CHANGE)
    assert run.recipe == recipe()  # which says itself that nothing changes
    (run.path / "recipe.toml").write_text(recipe().to_toml().replace("changes = []\n", ""))
    changed = Change(freeze=FreezePlan(preset="last:1"))
    assert run.events()[-1] == PlanChanged(epoch=1, change=changed, learning_share=0.2)
    assert run.recipe == recipe().with_change(1, changed)
    (run.path / "asked_plan.json").write_text('{"preset":"all"}')
    assert RunFolder.open(run.path).asked_change() == Change(freeze=FreezePlan(preset="all"))
    (run.path / "asked_plan.json").write_text("{")
    with pytest.raises(UserError, match="not valid"):
        RunFolder.open(run.path).take_asked()  # who trains the run tells it


def test_two_folders_of_runs_share_an_index(tmp_path):
    make(tmp_path / "a" / "one")
    make(tmp_path / "b" / "two")
    indices = [RunIndex(tmp_path / "runs.sqlite", tmp_path / name) for name in "ab"]
    for index in indices:
        index.rescan()
    assert [[row.name for row in index.rows()] for index in indices] == [["one"], ["two"]]


def test_the_index_names_every_plan_that_a_run_followed_as_its_best_model_may_be_of_any(tmp_path):
    changed = PlanChanged(epoch=1, change=Change(freeze=FreezePlan(preset="last:1")), learning_share=0.2)
    make(tmp_path / "runs" / "one", EVENTS[:3])
    make(tmp_path / "runs" / "two", [*EVENTS[:3], changed])
    make(tmp_path / "runs" / "three", [*EVENTS[:3], replace(changed, change=Change(lr=0.1))])
    index = RunIndex(tmp_path / "runs.sqlite", tmp_path / "runs")
    index.rescan()
    first = recipe().freeze.preset
    assert {row.name: row.preset for row in index.rows()} == {"one": first, "two": f"{first} → last:1", "three": first}


def test_the_index_knows_of_how_many_pictures_an_accuracy_is(tmp_path):
    known, unknown, none = (make(tmp_path / "runs" / name, EVENTS[:3]) for name in ("known", "damaged", "none"))
    (unknown.path / "manifest.json").write_text("{")
    (none.path / "manifest.json").unlink()
    index = RunIndex(tmp_path / "runs.sqlite", tmp_path / "runs")
    index.rescan()
    assert {row.name: row.judged for row in index.rows()} == {known.name: 1, "damaged": 0, "none": 0}


def test_the_index_lists_what_the_evaluation_found_where_it_is_of_what_the_run_ended_with(tmp_path):
    half = Interval(value=0.5, low=0.1, high=0.9)
    score = ClassScore(name="é", precision=1.0, recall=1.0, f1=1.0, support=1)
    answer = Answer(path="a", label=0, predicted=0, confidence=1.0, probabilities=(1.0,))
    facts = {"classes": ("é",), "accuracy": half, "top5": None, "confusion": ((1,),), "calibration_error": 0.1}
    names = {"ended": EVENTS, "broken": EVENTS[:3], "tested": EVENTS, "learned on": EVENTS}
    ended, broken, tested, later = (make(tmp_path / "runs" / name, events) for name, events in names.items())
    index = RunIndex(tmp_path / "runs.sqlite", tmp_path / "runs")
    index.rescan()
    before = {row.name: row.accuracy for row in index.rows()}
    for run, subset, best in ((ended, "val", "a"), (broken, "val", "a"), (tested, "test", "a"), (later, "val", "b")):
        (run.checkpoints / "index.json").write_text(f'{{"best": {{"file": "{best}"}}}}')
        told = Evaluation(dataset="d", subset=subset, per_class=(score,), answers=(answer,) * 4, checkpoint="a", **facts)
        run.write_evaluation(told)
    index.rescan()
    assert {row.name: row.accuracy for row in index.rows()} == before | {"ended": 0.5} != before
    assert {row.name: row.judged for row in index.rows()}["ended"] == 4


@given(told=st.lists(st.sampled_from([*EVENTS, Warned(message='{"type":"run_ended"}')])), damaged=st.integers(0, 12))
def test_how_a_run_ended_is_what_its_curves_tell(tmp_path_factory, told, damaged):
    run = make(tmp_path_factory.mktemp("run"), told)
    log = run.path / "events.jsonl"
    lines = log.read_bytes().splitlines(True) if log.exists() else []
    if damaged < len(lines):
        lines[damaged] = lines[damaged].replace(b'"type":', b'"tYpe":')
        log.write_bytes(b"".join(lines))
    assert run.ended == run.history().ended
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run_folder, "_A_TAIL", 7)  # less than a line
        assert run.ended == run.history().ended
