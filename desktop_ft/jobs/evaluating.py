"""What a run's model gets right and wrong."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from desktop_ft.core.dataset import DatasetManifest, Sample, Subset
from desktop_ft.core.errors import UserError
from desktop_ft.core.language import marked, tr, tr_n
from desktop_ft.core.metrics import Evaluation, Threshold
from desktop_ft.core.recipe import DatasetChoice
from desktop_ft.core.run_note import RunNote
from desktop_ft.data.edits import edited
from desktop_ft.data.scan import scan
from desktop_ft.jobs.running import (
    OpenRun,
    RecordedRun,
    Warn,
    device_of,
    logits_of,
    open_run,
    silent,
    still_there,
    trained,
)
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs import atomic
from desktop_ft.runs.run_folder import RunFolder

Progress = Callable[[int, int | None], None]
Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a model gets right and wrong; the paths of its answers lie in `root`, of a .zip where it was unpacked."""

    evaluation: Evaluation
    root: Path


def kept(folder: RunFolder, tell: Callable[[UserError], object]) -> Judged | None:
    """What is kept of the evaluation of a run's held-out pictures; None while nobody has asked.

    Args:
        tell: is given why it is not known where the pictures lie; they are then looked for where the recipe says.

    Raises:
        UserError: it cannot be read, or is damaged.
    """
    evaluation = folder.evaluation
    if evaluation is None:
        return None
    try:
        root = Path(folder.manifest.root)
    except UserError as error:  # the figures are worth showing without the pictures
        tell(error)
        root = Path(folder.recipe.dataset.folder)
    return Judged(evaluation=evaluation, root=root)


