"""Faults of the disk and of the process: whatever happens, a run is there, whole, and goes on as if nothing had been."""

import hashlib
import itertools
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from desktop_ft.core.dataset import DatasetManifest, Layout, Sample, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.metrics import ExportReport, Threshold
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.core.run_note import RunNote
from desktop_ft.evaluation.score import evaluate
from desktop_ft.models.checkpoint import CheckpointStore
from desktop_ft.runs import atomic
from desktop_ft.runs.run_folder import RunFolder
from tests.reliability.disk import DiskLog
from tests.reliability.killed import (
    KILLED,
    Children,
    Whole,
    check_and_finish,
    check_what_is_left,
    children,
    outcome,
    said_in,
    whole,
)  # fmt: skip
from tests.reliability.trial import Faults, Trial

FAULTS = Faults()
CALLS = ("write", "fsync", "rename")
_GOES_ON = "The run is listed as interrupted; *Go on training* goes on from its last checkpoint."


@FAULTS.fault(
    "The process is killed while it trains",
    seen=_GOES_ON,
    tried="SIGKILL at random moments, up to three times a run; finished, every checkpoint, step and curve equals an "
    "uninterrupted run's to the bit",
)
def killed_at_random(trial: Trial) -> None:
    started = trial.shared.get(children)
    expected = whole(started, trial.folder / "whole")
    run = 0
    while trial.tried < trial.count(200, 6):
        run += 1
        folder, notes, kills = trial.folder / str(run), trial.folder / f"{run}.notes", 0
        while kills < 3 and _killed(started, folder, notes, trial.chance.uniform(0, expected.seconds)):
            kills += 1
            with trial.attempt(f"run {run}, what kill {kills} left"):
                check_what_is_left(folder, notes)
        if kills:  # else it ended first
            with trial.attempt(f"run {run}", counts=0):
                check_and_finish(started, folder, expected)
        shutil.rmtree(folder)


@FAULTS.fault(
    "The process is killed after any batch",
    seen=_GOES_ON,
    tried="SIGKILL after each batch of a run of 3 epochs; finished as above",
)
def killed_after_each_batch(trial: Trial) -> None:
    expected = whole(trial.shared.get(children), trial.folder / "whole")
    for step in trial.some(list(range(1, expected.steps + 1)), 3):
        assert _dies_and_goes_on(trial, expected, f"batch {step}", die_at_step=step), f"there was no batch {step}"


@FAULTS.fault(
    "The process is killed at any call of a save",
    seen=_GOES_ON,
    tried="SIGKILL at each fsync, rename and deletion of a run of 3 epochs that saves after every batch; finished as above",
)
def killed_at_each_call(trial: Trial) -> None:
    expected = whole(trial.shared.get(children), trial.folder / "whole")
    calls = list(range(1, 24)) if not trial.whole else range(1, 10_000)
    for call in trial.some(calls, 12):
        if not _dies_and_goes_on(trial, expected, f"call {call}", die_at_call=call):
            break  # so many calls it does not make


@FAULTS.fault(
    "The system kills it, or refuses, at any write, fsync or rename",
    seen="Killed: as above. Refused: the run ends with a sentence that names the file, the cause and the cure; what was saved "
    "before is safe, and once there is room it goes on from there.",
    tried="`strace -e inject`: each call of a run of one epoch, in turn killed, out of space or failed, once and from then on; "
    "what was reported as saved is there; a refusal is told; finished as above",
)
def refused_at_each_call(trial: Trial) -> None:
    started = trial.shared.get(children)
    expected = whole(started, trial.folder / "whole", epochs=1)
    log = trial.folder / "calls"
    started.traced(trial.folder / "counted", "-o", str(log), "-e", f"trace={','.join(CALLS)}", epochs=1)
    made = re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE)
    places = [(call, number, fault) for call in CALLS for number in range(1, made.count(call) + 1) for fault in _INJECTED]
    for call, number, fault in trial.some(places, 9):
        with trial.attempt(f"{call} {fault.format(number)}"):
            _inject(started, trial.folder / str(trial.tried), call, number, fault, expected)


