"""What an exported file tells of itself, what it gets right and wrong, and which run it came from. Needs no torch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from desktop_ft.core.dataset import Sample
from desktop_ft.core.errors import Cancelled, UserError
from desktop_ft.core.exporting import AS_IT_IS
from desktop_ft.core.language import marked, tr
from desktop_ft.core.recipe import DatasetChoice, Recipe
from desktop_ft.data.scan import scan
from desktop_ft.jobs.evaluating import Judged, Progress, understood, warn_of_learned
from desktop_ft.jobs.predicting import exported_model
from desktop_ft.jobs.run_list import listed
from desktop_ft.jobs.running import Warn, open_run, silent
from desktop_ft.plugin_manager import Plugins
from desktop_ft.runs.run_folder import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCard:
    """What an exported file tells of itself; "" and None for what it does not tell.

    Attributes:
        bytes: its size. side: of the pictures it computes with, in pixels. threshold: how sure an answer must be, 0 to 1.
        input, precision: as `ExportSettings`.
        recipe_sha256: the recipe's digest, hex.
        version: of the application that wrote it.
        checkpoint: the name of the run's file that its weights come from.
    """

    file: Path
    bytes: int
    classes: tuple[str, ...]
    side: int
    threshold: float
    backbone: str
    licence: str
    input: str
    precision: str
    version: str
    recipe: Recipe | None
    recipe_sha256: str
    checkpoint: str


def file_card(path: Path, cancel: threading.Event | None = None) -> FileCard:
    """The card of the exported file at `path`.

    Raises:
        UserError: it is none, or cannot be used.
        Cancelled: `cancel` was set meanwhile.
    """
    from desktop_ft.export import metadata as keys

    model = exported_model(path, cancel)
    told = model.metadata
    return FileCard(
        file=path,
        bytes=path.stat().st_size,
        classes=model.classes,
        side=model.rule.crop,
        threshold=model.threshold,
        backbone=told.get(keys.BACKBONE, ""),
        licence=told.get(keys.WEIGHTS_LICENCE, ""),
        input=told.get(keys.INPUT, AS_IT_IS.input),
        precision=told.get(keys.PRECISION, AS_IT_IS.precision),
        version=told.get(keys.VERSION, ""),
        recipe=_recipe(told, keys.RECIPE),
        recipe_sha256=told.get(keys.RECIPE_SHA256, ""),
        checkpoint=Path(told.get(keys.CHECKPOINT, "")).name,
    )


def run_of_file(card: FileCard) -> Path | None:
    """The person's run that the file was exported from: the one that still has the weights in it, or tells of this very file.

    None where there is none: another run of the same recipe may have learned from other pictures.

    Raises:
        UserError: the index of runs cannot be written.
    """
    runs = [RunFolder(Path(row.path)) for row in listed()]
    holding = _those(runs, lambda run: bool(card.checkpoint) and (run.checkpoints / card.checkpoint).is_file())
    found = next(holding, None) or next(runs_telling_of(card.file, runs), None)
    return found.path if found else None


def runs_telling_of(file: Path, runs: Iterable[RunFolder]) -> Iterator[RunFolder]:
    """Those of the `runs` that tell of having written just this `file`."""
    return _those(runs, lambda run: run.wrote(file))


def _those(runs: Iterable[RunFolder], are: Callable[[RunFolder], bool]) -> Iterator[RunFolder]:
    for run in runs:
        # The page Runs tells of a damaged one, or one out of reach; and what a file calls its checkpoint can be no name at all.
        with suppress(UserError, OSError):
            if are(run):
                yield run


def going_on(run: Path, plugins: Plugins) -> Recipe:
    """The recipe of `run`, but from the best that it has learned instead of from the published weights. Imports torch.

    Raises:
        UserError: not a run, or nothing was saved of it.
    """
    opened = open_run(run, plugins)
    best = opened.store().best
    if not best:
        raise UserError(tr("The run '{name}' has no saved weights any more.", name=run.name), tr("Train anew from its recipe."))
    backbone = opened.recipe.backbone.model_copy(update={"weights": str(run.absolute() / best)})
    dataset = opened.recipe.dataset
    if not Path(dataset.folder).is_absolute():  # a recipe that was written by hand
        dataset = dataset.model_copy(update={"folder": opened.manifest.source})
    return opened.recipe.model_copy(update={"backbone": backbone, "dataset": dataset})


def evaluate_file(
    path: Path,
    folder: Path,
    *,
    warn: Warn = silent,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Judged:
    """Ask the exported file at `path` about every picture in `folder`, which is laid out as for training.

    Raises:
        UserError: the file cannot be used, or the folder has a class that it does not know, or no picture that can be read.
        Cancelled: as asked.
    """
    import numpy as np

    from desktop_ft.evaluation.score import evaluate

    card, model = file_card(path, cancel), exported_model(path, cancel)
    given = scan(folder, fewest_classes=1, progress=progress, cancel=cancel)
    dataset = card.recipe.dataset if card.recipe else DatasetChoice(folder=str(folder))
    samples = understood(given, card.classes, dataset, warn)
    run = run_of_file(card)
    if run is None:
        warn(tr("This file comes from none of your runs, so it is not known whether it has learned from some of these pictures."))
    else:
        warn_of_learned(RunFolder.open(run).manifest, samples, warn)
    judged, rows = list[Sample](), list[Sequence[float]]()
    root = Path(given.root)
    for number, (sample, answer) in enumerate(zip(samples, model.answer(root / each.path for each in samples), strict=True), 1):
        if cancel and cancel.is_set():
            raise Cancelled
        if answer.problem:
            warn(tr("Left out: {error}", error=f"{sample.path}: {answer.problem}"))
        else:
            judged.append(sample)
            rows.append(answer.probabilities)
        if progress:
            progress(number, len(samples))
    return Judged(
        evaluation=evaluate(
            np.array(rows).reshape(-1, len(card.classes)),
            judged,
            card.classes,
            dataset=Path(given.source).name,
            subset=marked("all"),
        ),
        root=root,
    )


def _recipe(told: Mapping[str, str], key: str) -> Recipe | None:
    """The recipe in a file's metadata; None where it cannot be understood: what the file answers does not need it."""
    with suppress(UserError):
        return Recipe.from_toml(told[key], key) if key in told else None
    return None