def evaluate_run(
    run: Path,
    plugins: Plugins,
    folder: Path | None = None,
    *,
    warn: Warn = silent,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Judged:
    """Ask the run's best model about every held-out picture, or about every picture in `folder`.

    The answers on the run's own pictures are kept in its `evaluation.json`, and its report is drawn anew. Imports torch.

    Raises:
        UserError: not a run, no usable checkpoint, or `folder` has a class that the model does not know.
    """
    from desktop_ft.evaluation.score import evaluate, softmax

    opened = open_run(run, plugins)
    if folder is None:
        given, subset = opened.manifest, opened.held_out_subset.value
        samples = still_there(Path(given.root), opened.held_out, warn)
    else:
        given = scan(folder, fewest_classes=1, progress=progress, cancel=cancel)
        samples, subset = understood(given, opened.manifest.classes, opened.recipe.dataset, warn), marked("all")
        warn_of_learned(opened.manifest, samples, warn)
        _warn_of_looked_at(opened, samples, warn)
    answering = trained(opened, warn)
    logits = logits_of(
        answering.network,
        [Path(given.root) / sample.path for sample in samples],
        opened.rule,
        device=device_of(opened),
        progress=progress,
        cancel=cancel,
    )
    dataset = Path(given.source).name
    evaluation = evaluate(softmax(logits), samples, opened.manifest.classes, dataset=dataset, subset=subset)
    evaluation = replace(evaluation, checkpoint=Path(answering.checkpoint).name)
    if folder is None:
        opened.folder.write_evaluation(evaluation)
        write_report(opened, warn)
    return Judged(evaluation=evaluation, root=Path(given.root))


def keep_threshold(run: Path, plugins: Plugins, threshold: Threshold | None, *, warn: Warn = silent) -> None:
    """Keep how sure an answer of the run's model must be, None: it answers always. Predictions, reports and files exported from
    now on heed it.

    Raises:
        UserError: not a run, or it cannot be written.
    """
    opened = open_run(run, plugins)
    opened.folder.write_threshold(threshold)
    write_report(opened, warn)


def warn_of_learned(manifest: DatasetManifest, samples: Sequence[Sample], warn: Warn) -> None:
    """Say how many of the `samples` of another folder a run that is about `manifest` was trained on."""
    learned = {sample.sha256 for sample in manifest.of(Subset.TRAIN)}
    if known := sum(sample.sha256 in learned for sample in samples):
        warn(
            tr(
                "The model was trained on {known} of these {all} pictures, so the accuracy flatters it.",
                known=known,
                all=len(samples),
            )
        )


def _warn_of_looked_at(run: OpenRun, samples: Sequence[Sample], warn: Warn) -> None:
    """Say on how many of the `samples` of another folder the model's threshold was picked."""
    from desktop_ft.evaluation.selective import caveat

    own, threshold = run.folder.evaluation, threshold_of(run.folder, warn)
    if own is None or not caveat(threshold, own):
        return
    looked_at = {sample.sha256 for sample in run.held_out}
    if seen := sum(sample.sha256 in looked_at for sample in samples):
        warn(
            tr(
                "The threshold was picked on {seen} of these {all} pictures, so the accuracy among the answered flatters.",
                seen=seen,
                all=len(samples),
            )
        )


def write_report(run: RecordedRun, warn: Warn = silent) -> Path:
    """Draw the run's `report.html` from what its folder holds; returns its path.

    A note or a threshold that cannot be read is left out; `warn` is told.
    """
    from desktop_ft.evaluation import report

    folder: RunFolder = run.folder
    text = report.render(
        run.recipe,
        run.manifest,
        folder.history(),
        folder.evaluation,
        folder.export_reports,
        Path(run.manifest.root),
        note=_if_readable(lambda: folder.note, RunNote(), warn),
        threshold=threshold_of(folder, warn),
    )
    atomic.write(folder.report, text.encode())
    return folder.report


def threshold_of(folder: RunFolder, warn: Warn = silent) -> Threshold | None:
    """The threshold kept with a run; None, and `warn` is told, where it cannot be read."""
    return _if_readable(lambda: folder.threshold, None, warn)


def _if_readable(read: Callable[[], Kept], otherwise: Kept, warn: Warn) -> Kept:
    """What `read` gives; a damaged file beside finished work must not make the work look failed."""
    try:
        return read()
    except UserError as error:
        warn(tr("Left out: {error}", error=error))
        return otherwise


def understood(given: DatasetManifest, classes: tuple[str, ...], dataset: DatasetChoice, warn: Warn) -> tuple[Sample, ...]:
    """The pictures of another folder under a model's labels: its classes may have the names that the run's own folder has.

    Args:
        classes: the model's. dataset: what its recipe says of its pictures.

    Raises:
        UserError: the folder has a class that the model does not know, or nothing that the recipe does not leave out.
    """
    if unusable := given.left_out():
        warn(
            tr_n(
                "Left out, as it cannot be used: {n:,} file or folder. A scan of it says which.",
                "Left out, as they cannot be used: {n:,} files or folders. A scan of it says which.",
                n=len(unusable),
            )
        )
    kept = edited(given, dataset)
    if unknown := [name for name in kept.classes if name not in classes]:
        raise UserError(
            tr(
                "{source} has a class '{name}' that the model does not know; it knows {classes}.",
                source=given.source,
                name=unknown[0],
                classes=", ".join(classes),
            ),
            tr("Rename or remove that folder, or train a new model with it."),
        )
    if not kept.samples:
        raise UserError(
            tr("The run's recipe leaves out all that is in {source}.", source=given.source),
            tr("Choose pictures of the classes that it learned."),
        )
    if left_out := len(given.samples) - len(kept.samples):
        warn(
            tr_n(
                "Left out, as the run's recipe says: {n:,} picture.",
                "Left out, as the run's recipe says: {n:,} pictures.",
                n=left_out,
            )
        )
    for found in given.classes:
        name = dataset.rename.get(found, found)
        if name != found and found in classes:
            warn(
                tr(
                    "'{found}' is a class of the run, too; here it is taken as in the run's own folder: {name}.",
                    found=found,
                    name=name or tr("left out"),
                )
            )
    label = [classes.index(name) for name in kept.classes]
    return tuple(sample.placed(label[sample.label], sample.subset) for sample in kept.samples)