@FAULTS.fault(
    "The power fails (simulated)",
    seen=_GOES_ON,
    tried="every call of a run that changes the disk is recorded, then cut off at random places, with changes of names in their "
    "order and what was not flushed lost, cut or kept at random: so many different states, in each of which what was reported as "
    "saved is there and whole, and the curves know of it; finished as above",
)
def power_fails(trial: Trial) -> None:
    started = trial.shared.get(children)
    folder, log, notes = trial.folder / "run", trial.folder / "calls", trial.folder / "notes"
    assert started.traced(folder, *DiskLog.options(log), notes=str(notes)) == 0
    disk, expected = DiskLog(log, folder, notes), Whole(outcome(folder), 0, 0)
    seen = set[bytes]()
    while len(seen) < trial.count(600, 12):
        left, said = trial.folder / "left", trial.folder / "said"
        disk.lose_power(trial.chance, left, said)
        state = _digest(left)
        if state not in seen:
            seen.add(state)
            with trial.attempt(f"state {len(seen)}"):
                check_what_is_left(left, said)
                check_and_finish(started, left, expected)
        shutil.rmtree(left)


@FAULTS.fault(
    "A bit rots in what is kept of a run",
    seen="A sentence that names the file and says what to do; for a damaged checkpoint the one before it is used, and told.",
    tried="one bit, in turn in each kind of file, is flipped at random; reading it must tell (where the end "
    "of the curves is hit, by showing the run as interrupted)",
)
def a_bit_rots(trial: Trial) -> None:
    _spoil(trial, [_flipped] * trial.count(1000, 60))


@FAULTS.fault(
    "What is kept of a run is cut off",
    seen="As above; curves that are cut off show the run as interrupted.",
    tried="each kind of file in turn is cut at each hundredth of its length; reading it must tell",
)
def a_file_is_cut(trial: Trial) -> None:
    shares = trial.some([number / 100 for number in range(100)], 4)
    _spoil(trial, [partial(_cut, share) for share in shares for _ in _SAID])


def _said_reading(read: Callable[[RunFolder], object]) -> Callable[[RunFolder], str]:
    """What a person is told where `read` fails; "" where it does not."""

    def said(run: RunFolder) -> str:
        try:
            read(run)
        except UserError as error:
            return str(error)
        return ""

    return said


def _said_of_curves(run: RunFolder) -> str:
    history = run.history()
    return " ".join(history.warnings) or ("" if history.ended else "The run is shown as interrupted.")


def _said_of_checkpoints(run: RunFolder) -> str:
    """What is told with the one that is used: there is one, whatever happened to the last."""
    return CheckpointStore(run.checkpoints, atomic.write).load("last").note


_SAID: dict[str, Callable[[RunFolder], str]] = {
    "recipe.toml": _said_reading(lambda run: run.recipe),
    "manifest.json": _said_reading(lambda run: run.manifest),
    "evaluation.json": _said_reading(lambda run: run.evaluation),
    "events.jsonl": _said_of_curves,
    "note.json": _said_reading(lambda run: run.note),
    "threshold.json": _said_reading(lambda run: run.threshold),
    "exports/reports.json": _said_reading(lambda run: run.export_reports),
    "checkpoints/index.json": _said_of_checkpoints,
    "checkpoints/*.safetensors": _said_of_checkpoints,
}
"""What a person is told when each kind of file is read; "": nothing."""


def _spoil(trial: Trial, ways: list[Callable[[bytes, random.Random], bytes]]) -> None:
    """Spoil the kinds of files in turn, each in the next of `ways`, and read them."""
    run = _run_with_everything(trial)
    for number, (way, kind) in enumerate(zip(ways, itertools.cycle(_SAID), strict=False)):
        file = _last_saved(run) if "*" in kind else run.path / kind
        whole_content = file.read_bytes()
        with trial.attempt(f"{kind} {number}"):
            file.write_bytes(way(whole_content, trial.chance))
            assert _SAID[kind](run), "nothing was told"
        file.write_bytes(whole_content)
        assert not _SAID[kind](run)


