"""Export to a temporary place, load the file again without torch, compare, and only then put it in place."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from desktop_ft.api import Exporter, ExportJob
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.language import tr, tr_n
from desktop_ft.core.metrics import ExportReport
from desktop_ft.export.checking import Progress, answers_without_torch
from desktop_ft.runs import atomic

if TYPE_CHECKING:
    from torch import nn

TOLERANCE = 1e-4
"""Largest difference of a logit that is accepted, relative to the largest logit of all."""


def export_and_verify(
    exporter: Exporter,
    *,
    model: nn.Module,
    size: int,
    metadata: Mapping[str, str],
    out: Path,
    reference: NDArray[np.float32],
    paths: Sequence[Path],
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> ExportReport:
    """Write `model` to `out`, proven to answer like the trained model on the photos `paths`.

    Args:
        model: on the CPU, in eval mode; see `ExportJob`.
        reference: the trained model's logits (N, C), in the order of `paths`.
        progress: called with (photos compared, photos in all).

    Raises:
        UserError: the file's answers differ (names the worst photo and the figures), or it cannot be written. What was at
            `out` before is untouched.
        Cancelled: `cancel` was set; nothing is left behind.
    """
    if not len(reference) == len(paths):
        raise ValueError(f"{len(reference)} rows of logits for {len(paths)} photos")
    if not paths:
        raise UserError(
            tr("There is no photo to compare the exported file on."), tr("Put the run's pictures back in their folder.")
        )
    temporary = _temporary(out)
    try:
        _write(exporter, ExportJob(model=model, size=size, metadata=metadata, path=temporary), out)
        if cancel and cancel.is_set():
            raise Cancelled
        logits, predicted = answers_without_torch(temporary, paths, metadata, progress=progress, cancel=cancel)
        content = atomic.read(temporary)
        report = _compare(out, len(content), reference, logits, predicted, paths)
        _must_agree(report)
        atomic.write(out, content)
    finally:
        temporary.unlink(missing_ok=True)
    return report


def _temporary(out: Path) -> Path:
    """A new empty file beside `out`: that the folder can be written to is found out before the long work, not after."""
    if out.exists() and not out.is_file():
        what = tr("{file} is a folder.", file=out) if out.is_dir() else tr("{file} is not a file.", file=out)
        raise UserError(what, tr("Name a file to write to."))
    atomic.make_folder(out.parent)
    temporary = out.with_name(f".desktop-ft-{secrets.token_hex(6)}{out.suffix}")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise atomic.cannot_write(out, 0, error) from error
    return temporary


def _write(exporter: Exporter, job: ExportJob, out: Path) -> None:
    try:
        exporter.write(job)
    except OSError as error:
        needed = sum(tensor.nbytes for tensor in job.model.state_dict().values())
        raise atomic.cannot_write(out, needed, error) from error


def _compare(
    out: Path,
    size: int,
    reference: NDArray[np.float32],
    logits: NDArray[np.float32],
    predicted: NDArray[np.int64],
    paths: Sequence[Path],
) -> ExportReport:
    if logits.shape != reference.shape:
        raise UserError(
            tr(
                "The exported file gives {count} answers a photo, and the trained model {expected}.",
                count=logits.shape[1],
                expected=reference.shape[1],
            ),
            tr("Export with another format, and tell the exporter's makers."),
        )
    expected = reference.astype(np.float64)
    # NaN compares as different, never as equal; no logit at all (an untrained head) must be met exactly.
    apart = np.nan_to_num(np.abs(logits - expected).max(axis=1), nan=np.inf)
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    relative = np.divide(apart, scale) if scale > 0 else np.where(apart > 0, np.inf, 0.0)
    changed = predicted != expected.argmax(axis=1)
    worst = int(np.lexsort((relative, changed))[-1])
    return ExportReport(
        file=str(out),
        bytes=size,
        compared=len(paths),
        largest_difference=float(relative.max()),
        changed_answers=int(changed.sum()),
        worst_path=str(paths[worst]),
        accepted=bool(relative.max() <= TOLERANCE and not changed.any()),
    )


def _must_agree(report: ExportReport) -> None:
    if report.accepted:
        return
    raise UserError(
        tr_n(
            "The exported file does not answer like the trained model, and was not kept: on {photos} photos its logits differ by "
            "up to {difference:.1e} (allowed: {allowed:.0e}) and {n} answer changed; worst is {worst}.",
            "The exported file does not answer like the trained model, and was not kept: on {photos} photos its logits differ by "
            "up to {difference:.1e} (allowed: {allowed:.0e}) and {n} answers changed; worst is {worst}.",
            n=report.changed_answers,
            photos=report.compared,
            difference=report.largest_difference,
            allowed=TOLERANCE,
            worst=report.worst_path,
        ),
        tr("Train another backbone, or report this one; the run itself is kept."),
    )
