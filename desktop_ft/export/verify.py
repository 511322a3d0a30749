"""Export to a temporary place, load the file again in a process of its own, compare, and only then put it in place."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desktop_ft import places
from desktop_ft.api import Exporter, ExportJob
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.exporting import ExportSettings, FilePrecision
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.core.metrics import ChangedAnswer, ExportReport
from desktop_ft.export import failure
from desktop_ft.export.checking import FileAnswers, Progress, answers_of_file
from desktop_ft.export.metadata import CHECKPOINT
from desktop_ft.runs import atomic

TOLERANCE = 1e-4
"""Largest difference of a logit that is accepted of an exact file, relative to the largest logit of all."""

RESIZING_TOLERANCE = 1e-2
"""The same of a file that resizes pictures itself: single values come out others by 1/255 (see the tests)."""

WRITING = marked("Writing the file, which may take minutes")

_LEFTOVER = re.compile(r"\.desktop-ft-[0-9a-f]{12}(-\w{8}|\.[\w.]+)")
"""The folder beside an exported file in which it is made; older versions made it as a file."""

_SHARES = {FilePrecision.FLOAT32: 1, FilePrecision.FLOAT16: 2, FilePrecision.INT8: 4}
"""How often a file of that precision fits into what the network takes in memory, about."""
_ROUNDING = 1e-9
"""Two shares of the same photos that are equal may differ by this, in percentage points."""

Asking = Callable[..., FileAnswers]
"""As `answers_of_file`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a file is tried on.

    Attributes:
        paths: the photos.
        reference: the trained model's logits for them, float32 (N, classes), of pictures as the file will see them.
        labels: what they are, (N,); None: nobody says.
        judged: which of them the accuracies are of, bool (N,): those that were not learned from.
        as_trained: as `reference`, of pictures as training and evaluation read them; None: the file sees the same.
    """

    paths: Sequence[Path]
    reference: NDArray[np.float32]
    labels: NDArray[np.int64] | None = None
    judged: NDArray[np.bool_] | None = None
    as_trained: NDArray[np.float32] | None = None


def export_and_verify(
    exporter: Exporter,
    job: ExportJob,
    trial: Trial,
    *,
    plugin: str,
    largest_drop: float = 0.0,
    ask: Asking = answers_of_file,
    before_placing: Callable[[], None] | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> ExportReport:
    """Write the job's model to its path, proven to answer like the trained model on the photos of `trial`.

    Args:
        plugin: who brings the exporter.
        largest_drop: how many percentage points of accuracy a file that is not exact may lose.
        ask: asks the written file.
        before_placing: called just before the proven file gets its place; what it raises keeps the file from it.
        progress: told of each part of the work.

    Raises:
        UserError: the file's answers differ too much (names the worst photo and the figures), it cannot be written, or
            the exporter fails (names its plugin). What was at the path before is untouched.
        Cancelled: `cancel` was set; nothing is left behind.
    """
    if not len(trial.reference) == len(trial.paths):
        raise ValueError(f"{len(trial.reference)} rows of logits for {len(trial.paths)} photos")
    if not trial.paths:
        raise UserError(
            tr("There is no photo to compare the exported file on."), tr("Put the run's pictures back in their folder.")
        )
    settings = ExportSettings(format=exporter.name, input=job.input, precision=job.precision, largest_drop=largest_drop)
    out = job.path
    with _folder_beside(out) as folder:
        temporary = Path(folder) / f"model{out.suffix}"
        if progress:
            progress(tr(WRITING), 0, None)
        _write(exporter, plugin, replace(job, path=temporary), out)
        if cancel and cancel.is_set():
            raise Cancelled
        content = atomic.read(temporary)
        report = ExportReport(
            file=str(out),
            bytes=len(content),
            compared=0,
            largest_difference=0.0,
            changed_answers=0,
            worst_path="",
            accepted=True,
            settings=settings,
            unverified=exporter.unverified,
            checkpoint=job.metadata.get(CHECKPOINT, ""),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        if not exporter.unverified:
            found = ask(temporary, trial.paths, job.metadata, progress=progress, cancel=cancel)
            report = _compare(report, trial, found)
        if before_placing:
            before_placing()
        temporary.unlink()  # the disk may have room for one of them alone
        atomic.write(out, content)
        with suppress(OSError):  # somebody has taken it away already
            report = replace(report, modified_ns=out.stat().st_mtime_ns)
    return report


def check_writable(out: Path) -> None:
    """See before long work whether a file can be written to `out`; its folder is made where there is none.

    Raises:
        UserError: it cannot.
    """
    _folder_beside(out).cleanup()


def _folder_beside(out: Path) -> TemporaryDirectory[str]:
    """A new folder beside `out`, as the first thing: that there can be one is found out before long work.

    Whatever an exporter leaves in it goes with it.
    """
    if out.exists() and not out.is_file():
        what = tr("{file} is a folder.", file=out) if out.is_dir() else tr("{file} is not a file.", file=out)
        raise UserError(what, tr("Name a file to write to."))
    atomic.make_folder(out.parent)
    places.forget_leftovers(out.parent, _LEFTOVER)
    try:
        return TemporaryDirectory(prefix=f".desktop-ft-{secrets.token_hex(6)}-", dir=out.parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise atomic.cannot_write(out, 0, error) from error


def _write(exporter: Exporter, plugin: str, job: ExportJob, out: Path) -> None:
    with failure.named(exporter.name, plugin):
        try:
            exporter.write(job)
        except OSError as error:
            job.path.unlink(missing_ok=True)  # so that what is told to be free is free
            needed = sum(tensor.nbytes for tensor in job.model.state_dict().values()) // _SHARES[job.precision]
            raise atomic.cannot_write(out, needed, error) from error
    if not job.path.is_file():
        raise failure.failed(exporter.name, plugin, tr("it wrote no file"))
    # Some disks keep what they know of a file in a hidden one beside it.
    if more := sorted(each.name for each in job.path.parent.glob("[!.]*") if each != job.path):
        raise failure.failed(exporter.name, plugin, tr("it wrote more than its file: {names}", names=", ".join(more)))


def _compare(report: ExportReport, trial: Trial, found: FileAnswers) -> ExportReport:
    """`report` with what was found. Raises UserError where the file may not be kept."""
    if found.logits.shape != trial.reference.shape:
        raise UserError(
            tr(
                "The exported file gives {count} answers a photo, and the trained model {expected}.",
                count=found.logits.shape[1],
                expected=trial.reference.shape[1],
            ),
            tr("Export with another format, and tell the exporter's makers."),
        )
    expected = trial.reference.astype(np.float64)
    # NaN compares as different, never as equal; no logit at all (an untrained head) must be met exactly.
    apart = np.nan_to_num(np.abs(found.logits - expected).max(axis=1), nan=np.inf)
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    relative = np.divide(apart, scale) if scale > 0 else np.where(apart > 0, np.inf, 0.0)
    compared = replace(report, compared=len(trial.paths), largest_difference=float(relative.max()), latency=found.latency)
    # A file is to blame for what it makes of what it sees; told is how it differs from the model that a person knows, which the
    # decoder shows a large photo made smaller already.
    _must_agree(_judged(compared, trial, found, relative, expected))
    return _judged(compared, trial, found, relative, expected if trial.as_trained is None else trial.as_trained)


def _judged(
    report: ExportReport, trial: Trial, found: FileAnswers, relative: NDArray[np.float64], logits: NDArray[np.floating[Any]]
) -> ExportReport:
    """`report` with the answers that differ from those of `logits`, and the accuracies of both."""
    trained = logits.argmax(axis=1)
    changed = found.predicted != trained
    worst = int(np.lexsort((relative, changed))[-1])
    told = replace(
        report,
        changed_answers=int(changed.sum()),
        worst_path=str(trial.paths[worst]),
        changed=tuple(_changed(trial, int(number), trained, found.predicted) for number in np.flatnonzero(changed)),
    )
    if trial.labels is None or trial.judged is None or not trial.judged.any():
        return told
    labels = trial.labels[trial.judged]
    return replace(
        told,
        judged=len(labels),
        accuracy=float((found.predicted[trial.judged] == labels).mean()),
        trained_accuracy=float((trained[trial.judged] == labels).mean()),
    )


def _changed(trial: Trial, number: int, trained: NDArray[np.int64], predicted: NDArray[np.int64]) -> ChangedAnswer:
    label = None if trial.labels is None else int(trial.labels[number])
    return ChangedAnswer(
        path=str(trial.paths[number]), label=label, trained=int(trained[number]), exported=int(predicted[number])
    )


def _refusal(report: ExportReport) -> str:
    """Why a file is not kept; "" where it is."""
    settings = report.settings
    allowed = TOLERANCE if settings.exact else RESIZING_TOLERANCE if settings.precision is FilePrecision.FLOAT32 else np.inf
    changed = report.changed_answers if settings.exact or report.accuracy is None else 0
    if changed and np.isinf(allowed):
        return tr_n(
            "The exported file does not answer like the trained model, and was not kept: of {photos} photos {n} answer changed, "
            "and there are no validation photos to judge it by, so none may; worst is {worst}.",
            "The exported file does not answer like the trained model, and was not kept: of {photos} photos {n} answers changed, "
            "and there are no validation photos to judge it by, so none may; worst is {worst}.",
            n=changed,
            photos=report.compared,
            worst=report.worst_path,
        )
    if changed or not np.isfinite(report.largest_difference) or report.largest_difference > allowed:
        return tr_n(
            "The exported file does not answer like the trained model, and was not kept: on {photos} photos its logits differ by "
            "up to {difference:.1e} (allowed: {allowed:.0e}) and {n} answer changed; worst is {worst}.",
            "The exported file does not answer like the trained model, and was not kept: on {photos} photos its logits differ by "
            "up to {difference:.1e} (allowed: {allowed:.0e}) and {n} answers changed; worst is {worst}.",
            n=report.changed_answers,
            photos=report.compared,
            difference=report.largest_difference,
            allowed=allowed,
            worst=report.worst_path,
        )
    if report.drop > settings.largest_drop + _ROUNDING:
        return tr(
            "The exported file loses too much, and was not kept: of {photos} validation photos it knows {after:.1%}, the trained "
            "model {before:.1%}; percentage points that may be lost: {allowed:g}.",
            photos=report.judged,
            after=report.accuracy,
            before=report.trained_accuracy,
            allowed=settings.largest_drop,
        )
    return ""


def _must_agree(report: ExportReport) -> None:
    if why := _refusal(report):
        settings = report.settings
        if settings.exact:
            cure = marked("Train another backbone, or report this one; the run itself is kept.")
        elif settings.precision is FilePrecision.FLOAT32:
            cure = marked("Let the file take prepared pictures, allow a larger drop, or report this; the run itself is kept.")
        elif report.accuracy is None:
            cure = marked("Take float32, or train with photos set apart for validation; the run itself is kept.")
        else:
            cure = marked("Take float32, allow a larger drop, or train another backbone; the run itself is kept.")
        raise UserError(why, tr(cure))