def _flipped(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def _cut(share: float, content: bytes, chance: random.Random) -> bytes:
    return content[: int(share * len(content))]


def _run_with_everything(trial: Trial) -> RunFolder:
    folder = trial.folder / "run"
    assert trial.shared.get(children).train(folder) == 0
    run = RunFolder(folder)
    samples = tuple(
        Sample(
            path=f"{name}/{n} @ home.png",
            label=label,
            subset=Subset.VAL,
            sha256=f"{n:064}",
            width=8,
            height=8,
            bytes=99,
            mtime_ns=n,
        )
        for label, name in enumerate(("cat", "dog"))
        for n in range(20)
    )
    manifest = DatasetManifest(
        source="/photos", root="/photos", layout=Layout.CLASS_FOLDERS, classes=("cat", "dog"), samples=samples, problems=()
    )
    run.write_recipe(Recipe(dataset=DatasetChoice(folder="/photos of @pets")))
    run.write_manifest(manifest)
    probabilities = np.tile(np.array([[0.7, 0.3], [0.4, 0.6]]), (20, 1))
    run.write_evaluation(evaluate(probabilities, samples, ("cat", "dog"), dataset="photos", subset="val"))
    run.write_note(RunNote(tags=("night",), text="a first try"))
    run.write_threshold(Threshold(value=0.5, dataset="photos", subset="val", pictures=40, fingerprint="0" * 64))
    for name in ("one.onnx", "two.onnx"):
        run.add_export_report(
            ExportReport(
                file=name, bytes=9, compared=4, largest_difference=1e-6, changed_answers=0, worst_path="cat/1.png", accepted=True
            )
        )
    return run


def _last_saved(run: RunFolder) -> Path:
    return run.checkpoints / json.loads((run.checkpoints / "index.json").read_bytes().split(b"\n")[0])["last"]["file"]


def _digest(folder: Path) -> bytes:
    """What tells apart what two folders hold."""
    found = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(os.fsencode(file.relative_to(folder)) + hashlib.sha256(file.read_bytes()).digest())
    return found.digest()


_REFUSED = {"ENOSPC": "The disk is full", "EIO": "Input/output error"}
"""What is told of each error."""
_KILLED_AT, _ONCE, _FROM_THEN_ON = "signal=SIGKILL:when={}", "error={}:when={{}}", "error={}:when={{}}+"
_INJECTED = (_KILLED_AT, *(form.format(error) for error in _REFUSED for form in (_ONCE, _FROM_THEN_ON)))


def _killed(started: Children, folder: Path, notes: Path, after_s: float) -> bool:
    status = started.train(folder, kill_after_s=after_s, notes=str(notes))
    assert status in (0, KILLED), f"exit status {status}: {said_in(notes)}"
    return status == KILLED


def _dies_and_goes_on(trial: Trial, expected: Whole, what: str, **when: int) -> bool:
    """Try a run that dies `when` the job says; whether it came so far."""
    started, folder, notes = trial.shared.get(children), trial.folder / what, trial.folder / f"{what}.notes"
    status = started.train(folder, notes=str(notes), **when)
    if status == 0:
        return False
    with trial.attempt(what):
        assert status == KILLED, f"exit status {status}: {said_in(notes)}"
        check_what_is_left(folder, notes)
        check_and_finish(started, folder, expected)
    shutil.rmtree(folder)
    return True


def _inject(started: Children, folder: Path, call: str, number: int, fault: str, expected: Whole) -> None:
    notes = folder.with_name(f"{folder.name}.notes")
    options = ("-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{fault.format(number)}")
    status = started.traced(folder, *options, notes=str(notes), epochs=1)
    if fault == _KILLED_AT:
        assert status == KILLED
    else:
        assert status == 0, f"exit status {status}: {said_in(notes)}"
        told = [line for line in said_in(notes) if line.startswith("told ")]
        error = fault.partition("=")[2].partition(":")[0]
        assert told and str(folder) in told[0] and _REFUSED[error] in told[0], f"what was told: {told}"
    check_what_is_left(folder, notes)
    check_and_finish(started, folder, expected, epochs=1)
    shutil.rmtree(folder)
